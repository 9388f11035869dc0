//! What `next_batch` has returned.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peregrine_limits::{PLUGIN_BATCH_EVENTS, PLUGIN_EVENT_BYTES};

use crate::abi::{EventHeader, ReturnCode};

/// Events in the memory of a plugin, and the code that they came with.
#[derive(Debug)]
pub(super) struct Batch {
    /// What the function has returned.
    pub(super) code: ReturnCode,
    /// Why, if that is an error.
    pub(super) error: String,
    /// How many events there are.
    pub(super) count: u32,
    /// When they came, nanoseconds since the epoch.
    pub(super) at: u64,
    /// How long the plugin has looked for them.
    pub(super) took: Duration,
    events: *mut *mut EventHeader,
    next: usize,
}

// SAFETY: the memory belongs to the state of the plugin, which moves from thread to thread with the
// batch.
unsafe impl Send for Batch {}

impl Batch {
    /// The events of a call.
    ///
    /// # Safety
    /// There are `count` pointers to events at `events`. They and the events stay as long as the
    /// batch.
    pub(super) unsafe fn new(
        code: ReturnCode,
        error: String,
        count: u32,
        events: *mut *mut EventHeader,
    ) -> Self {
        Self { code, error, count, at: now(), took: Duration::ZERO, events, next: 0 }
    }

    /// Whether there are more events than can be.
    pub(super) fn is_too_long(&self) -> bool {
        let too_long = self.count as usize > PLUGIN_BATCH_EVENTS.get();
        if too_long {
            PLUGIN_BATCH_EVENTS.reach();
        }
        too_long
    }

    /// Replaces what the buffer holds by the next event. `None` when there is none left.
    pub(super) fn copy_next(&mut self, buffer: &mut Vec<u8>) -> Option<Result<(), CopyFault>> {
        if self.next >= self.count as usize {
            return None;
        }
        let index = self.next;
        self.next += 1;
        if self.events.is_null() {
            return Some(Err(CopyFault::Malformed));
        }
        // SAFETY: there are `count` pointers to events, see `new`.
        Some(unsafe { copy(self.events.add(index).read_unaligned(), buffer) })
    }
}

/// Why an event can't be copied.
pub(super) enum CopyFault {
    /// It is none.
    Malformed,
    /// It is longer than any may be.
    TooLong(u32),
}

/// Replaces what the buffer holds by an event.
///
/// # Safety
/// The event is null, or has as many bytes as its header says, and at least that.
unsafe fn copy(event: *const EventHeader, buffer: &mut Vec<u8>) -> Result<(), CopyFault> {
    buffer.clear();
    if event.is_null() {
        return Err(CopyFault::Malformed);
    }
    // SAFETY: there is a header. The struct is packed, so that any address will do.
    let len = unsafe { event.read() }.len;
    if (len as usize) < size_of::<EventHeader>() {
        return Err(CopyFault::Malformed);
    }
    if len as usize > PLUGIN_EVENT_BYTES.get() {
        PLUGIN_EVENT_BYTES.reach();
        return Err(CopyFault::TooLong(len));
    }
    // SAFETY: the event has as many bytes as its header says.
    let bytes = unsafe { core::slice::from_raw_parts(event.cast::<u8>(), len as usize) };
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Nanoseconds since the epoch.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
