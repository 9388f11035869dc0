//! What to monitor.

use bitflags::bitflags;

const WORDS: usize = 8;

/// A set of syscalls by their code in the format (the same on every architecture).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyscallSet([u64; WORDS]);

impl SyscallSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Adds one. Codes out of range are ignored.
    pub fn insert(&mut self, sc: u16) {
        if let Some(word) = self.0.get_mut(usize::from(sc) / 64) {
            *word |= 1 << (sc % 64);
        }
    }

    /// Whether it is in the set.
    pub fn contains(&self, sc: u16) -> bool {
        self.0.get(usize::from(sc) / 64).is_some_and(|word| word & 1 << (sc % 64) != 0)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..(WORDS * 64) as u16).filter(|&sc| self.contains(sc))
    }
}

impl FromIterator<u16> for SyscallSet {
    fn from_iter<I: IntoIterator<Item = u16>>(codes: I) -> Self {
        let mut set = Self::EMPTY;
        codes.into_iter().for_each(|sc| set.insert(sc));
        set
    }
}

bitflags! {
    /// Tracepoints that are not syscalls.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Tracepoints: u8 {
        /// `sched_process_exit`: event `procexit`.
        const PROCESS_EXIT = 1;
        /// `sched_switch`: event `switch`.
        const SWITCH = 2;
        /// `page_fault_user`: event `page_fault`.
        const PAGE_FAULT_USER = 4;
        /// `page_fault_kernel`: event `page_fault`.
        const PAGE_FAULT_KERNEL = 8;
        /// `signal_deliver`: event `signaldeliver`.
        const SIGNAL_DELIVER = 16;
    }
}

/// What to monitor: syscalls and tracepoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Syscalls.
    pub syscalls: SyscallSet,
    /// The rest.
    pub tracepoints: Tracepoints,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_what_it_was_given() {
        let set: SyscallSet = [3, 64, 453, 9999].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 453]);
        assert!(!set.contains(9999) && !set.contains(4));
    }
}
