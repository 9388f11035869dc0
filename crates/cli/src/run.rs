//! The run itself: events from their source through state and rules to the outputs.

use std::sync::Arc;

use crate::actions::rules::Rules;
use crate::config::Config;
use crate::log::Log;
use crate::options::Options;
use crate::signals::Signals;

/// What a run needs, all of it checked.
pub(crate) struct Job<'a> {
    /// The command line.
    pub(crate) options: &'a Options,
    /// The configuration.
    pub(crate) config: &'a Config,
    /// Whether containers are looked after (the plugin `container` is loaded).
    pub(crate) containers: bool,
    /// The rules, selected; and the files they came from.
    pub(crate) rules: Rules,
    /// Name of this host in JSON alerts.
    pub(crate) hostname: String,
    /// Where to talk about oneself.
    pub(crate) log: Arc<Log>,
    /// Requests from outside.
    pub(crate) signals: Signals,
}

/// Runs until the source ends or somebody asks to stop.
pub(crate) fn run(job: Job<'_>) -> anyhow::Result<()> {
    let Job { options, config, containers, rules, hostname, log, signals } = job;
    let _ = (options, config, containers, rules, hostname, signals);
    log.debug("nothing to run yet");
    Ok(())
}
