#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;

use peregrine_event::snapshot::{Item, Thread};
use peregrine_event::{Builder, EventType};
use peregrine_scap::{Reader, Record};
use peregrine_state::{Config, ThreadFlags};

use super::*;

const MS: u64 = 1_000_000;

fn config(directory: &Path) -> CaptureConfig {
    CaptureConfig {
        path_prefix: directory.join("cap").to_str().unwrap().to_owned(),
        all_rules: false,
        default_duration: Duration::from_millis(10),
        max_bytes: None,
    }
}

/// The state of a machine with one process.
fn state() -> State {
    let mut state = State::new(Config::default());
    let thread = Thread { tid: 7, pid: 7, comm: b"cat".to_vec(), ..Thread::default() };
    state.load(Item::Thread(Box::new(thread)));
    state.loaded();
    state
}

/// What happens at `ms` milliseconds: somebody closes that fd.
fn close(ms: u64, fd: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Builder::new(EventType::SyscallCloseX, ms * MS, 7).i64(0).i64(fd).finish(&mut bytes).unwrap();
    bytes
}

/// Lets a close happen, with a match of a rule or without.
fn happens(
    captures: &mut Captures,
    ms: u64,
    rule: Option<(bool, u64)>,
) -> Result<Option<SizeReached>, RecordError> {
    let bytes = close(ms, 3);
    let mut event = Event::parse(&bytes, 0).unwrap();
    event.num = ms;
    captures.arrived(&event);
    if let Some((starts, duration)) = rule {
        captures.hit(event.ts, starts, Duration::from_millis(duration));
    }
    captures.event(&event, false, &state())
}

/// Files there are, and the times of the events in each.
fn recorded(directory: &Path) -> Vec<(String, Vec<u64>)> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let events = |path: &Path| {
        let mut reader = Reader::open(path).unwrap();
        let (mut times, mut threads) = (Vec::new(), 0);
        while let Some(record) = reader.next().unwrap() {
            match record {
                Record::Event { event, .. } => times.push(event.ts / MS),
                Record::Snapshot(Item::Thread(thread)) => threads += usize::from(thread.tid == 7),
                _ => {}
            }
        }
        assert_eq!(threads, 1, "the state is told once");
        times
    };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), events(path))).collect()
}

#[test]
fn a_capture_lasts_as_long_as_the_rule_says_and_matches_prolong_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut captures = Captures::new(config(directory.path()));
    happens(&mut captures, 1, None).unwrap();
    happens(&mut captures, 2, Some((false, 0))).unwrap();
    happens(&mut captures, 3, Some((true, 4))).unwrap();
    happens(&mut captures, 5, Some((false, 0))).unwrap();
    happens(&mut captures, 6, Some((false, 1))).unwrap();
    happens(&mut captures, 14, None).unwrap();
    happens(&mut captures, 15, None).unwrap();
    happens(&mut captures, 16, None).unwrap();
    happens(&mut captures, 20, Some((true, 0))).unwrap();
    captures.finish().unwrap();
    assert_eq!(
        recorded(directory.path()),
        [
            (
                "cap_00000000000003000000_00000000000000000003.scap".to_owned(),
                vec![3, 5, 6, 14, 15]
            ),
            ("cap_00000000000020000000_00000000000000000020.scap".to_owned(), vec![20]),
        ]
    );
}

#[test]
fn every_rule_may_start_one() {
    let directory = tempfile::tempdir().unwrap();
    let all = CaptureConfig { all_rules: true, ..config(directory.path()) };
    let mut captures = Captures::new(all);
    happens(&mut captures, 2, Some((false, 0))).unwrap();
    captures.idle(11 * MS).unwrap();
    happens(&mut captures, 11, None).unwrap();
    captures.idle(12 * MS).unwrap();
    happens(&mut captures, 13, None).unwrap();
    let times: Vec<_> = recorded(directory.path()).into_iter().map(|(_, times)| times).collect();
    assert_eq!(times, [[2, 11]]);
}

#[test]
fn a_capture_ends_at_its_size_and_that_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let small = CaptureConfig { max_bytes: Some(1), ..config(directory.path()) };
    let mut captures = Captures::new(small);
    let mut reached = None;
    // The encoder holds some back before the first byte is in the file.
    for ms in 1..100_000 {
        let rule = (ms == 1).then_some((true, 1_000_000));
        reached = happens(&mut captures, ms, rule).unwrap();
        if reached.is_some() {
            break;
        }
    }
    let file = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
    let length = file.metadata().unwrap().len();
    assert_eq!(reached, Some(SizeReached { written: length }));
    assert!(matches!(captures.state, Progress::None));
}

#[test]
fn what_was_told_of_containers_comes_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut captures = Captures::new(config(directory.path()));
    let mut bytes = Vec::new();
    let mut told = Builder::new(EventType::AsynceventE, MS, -1);
    told.u32(0).text("container").param(b"{}").finish(&mut bytes).unwrap();
    captures.arrived(&Event::parse(&bytes, 0).unwrap());
    happens(&mut captures, 5, Some((true, 0))).unwrap();
    captures.finish().unwrap();
    assert_eq!(recorded(directory.path())[0].1, [1, 5]);
    captures.restart().unwrap();
    happens(&mut captures, 6, Some((true, 0))).unwrap();
    captures.finish().unwrap();
    assert_eq!(recorded(directory.path())[1].1, [6]);
}

#[test]
fn a_place_that_can_not_be_written_is_an_error_of_its_own() {
    let mut captures = Captures::new(config(Path::new("/no/such/directory")));
    let error = happens(&mut captures, 1, Some((true, 0))).unwrap_err();
    assert!(error.to_string().starts_with("cannot record into /no/such/directory/cap_"), "{error}");
    assert!(happens(&mut captures, 2, None).unwrap().is_none());
}

/// What a capture leads to, told and loaded again, is the same.
#[test]
fn the_state_of_whole_captures_can_be_told() {
    let mut files = 0;
    for entry in fs::read_dir("../../conformance/captures").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "scap") {
            continue;
        }
        let mut state = State::new(Config::default());
        let mut reader = Reader::open(&path).unwrap();
        let mut begun = false;
        while let Ok(Some(record)) = reader.next() {
            match record {
                Record::Restart => state.reset(),
                Record::Snapshot(item) => state.load(item),
                Record::Event { event, .. } => {
                    if !std::mem::replace(&mut begun, true) {
                        state.loaded();
                    }
                    state.apply(&event);
                }
            }
        }
        let mut items = state.snapshot(|_| true);
        let mut again = State::new(Config::default());
        items.iter().cloned().for_each(|item| again.load(item));
        again.loaded();
        let items_again = again.snapshot(|_| true);
        for item in &mut items {
            if let Item::Thread(thread) = item {
                // Whoever is in a snapshot is awake and has its name from there.
                thread.flags |= ThreadFlags::ACTIVE.0 | ThreadFlags::NAME_CHANGED.0;
            }
        }
        let lost: Vec<_> = items.iter().filter(|item| !items_again.contains(item)).collect();
        let new: Vec<_> = items_again.iter().filter(|item| !items.contains(item)).collect();
        assert!(lost.is_empty() && new.is_empty(), "{}: {lost:#?} {new:#?}", path.display());
        files += 1;
    }
    assert!(files > 1);
}
