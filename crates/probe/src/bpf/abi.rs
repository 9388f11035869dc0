//! What kernel and user space share: names of maps, and the layout of their entries.
//!
//! `bpf/abi.h` is the other half of this file.

use peregrine_event::{EventCounters, LossCause, LossClass, path_arguments};

/// Map with the one [`Config`].
pub const CONFIG: &str = "config";
/// Map with one [`EventCounters`] per CPU.
pub const COUNTERS: &str = "counters";
/// Map of the processes that lost events most recently.
pub const OFFENDERS: &str = "offenders";
/// Array with the ring of [`RingKind::Lifecycle`], which is the same for each CPU.
pub const LIFECYCLE_RINGS: &str = "lifecycle_rings";
/// Array with the rings of [`RingKind::Data`], by CPU.
pub const DATA_RINGS: &str = "data_rings";
/// Cgroup outside of which nothing is monitored, when [`SCOPED`] is set.
pub const SCOPE: &str = "scope";
/// Buffers in which events are assembled, [`SCRATCH_SLOTS`] per CPU.
pub const SCRATCHES: &str = "scratches";
/// Programs that may run at once on one CPU, each preempting another.
pub const SCRATCH_SLOTS: u32 = 3;
/// Native syscall numbers of the 32-bit calls, plus one; 0 if there is none.
pub const NATIVE_NUMBERS: &str = "native_numbers";
/// The format's codes of syscalls that have no event of their own, by native number.
pub const SYSCALL_CODES: &str = "syscall_codes";
/// Programs that collect the event of a syscall, by native number.
pub const COLLECTORS: &str = "collectors";
/// The same for kernel functions of the alternative prototype.
pub const ALT_COLLECTORS: &str = "alt_collectors";

/// The entry of a syscall in [`SYSCALL_CODES`]: its code, and behind that, three bits each, the
/// numbers (plus one; 0 for none) of the arguments with the directory and the name of its paths.
pub fn syscall_code(sc: u16) -> u32 {
    let argument = |number: Option<u8>| number.map_or(0, |number| u32::from(number) + 1);
    let paths = path_arguments(sc).iter().zip([16, 22]);
    paths.fold(sc.into(), |entry, (path, at)| {
        entry | argument(path.dirfd) << at | argument(path.path) << (at + 3)
    })
}

/// Words of a bitmap of syscall numbers.
pub const SYSCALL_WORDS: usize = 8;
/// Native numbers a bitmap can hold.
pub const SYSCALL_LIMIT: usize = SYSCALL_WORDS * 64;

/// Number of `socketcall` in the 32-bit table.
pub const SOCKETCALL: usize = 102;
/// Offset in [`NATIVE_NUMBERS`] of the calls behind `socketcall`, by their number there.
pub const SOCKETCALLS_AT: usize = SYSCALL_LIMIT - 32;

/// Flag of [`Config`]: events of syscalls that failed are not wanted.
pub const DROP_FAILED: u32 = 1;
/// Flag of [`Config`]: only tasks below the cgroup in the map [`SCOPE`].
pub const SCOPED: u32 = 2;

/// Bit in the CPU number that starts a record: the call was a 32-bit one. No kernel has that many
/// CPUs.
pub const COMPAT: u16 = 1 << 15;

/// The configuration of the programs, in the only entry of the map [`CONFIG`]. May change while
/// they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Selected syscalls, a bit for each native number.
    pub selected: [u64; SYSCALL_WORDS],
    /// Selected syscalls of 32-bit programs, a bit for each number in their own table.
    pub selected32: [u64; SYSCALL_WORDS],
    /// Nanoseconds from the epoch to boot; added to the boot clock, they give a timestamp.
    pub boot_epoch_ns: u64,
    /// Thread group whose events are not reported; 0 for none.
    pub own_tgid: u64,
    /// Bytes of read and written data to keep.
    pub snaplen: u64,
    /// [`DROP_FAILED`], [`SCOPED`].
    pub flags: u64,
    /// Selected syscalls whose collector needs no scratch buffer, a bit for each native number.
    pub inline_record: [u64; SYSCALL_WORDS],
    /// After this many bytes a CPU checks whether its ring is half full, and wakes the reader if
    /// so.
    pub wakeup_check_bytes: u64,
    /// Id of the cgroup in the map [`SCOPE`].
    pub scope_id: u64,
}

