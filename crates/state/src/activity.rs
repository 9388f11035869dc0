//! What is remembered of a thread from one of its events to the next.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use peregrine_event::{EventType, snapshot};

use crate::thread::ThreadFlags;
use crate::update::Updated;

/// Memory, page faults and CPU time of a thread, from its last events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Virtual memory, kB.
    pub vmsize_kb: u32,
    /// Resident memory, kB.
    pub vmrss_kb: u32,
    /// Swapped memory, kB.
    pub vmswap_kb: u32,
    /// Major page faults.
    pub pfmajor: u64,
    /// Minor page faults.
    pub pfminor: u64,
    /// CPU time between scheduler switches seen, ns.
    pub exec_time_total: u64,
}

impl From<&snapshot::Thread> for Usage {
    fn from(item: &snapshot::Thread) -> Self {
        Self {
            vmsize_kb: item.vmsize_kb,
            vmrss_kb: item.vmrss_kb,
            vmswap_kb: item.vmswap_kb,
            pfmajor: item.pfmajor,
            pfminor: item.pfminor,
            exec_time_total: 0,
        }
    }
}

/// Memory for a stored event that a thread keeps while it has none.
pub(crate) const KEPT_CAPACITY: usize = 256;

/// Memory of a stored event that counts: that of long ones, so that the others cost nothing.
#[inline]
pub(crate) fn long(stored: &Vec<u8>) -> usize {
    if stored.capacity() > KEPT_CAPACITY { stored.capacity() } else { 0 }
}

/// What is remembered of a thread from one of its events to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    /// The fd that its last event was about, negative for none. Before its first event it is 0.
    pub(crate) fd: i64,
    /// The last enter event.
    pub(crate) enter: Option<EventType>,
    /// Bytes of that event, where the exit event needs them.
    pub(crate) stored: Vec<u8>,
    pub(crate) usage: Usage,
    /// [`ThreadFlags::PIPE_SRC`] and [`ThreadFlags::PIPE_DST`]: the thread replaced standard input
    /// or output.
    pub(crate) pipe: ThreadFlags,
    /// Which changes of the call an update has told already; the event of the call follows.
    pub(crate) updated: Updated,
    /// Time of the last update.
    pub(crate) updated_ts: u64,
    cpu_reported: CpuReported,
}

impl Activity {
    pub(crate) fn new(usage: Usage) -> Self {
        Self { usage, ..Self::default() }
    }

    /// CPU time since the time that was reported last; 0 for the first report. Reports `time`.
    pub(crate) fn cpu_since_report(&self, time: u64) -> u64 {
        match self.cpu_reported.0.swap(time, Relaxed) {
            0 => 0,
            before => time.wrapping_sub(before),
        }
    }
}

/// The CPU time that a field reported last. Reading the field changes it, although it only borrows
/// the state.
#[derive(Debug, Default)]
struct CpuReported(AtomicU64);

impl Clone for CpuReported {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Relaxed)))
    }
}
