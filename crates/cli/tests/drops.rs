//! Reactions to lost events, through the program. Losses are simulated in replays, so that time is
//! event time.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::process::Command;

use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use serde_json::Value;

const CONFIG: &str = "\
engine: {kind: replay, replay: {capture_file: events.scap}}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
log_level: debug
load_plugins: []
";

const RULES: &str = "\
- rule: Closed
  desc: A file is closed.
  condition: evt.type = close
  output: '%evt.num'
  priority: NOTICE
";

const DROPS: &str = "Falco internal: syscall event drop. 1 system calls dropped in last second.";

struct Outcome {
    code: i32,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Outcome {
    /// Events up to which a rule matched.
    fn events(&self) -> usize {
        self.stdout.iter().filter(|line| line.contains(": Notice ")).count()
    }

    /// Lines of stderr that end like this.
    fn logged(&self, end: &str) -> usize {
        self.stderr.iter().filter(|line| line.ends_with(end)).count()
    }

    /// Alerts about lost events.
    fn alerts(&self) -> Vec<&str> {
        let alerts = self.stdout.iter().filter(|line| line.contains("syscall event drop"));
        alerts.map(String::as_str).collect()
    }
}

/// Replays one event per second.
fn replay(seconds: u64, drops: &str, more: &str) -> Outcome {
    const START: u64 = 1_470_327_477_881_785_348;
    let place = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(Vec::new(), Compression::None, &[]).unwrap();
    for second in 0..=seconds {
        let ts = START + second * 1_000_000_001;
        let mut bytes = Vec::new();
        Builder::new(EventType::SyscallCloseX, ts, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
        writer.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
    }
    fs::write(place.path().join("events.scap"), writer.finish().unwrap()).unwrap();
    fs::write(place.path().join("rules.yaml"), RULES).unwrap();
    let config = format!("{CONFIG}{more}syscall_event_drops: {{{drops}}}\n");
    fs::write(place.path().join("falco.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(place.path()).env("TZ", "UTC").env("FALCO_HOSTNAME", "HOST");
    let output = command.args(["-c", "falco.yaml", "-r", "rules.yaml"]).output().unwrap();
    let lines = |bytes| String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: lines(output.stdout),
        stderr: lines(output.stderr),
    }
}

/// The summary on stderr.
fn assert_monitored(outcome: &Outcome, occurrences: usize, actions: usize) {
    assert_eq!(outcome.logged("Syscall event drop monitoring:"), 1);
    assert_eq!(outcome.logged(&format!("   - event drop detected: {occurrences} occurrences")), 1);
    assert_eq!(outcome.logged(&format!("   - num times actions taken: {actions}")), 1);
}

#[test]
fn nothing_is_done_where_nothing_is_lost() {
    let outcome = replay(3, "actions: [log, alert, exit], threshold: 0", "");
    assert_eq!((outcome.code, outcome.events()), (0, 4));
    assert!(outcome.alerts().is_empty());
    assert_eq!(outcome.logged(DROPS), 0);
    assert_monitored(&outcome, 0, 0);
}

#[test]
fn each_action_alone() {
    for (actions, logs, alerts) in
        [("[]", 0, 0), ("[ignore]", 0, 0), ("log", 1, 0), ("[alert]", 0, 1)]
    {
        let outcome = replay(1, &format!("actions: {actions}, simulate_drops: true"), "");
        assert_eq!((outcome.code, outcome.events()), (0, 2), "{actions}");
        assert_eq!(outcome.logged("Simulating syscall event drop"), 1);
        assert_eq!((outcome.logged(DROPS), outcome.alerts().len()), (logs, alerts), "{actions}");
        assert_monitored(&outcome, 1, 1);
    }
}

#[test]
fn exit_ends_the_run_with_an_error() {
    for actions in ["[exit]", "[ignore, exit]"] {
        let outcome = replay(
            5,
            &format!("actions: {actions}, simulate_drops: true"),
            "log_level: critical\n",
        );
        // Rules are not evaluated for the event at which the loss is detected.
        assert_eq!((outcome.code, outcome.events()), (1, 1), "{actions}");
        assert_eq!((outcome.logged(DROPS), outcome.logged(": Exiting.")), (1, 1));
        assert_eq!(outcome.stderr.last().unwrap(), "Error: Drop manager internal error");
        assert!(outcome.alerts().is_empty());
        assert_monitored(&outcome, 1, 1);
    }
}

#[test]
fn actions_can_be_combined() {
    let outcome = replay(5, "actions: [log, alert, exit], simulate_drops: true", "");
    assert_eq!((outcome.code, outcome.events(), outcome.alerts().len()), (1, 1, 1));
    // As a debug message, and as a critical one.
    assert_eq!((outcome.logged(DROPS), outcome.logged(": Exiting.")), (2, 1));
    let outcome = replay(2, "actions: [log, alert, log], max_burst: 2, simulate_drops: true", "");
    assert_eq!((outcome.code, outcome.events(), outcome.alerts().len()), (0, 3, 2));
    assert_eq!(outcome.logged(DROPS), 2);
    assert_monitored(&outcome, 2, 2);
}

#[test]
fn a_burst_then_one_in_thirty_seconds_of_event_time() {
    let outcome = replay(70, "actions: [alert], max_burst: 3, simulate_drops: true", "");
    let times: Vec<_> = outcome.alerts().iter().map(|line| line[..8].to_owned()).collect();
    assert_eq!(times, ["16:17:58", "16:17:59", "16:18:00", "16:18:29", "16:18:59"]);
    assert_monitored(&outcome, 70, 5);
    let skipped = "Syscall event drop but token bucket depleted, skipping actions";
    // The log writes a line five times a minute and counts the rest.
    assert_eq!(outcome.logged(skipped), 5);
    let counted = format!("{skipped} (repeated 60 more times within a minute)");
    assert_eq!(outcome.logged(&counted), 1);
}

#[test]
fn alerts_as_text_and_as_json() {
    let drops = "actions: [alert], simulate_drops: true";
    let text = replay(1, drops, "time_format_iso_8601: true\n");
    insta::assert_snapshot!(text.alerts()[0], @r#"16:17:58.881785349: Debug Falco internal: syscall event drop. 1 system calls dropped in last second. (ebpf_enabled="0" n_drops="1" n_drops_buffer_clone_fork_exit="0" n_drops_buffer_close_exit="0" n_drops_buffer_connect_exit="0" n_drops_buffer_dir_file_exit="0" n_drops_buffer_execve_exit="0" n_drops_buffer_open_exit="0" n_drops_buffer_other_interest_exit="0" n_drops_buffer_proc_exit="0" n_drops_buffer_total="0" n_drops_bug="0" n_drops_page_faults="0" n_drops_scratch_map="0" n_evts="0")"#);
    let json = replay(1, drops, "json_output: true\n");
    let alert: Value = serde_json::from_str(json.alerts()[0]).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&alert).unwrap(), @r#"
    {
      "hostname": "HOST",
      "output": "Falco internal: syscall event drop. 1 system calls dropped in last second.",
      "output_fields": {
        "ebpf_enabled": "0",
        "n_drops": "1",
        "n_drops_buffer_clone_fork_exit": "0",
        "n_drops_buffer_close_exit": "0",
        "n_drops_buffer_connect_exit": "0",
        "n_drops_buffer_dir_file_exit": "0",
        "n_drops_buffer_execve_exit": "0",
        "n_drops_buffer_open_exit": "0",
        "n_drops_buffer_other_interest_exit": "0",
        "n_drops_buffer_proc_exit": "0",
        "n_drops_buffer_total": "0",
        "n_drops_bug": "0",
        "n_drops_page_faults": "0",
        "n_drops_scratch_map": "0",
        "n_evts": "0"
      },
      "priority": "Debug",
      "rule": "Falco internal: syscall event drop",
      "source": "internal",
      "time": "2016-08-04T16:17:58.881785349Z"
    }
    "#);
}
