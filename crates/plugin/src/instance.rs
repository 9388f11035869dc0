//! Initialised plugins.

use core::ffi::{CStr, c_char};
use core::ptr;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use peregrine_event::{Event, EventSet, EventType};
use peregrine_limits::{PLUGIN_CALL_TIME, PLUGIN_EVENT_TYPES, PLUGIN_TEXT_BYTES};

use crate::abi::{
    ConfigInput, EventInput, InitInput, OwnerHandle, PluginFunctions, PluginState, ReaderVtable,
    ReturnCode, SUCCESS,
};
use crate::call::in_plugin;
use crate::error::{CallError, InitError, SchemaError};
use crate::host::{self, Host, Owner};
use crate::library::{Library, PluginInfo};
use crate::tables::{InstanceTables, TableRegistry};
use crate::text::PluginText;
use crate::version::Version;

/// A plugin that is initialised. Clones are the same; the last one destroys its state.
///
/// Plugins take one call at a time. While one runs, others wait, for a limited time on the event
/// thread.
#[derive(Clone, Debug)]
pub struct Instance {
    pub(crate) inner: Arc<Initialised>,
}

/// The state of a plugin, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Initialised {
    pub(crate) library: Library,
    pub(crate) owner: Arc<Owner>,
    state: *mut PluginState,
    /// Held during all calls that use the state, but for those that may run beside others.
    calls: Mutex<()>,
    /// Held during `get_metrics`, which may run beside others, but not beside itself.
    pub(crate) metrics: Mutex<()>,
    extracts: EventSet,
    parses: EventSet,
}

// SAFETY: plugins keep nothing of the thread that calls them: the interface lets one state be used
// from any thread, one at a time. `calls` holds to that, and the functions that may run beside
// others take what the interface says. All else are plain values.
unsafe impl Send for Initialised {}
// SAFETY: as above.
unsafe impl Sync for Initialised {}

/// An event, as plugins get it.
#[derive(Clone, Copy, Debug)]
pub struct PluginEvent<'a> {
    bytes: &'a [u8],
    number: u64,
    source: &'a CStr,
}

impl<'a> PluginEvent<'a> {
    /// An event of the source with this name.
    pub fn new(event: &Event<'a>, source: &'a CStr) -> Self {
        Self { bytes: event.bytes(), number: event.num, source }
    }

    /// As the interface has it. The pointers are valid during `'a`.
    pub(crate) fn input(&self) -> EventInput {
        EventInput {
            event: self.bytes.as_ptr().cast(),
            number: self.number,
            source: self.source.as_ptr(),
        }
    }
}

impl Library {
    /// Initialises the plugin with this `init_config`, which is passed on as it is.
    ///
    /// # Errors
    /// When the plugin refuses it.
    pub fn init(&self, config: &str, host: Host) -> Result<Instance, InitError> {
        let plugin = || self.info().name.clone();
        let config = CString::new(config).map_err(|_| InitError::Nul { plugin: plugin() })?;
        let capabilities = &self.info().capabilities;
        let uses_tables = capabilities.extraction.is_some() || capabilities.parsing.is_some();
        // Plugins that may use tables rely on there being some.
        let none = || uses_tables.then(|| TableRegistry::default().instance(self.info()));
        let host = Host { tables: host.tables.or_else(none), ..host };
        let owner = Owner::new(&self.info().name, host);
        let tables = owner.host.tables.as_ref().filter(|_| uses_tables);
        let input = InitInput {
            config: config.as_ptr(),
            owner: owner.handle(),
            owner_last_error: Some(host::last_error),
            tables: tables.map_or(ptr::null(), |tables| tables.init()),
            log: Some(host::log),
        };
        let mut code = SUCCESS;
        let mut initialise = || {
            let init = self.functions().init?;
            Some(in_plugin(&owner.plugin, "init", || {
                // SAFETY: input and code live during the call, the owner as long as the state.
                unsafe { init(&raw const input, &raw mut code) }
            }))
        };
        let state = match tables {
            Some(tables) => tables.initialise(initialise),
            None => initialise(),
        };
        let state = state.unwrap_or(ptr::null_mut());
        flush_output();
        if let Some(tables) = tables {
            tables.end_call();
            tables.initialised(state, self.functions().get_last_error.filter(|_| !state.is_null()));
        }
        let mut initialised = Initialised {
            library: self.clone(),
            owner,
            state,
            calls: Mutex::default(),
            metrics: Mutex::default(),
            extracts: EventSet::EMPTY,
            parses: EventSet::EMPTY,
        };
        if code != SUCCESS {
            let error = initialised.last_error();
            return Err(InitError::Failed { plugin: plugin(), error });
        }
        if state.is_null() {
            return Err(InitError::NoState { plugin: plugin() });
        }
        if let Some(extraction) = &capabilities.extraction {
            let function = self.functions().get_extract_event_types;
            let all = extraction.takes("syscall");
            initialised.extracts = initialised.types("get_extract_event_types", function, all)?;
        }
        if let Some(parsing) = &capabilities.parsing {
            let function = self.functions().get_parse_event_types;
            let all = parsing.takes("syscall");
            initialised.parses = initialised.types("get_parse_event_types", function, all)?;
        }
        Ok(Instance { inner: Arc::new(initialised) })
    }
}

