//! What watching the API server of Kubernetes costs and yields.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::metrics::KubernetesStats;

/// Counters of the thread that watches the API server.
#[derive(Debug, Default)]
pub struct KubernetesCounters {
    /// 1 while the pods of the node are known and up to date.
    pub connected: AtomicU64,
    /// Pods that are known.
    pub pods: AtomicU64,
    /// Watches that are open or are being opened.
    pub watches: AtomicU64,
    /// Events about pods and other objects.
    pub events: AtomicU64,
    /// Lists that were asked for.
    pub lists: AtomicU64,
    /// Watches that failed.
    pub failures: AtomicU64,
}

impl KubernetesCounters {
    /// The values as of now.
    #[must_use]
    pub fn stats(&self) -> KubernetesStats {
        KubernetesStats {
            connected: self.connected.load(Relaxed),
            pods: self.pods.load(Relaxed),
            watches: self.watches.load(Relaxed),
            events: self.events.load(Relaxed),
            lists: self.lists.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}
