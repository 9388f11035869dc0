//! Holds that events which change nothing and match nothing allocate nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::Read;

use allocation_counter::measure;
use flate2::read::MultiGzDecoder;
use peregrine_event::source::Record;
use peregrine_event::{EventFlags, EventType};
use peregrine_fields::{Fields, Run, Scratch, View};
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::Reader;
use peregrine_state::{Config, State};

use crate::{Dispatch, Matching};

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

/// Where events of a capture allocate the second time round, with how often.
fn allocations(capture: &str) -> Vec<(&'static str, EventType, u64)> {
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
    let rules = loader.into_rules();
    let dispatch = Dispatch::new(&rules);
    let mut working = dispatch.working(Matching::All);

    let mut reader = Reader::new(&*bytes);
    let mut state = State::new(Config::default());
    let (run, mut scratch) = (Run::default(), Scratch::default());
    let mut in_snapshot = true;
    let mut found = Vec::new();
    let mut seen = 0;
    let mut after_change = false;
    loop {
        let mut record = None;
        let source = measure(|| record = reader.next().unwrap()).count_total;
        let event = match record {
            None => break,
            Some(Record::Restart) => panic!("one section is enough"),
            Some(Record::Snapshot(item)) => {
                state.load(item);
                continue;
            }
            Some(Record::Event { event, .. }) => event,
        };
        if std::mem::take(&mut in_snapshot) {
            state.loaded();
        }
        let mut context = None;
        let applied = measure(|| context = Some(state.apply(&event))).count_total;
        let asked = measure(|| {
            scratch.reset();
            let view = View::new(&event, &state, context.unwrap(), &run, &scratch);
            dispatch.matches(&rules, event.ty, &view, &mut working, &mut (), |rule| {
                panic!("rule {rule} matches event {}", event.num)
            });
        });
        seen += 1;
        if event.num <= count {
            continue;
        }
        // What an event removes goes with the next one.
        let changes = EventFlags::MODIFIES_STATE | EventFlags::CREATES_FD;
        let changes = event.ty.info().flags.intersects(changes);
        let changed = std::mem::replace(&mut after_change, changes);
        let applied = if changes || changed || told_names(event.ty) { 0 } else { applied };
        let all = [("source", source), ("state", applied), ("rules", asked.count_total)];
        found.extend(all.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| (what, event.ty, n)));
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
