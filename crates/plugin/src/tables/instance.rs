//! The tables as one instance of a plugin sees them.

use core::ffi::c_char;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::handles::Memory;
use super::lock::lock;
use super::owner::{LastErrorFunction, TableOwner};
use super::shared::Shared;
use super::{access, errors};
use crate::abi::{InitTables, PluginState, ReaderVtableExt, TableHandle, WriterVtable};
use crate::library::PluginInfo;

/// The tables of one instance of a plugin: see [`TableRegistry`](super::TableRegistry).
pub struct InstanceTables {
    shared: Arc<Shared>,
    owner: Arc<TableOwner>,
    functions: GivenFunctions,
    memory: Mutex<Memory>,
    /// Handles of tables that the plugin has got, by name.
    got: Mutex<HashMap<Vec<u8>, Got>>,
}

/// The functions that plugins are given.
#[derive(Clone, Copy)]
pub(super) struct GivenFunctions {
    pub(super) init: &'static InitTables,
    pub(super) reader: &'static ReaderVtableExt,
    pub(super) writer: &'static WriterVtable,
}

// SAFETY: they are statics that nothing changes.
unsafe impl Send for GivenFunctions {}
// SAFETY: as above.
unsafe impl Sync for GivenFunctions {}

struct Got(*mut TableHandle);

// SAFETY: the pointer is to a handle of the same instance, which is given to the plugin only.
unsafe impl Send for Got {}

impl InstanceTables {
    pub(super) fn new(
        shared: &Arc<Shared>,
        plugin: &PluginInfo,
        functions: GivenFunctions,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            owner: Arc::new(TableOwner::new(plugin)),
            functions,
            memory: Mutex::default(),
            got: Mutex::default(),
        })
    }

    /// What `init` is given.
    pub(crate) fn init(&self) -> *const InitTables {
        self.functions.init
    }

    /// What reads tables in all calls.
    pub(crate) fn reader(&self) -> *const ReaderVtableExt {
        self.functions.reader
    }

    /// What writes tables in calls that may.
    pub(crate) fn writer(&self) -> *const WriterVtable {
        self.functions.writer
    }

    /// The same as before API 3.1.
    pub(crate) fn old_writer(&self) -> WriterVtable {
        *self.functions.writer
    }

    /// Text of the last error, or null. It stays until the next one on this thread.
    pub(crate) fn last_error(&self) -> *const c_char {
        errors::get(self.key())
    }

    /// Runs `init`, which has a state of its own.
    pub(crate) fn initialise<R>(&self, init: impl FnOnce() -> R) -> R {
        self.shared.with_initial_state(|state| access::writing(state, init))
    }

    /// The plugin is initialised: from now on it says why its own tables fail.
    pub(crate) fn initialised(&self, state: *mut PluginState, function: Option<LastErrorFunction>) {
        self.owner.initialised(state, function);
    }

    /// The plugin is destroyed: its tables are not used any more.
    pub(crate) fn destroyed(&self) {
        self.owner.destroyed();
        self.shared.foreign().retain(|table| !table.is_of(&self.owner));
    }

    /// A call of the plugin has ended: what it has not released is released.
    pub(crate) fn end_call(&self) {
        self.memory().end_call();
    }
}

impl InstanceTables {
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn owner(&self) -> &Arc<TableOwner> {
        &self.owner
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    pub(super) fn set_error(&self, text: Cow<'static, str>) {
        errors::set(self.key(), text);
    }

    /// The handle of a table that the plugin has got before.
    pub(super) fn got(&self, name: &[u8]) -> Option<*mut TableHandle> {
        lock(&self.got).get(name).map(|Got(handle)| *handle)
    }

    pub(super) fn keep(&self, name: &[u8], handle: *mut TableHandle) {
        lock(&self.got).insert(name.to_owned(), Got(handle));
    }

    /// Tells the errors of instances apart.
    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl fmt::Debug for InstanceTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InstanceTables").field(&self.owner).finish()
    }
}
