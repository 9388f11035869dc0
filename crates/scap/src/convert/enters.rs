//! Enter events that wait for their exit events, one per thread.

use hashbrown::HashMap;
use peregrine_event::Event;

/// Bytes that all waiting events may take. Threads that end inside a syscall leave theirs behind, and a
/// hostile file may have any number.
const MAX_BYTES: usize = 64 << 20;
/// What a waiting event costs beside its bytes.
const OVERHEAD: usize = 64;
/// Largest buffer kept for reuse.
const MAX_SPARE: usize = 4096;

/// The last enter event of each thread.
#[derive(Debug, Default)]
pub(crate) struct Enters {
    /// Empty where the event was used: the buffer waits for the next one.
    by_tid: HashMap<i64, Vec<u8>>,
    /// Memory of the buffers, and what they cost beside.
    bytes: usize,
}

impl Enters {
    /// Keeps an event until its exit event comes or the thread enters another syscall.
    pub(crate) fn put(&mut self, tid: i64, event: &[u8]) {
        if self.bytes + event.len() + OVERHEAD > MAX_BYTES {
            self.clear();
        }
        let buffer = self.by_tid.entry(tid).or_insert_with(|| {
            self.bytes += OVERHEAD;
            Vec::new()
        });
        let before = buffer.capacity();
        buffer.clear();
        buffer.extend_from_slice(event);
        self.bytes += buffer.capacity() - before;
    }

    /// The enter event that belongs to this exit event. One of another syscall is no use: either event
    /// of a pair can be lost.
    pub(crate) fn of(&self, exit: &Event<'_>) -> Option<Event<'_>> {
        let enter = Event::parse(self.by_tid.get(&exit.tid)?, exit.cpu).ok()?;
        (enter.ty.code().checked_add(1) == Some(exit.ty.code())).then_some(enter)
    }

    /// Forgets the event of a thread.
    pub(crate) fn remove(&mut self, tid: i64) {
        let Some(buffer) = self.by_tid.get_mut(&tid) else { return };
        buffer.clear();
        if buffer.capacity() > MAX_SPARE {
            self.bytes -= buffer.capacity();
            *buffer = Vec::new();
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.by_tid.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::{Builder, EventType};

    use super::*;

    #[test]
    fn threads_that_never_leave_their_syscall_do_not_fill_the_memory() {
        let mut enters = Enters::default();
        for tid in 0..10_000 {
            enters.put(tid, &[0; 60_000]);
            assert!(enters.bytes <= MAX_BYTES);
        }
        assert!(enters.by_tid.contains_key(&9_999));
        enters.clear();
        assert_eq!(enters.bytes, 0);
    }

    #[test]
    fn the_last_enter_event_of_a_thread_counts() {
        let mut enters = Enters::default();
        let event = |ty, ts| {
            let mut bytes = Vec::new();
            Builder::new(ty, ts, 7).i64(3).finish(&mut bytes).unwrap();
            bytes
        };
        let exit = event(EventType::SyscallCloseX, 3);
        let exit = Event::parse(&exit, 0).unwrap();
        enters.put(7, &event(EventType::SyscallCloseE, 1));
        enters.put(7, &event(EventType::SyscallCloseE, 2));
        assert_eq!(enters.of(&exit).map(|enter| enter.ts), Some(2));
        enters.put(7, &event(EventType::SyscallFchdirE, 2));
        assert!(enters.of(&exit).is_none());
        enters.put(7, &event(EventType::SyscallCloseE, 4));
        enters.remove(7);
        assert!(enters.of(&exit).is_none());
        assert!(enters.bytes <= MAX_SPARE + OVERHEAD);
    }
}
