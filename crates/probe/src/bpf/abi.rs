//! What both sides of the kernel border agree on: names of maps and the layout of what is in them.
//!
//! `bpf/abi.h` is the other half of this file.

/// Map with the one [`Config`].
pub const CONFIG: &str = "config";
/// Map with one [`Counters`] per CPU.
pub const COUNTERS: &str = "counters";
/// Array with the one ring of [`Lane::Life`].
pub const LIFE_RINGS: &str = "life_rings";
/// Array with the rings of [`Lane::Data`], by ring index.
pub const DATA_RINGS: &str = "data_rings";
/// Cgroup whose tasks alone are watched, when [`SCOPED`] is set.
pub const SCOPE: &str = "scope";
/// Memory to put events together in, one entry per CPU.
pub const SCRATCHES: &str = "scratches";
/// Native numbers plus one of the syscalls of 32-bit programs; 0 where there is none.
pub const NATIVE_NUMBERS: &str = "native_numbers";
/// The format's codes of syscalls that have no event of their own, by native number.
pub const SYSCALL_CODES: &str = "syscall_codes";
/// Programs that collect the event of a syscall, by native number.
pub const COLLECTORS: &str = "collectors";

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
    /// CPUs that share a ring.
    pub cpus_per_ring: u64,
}

/// [`Config`] as it lies in its map: nothing but 64-bit words, in the order of the fields.
pub type ConfigWords = [u64; 2 * SYSCALL_WORDS + 5];

impl Config {
    /// As it lies in its map.
    pub fn words(&self) -> ConfigWords {
        let mut words: ConfigWords = [0; 2 * SYSCALL_WORDS + 5];
        let (selected, rest) = words.split_at_mut(SYSCALL_WORDS);
        let (selected32, rest) = rest.split_at_mut(SYSCALL_WORDS);
        selected.copy_from_slice(&self.selected);
        selected32.copy_from_slice(&self.selected32);
        rest.copy_from_slice(&[
            self.boot_epoch_ns,
            self.own_tgid,
            self.snaplen,
            self.flags,
            self.cpus_per_ring,
        ]);
        words
    }
}

/// Why an event did not get into its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Cause {
    /// The ring was full.
    RingFull,
    /// The event was longer than the memory it is put together in.
    Scratch,
    /// Memory of the program could not be read.
    PageFault,
    /// Something that cannot be.
    Bug,
}

/// Kinds of events that losses are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum LossClass {
    /// Clone, fork, vfork.
    CloneFork,
    /// Execve, execveat.
    Execve,
    /// Connect.
    Connect,
    /// Open and its family.
    Open,
    /// Operations on directory entries, owners, modes and mounts.
    DirFile,
    /// Bpf, setpgid, ptrace, seccomp, setns, set*id, unshare, capset, keyctl.
    OtherInterest,
    /// Close.
    Close,
    /// The end of a process.
    ProcExit,
    /// Everything else.
    Other,
}

/// Number of [`Cause`]s.
pub const CAUSES: usize = 4;
/// Number of [`LossClass`]es.
pub const CLASSES: usize = 9;

/// What one CPU counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events there were, delivered or lost.
    pub events: u64,
    /// Lost events: `lost[class][cause]`.
    pub lost: [[u64; CAUSES]; CLASSES],
}

/// [`Counters`] as they lie in their map: events, then a row for each class.
pub type CounterWords = [u64; 1 + CLASSES * CAUSES];

impl Counters {
    /// From what lies in the map.
    pub fn from_words(words: &CounterWords) -> Self {
        let [events, lost @ ..] = words;
        let mut counters = Self { events: *events, ..Self::default() };
        for (row, from) in counters.lost.iter_mut().zip(lost.chunks_exact(CAUSES)) {
            row.copy_from_slice(from);
        }
        counters
    }

    /// Events of a class lost for a cause.
    pub fn lost(&self, class: LossClass, cause: Cause) -> u64 {
        self.lost[class as usize][cause as usize]
    }

    /// All lost events.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().flatten().sum()
    }
}

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
        let counters = Counters::from_words(&std::array::from_fn(|i| i as u64));
        assert_eq!(counters.events, 0);
        assert_eq!(counters.lost(LossClass::CloneFork, Cause::RingFull), 1);
        assert_eq!(counters.lost(LossClass::Execve, Cause::Scratch), 6);
        assert_eq!(counters.lost(LossClass::Other, Cause::Bug), 36);
        assert_eq!(counters.lost_total(), (1..=36).sum::<u64>());
    }

    #[test]
    fn config_begins_with_the_selection() {
        let config = Config { selected: [7; SYSCALL_WORDS], cpus_per_ring: 3, ..Config::default() };
        let words = config.words();
        assert_eq!(words[..SYSCALL_WORDS], [7; SYSCALL_WORDS]);
        assert_eq!(words[2 * SYSCALL_WORDS..], [0, 0, 0, 0, 3]);
    }
}
