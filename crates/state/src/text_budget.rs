//! Bounds the memory of arguments and environments, which every process chooses for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use peregrine_limits::PROGRAM_TEXT_BYTES;

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
    /// Takes room for this many bytes. `None` when there is none.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Charge> {
        if self.used.load(Relaxed) + bytes > PROGRAM_TEXT_BYTES.get() {
            PROGRAM_TEXT_BYTES.reach();
            return None;
        }
        Some(self.count(bytes))
    }

    fn count(&self, bytes: usize) -> Charge {
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
        self.budget.count(self.bytes)
    }
}

/// What a program costs is no part of what it is.
impl PartialEq for Charge {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Charge {}
