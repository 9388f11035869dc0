//! Lost events: the classes and causes by which they are counted.

/// Classes of events that are counted separately.
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

/// Why an event did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum LossCause {
    /// The ring was full.
    RingFull,
    /// The event was longer than the buffer it is built in.
    Scratch,
    /// Memory of the program could not be read.
    PageFault,
    /// An inconsistency that should not occur.
    Bug,
    /// The kernel refused to run a BPF program inside itself, e.g. on a CPU where it was preempted.
    Recursion,
}

impl LossClass {
    /// All of them, by their number.
    pub const ALL: [Self; 9] = [
        Self::CloneFork,
        Self::Execve,
        Self::Connect,
        Self::Open,
        Self::DirFile,
        Self::OtherInterest,
        Self::Close,
        Self::ProcExit,
        Self::Other,
    ];

    /// Whether these events create, replace or end processes. Without one of them, the process tree
    /// is wrong until it is repaired.
    pub fn is_lifecycle(self) -> bool {
        matches!(self, Self::CloneFork | Self::Execve | Self::ProcExit)
    }

    /// Name as Falco's counters have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloneFork => "clone_fork",
            Self::Execve => "execve",
            Self::Connect => "connect",
            Self::Open => "open",
            Self::DirFile => "dir_file",
            Self::OtherInterest => "other_interest",
            Self::Close => "close",
            Self::ProcExit => "proc",
            Self::Other => "other",
        }
    }
}

impl LossCause {
    /// All of them, by their number.
    pub const ALL: [Self; 5] =
        [Self::RingFull, Self::Scratch, Self::PageFault, Self::Bug, Self::Recursion];

    /// Name as Falco's counters have it. They do not count recursion.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "buffer",
            Self::Scratch => "scratch_map",
            Self::PageFault => "page_faults",
            Self::Bug => "bug",
            Self::Recursion => "recursion",
        }
    }
}

/// Events by class: all of them, and those of them that were lost. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounters {
    /// All events, delivered or lost: `seen[class]`.
    pub seen: [u64; LossClass::ALL.len()],
    /// Lost events: `lost[class][cause]`.
    pub lost: [[u64; LossCause::ALL.len()]; LossClass::ALL.len()],
}

#[expect(clippy::indexing_slicing, reason = "the arrays have a place for every class and cause")]
impl EventCounters {
    /// All events, delivered or lost.
    pub fn events(&self) -> u64 {
        self.seen.iter().sum()
    }

    /// Lost events.
    pub fn lost(&self) -> u64 {
        self.lost.iter().flatten().sum()
    }

    /// Events of all classes lost for this cause.
    pub fn lost_for(&self, cause: LossCause) -> u64 {
        self.lost.iter().map(|row| row[cause as usize]).sum()
    }

    /// Events of one class lost for this cause.
    pub fn lost_of(&self, class: LossClass, cause: LossCause) -> u64 {
        self.lost[class as usize][cause as usize]
    }

    /// Events of one class lost for any cause.
    pub fn lost_in(&self, class: LossClass) -> u64 {
        self.lost[class as usize].iter().sum()
    }

    /// Events of one class that were not lost.
    pub fn delivered(&self, class: LossClass) -> u64 {
        self.seen[class as usize].saturating_sub(self.lost_in(class))
    }

    /// Adds other counters.
    pub fn add(&mut self, more: &Self) {
        self.combine(more, u64::saturating_add);
    }

    /// The difference to an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut new = *self;
        new.combine(earlier, u64::saturating_sub);
        new
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let ours = self.seen.iter_mut().chain(self.lost.iter_mut().flatten());
        let theirs = other.seen.iter().chain(other.lost.iter().flatten());
        ours.zip(theirs).for_each(|(ours, &theirs)| *ours = with(*ours, theirs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        assert!(LossClass::ALL.iter().enumerate().all(|(i, &class)| class as usize == i));
        assert!(LossCause::ALL.iter().enumerate().all(|(i, &cause)| cause as usize == i));
    }

    #[test]
    fn sums_and_differences() {
        let mut before = EventCounters::default();
        before.seen[LossClass::Open as usize] = 10;
        before.lost[LossClass::Open as usize][LossCause::RingFull as usize] = 3;
        let mut more = EventCounters::default();
        more.seen[LossClass::Open as usize] = 5;
        more.seen[LossClass::Close as usize] = 1;
        more.lost[LossClass::Open as usize][LossCause::Scratch as usize] = 2;
        let mut now = before;
        now.add(&more);
        assert_eq!((now.events(), now.lost()), (16, 5));
        assert_eq!((now.lost_in(LossClass::Open), now.lost_for(LossCause::Scratch)), (5, 2));
        assert_eq!((now.delivered(LossClass::Open), now.delivered(LossClass::Close)), (10, 1));
        assert_eq!(now.lost_of(LossClass::Open, LossCause::RingFull), 3);
        assert_eq!(now.since(&before), more);
        assert_eq!(before.since(&now), EventCounters::default());
    }
}
