//! Metrics of a replay: alerts and lines of a file, at intervals. A capture from a pipe lasts as
//! long as required.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use serde_json::Value;

const CONFIG: &str = "\
engine: {kind: replay, replay: {capture_file: events.scap}}
stdout_output: {enabled: true}
json_output: true
log_stderr: true
log_syslog: false
load_plugins: []
metrics: {enabled: true, interval: 100ms, output_rule: true, output_file: metrics.jsonl, include_empty_values: true, syscalls_counters_enabled: true}
";

const RULES: &str = "\
- rule: A file (closed)
  desc: d
  condition: evt.type = close
  output: '%evt.num'
  priority: NOTICE
  tags: [files]
";

/// Replays events until the file has this many lines. Returns them and the alerts about metrics.
fn replay(place: &Path, lines: usize) -> (Vec<Value>, Vec<Value>) {
    let pipe = place.join("events.scap");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .unwrap();
    fs::write(place.join("rules.yaml"), RULES).unwrap();
    fs::write(place.join("falco.yaml"), CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(place).env("FALCO_HOSTNAME", "HOST").stdout(Stdio::piped());
    let child = command.args(["-c", "falco.yaml", "-r", "rules.yaml"]).spawn().unwrap();
    let file = place.join("metrics.jsonl");
    let written = || fs::read_to_string(&file).unwrap_or_default();
    let mut capture = Writer::new(File::create(pipe).unwrap(), Compression::None, &[]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    for ts in 1_470_327_477_881_785_348.. {
        if written().lines().count() >= lines || Instant::now() > deadline {
            break;
        }
        let mut bytes = Vec::new();
        Builder::new(EventType::SyscallCloseX, ts, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
        capture.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        capture.flush().unwrap();
        thread::sleep(Duration::from_millis(10));
    }
    drop(capture.finish().unwrap());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let parse =
        |text: &str| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let alerts: Vec<Value> = parse(&String::from_utf8(output.stdout).unwrap());
    let rule = "Falco internal: metrics snapshot";
    (parse(&written()), alerts.into_iter().filter(|alert| alert["rule"] == rule).collect())
}

#[test]
fn snapshots_at_intervals() {
    let place = tempfile::tempdir().unwrap();
    let (lines, alerts) = replay(place.path(), 3);
    assert!(lines.len() >= 3);
    assert_eq!(lines.len(), alerts.len());
    for (line, alert) in lines.iter().zip(&alerts) {
        assert_eq!(line["output_fields"], alert["output_fields"]);
        assert_eq!(alert["output"], "Falco metrics snapshot");
        assert_eq!(
            (&alert["priority"], &alert["source"]),
            (&"Informational".into(), &"internal".into())
        );
        assert!(alert.get("tags").is_none());
    }
    let samples: Vec<_> = lines.iter().map(|line| line["sample"].as_u64().unwrap()).collect();
    assert_eq!(samples, (1..=lines.len() as u64).collect::<Vec<_>>());

    let number = |line: &Value, name: &str| line["output_fields"][name].as_u64().unwrap();
    for pair in lines.windows(2) {
        let [before, after] = pair else { continue };
        assert_eq!(number(after, "falco.num_evts_prev"), number(before, "falco.num_evts"));
        assert!(number(after, "falco.num_evts") > number(before, "falco.num_evts"));
        assert!(number(after, "evt.time") > number(before, "evt.time"));
        if number(before, "falco.num_evts") > 0 {
            assert!(after["output_fields"]["falco.evts_rate_sec"].as_f64().unwrap() > 0.0);
        }
    }
    let last = lines.last().unwrap();
    assert_eq!(number(last, "falco.rules.A_file_closed"), number(last, "falco.num_evts"));
    assert_eq!(number(last, "falco.rules.matches_total"), number(last, "falco.num_evts"));
    assert_eq!(last["output_fields"]["evt.hostname"], "HOST");
    assert_eq!(last["output_fields"]["evt.source"], "syscall");
    assert_eq!(number(last, "falco.n_threads"), 1);

    let names: Vec<_> = last["output_fields"].as_object().unwrap().keys().cloned().collect();
    let names = names.into_iter().filter(|name| !name.starts_with("falco.host_netinfo"));
    // The limits have a table of their own, which grows.
    let (limits, names): (Vec<_>, Vec<_>) =
        names.partition(|name| name.starts_with("peregrine.limits."));
    assert!(limits.contains(&"peregrine.limits.alert_queue_bytes".to_owned()));
    insta::assert_snapshot!(names.join("\n"));
}
