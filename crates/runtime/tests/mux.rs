//! One engine evaluates the rules of two event sources whose events are merged by time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_engine::{
    End, Engine, Generation, GenerationSettings, Match, Matching, Next, Observer, Source,
};
use peregrine_event::source::{Due, Record, SourceId, SourceNames, TimedSource};
use peregrine_event::{Builder, Event, EventType};
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_runtime::sources::{Mux, open_capture};
use peregrine_scap::{Reader, ScapError};

const RULES: &str = "\
- {rule: syscall, desc: d, condition: evt.num > 0, output: o, priority: INFO}
- {rule: audit, desc: d, condition: evt.num > 0, output: o, priority: INFO, source: audit}
";
/// Time between two events of the second source.
const STEP: u64 = 1_000_000;

/// A source whose events come at regular times.
struct Ticks {
    id: SourceId,
    next: u64,
    end: u64,
    bytes: Vec<u8>,
}

enum AnySource {
    Capture(Box<Reader<File>>),
    Ticks(Ticks),
}

impl Source for AnySource {
    type Error = ScapError;

    fn next(&mut self) -> Result<Next<'_>, ScapError> {
        match self {
            Self::Capture(reader) => Source::next(&mut **reader),
            Self::Ticks(ticks) => Ok(ticks.tick()),
        }
    }
}

impl TimedSource for AnySource {
    fn due(&mut self) -> Result<Due, ScapError> {
        match self {
            Self::Capture(reader) => reader.due(),
            Self::Ticks(ticks) if ticks.next < ticks.end => Ok(Due::At(ticks.next)),
            Self::Ticks(_) => Ok(Due::End),
        }
    }
}

impl Ticks {
    fn tick(&mut self) -> Next<'_> {
        if self.next >= self.end {
            return Next::End;
        }
        let Self { id, next, bytes, .. } = self;
        bytes.clear();
        Builder::new(EventType::PlugineventE, *next, -1).u32(1).param(b"x").finish(bytes).unwrap();
        *next += STEP;
        let mut event = Event::parse(bytes, 0).unwrap();
        event.source = *id;
        Next::Record(Record::Event { event, state_only: false })
    }
}

/// Matches as (rule, source of the event, time), and the numbers of all events.
#[derive(Default)]
struct Seen {
    matches: Vec<(String, SourceId, u64)>,
    nums: BTreeMap<SourceId, Vec<u64>>,
}

impl Observer for Seen {
    fn arrived(&mut self, event: &Event<'_>, _: bool, _: &peregrine_state::State) {
        self.nums.entry(event.source).or_default().push(event.num);
    }

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        let event = matched.event;
        self.matches.push((matched.rule.name.clone(), event.source, event.ts));
    }
}

fn capture() -> Reader<File> {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    open_capture(&captures.join("own_acts.scap")).unwrap()
}

/// How many events a capture has, and the first and last of their times.
fn extent(mut reader: Reader<File>) -> (u64, u64, u64) {
    let (mut first, mut last) = (u64::MAX, 0);
    while let Some(record) = reader.next().unwrap() {
        if let Record::Event { event, .. } = record {
            (first, last) = (first.min(event.ts), last.max(event.ts));
        }
    }
    (reader.counts().delivered, first, last)
}

#[test]
fn rules_of_two_sources_are_evaluated_in_the_order_of_time() {
    let mut names = SourceNames::default();
    let id = names.intern("audit").unwrap();
    let fields = Fields::syscall();
    let audit = EventSource { id, name: "audit".to_owned(), vocabulary: fields.clone() };
    let mut loader = Loader::new(vec![EventSource::syscall(fields), audit], Vec::new());
    let result = loader.load("rules.yaml", RULES.as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
    let generation = Generation::new(loader.into_rules(), &RuleRegistry::new(), settings);

    let (events, first, last) = extent(capture());
    let ticks = Ticks { id, next: first, end: last, bytes: Vec::new() };
    let expected_ticks = (last - first).div_ceil(STEP);
    let mut mux = Mux::new(vec![AnySource::Capture(Box::new(capture())), AnySource::Ticks(ticks)]);
    let mut engine = Engine::new(Arc::new(generation), Default::default());
    let mut seen = Seen::default();
    assert_eq!(engine.run(&mut mux, &mut seen, &mut ()).unwrap(), End::Source);

    // Each source has its own numbers.
    assert!(seen.nums[&SourceId::SYSCALL].iter().copied().eq(1..=events));
    assert!(seen.nums[&id].iter().copied().eq(1..=expected_ticks));
    let Seen { matches, .. } = seen;
    let of = |rule: &str, source| {
        let of_rule = matches.iter().filter(|(name, ..)| name == rule);
        let mut times = Vec::new();
        for (_, from, ts) in of_rule {
            assert_eq!(*from, source, "{rule}");
            times.push(*ts);
        }
        times
    };
    let (syscalls, audits) = (of("syscall", SourceId::SYSCALL), of("audit", id));
    assert_eq!(audits.len() as u64, expected_ticks);
    assert_eq!((syscalls.len() + audits.len()) as u64, engine.events());
    assert!(syscalls.len() > 100 && audits.len() > 100);
    // Every tick stands between the system calls around it.
    let mut latest = 0;
    for (rule, _, ts) in &matches {
        if rule == "audit" {
            assert!(latest <= *ts);
        } else {
            latest = latest.max(*ts);
        }
    }
}

/// Times and types of the events of a source, and its other records.
fn records<S: Source>(mut source: S) -> (Vec<(u64, EventType)>, usize)
where
    S::Error: std::fmt::Debug,
{
    let (mut events, mut others) = (Vec::new(), 0);
    loop {
        match source.next().unwrap() {
            Next::End => return (events, others),
            Next::Record(Record::Event { event, .. }) => {
                assert_eq!(event.num, events.len() as u64 + 1);
                events.push((event.ts, event.ty));
            }
            _ => others += 1,
        }
    }
}

#[test]
fn two_captures_merge_without_loss() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    let open = |name: &str| open_capture(&captures.join(name)).unwrap();
    let (first, second) = ("own_acts.scap", "own_zoo.scap");
    let (one, other) = (records(open(first)), records(open(second)));
    let (merged, others) = records(Mux::new(vec![open(first), open(second)]));
    assert_eq!(others, one.1 + other.1);
    assert_eq!(merged.len(), one.0.len() + other.0.len());
    let mut sources = [one.0.into_iter().peekable(), other.0.into_iter().peekable()];
    for event in &merged {
        assert!(sources.iter_mut().any(|source| source.next_if_eq(event).is_some()), "{event:?}");
    }
}
