//! Holds that events which change nothing and match nothing allocate nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use allocation_counter::measure;
use flate2::read::MultiGzDecoder;
use peregrine_alert::RuleRegistry;
use peregrine_event::{Event, EventFlags, EventType};
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::Reader;
use peregrine_state::State;

use crate::{Engine, Generation, GenerationSettings, Match, Matching, Observer, Step};

/// Rules that ask for much and never match.
const RULES: &str = r#"
- macro: nobody
  condition: (proc.name = nobody or proc.aname in (nobody, "no one") or proc.cmdline contains "no body")
- rule: files
  desc: d
  condition: evt.type in (open, openat, openat2, creat, close, read, write, mmap, fstat, stat) and (nobody or fd.name startswith /nowhere)
  output: o
  priority: INFO
- rule: everything
  desc: d
  condition: evt.num > 0 and (nobody or proc.pname = nobody or evt.arg.res = ENOTHING or fs.path.name = /nowhere or evt.failed = true and nobody)
  output: o
  priority: INFO
- rule: network
  desc: d
  condition: (fd.sip = 1.2.3.4 or fd.port in (1, 2, 3) or fd.name regex "nothing.*") and nobody
  output: o
  priority: INFO
"#;

/// Blocks that are events, of all versions of the format.
const EVENTS: [u32; 7] = [0x204, 0x8010_ABCD, 0x216, 0x221, 0x208, 0x217, 0x222];

/// A capture whose events come twice.
fn twice(capture: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(*capture[at..].first_chunk().unwrap());
    let mut at = 0;
    while !EVENTS.contains(&word(at)) {
        at += word(at + 4) as usize;
    }
    [capture, &capture[at..]].concat()
}

/// Whether events of this type may tell of the working directory, or of who is at the other end of a socket.
fn told_names(ty: EventType) -> bool {
    ty == EventType::SyscallGetcwdX
}

/// The event that went through the engine last.
#[derive(Default)]
struct Last(Option<(u64, EventType)>);

impl Observer for Last {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        panic!("{} matches event {}", matched.rule.name, matched.event.num);
    }

    fn done(&mut self, event: &Event<'_>, _: bool, _: &State) {
        self.0 = Some((event.num, event.ty));
    }
}

/// Types of events of a capture that allocate the second time round, with how often.
fn allocations(capture: &str) -> Vec<(EventType, u64)> {
    let path = format!("{}/../../conformance/captures/{capture}.scap", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut bytes);
        MultiGzDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
    }
    let count = {
        let mut reader = Reader::new(&*bytes);
        while reader.next().unwrap().is_some() {}
        reader.counts().delivered
    };
    let bytes = twice(&bytes);

    let vocabulary = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(vocabulary)], Vec::new());
    assert!(loader.load("rules.yaml", RULES.as_bytes()).successful());
    let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
    let generation = Generation::new(loader.into_rules(), &RuleRegistry::new(), settings);
    let mut engine = Engine::new(Arc::new(generation), Default::default());
    let (mut reader, mut last) = (Reader::new(&*bytes), Last::default());
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut after_change = false;
    loop {
        let mut step = Step::Idle;
        let allocated = measure(|| {
            step = engine.step(&mut reader, &mut last, &mut ()).unwrap();
        });
        match step {
            Step::End(_) => break,
            Step::Event => {}
            Step::Loaded | Step::Idle => continue,
        }
        let (num, ty) = last.0.unwrap();
        seen += 1;
        if num <= count {
            continue;
        }
        // What an event removes is freed with the next one.
        let changes = EventFlags::MODIFIES_STATE | EventFlags::CREATES_FD;
        let changes = ty.info().flags.intersects(changes);
        let changed = std::mem::replace(&mut after_change, changes);
        if !(changes || changed || told_names(ty)) && allocated.count_total > 0 {
            found.push((ty, allocated.count_total));
        }
    }
    assert!(seen > count);
    found
}

#[test]
fn events_that_change_nothing_and_match_nothing_allocate_nothing() {
    for capture in ["own_zoo", "own_acts", "sample", "sf_client-server_tcp-client-server"] {
        assert_eq!(allocations(capture), [], "{capture}");
    }
}