impl Instance {
    /// The library.
    pub fn library(&self) -> &Library {
        &self.inner.library
    }

    /// What the plugin says of itself.
    pub fn info(&self) -> &PluginInfo {
        self.inner.library.info()
    }

    /// Types of events whose fields it extracts.
    pub fn extracts(&self) -> &EventSet {
        &self.inner.extracts
    }

    /// Types of events that it parses.
    pub fn parses(&self) -> &EventSet {
        &self.inner.parses
    }

    /// Whether the plugin can be used with events of this version. Only a plugin that extracts from
    /// or parses other events than those of plugins needs one; without a word, it is 3.0.0.
    ///
    /// # Errors
    /// When it needs another version.
    pub fn check_event_schema(&self, schema: Version) -> Result<(), SchemaError> {
        let of_plugins = |types: &EventSet| types.iter().all(|ty| ty == EventType::PlugineventE);
        if of_plugins(self.extracts()) && of_plugins(self.parses()) {
            return Ok(());
        }
        let plugin = self.inner.plugin().to_owned();
        let needed = match self.required_event_schema() {
            None => Version { major: 3, minor: 0, patch: 0 },
            Some(needed) => match Version::parse(&needed) {
                Some(needed) => needed,
                None => return Err(SchemaError::Invalid { plugin, needed }),
            },
        };
        let why = schema.refuses(needed);
        why.map_or(Ok(()), |why| Err(SchemaError::Incompatible { plugin, needed, schema, why }))
    }

    /// The version of the event schema that it needs. `None` if it does not say.
    pub fn required_event_schema(&self) -> Option<String> {
        let function = self.inner.functions().get_required_event_schema_version?;
        let calls = self.inner.wait();
        let version = self.inner.text_of("get_required_event_schema_version", |state| {
            // SAFETY: the state is one of this plugin, and no other call runs.
            unsafe { function(state) }
        });
        drop(calls);
        version.map(|version| String::from_utf8_lossy(&version).into_owned())
    }

    /// Gives it another `init_config`.
    ///
    /// # Errors
    /// When it can't take another, or refuses it.
    pub fn set_config(&self, config: &str) -> Result<(), CallError> {
        const FUNCTION: &str = "set_config";
        let inner = &*self.inner;
        let function = inner.functions().set_config.ok_or_else(|| inner.missing(FUNCTION))?;
        let config = CString::new(config).map_err(|_| CallError::Failed {
            plugin: inner.plugin().to_owned(),
            error: "the configuration contains a NUL".to_owned(),
        })?;
        let input = ConfigInput { config: config.as_ptr() };
        let calls = inner.wait();
        let code = inner.call(FUNCTION, |state| {
            // SAFETY: the input lives during the call; no other call runs.
            unsafe { function(state, &raw const input) }
        });
        let result = inner.check(code);
        drop(calls);
        result
    }

