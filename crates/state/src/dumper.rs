//! What others know, for the beginning of a recording.

use std::fmt;
use std::sync::Arc;

/// Asks plugins for events that describe what they know. Called when a recording begins.
#[derive(Clone)]
pub struct StateDumper(Arc<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>);

impl StateDumper {
    /// Asks this. Must not wait.
    pub fn new(dump: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(dump))
    }

    pub(crate) fn dump(&self) -> Vec<Vec<u8>> {
        self.0()
    }
}

impl fmt::Debug for StateDumper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateDumper")
    }
}
