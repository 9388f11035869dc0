//! What every source of events is to those who take them: a snapshot of the machine, then events.

use crate::Event;
use crate::snapshot::Item;

/// Gives a snapshot of the machine, then events. They borrow from the source until the next one is asked for.
pub trait Source {
    /// Why it can't go on.
    type Error;

    /// What comes next. A source that waits for things to happen does not wait for long.
    ///
    /// # Errors
    /// When there can be no further record, though the end was not reached.
    fn next(&mut self) -> Result<Next<'_>, Self::Error>;
}

/// What a source has.
#[derive(Debug)]
pub enum Next<'a> {
    /// A record.
    Record(Record<'a>),
    /// What was found when events had been lost, at its time between the others.
    Repair(Repair),
    /// Nothing just now; more may come.
    Idle,
    /// Nothing any more.
    End,
}

/// What a source consists of.
#[derive(Debug)]
pub enum Record<'a> {
    /// Another stretch begins here, as where a capture was appended to another: what is known of the
    /// machine is void, and a new snapshot follows. The numbers of events continue.
    Restart,
    /// A part of the state of the machine before the first event.
    Snapshot(Item),
    /// An event.
    Event {
        /// The event, numbered from 1 in the order of delivery.
        event: Event<'a>,
        /// It was recorded only to keep the state right and is not to be shown.
        state_only: bool,
    },
}

/// What is found when a source has lost events and looks at the machine again.
#[derive(Clone, Debug, PartialEq)]
pub enum Repair {
    /// The processes that there are.
    Alive {
        /// Processes that began later, in nanoseconds since the epoch, may be missing.
        since: u64,
        /// Their ids.
        pids: Vec<i64>,
    },
    /// A process that lost events.
    Process {
        /// Its id.
        pid: i64,
        /// Its threads, then what it has open; nothing when it is gone.
        items: Vec<Item>,
        /// Numbers of its open files, also of those of which nothing else can be found out.
        open: Vec<i64>,
    },
}

/// Tells of threads that act though no source has told of them.
pub trait Strangers {
    /// What there is to know of the thread with this tid and of those above it that are not `known`: the
    /// highest first. Empty when it is gone.
    fn meet(&mut self, tid: i64, known: &dyn Fn(i64) -> bool) -> Vec<Item>;

    /// The users and groups that a process in a container has. Empty when it is gone, or has none.
    fn accounts(&mut self, tid: i64) -> Vec<Item>;
}