    /// What the plugin suggests as parameters of its source: JSON.
    ///
    /// # Errors
    /// When it says that it has failed.
    pub fn list_open_params(&self) -> Result<Option<String>, CallError> {
        const FUNCTION: &str = "list_open_params";
        let inner = &*self.inner;
        let Some(function) = inner.functions().list_open_params else { return Ok(None) };
        let calls = inner.wait();
        let mut code = SUCCESS;
        let text = inner.text_of(FUNCTION, |state| {
            // SAFETY: the code lives during the call; no other call runs.
            unsafe { function(state, &raw mut code) }
        });
        let result = match text {
            // The reference takes what is there, whatever the code.
            Some(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            None => inner.check(code).map(|()| None),
        };
        drop(calls);
        result
    }

    /// An event of the plugin as text. `None` when there is none.
    pub fn event_to_string<R>(
        &self,
        event: &PluginEvent<'_>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        const FUNCTION: &str = "event_to_string";
        let inner = &*self.inner;
        let function = inner.functions().event_to_string?;
        let calls = inner.wait_on_event_thread(FUNCTION).ok()?;
        let input = event.input();
        let text = inner.call(FUNCTION, |state| {
            // SAFETY: the input lives during the call; no other call runs. The text stays until the
            // next call, which waits for `calls`.
            unsafe { PluginText::at(function(state, &raw const input), PLUGIN_TEXT_BYTES.get()) }
        });
        let result = text.filter(|text| !text.bytes.is_empty()).map(|text| read(text.bytes));
        drop(calls);
        result
    }
}

/// Writes what plugins in C and C++ have printed. Otherwise it comes after what this program prints
/// later.
fn flush_output() {
    #[cfg(not(miri))]
    // SAFETY: null stands for all streams.
    unsafe {
        libc::fflush(ptr::null_mut())
    };
}

impl Initialised {
    pub(crate) fn plugin(&self) -> &str {
        &self.owner.plugin
    }

    pub(crate) fn functions(&self) -> &PluginFunctions {
        self.library.functions()
    }

    pub(crate) fn missing(&self, function: &'static str) -> CallError {
        CallError::Missing { plugin: self.plugin().to_owned(), function }
    }

    /// The tables that the plugin sees. Without any, all operations fail.
    pub(crate) fn tables(&self) -> Arc<InstanceTables> {
        let tables = self.owner.host.tables.as_ref().map(Arc::clone);
        tables.unwrap_or_else(|| TableRegistry::default().instance(self.library.info()))
    }

    /// What the plugin may use of the host in a call.
    pub(crate) fn owner_handle(&self) -> *mut OwnerHandle {
        self.owner.handle()
    }

