//! A source of events for the engine: a snapshot, then events with what prepares each of them.

use std::collections::VecDeque;
use std::convert::Infallible;

use peregrine_event::snapshot::Item;
use peregrine_event::source::{Next, Record, Source};
use peregrine_event::{Abi, Event};

/// What the events of a test become: records for the engine, as from a capture.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    /// The event that was delivered last.
    current: Vec<u8>,
    delivered: u64,
}

/// One record.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A part of the snapshot.
    Item(Item),
    /// An event that prepares the state: rules are not evaluated for it.
    Setup(Vec<u8>),
    /// An event of the test.
    Event(Written),
}

/// The bytes of an event, and what stands beside them in a capture.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cpu: u16,
    pub(crate) abi: Abi,
}

impl Script {
    /// These records, one after the other.
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), current: Vec::new(), delivered: 0 }
    }
}

impl Source for Script {
    type Error = Infallible;

    fn next(&mut self) -> Result<Next<'_>, Infallible> {
        let (written, state_only) = match self.steps.pop_front() {
            None => return Ok(Next::End),
            Some(Step::Item(item)) => return Ok(Next::Record(Record::Snapshot(item))),
            Some(Step::Setup(bytes)) => (Written { bytes, cpu: 0, abi: Abi::Native }, true),
            Some(Step::Event(written)) => (written, false),
        };
        self.current = written.bytes;
        // What a test writes is built by `event::Builder`, so it can be read.
        let Ok(mut event) = Event::parse(&self.current, written.cpu) else { return Ok(Next::Idle) };
        self.delivered += u64::from(!state_only);
        (event.abi, event.num) = (written.abi, self.delivered);
        Ok(Next::Record(Record::Event { event, state_only }))
    }
}
