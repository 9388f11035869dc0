//! What stays over all reloads of a run.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_config::{Loaded, sha256};
use peregrine_runtime::Log;
use peregrine_telemetry::metrics::FileDigest;
use peregrine_telemetry::{
    AuditStats, ContainerCounters, Heartbeat, KubernetesCounters, LoadedFiles, Reloads, WebStats,
};

use super::checks::SYSCALL;
use super::host;
use super::rules::Texts;
use super::setup::Setup;

/// What stays over all reloads of a run.
#[derive(Clone)]
pub struct Agent {
    /// What alerts say about this engine: its host and the ids of its rules.
    pub origin: AlertOrigin,
    /// The files of configuration and rules, and what reloads did.
    pub reloads: Arc<Reloads>,
    /// Shows whether the event thread makes progress.
    pub heartbeat: Arc<Heartbeat>,
    /// Connections of the web server.
    pub web: Arc<WebStats>,
    /// Counters of the thread that asks container runtimes, if there is one.
    pub containers: Option<Arc<ContainerCounters>>,
    /// What the source of audit events counts, if there may be one.
    pub audit: Option<Arc<AuditStats>>,
    /// Names of the event sources that are opened.
    pub sources: Vec<String>,
    /// Counters of the thread that watches the API server of Kubernetes, if there is one.
    pub kubernetes: Option<Arc<KubernetesCounters>>,
    /// The log.
    pub log: Log,
}

impl Agent {
    /// The agent of a run that begins with this configuration and these rules files.
    pub fn new(setup: &Setup, rules_files: &Texts, heartbeat: &Arc<Heartbeat>) -> Self {
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
            containers: None,
            audit: (!setup.replays() && setup.plugins().has_audit_source()).then(Arc::default),
            sources: vec![SYSCALL.to_owned()],
            kubernetes: (setup.loaded.asks_kubernetes() && !setup.replays()).then(Arc::default),
            log: setup.log.clone(),
        }
    }
}

impl Agent {
    /// Whether system calls are among the sources that are opened.
    pub fn opens_kernel(&self) -> bool {
        self.sources.iter().any(|source| source == SYSCALL)
    }
}

/// The files that configuration and rules were read from. Only metrics tell of them, so without
/// metrics there are no digests.
pub fn loaded_files(loaded: &Loaded, rules: &Texts) -> LoadedFiles {
    if !loaded.config.metrics.enabled {
        return LoadedFiles::default();
    }
    let read_at = loaded.read_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    LoadedFiles {
        read_at: read_at.as_nanos().try_into().unwrap_or(u64::MAX),
        rules: rules.iter().map(|(name, text)| digest(name, sha256(text))).collect(),
        config: (loaded.files.iter())
            .map(|(name, file)| digest(name, file.sha256.clone()))
            .collect(),
    }
}

fn digest(path: &str, sha256: String) -> FileDigest {
    let name = Path::new(path).file_name().unwrap_or_default();
    FileDigest { name: name.to_string_lossy().into_owned(), sha256 }
}
