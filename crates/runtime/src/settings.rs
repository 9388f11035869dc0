//! What a run is to do. The command line maps the configuration to these types.

use std::path::PathBuf;
use std::time::Duration;

use peregrine_telemetry::DropPolicy;

use crate::observers::{RecordingSettings, TimeoutSettings};
use crate::sources::LiveSettings;

/// Everything that a run is told.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Where events come from.
    pub source: SourceSettings,
    /// Sizes of the state.
    pub state: peregrine_state::Config,
    /// How long an alert waits at most for the users and groups of its container.
    pub accounts_max_wait: Duration,
    /// How long to run, in time of the events.
    pub limit: Option<Duration>,
    /// What is done about losses.
    pub drops: DropPolicy,
    /// When silence is reported.
    pub timeouts: TimeoutSettings,
    /// Which files are written.
    pub recording: RecordingSettings,
    /// Whether the costs of rules are measured.
    pub profile: bool,
}

/// Where events come from.
#[derive(Clone, Debug)]
pub enum SourceSettings {
    /// A capture file.
    Replay(PathBuf),
    /// The running kernel.
    Live(LiveSettings),
}
