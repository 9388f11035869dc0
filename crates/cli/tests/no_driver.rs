//! `engine.kind: nodriver`: a run without events.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
load_plugins: []
webserver: {enabled: true, listen_address: 127.0.0.1, listen_port: 0, prometheus_metrics_enabled: true}
metrics: {enabled: true, interval: 100ms, output_file: metrics.jsonl}
syscall_event_timeouts: {max_consecutives: 1}
";

const RULES: &str =
    "- {rule: Opened, desc: d, condition: evt.type = open, output: o, priority: NOTICE}\n";

/// Starts without events, with web server and metrics, and asks for both.
#[test]
fn without_a_source_it_runs_until_stopped() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("falco.yaml"), CONFIG).unwrap();
    fs::write(place.path().join("rules.yaml"), RULES).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(place.path()).args(["-c", "falco.yaml", "-r", "rules.yaml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let started = lines.find(|line| line.as_ref().unwrap().contains("listening on ")).unwrap();
    let started = started.unwrap();
    let address = started.rsplit("listening on ").next().unwrap();
    let page = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    };
    assert!(page("/healthz").starts_with("HTTP/1.1 200 "), "{}", page("/healthz"));
    assert!(page("/metrics").contains("\nfalcosecurity_falco_version_info{"));
    let samples = place.path().join("metrics.jsonl");
    while fs::read_to_string(&samples).unwrap().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        thread::sleep(Duration::from_millis(20));
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("Events detected: 0") && !stdout.contains("timeouts"), "{stdout}");
}
