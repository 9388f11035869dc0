#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use std::fs;
use std::sync::{Arc, Mutex};

use peregrine_event::snapshot::{Item, Thread};
use peregrine_event::{Builder, EventType};
use peregrine_scap::{Reader, Record};
use peregrine_state::{Config, ThreadFlags};

use std::path::Path;

use super::super::writer::Backpressure;
use super::*;
use crate::Log;

const MS: u64 = 1_000_000;

fn config(directory: &Path) -> MatchCaptureSettings {
    MatchCaptureSettings {
        path_prefix: directory.join("cap").to_str().unwrap().to_owned(),
        all_rules: false,
        default_duration: Duration::from_millis(10),
        max_bytes: None,
        mode: FileMode::default(),
        oldest_reader: OldestReader::default(),
    }
}

/// The state of a machine with one process.
fn state() -> State {
    let mut state = State::new(Config::default());
    let thread = Thread { tid: 7, pid: 7, comm: b"cat"[..].into(), ..Thread::default() };
    state.load(Item::Thread(Box::new(thread)));
    state.loaded();
    state
}

/// A close event at `ms` milliseconds.
fn close(ms: u64, fd: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Builder::new(EventType::SyscallCloseX, ms * MS, 7).i64(0).i64(fd).finish(&mut bytes).unwrap();
    bytes
}

/// Processes a close event, with or without a match.
fn happens(
    (captures, writer): &mut (MatchCaptures, CaptureWriter),
    ms: u64,
    rule: Option<(bool, u64)>,
) -> Option<SizeReached> {
    let bytes = close(ms, 3);
    let mut event = Event::parse(&bytes, 0).unwrap();
    event.num = ms;
    if let Some((starts, duration)) = rule {
        captures.matched(event.ts, starts, Duration::from_millis(duration));
    }
    captures.done(&event, false, &state(), writer)
}

/// Captures and their writer.
fn start(settings: MatchCaptureSettings) -> (MatchCaptures, CaptureWriter) {
    let writer = CaptureWriter::start(Backpressure::Wait, Log::new(|_, line| panic!("{line}")));
    (MatchCaptures::new(settings), writer.unwrap())
}

/// Ends the running capture and waits until it is written.
fn finish((captures, writer): &mut (MatchCaptures, CaptureWriter)) {
    captures.finish(writer);
    writer.sync();
}

/// The files with the times of their events.
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
        assert_eq!(threads, 1, "the state is written once");
        times
    };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), events(path))).collect()
}

#[test]
fn a_capture_lasts_as_long_as_the_rule_says_and_matches_prolong_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut captures = start(config(directory.path()));
    happens(&mut captures, 1, None);
    happens(&mut captures, 2, Some((false, 0)));
    happens(&mut captures, 3, Some((true, 4)));
    happens(&mut captures, 5, Some((false, 0)));
    happens(&mut captures, 6, Some((false, 1)));
    happens(&mut captures, 14, None);
    happens(&mut captures, 15, None);
    happens(&mut captures, 16, None);
    happens(&mut captures, 20, Some((true, 0)));
    finish(&mut captures);
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
fn every_rule_starts_a_capture_with_all_rules() {
    let directory = tempfile::tempdir().unwrap();
    let all = MatchCaptureSettings { all_rules: true, ..config(directory.path()) };
    let mut captures = start(all);
    happens(&mut captures, 2, Some((false, 0)));
    captures.0.idle(11 * MS, &mut captures.1);
    happens(&mut captures, 11, None);
    captures.0.idle(12 * MS, &mut captures.1);
    happens(&mut captures, 13, None);
    captures.1.sync();
    let times: Vec<_> = recorded(directory.path()).into_iter().map(|(_, times)| times).collect();
    assert_eq!(times, [[2, 11]]);
}

#[test]
fn a_capture_that_reaches_its_size_ends_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let small = MatchCaptureSettings { max_bytes: Some(1), ..config(directory.path()) };
    let mut captures = start(small);
    let mut reached = None;
    // The encoder buffers before it writes the first byte.
    for ms in 1..100_000 {
        let rule = (ms == 1).then_some((true, 1_000_000));
        reached = happens(&mut captures, ms, rule);
        if reached.is_some() {
            break;
        }
    }
    let file = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
    let length = file.metadata().unwrap().len();
    assert_eq!(reached, Some(SizeReached { max_bytes: 1, written: length }));
    assert!(matches!(captures.0.state, Phase::Off));
}

