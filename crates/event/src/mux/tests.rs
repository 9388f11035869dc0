use std::collections::VecDeque;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::snapshot::{Group, Item};
use crate::source::{SourceId, SourceNames};
use crate::{Builder, Event, EventType};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Restart,
    Item,
    /// An event of this time.
    Event(u64),
    /// Nothing is available for one call.
    Idle,
}

/// Delivers a script, then ends. Its index shows as the CPU of its events and as the gid
/// of its items.
struct Script {
    index: u16,
    id: SourceId,
    given: VecDeque<Given>,
    bytes: Vec<u8>,
}

impl Script {
    fn new(index: u16, given: impl IntoIterator<Item = Given>) -> Self {
        let given = given.into_iter().collect();
        Self { index, id: SourceId::SYSCALL, given, bytes: Vec::new() }
    }
}

impl Source for Script {
    type Error = Infallible;

    fn next(&mut self) -> Result<Next<'_>, Infallible> {
        Ok(match self.given.pop_front() {
            None => Next::End,
            Some(Given::Idle) => Next::Idle,
            Some(Given::Restart) => Next::Record(Record::Restart),
            Some(Given::Item) => {
                let group = Group { gid: self.index.into(), name: Vec::new() };
                Next::Record(Record::Snapshot(Item::Group(group)))
            }
            Some(Given::Event(ts)) => {
                self.bytes.clear();
                Builder::new(EventType::SyscallCloseX, ts, 1).finish(&mut self.bytes).unwrap();
                let mut event = Event::parse(&self.bytes, self.index).unwrap();
                event.source = self.id;
                Next::Record(Record::Event { event, state_only: false })
            }
        })
    }
}

impl TimedSource for Script {
    fn due(&mut self) -> Result<Due, Infallible> {
        Ok(match self.given.front() {
            None => Due::End,
            Some(Given::Idle) => Due::Idle,
            Some(Given::Restart | Given::Item) => Due::Now,
            Some(Given::Event(ts)) => Due::At(*ts),
        })
    }
}

/// What a mux delivers until its end. A restart and an idle call have no source.
fn delivered(mux: &mut Mux<Script>) -> Vec<(Option<u16>, Given)> {
    let mut all = Vec::new();
    let mut num = 0;
    loop {
        all.push(match mux.next().unwrap() {
            Next::End => return all,
            Next::Idle => (None, Given::Idle),
            Next::Record(Record::Restart) => (None, Given::Restart),
            Next::Record(Record::Snapshot(Item::Group(group))) => {
                (Some(group.gid.try_into().unwrap()), Given::Item)
            }
            Next::Record(Record::Event { event, state_only }) => {
                num += 1;
                assert_eq!((event.num, state_only), (num, false));
                (Some(event.cpu), Given::Event(event.ts))
            }
            other => panic!("{other:?}"),
        });
    }
}

fn merge<const N: usize>(sources: [&[Given]; N]) -> Vec<(Option<u16>, Given)> {
    let sources = (0..).zip(sources).map(|(index, given)| Script::new(index, given.to_vec()));
    delivered(&mut Mux::new(sources.collect()))
}

#[test]
fn snapshots_come_first_and_equal_times_in_the_order_of_the_sources() {
    use Given::{Event as At, Item};
    let merged = merge([&[Item, At(5), At(7)], &[Item, Item, At(5), At(6)]]);
    let expected =
        [(0, Item), (1, Item), (1, Item), (0, At(5)), (1, At(5)), (1, At(6)), (0, At(7))];
    assert_eq!(merged, expected.map(|(source, given)| (Some(source), given)));
}

#[test]
fn a_restart_comes_after_the_events_before_it() {
    use Given::{Event as At, Item, Restart};
    let merged = merge([&[At(1), At(5), Restart, Item, At(9)], &[At(4), At(8)]]);
    let expected = [
        (Some(0), At(1)),
        (Some(1), At(4)),
        (Some(0), At(5)),
        (None, Restart),
        (Some(0), Item),
        (Some(1), At(8)),
        (Some(0), At(9)),
    ];
    assert_eq!(merged, expected);
}

#[test]
fn an_idle_source_does_not_hold_up_the_others() {
    use Given::{Event as At, Idle};
    let merged = merge([&[At(1), Idle, At(3)], &[At(2), At(4), Idle]]);
    // The first source stays idle until its next call, which comes when no other has an event.
    let expected = [
        (Some(0), At(1)),
        (Some(1), At(2)),
        (Some(1), At(4)),
        (None, Idle),
        (Some(0), At(3)),
        (None, Idle),
    ];
    assert_eq!(merged, expected);
}

#[test]
fn idle_sources_wait_in_turn() {
    let sources = (0..3).map(|index| Script::new(index, [Given::Idle; 4]));
    let mut mux = Mux::new(sources.collect());
    for _ in 0..6 {
        assert!(matches!(mux.next(), Ok(Next::Idle)));
    }
    assert!(mux.sources_mut().iter().all(|source| source.given.len() == 2));
    assert_eq!(mux.delivered(), 0);
}

#[test]
fn a_mux_of_nothing_ends() {
    assert!(matches!(Mux::<Script>::new(Vec::new()).next(), Ok(Next::End)));
}

#[test]
fn events_keep_the_source_that_they_carry() {
    let audit = SourceNames::default().intern("audit").unwrap();
    let first = Script::new(0, [Given::Event(2)]);
    let second = Script { id: audit, ..Script::new(1, [Given::Event(1)]) };
    let mut mux = Mux::new(vec![first, second]);
    let mut next = || match mux.next().unwrap() {
        Next::Record(Record::Event { event, .. }) => event.source,
        other => panic!("{other:?}"),
    };
    assert_eq!((next(), next()), (audit, SourceId::SYSCALL));
}

proptest! {
    #[test]
    fn a_mux_merges_stably_by_time(sources in prop::collection::vec(prop::collection::vec(0_u64..20, 0..20), 0..5)) {
        let scripts = (0..).zip(&sources).map(|(index, times)| {
            Script::new(index, times.iter().map(|ts| Given::Event(*ts)))
        });
        let merged = delivered(&mut Mux::new(scripts.collect()));
        // Where the times of a source go backwards, an event comes with the one before it.
        let mut expected = Vec::new();
        for (index, times) in (0..).zip(&sources) {
            let mut latest = 0;
            for &ts in times {
                latest = ts.max(latest);
                expected.push((latest, (Some(index), Given::Event(ts))));
            }
        }
        expected.sort_by_key(|(time, _)| *time);
        prop_assert_eq!(merged, expected.into_iter().map(|(_, event)| event).collect::<Vec<_>>());
    }
}
