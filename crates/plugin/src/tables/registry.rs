//! The tables of one stream of events.

use std::fmt;
use std::sync::Arc;

use super::init;
use super::instance::InstanceTables;
use super::shared::Shared;
use crate::library::PluginInfo;

/// The tables that the plugins of one stream of events share. Clones are the same.
#[derive(Clone, Default)]
pub struct TableRegistry {
    shared: Arc<Shared>,
}

impl TableRegistry {
    /// The tables of another stream of events that changes the same state: what plugins add to
    /// threads and files is common, and their own tables are apart.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { shared: Arc::new(self.shared.beside()) }
    }

    /// What an instance of a plugin is given of these tables.
    pub fn instance(&self, plugin: &PluginInfo) -> Arc<InstanceTables> {
        InstanceTables::new(&self.shared, plugin, init::FUNCTIONS)
    }

    /// Threads have the field `container_id` though no plugin adds it: the host itself knows the
    /// containers.
    pub fn provide_container_id(&self) {
        self.shared.columns().provide_container_id();
    }

    /// All plugins are initialised: frees what only `init` needs.
    pub fn initialised(&self) {
        self.shared.drop_initial_state();
    }

    /// The names of all tables.
    pub fn names(&self) -> Vec<String> {
        let foreign = self.shared.foreign();
        let foreign = foreign.iter().map(|table| table.name.to_string_lossy().into_owned());
        foreign.chain(["threads".to_owned()]).collect()
    }
}

impl fmt::Debug for TableRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TableRegistry").field(&self.names()).finish()
    }
}
