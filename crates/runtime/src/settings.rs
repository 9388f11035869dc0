//! Settings of a run. The command line maps the configuration to these types.

use std::path::PathBuf;
use std::time::Duration;

use peregrine_telemetry::DropPolicy;

use crate::observers::{RecordingSettings, TimeoutSettings};
use crate::sources::LiveSettings;

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The source of events.
    pub source: SourceSettings,
    /// Limits of the state.
    pub state: peregrine_state::Config,
    /// Maximum time that an alert waits for the users and groups of its container.
    pub accounts_max_wait: Duration,
    /// Maximum duration, in event time.
    pub limit: Option<Duration>,
    /// Reaction to losses.
    pub drops: DropPolicy,
    /// When missing events are reported.
    pub timeouts: TimeoutSettings,
    /// Time without progress of the event thread after which a live run reports that it stalls;
    /// zero is never.
    pub stall_timeout: Duration,
    /// Recorded files.
    pub recording: RecordingSettings,
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
}
