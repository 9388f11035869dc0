//! Sources of other events than system calls, and their merge with the kernel's.

use std::error::Error;

use peregrine_event::inbox::InboxSource;
use peregrine_event::source::{Due, Next, Source, TimedSource};
use peregrine_probe::Live;

use crate::run::RunError;

/// Why a source of other events has none, or no more.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// A source that is open.
pub type OpenSource = Box<dyn TimedSource<Error = SourceError>>;

/// A source of other events than system calls.
pub struct OtherSource {
    /// Its name, as rules have it.
    pub name: String,
    /// Opens it, at the beginning of the run.
    pub open: Box<dyn FnOnce() -> Result<OpenSource, SourceError> + Send>,
}

/// Opens all of them.
pub(crate) fn open_all<'a>(others: Vec<OtherSource>) -> Result<Vec<AnySource<'a>>, RunError> {
    let open = |other: OtherSource| (other.open)().map(AnySource::Other).map_err(RunError::Source);
    others.into_iter().map(open).collect()
}

/// One of the sources that run together.
pub(crate) enum AnySource<'a> {
    Live(&'a mut Live),
    Told(Box<InboxSource>),
    Other(OpenSource),
}

impl Source for AnySource<'_> {
    type Error = RunError;

    fn next(&mut self) -> Result<Next<'_>, RunError> {
        match self {
            Self::Live(live) => live.next().map_err(RunError::Live),
            Self::Told(told) => told.next().map_err(|never| match never {}),
            Self::Other(other) => other.next().map_err(RunError::Source),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Live(live) => live.close(),
            Self::Told(told) => told.close(),
            Self::Other(other) => other.close(),
        }
    }
}

impl TimedSource for AnySource<'_> {
    fn due(&mut self) -> Result<Due, RunError> {
        match self {
            Self::Live(live) => live.due().map_err(RunError::Live),
            Self::Told(told) => told.due().map_err(|never| match never {}),
            Self::Other(other) => other.due().map_err(RunError::Source),
        }
    }

    fn is_beside_others(&self) -> bool {
        matches!(self, Self::Other(other) if other.is_beside_others())
    }
}
