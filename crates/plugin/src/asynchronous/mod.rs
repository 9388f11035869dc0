//! Events that plugins make beside the source, from any thread and at any time.
//!
//! The plugin is given a function that takes an event. The event is checked, copied, and put into
//! the [`AsyncQueue`] of the stream, ordered by time; an [`AsyncSource`] delivers it when its time
//! has come. The function never waits for the event thread: what finds the queue full is counted
//! and lost, as in the reference.

mod event;
mod queue;
mod source;

pub use event::{AsyncFault, MAX_AHEAD};
pub use queue::{AsyncQueue, AsyncStream};
pub use source::{AsyncError, AsyncSource};

use core::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peregrine_limits::ASYNC_EVENTS;

use crate::abi::{
    ASYNC_ERROR_LEN, AsyncHandler, EventHeader, FAILURE, OwnerHandle, ReturnCode, SUCCESS,
};
use crate::error::CallError;
use crate::host::{EventTaker, Owner, Severity};
use crate::instance::Instance;
use crate::library::AsyncEvents;

impl Instance {
    /// Lets the plugin put events into this queue. It may do so at once, from within this call.
    ///
    /// # Errors
    /// When it makes no events, or refuses.
    pub fn set_async_queue(&self, queue: &AsyncQueue) -> Result<(), CallError> {
        let target = &self.inner.owner.events;
        let AsyncEvents { names, sources } = self.async_events();
        target.set(Some(Arc::new(QueueSink { queue: queue.clone(), names, sources })));
        let result = self.set_handler(Some(take_event));
        if result.is_err() {
            target.set(None);
        }
        result
    }

    /// Takes the queue away. When this returns, the plugin makes no events any more, unless it
    /// breaks the interface; then they are refused.
    ///
    /// # Errors
    /// When it makes no events, or says that it has failed.
    pub fn remove_async_queue(&self) -> Result<(), CallError> {
        let result = self.set_handler(None);
        self.inner.owner.events.set(None);
        result
    }

    /// What the plugin knows, as events for the beginning of a capture file. Nothing, if it can't
    /// say.
    ///
    /// # Errors
    /// When it says that it has failed.
    pub fn dump_state(&self) -> Result<Vec<Vec<u8>>, CallError> {
        const FUNCTION: &str = "dump_state";
        let inner = &*self.inner;
        let Some(function) = inner.functions().dump_state else { return Ok(Vec::new()) };
        let names = self.async_events().names;
        let dumped = Arc::new(Dump { events: Mutex::default(), names });
        let calls = inner.wait_on_event_thread(FUNCTION)?;
        inner.owner.dump.set(Some(dumped.clone()));
        let code = inner.call(FUNCTION, |state| {
            // SAFETY: the owner lives as long as the state; no other call runs.
            unsafe { function(state, inner.owner_handle(), Some(take_dumped)) }
        });
        inner.owner.dump.set(None);
        let result = inner.check(code);
        drop(calls);
        result?;
        Ok(std::mem::take(&mut *dumped.lock()))
    }

    fn set_handler(&self, handler: Option<AsyncHandler>) -> Result<(), CallError> {
        const FUNCTION: &str = "set_async_event_handler";
        let inner = &*self.inner;
        let function = inner.functions().set_async_event_handler;
        let function = function.ok_or_else(|| inner.missing(FUNCTION))?;
        let calls = inner.wait();
        let code = inner.call(FUNCTION, |state| {
            // SAFETY: the owner lives as long as the state; no other call runs.
            unsafe { function(state, inner.owner_handle(), handler) }
        });
        let result = inner.check(code);
        drop(calls);
        result
    }

    fn async_events(&self) -> AsyncEvents {
        let events = self.info().capabilities.async_events.clone();
        events.unwrap_or(AsyncEvents { names: Vec::new(), sources: Vec::new() })
    }
}

/// Puts the events of a plugin into a queue.
struct QueueSink {
    queue: AsyncQueue,
    names: Vec<String>,
    sources: Vec<String>,
}

impl EventTaker for QueueSink {
    unsafe fn take(&self, owner: &Owner, event: *const EventHeader) -> Result<(), String> {
        // SAFETY: the caller promises it.
        let bytes = unsafe { event::copy(event, &self.names) };
        let pushed = bytes.and_then(|bytes| {
            let warn = |text: &str| (owner.host.log)(Severity::Warning, &owner.plugin, text);
            self.queue.push(bytes, &self.sources, &warn)
        });
        pushed.map_err(|fault| fault.of(&owner.plugin))
    }
}

/// Collects the events of `dump_state`.
struct Dump {
    events: Mutex<Vec<Vec<u8>>>,
    names: Vec<String>,
}

impl Dump {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventTaker for Dump {
    unsafe fn take(&self, owner: &Owner, event: *const EventHeader) -> Result<(), String> {
        // SAFETY: the caller promises it.
        let bytes = unsafe { event::copy(event, &self.names) };
        let bytes = bytes.map_err(|fault| fault.of(&owner.plugin))?;
        let mut events = self.lock();
        if events.len() >= ASYNC_EVENTS.get() {
            ASYNC_EVENTS.reach();
        } else {
            events.push(bytes);
        }
        Ok(())
    }
}

/// [`AsyncHandler`]: takes an event into the queue.
unsafe extern "C-unwind" fn take_event(
    owner: *mut OwnerHandle,
    event: *const EventHeader,
    error: *mut c_char,
) -> ReturnCode {
    // SAFETY: the caller keeps to the interface.
    unsafe { take(owner, event, error, |owner| owner.events.get()) }
}

/// [`AsyncHandler`]: takes an event of `dump_state`.
unsafe extern "C-unwind" fn take_dumped(
    owner: *mut OwnerHandle,
    event: *const EventHeader,
    error: *mut c_char,
) -> ReturnCode {
    // SAFETY: the caller keeps to the interface.
    unsafe { take(owner, event, error, |owner| owner.dump.get()) }
}

/// Takes an event. Any thread of the plugin calls it, any number at once.
///
/// # Safety
/// The owner is null or one that the plugin was given, and lives. The event is null or has as many
/// bytes as it says. The text has [`ASYNC_ERROR_LEN`] bytes, or is null.
unsafe fn take(
    owner: *mut OwnerHandle,
    event: *const EventHeader,
    error: *mut c_char,
    taker: impl FnOnce(&Owner) -> Option<Arc<dyn EventTaker>>,
) -> ReturnCode {
    let result = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller promises it.
        let Some(owner) = (unsafe { Owner::of(owner) }) else { return Err(String::new()) };
        let Some(taker) = taker(owner) else {
            return Err(AsyncFault::NoHandler.of(&owner.plugin));
        };
        // SAFETY: the caller promises it.
        unsafe { taker.take(owner, event) }
    }));
    let text = match result {
        Ok(Ok(())) => return SUCCESS,
        Ok(Err(text)) => text,
        Err(_) => "unknown error in pushing async event".to_owned(),
    };
    if !error.is_null() {
        let len = text.len().min(ASYNC_ERROR_LEN - 1);
        // SAFETY: the buffer has room for this and a NUL.
        unsafe {
            error.copy_from_nonoverlapping(text.as_ptr().cast(), len);
            error.add(len).write(0);
        }
    }
    FAILURE
}
