//! What both sides of the kernel border agree on: names of maps and the layout of what is in them.
//!
//! `bpf/abi.h` is the other half of this file.

use peregrine_event::{EventCounters, LossCause, LossClass};

/// Map with the one [`Config`].
pub const CONFIG: &str = "config";
/// Map with one [`EventCounters`] per CPU.
pub const COUNTERS: &str = "counters";
/// Map of the processes that lost events most recently.
pub const LOSERS: &str = "losers";
/// Array with the ring of [`Lane::Life`], which is the same for each CPU.
pub const LIFE_RINGS: &str = "life_rings";
/// Array with the rings of [`Lane::Data`], by CPU.
pub const DATA_RINGS: &str = "data_rings";
/// Cgroup whose tasks alone are watched, when [`SCOPED`] is set.
pub const SCOPE: &str = "scope";
/// Memory to put events together in, [`SCRATCH_SLOTS`] entries per CPU.
pub const SCRATCHES: &str = "scratches";
/// Programs that may be at work at once on one CPU, each in the midst of another.
pub const SCRATCH_SLOTS: u32 = 3;
/// Native numbers plus one of the syscalls of 32-bit programs; 0 where there is none.
pub const NATIVE_NUMBERS: &str = "native_numbers";
/// The format's codes of syscalls that have no event of their own, by native number.
pub const SYSCALL_CODES: &str = "syscall_codes";
/// Programs that collect the event of a syscall, by native number.
pub const COLLECTORS: &str = "collectors";
/// The same for functions of the kernel of the other kind.
pub const TWIN_COLLECTORS: &str = "twin_collectors";

/// Words of a bitmap of syscall numbers.
pub const SYSCALL_WORDS: usize = 8;
/// Native numbers a bitmap can hold.
pub const SYSCALL_LIMIT: usize = SYSCALL_WORDS * 64;

/// Number, in the 32-bit table, of the call that stands for all those of sockets.
pub const SOCKETCALL: usize = 102;
/// Where those calls are in [`NATIVE_NUMBERS`], by their number there.
pub const SOCKETCALLS_AT: usize = SYSCALL_LIMIT - 32;

/// Flag of [`Config`]: events of syscalls that failed are not wanted.
pub const DROP_FAILED: u32 = 1;
/// Flag of [`Config`]: only tasks below the cgroup in the map [`SCOPE`].
pub const SCOPED: u32 = 2;

/// Bit of the first two bytes of a record, which are the CPU else: the call was made as 32-bit programs do. No kernel
/// has so many CPUs.
pub const COMPAT: u16 = 1 << 15;

/// What the programs are told, in the one entry of the map [`CONFIG`]. May change while they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Selected syscalls, a bit for each native number.
    pub selected: [u64; SYSCALL_WORDS],
    /// Selected syscalls of 32-bit programs, a bit for each number in their own table.
    pub selected32: [u64; SYSCALL_WORDS],
    /// Nanoseconds from the epoch to boot: added to the kernel's boot clock it makes a timestamp.
    pub boot_epoch_ns: u64,
    /// Thread group whose own events are left out; 0 for none.
    pub own_tgid: u64,
    /// Bytes kept of what is read and written.
    pub snaplen: u64,
    /// [`DROP_FAILED`], [`SCOPED`].
    pub flags: u64,
    /// Those of the selected whose collector needs no scratch, a bit for each native number.
    pub alone: [u64; SYSCALL_WORDS],
    /// After so many bytes a CPU asks whether its ring is half full, and wakes the reader if it is.
    pub ask_bytes: u64,
}

/// [`Config`] as it lies in its map: nothing but 64-bit words, in the order of the fields.
pub type ConfigWords = [u64; 3 * SYSCALL_WORDS + 5];

impl Config {
    /// As it lies in its map.
    pub fn words(&self) -> ConfigWords {
        let mut words: ConfigWords = [0; 3 * SYSCALL_WORDS + 5];
        let (selected, rest) = words.split_at_mut(SYSCALL_WORDS);
        let (selected32, rest) = rest.split_at_mut(SYSCALL_WORDS);
        selected.copy_from_slice(&self.selected);
        selected32.copy_from_slice(&self.selected32);
        let (numbers, rest) = rest.split_at_mut(4);
        numbers.copy_from_slice(&[self.boot_epoch_ns, self.own_tgid, self.snaplen, self.flags]);
        let (alone, rest) = rest.split_at_mut(SYSCALL_WORDS);
        alone.copy_from_slice(&self.alone);
        rest.copy_from_slice(&[self.ask_bytes]);
        words
    }
}

/// [`EventCounters`] as they lie in their map: events of each class, then a row of losses for each class, then a word
/// that the programs keep for themselves.
pub type CounterWords = [u64; CLASSES * (1 + CAUSES) + 1];

const CLASSES: usize = LossClass::ALL.len();
/// Those that the programs count. They know nothing of the others, which come after.
const CAUSES: usize = LossCause::Bug as usize + 1;

/// From what lies in the map of [`COUNTERS`].
pub fn event_counters(words: &CounterWords) -> EventCounters {
    let (seen, lost) = words.split_at(CLASSES);
    let mut counters = EventCounters::default();
    counters.seen.copy_from_slice(seen);
    for (row, from) in counters.lost.iter_mut().zip(lost.chunks_exact(CAUSES)) {
        row.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    counters
}

/// Key of the map of [`LOSERS`]: id of the cgroup, then of the process.
pub type LoserWords = [u64; 2];
/// Its value: events of each class that were lost.
pub type LossWords = [u64; CLASSES];

/// Which rings an event travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Start, change and end of processes: `clone` and its family, `execve`, `execveat`, `procexit`.
    Life,
    /// Everything else.
    Data,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_places() {
        let counters = event_counters(&std::array::from_fn(|i| i as u64));
        assert_eq!(counters.seen, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(counters.lost_of(LossClass::CloneFork, LossCause::RingFull), 9);
        assert_eq!(counters.lost_of(LossClass::Execve, LossCause::Scratch), 14);
        assert_eq!(counters.lost_of(LossClass::Other, LossCause::Bug), 44);
    }

    #[test]
    fn config_begins_with_the_selection() {
        let config = Config { selected: [7; SYSCALL_WORDS], ask_bytes: 3, ..Config::default() };
        let words = config.words();
        assert_eq!(words[..SYSCALL_WORDS], [7; SYSCALL_WORDS]);
        assert_eq!(words[2 * SYSCALL_WORDS..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    }
}
