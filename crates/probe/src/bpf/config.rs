//! What the probe monitors, and how.

use std::path::PathBuf;
use std::sync::Arc;

use peregrine_telemetry::Heartbeat;

use super::select::Selection;
use crate::reader::ReaderMode;

/// How to monitor this machine.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// What to monitor. Can be changed later with [`Probe::select`](super::Probe::select).
    pub selection: Selection,
    /// Bytes of each data ring: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// CPUs that share a ring; 0 for one ring for all.
    pub cpus_per_ring: u32,
    /// Bytes of read and written data to keep.
    pub snaplen: u16,
    /// Do not report failed syscalls.
    pub drop_failed_exit: bool,
    /// Monitor only tasks in this cgroup v2 directory and below.
    pub scope: Option<PathBuf>,
    /// Do not report events of this process.
    pub exclude_self: bool,
    /// Capture the arguments of the open family and of connect also at their entry, because another
    /// thread may change them before the exit. Requires tracefs; without it there are no such
    /// events.
    pub entries: bool,
    /// How to hook syscalls; by default the best that the kernel supports.
    pub plan: Option<HookPlan>,
    /// How processes are read.
    pub readers: ReaderMode,
    /// Shows the progress of loading, scanning and lookups.
    pub heartbeat: Arc<Heartbeat>,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            ring_bytes: 8 << 20,
            cpus_per_ring: 1,
            snaplen: 80,
            drop_failed_exit: false,
            scope: None,
            exclude_self: true,
            entries: true,
            plan: None,
            readers: ReaderMode::default(),
            heartbeat: Arc::default(),
        }
    }
}

/// How syscalls are hooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// A hook on each selected syscall's own function: others cost nothing.
    PerSyscall,
    /// One hook at the exit of every syscall, which filters by selection.
    SysExit,
}
