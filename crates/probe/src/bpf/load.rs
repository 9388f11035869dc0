//! Loading the programs and getting at their maps.

use std::path::PathBuf;

use aya::maps::{MapData, RingBuf};
use thiserror::Error;

use super::{Counters, Lane, Selection};

/// How to watch this machine.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// What to watch. Can be changed later with [`Probe::select`].
    pub selection: Selection,
    /// Bytes of each data ring: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// CPUs that share a ring; 0 for one ring for all.
    pub cpus_per_ring: u32,
    /// Bytes kept of what is read and written.
    pub snaplen: u16,
    /// Leave out syscalls that failed.
    pub drop_failed_exit: bool,
    /// Watch only tasks in this cgroup v2 directory and below.
    pub scope: Option<PathBuf>,
    /// Leave out what this very process does.
    pub exclude_self: bool,
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
        }
    }
}

/// How syscalls are hooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// A hook on each selected syscall's own function: others cost nothing.
    PerSyscall,
    /// One hook on the end of every syscall, which passes on those selected.
    SysExit,
}

/// Why this kernel can't be watched.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Nothing is built yet.
    #[error("this build has no kernel programs")]
    Missing,
}

/// One ring, ready to be read: [`RingBuf::next`] never blocks, and there are no wake-ups, so poll it on a timer.
pub struct Ring {
    /// What travels in it.
    pub lane: Lane,
    /// Its number within the lane; the CPUs `index * cpus_per_ring ..` write to it.
    pub index: u32,
    /// Its size in bytes.
    pub bytes: u32,
    /// Its records: a `u16` with the CPU, then the event in the wire format.
    pub records: RingBuf<MapData>,
}

/// The loaded programs. Dropping it detaches them.
pub struct Probe {}

impl Probe {
    /// Loads the programs. Events come after [`Probe::attach`].
    ///
    /// # Errors
    /// When the kernel refuses them.
    pub fn load(_config: &ProbeConfig) -> Result<Self, ProbeError> {
        Err(ProbeError::Missing)
    }

    /// Turns the hooks on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach(&mut self) -> Result<(), ProbeError> {
        Err(ProbeError::Missing)
    }

    /// Takes the rings out; the second call gives none.
    pub fn take_rings(&mut self) -> Vec<Ring> {
        Vec::new()
    }

    /// What each possible CPU counted, by CPU number.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn counters(&self) -> Result<Vec<Counters>, ProbeError> {
        Err(ProbeError::Missing)
    }

    /// Watches something else from now on, without a gap for what stays selected.
    ///
    /// # Errors
    /// When the kernel refuses a program that was not needed before.
    pub fn select(&mut self, _selection: &Selection) -> Result<(), ProbeError> {
        Err(ProbeError::Missing)
    }

    /// How syscalls are hooked.
    pub fn plan(&self) -> HookPlan {
        HookPlan::SysExit
    }
}