/// [`Config`] as stored in its map: 64-bit words only, in the order of the fields.
pub type ConfigWords = [u64; 3 * SYSCALL_WORDS + 6];

impl Config {
    /// The words stored in the map.
    pub fn words(&self) -> ConfigWords {
        let mut words: ConfigWords = [0; 3 * SYSCALL_WORDS + 6];
        let (selected, rest) = words.split_at_mut(SYSCALL_WORDS);
        let (selected32, rest) = rest.split_at_mut(SYSCALL_WORDS);
        selected.copy_from_slice(&self.selected);
        selected32.copy_from_slice(&self.selected32);
        let (numbers, rest) = rest.split_at_mut(4);
        numbers.copy_from_slice(&[self.boot_epoch_ns, self.own_tgid, self.snaplen, self.flags]);
        let (inline_record, rest) = rest.split_at_mut(SYSCALL_WORDS);
        inline_record.copy_from_slice(&self.inline_record);
        rest.copy_from_slice(&[self.wakeup_check_bytes, self.scope_id]);
        words
    }
}

/// [`EventCounters`] as stored in their map: events by class, then a row of losses by cause for
/// each class, then a word for the programs' own use.
pub type CounterWords = [u64; CLASSES * (1 + CAUSES) + 1];

const CLASSES: usize = LossClass::ALL.len();
/// Causes that the programs count; user space adds the others.
const CAUSES: usize = LossCause::Bug as usize + 1;

