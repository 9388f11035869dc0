//! What plugins are given of their host: its log, its last error, its tables.

use core::ffi::{c_char, c_void};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use peregrine_limits::PLUGIN_LOG_BYTES;

use crate::abi::{EventHeader, OwnerHandle, RoutineFunction, RoutineState};
use crate::tables::InstanceTables;
use crate::text::PluginText;

/// How urgent a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Severity {
    Fatal = 1,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
    Trace,
}

impl Severity {
    /// The severity of a number of the interface. Others count as the nearest.
    fn of(number: u32) -> Self {
        match number {
            0 | 1 => Self::Fatal,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            7 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// Takes lines of the log: severity, component, text. Called from any thread, also from several at
/// once, and must not wait.
pub type LogSink = Arc<dyn Fn(Severity, &str, &str) + Send + Sync>;

/// What a host offers the plugins that it initialises.
#[derive(Clone)]
pub struct Host {
    /// Its log.
    pub log: LogSink,
    /// Its tables. Without any, plugins get none.
    pub tables: Option<Arc<InstanceTables>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("tables", &self.tables.is_some()).finish_non_exhaustive()
    }
}

/// What an owner handle points to: the host, as one instance of a plugin sees it.
pub struct Owner {
    /// Name of the plugin.
    pub(crate) plugin: Box<str>,
    /// What the host offers.
    pub(crate) host: Host,
    /// Where its async events go: nowhere, before the handler is set and after it was taken away.
    pub(crate) events: Slot<dyn EventTaker>,
    /// Where the events of `dump_state` go.
    pub(crate) dump: Slot<dyn EventTaker>,
    /// What runs its routines.
    pub(crate) routines: Slot<dyn RoutineRunner>,
}

/// Takes events that a plugin makes.
pub(crate) trait EventTaker: Send + Sync {
    /// Takes an event, or says why not.
    ///
    /// # Safety
    /// The address is null, or there are as many bytes as the event says.
    unsafe fn take(&self, owner: &Owner, event: *const EventHeader) -> Result<(), String>;
}

/// Runs routines of a plugin.
pub(crate) trait RoutineRunner: Send + Sync {
    /// Starts a routine and returns its number, which is not 0.
    fn start(&self, function: RoutineFunction, state: *mut RoutineState) -> Option<usize>;

    /// Stops a routine. False if there is none with this number.
    fn stop(&self, number: usize) -> bool;
}

/// Something that any thread may look for, and that comes and goes.
pub(crate) struct Slot<T: ?Sized>(RwLock<Option<Arc<T>>>);

impl<T: ?Sized> Default for Slot<T> {
    fn default() -> Self {
        Self(RwLock::new(None))
    }
}

impl<T: ?Sized> Slot<T> {
    pub(crate) fn set(&self, content: Option<Arc<T>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = content;
    }

    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Owner {
    pub(crate) fn new(plugin: &str, host: Host) -> Arc<Self> {
        Arc::new(Self {
            plugin: plugin.into(),
            host,
            events: Slot::default(),
            dump: Slot::default(),
            routines: Slot::default(),
        })
    }

    /// The handle that the plugin passes back. Valid as long as the owner.
    pub(crate) fn handle(self: &Arc<Self>) -> *mut OwnerHandle {
        Arc::as_ptr(self).cast_mut().cast::<c_void>()
    }

    /// The owner of a handle. `None` for a null pointer, which plugins have no reason to pass.
    ///
    /// # Safety
    /// The handle is null, or one of [`Owner::handle`] whose owner lives during `'a`.
    pub(crate) unsafe fn of<'a>(handle: *mut OwnerHandle) -> Option<&'a Self> {
        // SAFETY: owners are only shared, never borrowed for writing.
        unsafe { handle.cast::<Self>().as_ref() }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owner").field(&self.plugin).finish()
    }
}

/// [`abi::LogFunction`](crate::abi::LogFunction): a line of the log. Any thread may call it.
pub(crate) unsafe extern "C-unwind" fn log(
    owner: *mut OwnerHandle,
    component: *const c_char,
    text: *const c_char,
    severity: u32,
) {
    let limit = PLUGIN_LOG_BYTES.get();
    // SAFETY: plugins pass the handle that they were given, and texts that end with NUL, during
    // their life; the interface says so.
    let (owner, component, text) = unsafe {
        (Owner::of(owner), PluginText::at(component, limit), PluginText::at(text, limit))
    };
    let (Some(owner), Some(text)) = (owner, text) else { return };
    if text.cut {
        PLUGIN_LOG_BYTES.reach();
    }
    let component = component.map(|component| String::from_utf8_lossy(component.bytes));
    let component = component.as_deref().unwrap_or(&owner.plugin);
    (owner.host.log)(Severity::of(severity), component, &String::from_utf8_lossy(text.bytes));
}

/// [`abi::OwnerLastError`](crate::abi::OwnerLastError): why the last function of the host that the
/// plugin has called has failed, or null.
pub(crate) unsafe extern "C-unwind" fn last_error(owner: *mut OwnerHandle) -> *const c_char {
    // SAFETY: plugins pass the handle that they were given, during their life.
    let owner = unsafe { Owner::of(owner) };
    let tables = owner.and_then(|owner| owner.host.tables.as_ref());
    tables.map_or(core::ptr::null(), |tables| tables.last_error())
}
