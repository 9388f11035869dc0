//! What the program says about itself: whole log lines, and warnings about what has no effect.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
load_plugins: []
";

const RULES: &str = "\
- rule: Opened
  desc: a file is opened
  condition: evt.type in (open, openat) and proc.name = cat
  output: opened %fd.name by %proc.name
  priority: NOTICE
  tags: [files]
";

/// A directory with a configuration and rules, in which the program runs.
struct Place(TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("falco.yaml", &format!("{CONFIG}{config}"));
        place.write("rules.yaml", RULES);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.0.path()).args(["-c", "falco.yaml"]).args(arguments);
        command.env("TZ", "UTC").env("FALCO_HOSTNAME", "HOST").stdin(Stdio::null());
        command
    }

    /// A dry run that succeeds, and what it writes to stderr.
    fn dry_run(&self, arguments: &[&str]) -> String {
        let output = self.command(&[&["--dry-run"], arguments].concat()).output().unwrap();
        let stderr = stderr(&output);
        assert!(output.status.success(), "{stderr}");
        stderr
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Everything that a dry run writes to stderr, one text for each write.
fn writes(place: &Place, arguments: &[&str]) -> Vec<String> {
    // A datagram socket keeps writes apart.
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut command = place.command(&[&["--dry-run"], arguments].concat());
    let status = command.stderr(OwnedFd::from(theirs)).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    ours.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut texts = Vec::new();
    while let Ok(len) = ours.recv(&mut buffer) {
        texts.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
    }
    texts
}

#[test]
fn every_log_line_is_one_write() {
    let place = Place::new("priorty: debug\n");
    let texts = writes(&place, &["-r", "rules.yaml"]);
    assert!(texts.len() > 5, "{texts:?}");
    for text in texts {
        assert!(text.ends_with('\n') && text.trim_end().contains(": "), "{text:?}");
    }
}

#[test]
fn json_log_lines_are_objects_with_time_level_and_message() {
    let place = Place::new("log_format: json\npriorty: debug\n");
    let texts = writes(&place, &["-r", "rules.yaml"]);
    let lines: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert!(lines.len() > 5, "{texts:?}");
    for line in &lines {
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(["info", "warning"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    let is_warning = |line: &&Value| {
        line["message"].as_str().unwrap().starts_with("falco.yaml:7:1: unknown key 'priorty'")
    };
    assert_eq!(lines.iter().filter(is_warning).count(), 1, "{lines:?}");
    let wrong = place.command(&["-o", "log_format=xml", "--dry-run"]).output().unwrap();
    assert!(stderr(&wrong).ends_with("Error: Unknown log format xml\n"), "{}", stderr(&wrong));
}
