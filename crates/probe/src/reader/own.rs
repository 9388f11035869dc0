//! The processes of this program that read for it: their own events are not reported.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Readers that can exist at once: in use, in reserve, and dying.
const MAX: usize = 32;

/// The ids of readers. The event thread looks at every event, other threads add and remove.
#[derive(Debug)]
pub(crate) struct OwnPids {
    /// The lowest id in the upper half, the highest in the lower half; contradictory for none.
    range: AtomicU64,
    /// Readers that are being started: their id is not known yet.
    starting: AtomicU32,
    pids: [AtomicU32; MAX],
}

/// No id is in this range.
const NONE: u64 = (u32::MAX as u64) << 32;

impl Default for OwnPids {
    fn default() -> Self {
        Self {
            range: AtomicU64::new(NONE),
            starting: AtomicU32::new(0),
            pids: [const { AtomicU32::new(0) }; MAX],
        }
    }
}

impl OwnPids {
    /// Whether a thread is a reader.
    #[inline]
    pub(crate) fn contains(&self, tid: i64) -> bool {
        let range = self.range.load(Ordering::Acquire);
        let (low, high) = (range >> 32, range & u64::from(u32::MAX));
        let tid = tid as u64;
        tid >= low
            && tid <= high
            && self.pids.iter().any(|pid| pid.load(Ordering::Relaxed) as u64 == tid)
    }

    /// Whether a reader is being started. Its first events may come before its id is known.
    #[inline]
    pub(crate) fn is_starting(&self) -> bool {
        self.starting.load(Ordering::Acquire) > 0
    }

    /// Starts a reader: `start` returns its id.
    pub(crate) fn start<T>(&self, start: impl FnOnce() -> Option<(u32, T)>) -> Option<T> {
        self.starting.fetch_add(1, Ordering::AcqRel);
        let started = start().map(|(pid, value)| {
            self.change(0, pid);
            value
        });
        self.starting.fetch_sub(1, Ordering::AcqRel);
        started
    }

    /// Forgets a reader. Must happen before the kernel can give its id to another process.
    pub(crate) fn remove(&self, pid: u32) {
        self.change(pid, 0);
    }

    /// Only one thread changes ids.
    fn change(&self, from: u32, to: u32) {
        if let Some(slot) = self.pids.iter().find(|pid| pid.load(Ordering::Relaxed) == from) {
            slot.store(to, Ordering::Relaxed);
        }
        let pids =
            || self.pids.iter().map(|pid| pid.load(Ordering::Relaxed)).filter(|&pid| pid > 0);
        let range = pids().min().zip(pids().max());
        let range = range.map_or(NONE, |(low, high)| u64::from(low) << 32 | u64::from(high));
        self.range.store(range, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readers_are_contained() {
        let own = OwnPids::default();
        assert!(!own.contains(0) && !own.contains(7) && !own.contains(-1));
        for pid in [7, 9, 300] {
            own.start(|| {
                assert!(own.is_starting());
                Some((pid, ()))
            });
        }
        assert!(!own.is_starting());
        assert!([7, 9, 300].into_iter().all(|pid| own.contains(pid)));
        assert!(![0, 8, 10, 301, -1, 1 << 32].into_iter().any(|pid| own.contains(pid)));
        own.remove(7);
        own.remove(300);
        assert!(own.contains(9) && !own.contains(7) && !own.contains(300));
        own.remove(9);
        assert!(!own.contains(9));
        assert!(own.start(|| None::<(u32, ())>).is_none() && !own.is_starting());
    }
}
