//! Bounds the memory of arguments and environments, which every process chooses for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use peregrine_limits::PROGRAM_TEXT_BYTES;

use crate::texts::Texts;
use crate::thread::Exec;

/// Bytes of each text of a program that has no room.
const CUT: usize = 128;

/// Counts the texts of the programs of a state, shared ones once.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextBudget {
    used: Arc<AtomicUsize>,
}

/// The bytes of a program, counted while it exists.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    budget: TextBudget,
    bytes: usize,
}

impl TextBudget {
    /// Counts a program and the environment it was started with. Without room for them they are
    /// cut. Texts that `relative` has too cost nothing.
    pub(crate) fn admit(&self, exec: Exec, relative: &Exec, env: Texts) -> (Arc<Exec>, Texts) {
        let bytes = exec.own_bytes(relative) + env.bytes().len();
        if self.used.load(Relaxed) + bytes > PROGRAM_TEXT_BYTES.get() {
            PROGRAM_TEXT_BYTES.reach();
            return (Arc::new(exec.cut(CUT)), Texts::default());
        }
        (Arc::new(exec.charged(self.charge(bytes))), env)
    }

    fn charge(&self, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Relaxed);
        Charge { budget: self.clone(), bytes }
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// A copy takes its own memory.
impl Clone for Charge {
    fn clone(&self) -> Self {
        self.budget.charge(self.bytes)
    }
}

/// What a program costs is no part of what it is.
impl PartialEq for Charge {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Charge {}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(args: usize) -> Exec {
        Exec::named(b"cat", Texts::new(&vec![b'x'; args]))
    }

    #[test]
    fn programs_count_while_they_exist_and_shared_texts_once() {
        let budget = TextBudget::default();
        let (first, env) = budget.admit(program(1000), &Exec::default(), Texts::new(b"A=1"));
        assert_eq!((budget.used(), env.bytes()), (2007, &b"A=1"[..]));
        let renamed = first.renamed(b"dog", b"", &[b'x'; 1000]);
        let (second, _) = budget.admit(renamed, &first, Texts::default());
        assert_eq!(budget.used(), 2007 + 1004);
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn programs_without_room_are_cut() {
        let budget = TextBudget::default();
        let _full = budget.charge(PROGRAM_TEXT_BYTES.get());
        let before = PROGRAM_TEXT_BYTES.reached();
        let (cut, env) = budget.admit(program(1000), &Exec::default(), Texts::new(b"A=1"));
        assert_eq!((cut.comm(), cut.args_text().len()), (&b"cat"[..], CUT));
        assert!(env.is_empty());
        assert!(PROGRAM_TEXT_BYTES.reached() > before);
    }
}
