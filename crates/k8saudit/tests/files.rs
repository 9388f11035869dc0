//! Files with audit events, read to their end or followed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use peregrine_event::params::pluginevent_e;
use peregrine_event::source::{Due, Next, Record, Source, SourceNames, TimedSource};
use peregrine_k8saudit::{AuditSource, Handle, Options, SOURCE, Settings};

fn open(params: &str, init_config: &str) -> (AuditSource, Handle) {
    let handle = Handle::default();
    let settings = Settings::new(init_config, params, Options::default()).unwrap();
    let id = SourceNames::default().intern(SOURCE).unwrap();
    (AuditSource::open(&settings, id, &handle, &|_| ()).unwrap(), handle)
}

fn event(id: &str) -> String {
    format!(
        "{{\"kind\": \"Event\", \"auditID\": \"{id}\", \"stageTimestamp\": \"2026-03-02T10:00:01Z\"}}\n"
    )
}

/// The id of the next event; `None` at the end.
fn next(source: &mut AuditSource) -> Option<String> {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "no event came");
        match source.next().unwrap() {
            Next::Record(Record::Event { event, .. }) => {
                let payload = event.param(pluginevent_e::EVENT_DATA).unwrap();
                let json: serde_json::Value = serde_json::from_slice(payload).unwrap();
                return Some(json["auditID"].as_str().unwrap().to_owned());
            }
            Next::Idle => {}
            Next::End => return None,
            other => panic!("{other:?}"),
        }
    }
}

fn all(params: &str, init_config: &str) -> (Vec<String>, Handle) {
    let (mut source, handle) = open(params, init_config);
    (std::iter::from_fn(|| next(&mut source)).collect(), handle)
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_file_is_read_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit.jsonl");
    let long = "x".repeat(100_000);
    let lines = [
        event("a"),
        "not json\n\n{}\n".to_owned(),
        format!(
            "{{\"kind\":\"EventList\",\"items\":[{},{}]}}\n",
            event("b").trim(),
            event("c").trim()
        ),
        event(&long),
        event("d").trim().to_owned(),
    ];
    fs::write(&path, lines.concat()).unwrap();
    let (ids, handle) = all(path.to_str().unwrap(), "");
    assert_eq!(ids, ["a", "b", "c", &long, "d"]);
    assert_eq!(peregrine_telemetry::AuditCounts::from(&*handle.stats).left_out[2], ("document", 2));
    let (ids, handle) = all(path.to_str().unwrap(), r#"{"maxEventSize": 1000}"#);
    assert_eq!(ids, ["a", "b", "c", "d"]);
    assert_eq!(peregrine_telemetry::AuditCounts::from(&*handle.stats).left_out[1].1, 1);
    let (ids, _) = all(path.to_str().unwrap(), r#"{"webhookMaxBatchSize": 1000}"#);
    assert_eq!(ids, ["a", "b", "c", "d"]);
}

#[test]
fn the_files_of_a_directory_are_read_the_oldest_first() {
    let place = tempfile::tempdir().unwrap();
    for (name, age) in [("b", 300), ("a", 200), ("c", 100)] {
        let path = place.path().join(name);
        fs::write(&path, event(name).trim()).unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let time = std::time::SystemTime::now() - Duration::from_secs(age);
        file.set_modified(time).unwrap();
    }
    fs::create_dir(place.path().join("directory")).unwrap();
    assert_eq!(all(place.path().to_str().unwrap(), "").0, ["b", "a", "c"]);
}

#[test]
fn a_file_is_followed_through_rotations() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit.log");
    fs::write(&path, event("old")).unwrap();
    let (mut source, _) = open(&format!("file://{}", path.display()), "");
    assert_eq!(source.due().unwrap(), Due::Idle);
    append(&path, &event("a"));
    assert_eq!(next(&mut source).as_deref(), Some("a"));
    // A line in two parts.
    let line = event("b");
    append(&path, &line[..20]);
    append(&path, &line[20..]);
    assert_eq!(next(&mut source).as_deref(), Some("b"));
    // Renamed and made anew; what came last before that is not missed.
    append(&path, &event("c"));
    fs::rename(&path, place.path().join("audit.log.1")).unwrap();
    append(&path, &event("d"));
    assert_eq!(next(&mut source).as_deref(), Some("c"));
    assert_eq!(next(&mut source).as_deref(), Some("d"));
    // Truncated.
    fs::write(&path, "").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    append(&path, &event("e"));
    assert_eq!(next(&mut source).as_deref(), Some("e"));
}

#[test]
fn a_followed_file_may_come_later() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit.log");
    let (mut source, _) = open(&format!("file://{}", path.display()), "");
    append(&path, &event("first"));
    assert_eq!(next(&mut source).as_deref(), Some("first"));
}

#[test]
fn a_file_larger_than_the_queue_is_read_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit.jsonl");
    let lines: String = (0..70_000).map(|n| event(&n.to_string())).collect();
    fs::write(&path, lines).unwrap();
    let (mut source, _) = open(path.to_str().unwrap(), "");
    let mut count = 0;
    while let Some(id) = next(&mut source) {
        assert_eq!(id, count.to_string());
        count += 1;
    }
    assert_eq!(count, 70_000);
}