/// Everything that is known of a container, and of its users, is in a capture that begins later.
#[test]
fn a_capture_begins_with_descriptions_of_containers() {
    let directory = tempfile::tempdir().unwrap();
    let (mut captures, mut writer) = start(config(directory.path()));
    let mut known = state();
    let json = r#"{"container":{"id":"c1","type":0,"name":"web","labels":{"a":"b"}}}"#;
    for (ty, name, text) in
        [(EventType::AsynceventE, "container", json), (EventType::UserAddedE, "carol", "c1")]
    {
        let mut bytes = Vec::new();
        let mut event = Builder::new(ty, MS, -1);
        match ty {
            EventType::AsynceventE => event.u32(0).text(name).text(text),
            _ => event.u32(7).u32(7).text(name).text("/").text("/bin/sh").text(text),
        };
        event.finish(&mut bytes).unwrap();
        known.apply(&Event::parse(&bytes, 0).unwrap());
    }
    let bytes = close(5, 3);
    let event = Event::parse(&bytes, 0).unwrap();
    captures.matched(event.ts, true, Duration::ZERO);
    captures.done(&event, false, &known, &mut writer);
    let unavailable = Description::Unavailable(b"b"[..].into());
    captures.observing(&unavailable, &mut writer);
    finish(&mut (captures, writer));

    let path = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    assert_eq!(recorded(directory.path())[0].1, [5, 5, 5, 5]);
    let mut replayed = State::new(Config::default());
    let mut reader = Reader::open(&path).unwrap();
    while let Some(record) = reader.next().unwrap() {
        match record {
            Record::Snapshot(item) => replayed.load(item),
            Record::Event { event: read, state_only } => {
                assert_eq!(state_only, read.ty != event.ty);
                replayed.apply(&read);
            }
            Record::Restart => panic!("one section"),
        }
    }
    assert_eq!(replayed.containers().get(b"c1"), known.containers().get(b"c1"));
    let name = replayed.users().user(b"c1", 7).map(|user| user.name);
    assert_eq!(name, Some(&b"carol"[..]));
}

#[test]
fn a_file_that_can_not_be_created_is_reported_once() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let lines = Arc::clone(&lines);
        Log::new(move |_, line| lines.lock().unwrap().push(line.to_string()))
    };
    let captures = MatchCaptures::new(config(Path::new("/no/such/directory")));
    let mut captures = (captures, CaptureWriter::start(Backpressure::Wait, log).unwrap());
    assert!(happens(&mut captures, 1, Some((true, 0))).is_none());
    captures.1.sync();
    assert!(happens(&mut captures, 2, None).is_none());
    assert!(matches!(captures.0.state, Phase::Off), "the next match tries another file");
    finish(&mut captures);
    let lines = lines.lock().unwrap();
    assert!(lines[0].starts_with("cannot record into /no/such/directory/cap_"), "{lines:?}");
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_writer_that_drops_counts_what_it_drops() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = CaptureWriter::start(Backpressure::Drop, Log::new(|_, _| ())).unwrap();
    let settings = FileSettings::by_name(&directory.path().join("cap_all.scap"));
    let mut file = writer.create(settings, state().full_snapshot(0));
    let bytes = close(1, 3);
    let events = 200_000;
    for _ in 0..events {
        writer.event(&mut file, &Event::parse(&bytes, 0).unwrap(), false);
    }
    writer.finish(file);
    writer.close();
    let written = recorded(directory.path())[0].1.len() as u64;
    assert_eq!(written + writer.dropped(), events);
}

/// The file of a disk that hangs: a pipe that is not read.
#[test]
fn a_writer_that_drops_never_waits_for_a_file_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let (mut reader, pipe) = std::io::pipe().unwrap();
    let mut writer = CaptureWriter::start(Backpressure::Drop, Log::new(|_, _| ())).unwrap();
    let settings = |name: &str| FileSettings::by_name(&directory.path().join(name));
    let snapshot = || state().full_snapshot(0);
    let file = fs::File::from(std::os::fd::OwnedFd::from(pipe));
    let mut file = writer.begin_in(file, settings("cap_all.scap"), snapshot());
    let bytes = close(1, 3);
    while writer.dropped() == 0 {
        writer.event(&mut file, &Event::parse(&bytes, 0).unwrap(), false);
    }
    // Its end waits without the event thread, and meanwhile no file is begun.
    writer.finish(file);
    assert!(writer.is_behind());
    assert!(writer.create(settings("cap_1.scap"), snapshot()).has_ended());
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::copy(&mut reader, &mut std::io::sink()).unwrap());
        let file = loop {
            let file = writer.create(settings("cap_2.scap"), snapshot());
            if !file.has_ended() {
                break file;
            }
            std::thread::yield_now();
        };
        writer.finish(file);
        writer.close();
    });
    assert!(directory.path().join("cap_2.scap").exists());
}

/// A snapshot of the state after a capture loads as the same state.
#[test]
fn snapshots_restore_the_state_of_whole_captures() {
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
                // Threads of a snapshot are awake and named by it.
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
