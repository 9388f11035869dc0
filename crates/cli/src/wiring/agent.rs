//! What stays over all reloads of a run.

use std::sync::Arc;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_runtime::Log;
use peregrine_telemetry::{Heartbeat, Reloads, WebStats};

use super::files::loaded_files;
use super::host;
use super::rules::Texts;
use super::setup::Setup;

/// What stays over all reloads of a run.
#[derive(Clone)]
pub(crate) struct Agent {
    /// What alerts say about this engine: its host and the ids of its rules.
    pub(crate) origin: AlertOrigin,
    /// The files of configuration and rules, and what reloads did.
    pub(crate) reloads: Arc<Reloads>,
    /// Shows whether the event thread makes progress.
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// Connections of the web server.
    pub(crate) web: Arc<WebStats>,
    /// The log.
    pub(crate) log: Log,
}

impl Agent {
    /// The agent of a run that begins with this configuration and these rules files.
    pub(crate) fn new(setup: &Setup, rules_files: &Texts, heartbeat: &Arc<Heartbeat>) -> Self {
        let hostname = host::name();
        if host::name_is_given() {
            setup.log.info(format_args!(
                "Hostname value has been overridden via environment variable to: {hostname}"
            ));
        }
        Self {
            origin: AlertOrigin::new(Arc::new(RuleRegistry::new()), &hostname),
            reloads: Arc::new(Reloads::new(loaded_files(&setup.loaded, rules_files))),
            heartbeat: Arc::clone(heartbeat),
            web: Arc::default(),
            log: setup.log.clone(),
        }
    }
}
