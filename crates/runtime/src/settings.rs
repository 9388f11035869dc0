//! Settings of a run. The command line maps the configuration to these types.

use std::path::PathBuf;
use std::time::Duration;

use crate::capture::FileSettings;
use crate::observers::RunPolicies;
use crate::sources::LiveSettings;

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The source of events.
    pub source: SourceSettings,
    /// Limits of the state.
    pub state: peregrine_state::Config,
    /// Maximum duration, in event time.
    pub limit: Option<Duration>,
    /// What a reload may change.
    pub policies: RunPolicies,
    /// The file with all events.
    pub record_all: Option<FileSettings>,
    /// Whether a profile is measured.
    pub profile: bool,
}

/// The source of events.
#[derive(Clone, Debug)]
pub enum SourceSettings {
    /// A capture file.
    Replay(PathBuf),
    /// The running kernel.
    Live(LiveSettings),
    /// None: no event ever arrives.
    Nothing,
    /// Only other sources than the kernel: the run ends with the last of them.
    Others,
}