/// Decodes an entry of the map [`COUNTERS`].
pub fn event_counters(words: &CounterWords) -> EventCounters {
    let (seen, lost) = words.split_at(CLASSES);
    let mut counters = EventCounters::default();
    counters.seen.copy_from_slice(seen);
    for (row, from) in counters.lost.iter_mut().zip(lost.chunks_exact(CAUSES)) {
        row.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    counters
}

/// Key of the map of [`OFFENDERS`]: id of the cgroup, then of the process.
pub type OffenderWords = [u64; 2];
/// Its value: events of each class that were lost.
pub type LossWords = [u64; CLASSES];

/// Which rings an event travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RingKind {
    /// Start, change and end of processes: `clone` and its family, `execve`, `execveat`,
    /// `procexit`.
    Lifecycle,
    /// Everything else.
    Data,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_syscall_says_where_its_paths_are() {
        let entry = |name| {
            let found = peregrine_event::syscall_names().find(|(_, known)| *known == name);
            syscall_code(found.unwrap().0) >> 16
        };
        assert_eq!(entry("getppid"), 0);
        assert_eq!(entry("truncate"), 1 << 3);
        assert_eq!(entry("ftruncate"), 1);
        assert_eq!(entry("fchmodat2"), 1 | 2 << 3);
        assert_eq!(entry("move_mount"), 1 | 2 << 3 | 3 << 6 | 4 << 9);
    }

    #[test]
    fn counters_keep_their_places() {
        let counters = event_counters(&std::array::from_fn(|i| i as u64));
        assert_eq!(counters.seen, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(counters.lost_of(LossClass::CloneFork, LossCause::RingFull), 9);
        assert_eq!(counters.lost_of(LossClass::Execve, LossCause::Scratch), 14);
        assert_eq!(counters.lost_of(LossClass::Other, LossCause::Bug), 44);
    }

    /// Offset and size in bytes of each member of a struct of the object, from its BTF.
    fn members(name: &str) -> Vec<(String, u32, u32)> {
        let object = aya_obj::Object::parse(super::super::object::OBJECT).unwrap();
        let btf = object.btf.unwrap();
        Types(btf.to_bytes()).members(name)
    }

    /// The part of the binary BTF format that these tests need: aya does not expose members.
    struct Types(Vec<u8>);

    impl Types {
        fn word(&self, at: usize) -> u32 {
            u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
        }

        fn name(&self, offset: u32) -> &str {
            let strings = self.word(4) as usize + self.word(16) as usize;
            let text = &self.0[strings + offset as usize..];
            let end = text.iter().position(|byte| *byte == 0).unwrap();
            std::str::from_utf8(&text[..end]).unwrap()
        }

        /// Where each type begins, by id; 0 is `void`.
        fn types(&self) -> Vec<usize> {
            let begin = self.word(4) as usize + self.word(8) as usize;
            let (mut at, end) = (begin, begin + self.word(12) as usize);
            let mut types = vec![0];
            while at < end {
                types.push(at);
                let (kind, count) = self.kind(at);
                at += 12
                    + match kind {
                        1 | 14 | 17 => 4,
                        3 => 12,
                        4 | 5 | 15 | 19 => 12 * count,
                        6 | 13 => 8 * count,
                        _ => 0,
                    };
            }
            types
        }

        fn kind(&self, at: usize) -> (u32, usize) {
            let info = self.word(at + 4);
            (info >> 24 & 0x1f, (info & 0xffff) as usize)
        }

        /// Bytes that a type takes: integers, arrays, and typedefs of them.
        fn size(&self, types: &[usize], id: u32) -> u32 {
            let at = types[id as usize];
            match self.kind(at).0 {
                1 | 4 | 6 => self.word(at + 8),
                3 => self.size(types, self.word(at + 12)) * self.word(at + 20),
                8..=11 => self.size(types, self.word(at + 8)),
                kind => panic!("kind {kind}"),
            }
        }

        fn members(&self, name: &str) -> Vec<(String, u32, u32)> {
            let types = self.types();
            let is_it = |at: &&usize| self.kind(**at).0 == 4 && self.name(self.word(**at)) == name;
            let at = *types.iter().skip(1).find(is_it).expect(name);
            let member = |index| at + 12 + 12 * index;
            (0..self.kind(at).1)
                .map(|index| {
                    let [name, ty, bits] = [0, 4, 8].map(|word| self.word(member(index) + word));
                    (self.name(name).to_owned(), bits / 8, self.size(&types, ty))
                })
                .collect()
        }
    }

    /// The words that a field of `config` occupies.
    fn filled(config: Config) -> (u32, u32) {
        let words = config.words();
        let first = words.iter().position(|word| *word != 0).unwrap();
        let count = words.iter().filter(|word| **word != 0).count();
        assert!(words[first..first + count].iter().all(|word| *word != 0));
        (8 * first as u32, 8 * count as u32)
    }

    #[test]
    fn config_has_the_layout_of_the_object() {
        let all = [u64::MAX; SYSCALL_WORDS];
        let none = Config::default();
        let fields = [
            ("selected", Config { selected: all, ..none }),
            ("selected32", Config { selected32: all, ..none }),
            ("boot_epoch_ns", Config { boot_epoch_ns: 1, ..none }),
            ("own_tgid", Config { own_tgid: 1, ..none }),
            ("snaplen", Config { snaplen: 1, ..none }),
            ("flags", Config { flags: 1, ..none }),
            ("inline_record", Config { inline_record: all, ..none }),
            ("wakeup_check_bytes", Config { wakeup_check_bytes: 1, ..none }),
            ("scope_id", Config { scope_id: 1, ..none }),
        ];
        let fields = fields.map(|(name, config)| {
            let (offset, size) = filled(config);
            (name.to_owned(), offset, size)
        });
        assert_eq!(members("config"), fields);
        let size: u32 = fields.iter().map(|(_, _, size)| size).sum();
        assert_eq!(size as usize, size_of::<ConfigWords>());
    }

    #[test]
    fn counters_have_the_layout_of_the_object() {
        let layout = |name: &str| {
            let members = members(name);
            let (_, offset, size) = members.last().unwrap();
            (
                members.iter().map(|(_, _, size)| *size as usize / 8).collect::<Vec<_>>(),
                offset + size,
            )
        };
        assert_eq!(
            layout("counters"),
            (vec![CLASSES, CLASSES * CAUSES, 1], size_of::<CounterWords>() as u32)
        );
        assert_eq!(layout("offender"), (vec![1, 1], size_of::<OffenderWords>() as u32));
        assert_eq!(layout("losses"), (vec![CLASSES], size_of::<LossWords>() as u32));
    }
}