    /// Waits until no call runs.
    pub(crate) fn wait(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for the event thread, which does not wait for a plugin that does not return.
    ///
    /// # Errors
    /// When the call that runs does not end.
    pub(crate) fn wait_on_event_thread(
        &self,
        function: &'static str,
    ) -> Result<MutexGuard<'_, ()>, CallError> {
        const PAUSE: Duration = Duration::from_micros(200);
        let attempts = PLUGIN_CALL_TIME.duration().as_micros() / PAUSE.as_micros();
        for _ in 0..=attempts {
            match self.calls.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(guard)) => return Ok(guard.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
        PLUGIN_CALL_TIME.reach();
        Err(CallError::Busy { plugin: self.plugin().to_owned(), function })
    }

    /// Calls a function of the plugin with its state. The caller sees to it that no other call runs
    /// that may not.
    pub(crate) fn call<R>(
        &self,
        function: &'static str,
        call: impl FnOnce(*mut PluginState) -> R,
    ) -> R {
        let result = self.call_beside(function, call);
        if let Some(tables) = &self.owner.host.tables {
            tables.end_call();
        }
        result
    }

    /// The same for a function that may run beside others and uses no tables.
    pub(crate) fn call_beside<R>(
        &self,
        function: &'static str,
        call: impl FnOnce(*mut PluginState) -> R,
    ) -> R {
        in_plugin(&self.owner.plugin, function, || call(self.state))
    }

    /// Calls a function that returns a text, and copies it.
    pub(crate) fn text_of(
        &self,
        function: &'static str,
        call: impl FnOnce(*mut PluginState) -> *const c_char,
    ) -> Option<Vec<u8>> {
        self.call(function, |state| {
            // SAFETY: a text of the plugin is null or ends with NUL, and stays until the next call;
            // it is copied here.
            let text = unsafe { PluginText::at(call(state), PLUGIN_TEXT_BYTES.get()) }?;
            if text.cut {
                PLUGIN_TEXT_BYTES.reach();
            }
            Some(text.bytes.to_owned())
        })
    }

    /// Why the last call has failed, as the plugin says it.
    pub(crate) fn last_error(&self) -> String {
        let function = self.functions().get_last_error.filter(|_| !self.state.is_null());
        let Some(function) = function else {
            return "plugin handle or 'get_last_error' function not defined".to_owned();
        };
        let text = self.text_of("get_last_error", |state| {
            // SAFETY: the state is one of this plugin, and no other call runs.
            unsafe { function(state) }
        });
        let text = text.filter(|text| !text.is_empty());
        let text = text.map(|text| String::from_utf8_lossy(&text).into_owned());
        text.unwrap_or_else(|| "it gives no reason".to_owned())
    }

    /// What a return code means.
    pub(crate) fn check(&self, code: ReturnCode) -> Result<(), CallError> {
        if code == SUCCESS {
            return Ok(());
        }
        Err(CallError::Failed { plugin: self.plugin().to_owned(), error: self.last_error() })
    }

    /// What reads tables in the form of before API 3.1.
    pub(crate) fn old_reader(&self) -> ReaderVtable {
        // SAFETY: the pointer is valid as long as the tables.
        let reader = self.owner.host.tables.as_ref().map(|tables| unsafe { *tables.reader() });
        reader.map_or(ReaderVtable { name: None, size: None, get: None, read: None }, |reader| {
            ReaderVtable {
                name: reader.name,
                size: reader.size,
                get: reader.get,
                read: reader.read,
            }
        })
    }

    /// The types of events that a function names. Without any, `all` types or those of plugins.
    fn types(
        &self,
        function: &'static str,
        get: Option<unsafe extern "C-unwind" fn(*mut u32, *mut PluginState) -> *mut u16>,
        all: bool,
    ) -> Result<EventSet, InitError> {
        let mut count = 0;
        let codes = get.map_or(ptr::null_mut(), |get| {
            // SAFETY: the count lives during the call, the state is one of this plugin.
            self.call(function, |state| unsafe { get(&raw mut count, state) })
        });
        if codes.is_null() || count == 0 {
            let mut plugins = EventSet::EMPTY;
            plugins.insert(EventType::PlugineventE);
            return Ok(if all { EventSet::all() } else { plugins });
        }
        if count as usize > PLUGIN_EVENT_TYPES.get() {
            PLUGIN_EVENT_TYPES.reach();
            return Err(InitError::EventTypes {
                plugin: self.plugin().to_owned(),
                function,
                count,
            });
        }
        let mut types = EventSet::EMPTY;
        for index in 0..count as usize {
            // SAFETY: the plugin says that there are so many, and keeps them.
            let code = unsafe { codes.add(index).read_unaligned() };
            if let Some(ty) = EventType::from_code(code) {
                types.insert(ty);
            }
        }
        Ok(types)
    }
}

impl Drop for Initialised {
    fn drop(&mut self) {
        if let Some(destroy) = self.functions().destroy.filter(|_| !self.state.is_null()) {
            // SAFETY: the state is one of this plugin and is used no more: this is its last owner.
            self.call("destroy", |state| unsafe { destroy(state) });
        }
        if let Some(tables) = &self.owner.host.tables {
            tables.destroyed();
        }
    }
}
