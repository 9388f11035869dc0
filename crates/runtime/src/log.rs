//! Where a run reports what is not an alert.

use std::fmt::{self, Display};
use std::sync::Arc;

use peregrine_alert::Priority;

/// Writes lines to the log of the program. Cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct Log(Arc<WriteLine>);

type WriteLine = dyn Fn(Priority, &dyn Display) + Send + Sync;

impl Log {
    /// Hands every line with its level to `write`.
    pub fn new(write: impl Fn(Priority, &dyn Display) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// A line of any level.
    pub fn line(&self, level: Priority, line: impl Display) {
        (self.0)(level, &line);
    }

    /// Something has failed and the run goes on.
    pub fn error(&self, line: impl Display) {
        self.line(Priority::Error, line);
    }

    /// Something that the user should know.
    pub fn warning(&self, line: impl Display) {
        self.line(Priority::Warning, line);
    }

    /// What the run is doing.
    pub fn info(&self, line: impl Display) {
        self.line(Priority::Informational, line);
    }

    /// Details for whoever looks for a fault.
    pub fn debug(&self, line: impl Display) {
        self.line(Priority::Debug, line);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
