//! Enter events stored until their exit events, one per thread.

use hashbrown::HashMap;
use peregrine_event::EventType;
use peregrine_event::wire::{Head, Parts};
use peregrine_limits::CAPTURE_ENTER_BYTES;

/// Overhead of a stored event, bytes.
const OVERHEAD: usize = 64;
/// Largest buffer kept for reuse.
const MAX_SPARE: usize = 4096;

/// The last enter event of each thread.
#[derive(Debug, Default)]
pub(crate) struct Enters {
    by_tid: HashMap<i64, usize>,
    waiting: Vec<Waiting>,
    /// Cache of the last lookup: the same thread is often looked up again.
    last: Option<(i64, usize)>,
    /// Memory of the buffers, overhead included.
    /// Threads that end inside a syscall leave theirs behind, so this has a limit.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    event: Vec<u8>,
    /// `None` after the exit event: the buffer is kept for the next one.
    head: Option<Head>,
}

impl Enters {
    /// Stores an event until its exit event or until the thread enters another syscall.
    #[inline(always)]
    pub(crate) fn put(&mut self, head: Head, event: &[u8]) {
        if self.bytes + event.len() + OVERHEAD > CAPTURE_ENTER_BYTES.get() {
            self.overflow();
        }
        let place = self.place(head.tid).unwrap_or_else(|| self.add(head.tid));
        let Some(waiting) = self.waiting.get_mut(place) else { return };
        let before = waiting.event.capacity();
        if before > MAX_SPARE {
            waiting.event = Vec::new();
        }
        waiting.event.clear();
        waiting.event.extend_from_slice(event);
        waiting.head = Some(head);
        self.bytes = self.bytes + waiting.event.capacity() - before;
    }

    /// Drops all that is stored: more than the limit would be. Not inlined, so that `put` stays
    /// small where it is.
    #[cold]
    #[inline(never)]
    fn overflow(&mut self) {
        CAPTURE_ENTER_BYTES.reach();
        self.clear();
    }

    /// Takes the enter event of a thread. One of another type is discarded: either event of a pair
    /// can be lost.
    #[inline(always)]
    pub(crate) fn take(&mut self, tid: i64, ty: EventType) -> Option<Parts<'_>> {
        let place = self.place(tid)?;
        let waiting = self.waiting.get_mut(place)?;
        let head = waiting.head.take_if(|head| head.ty == ty)?;
        Some(Parts::with_head(head, &waiting.event))
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    fn place(&mut self, tid: i64) -> Option<usize> {
        match self.last {
            Some((last, place)) if last == tid => Some(place),
            _ => self.look_up(tid),
        }
    }

    fn look_up(&mut self, tid: i64) -> Option<usize> {
        let place = *self.by_tid.get(&tid)?;
        self.last = Some((tid, place));
        Some(place)
    }

    #[cold]
    fn add(&mut self, tid: i64) -> usize {
        let place = self.waiting.len();
        self.waiting.push(Waiting::default());
        self.by_tid.insert(tid, place);
        self.bytes += OVERHEAD;
        place
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::{Builder, EventType};

    use super::*;

    fn head(ty: EventType, tid: i64, ts: u64) -> Head {
        Head { ty, ts, tid, sent: 1 }
    }

    #[test]
    fn threads_that_never_leave_their_syscall_do_not_fill_the_memory() {
        let mut enters = Enters::default();
        let of = |tid| head(EventType::SyscallCloseE, tid, 1);
        for tid in 0..10_000 {
            enters.put(of(tid), &[0; 60_000]);
            assert!(enters.bytes <= CAPTURE_ENTER_BYTES.get());
        }
        assert!(enters.by_tid.contains_key(&9_999));
        for tid in 0..10_000 {
            enters.put(of(tid), &[0; 40]);
        }
        assert!(enters.bytes <= 10_000 * (MAX_SPARE + OVERHEAD));
        enters.clear();
        assert_eq!(enters.bytes, 0);
    }

    #[test]
    fn the_last_enter_event_of_a_thread_counts() {
        let mut enters = Enters::default();
        let put = |enters: &mut Enters, ty, ts| {
            let mut bytes = Vec::new();
            Builder::new(ty, ts, 7).i64(3).finish(&mut bytes).unwrap();
            enters.put(head(ty, 7, ts), &bytes);
        };
        put(&mut enters, EventType::SyscallCloseE, 1);
        put(&mut enters, EventType::SyscallCloseE, 2);
        let enter =
            enters.take(7, EventType::SyscallCloseE).map(|enter| (enter.head.ts, enter.few(0..1)));
        assert_eq!(enter, Some((2, Some((8, 3_i64.to_le_bytes().as_slice())))));
        assert!(enters.take(7, EventType::SyscallCloseE).is_none());
        put(&mut enters, EventType::SyscallFchdirE, 2);
        assert!(enters.take(7, EventType::SyscallCloseE).is_none());
        assert!(enters.take(7, EventType::SyscallFchdirE).is_some());
    }
}
