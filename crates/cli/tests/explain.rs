//! `peregrine explain`, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

const CAPTURE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");

/// A list, macros, and an exception.
const RULES: &str = "\
- list: editors
  items: [vi, nano]
- list: shells
  items: [bash, sh, dash]
- macro: opened_for_writing
  condition: evt.type in (open, openat, openat2, creat) and evt.is_open_write = true
- macro: by_a_shell
  condition: proc.name in (shells) or proc.pname in (shells)
- rule: Configuration changed
  desc: A file below /etc is written.
  condition: >
    opened_for_writing and fd.name startswith /etc/
    and by_a_shell and not proc.name in (editors)
  output: changed %fd.name
  priority: WARNING
  exceptions:
    - name: known_programs
      fields: [proc.name, fd.name]
      comps: [in, startswith]
      values: [[[useradd, bash], /etc/acts]]
- rule: Profile read
  desc: A profile is read by another program than a shell.
  condition: >
    evt.type in (open, openat) and fd.filename startswith profile and not by_a_shell
  output: read %fd.name
  priority: NOTICE
- rule: Shell over the network
  desc: A shell has a socket as its standard input.
  condition: evt.type = dup2 and proc.name in (shells) and fd.type = ipv4 and fd.sport = 4444
  output: shell %proc.name
  priority: CRITICAL
";

/// Runs the program in a directory with rules.yaml.
fn peregrine(words: &[&str]) -> Output {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("rules.yaml"), RULES).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    program.current_dir(place.path()).args(words).output().unwrap()
}

/// What a command prints on standard output, and then on standard error.
fn explain(words: &[&str]) -> String {
    let words = [&["explain", "-r", "rules.yaml", "--capture", CAPTURE], words].concat();
    let output = peregrine(&words);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    text(output.stdout) + &text(output.stderr).replace(CAPTURE, "CAPTURE")
}

#[test]
fn a_match_is_explained_with_the_nearest_misses() {
    insta::assert_snapshot!(explain(&[]));
    // The built-in rules do without a configuration.
    let output = peregrine(&["explain", "--capture", CAPTURE]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("One of "));
}

#[test]
fn a_rule_that_does_not_match_is_explained() {
    let condition = "fd.name startswith /etc/ and evt.is_open_write = true";
    let rule = "Configuration changed";
    insta::assert_snapshot!(explain(&["--condition", condition, "--rule", rule]));
}

#[test]
fn a_rule_about_other_events_is_explained_too() {
    insta::assert_snapshot!(explain(&["--event", "369", "--rule", "Shell over the network"]));
}

#[test]
fn a_whole_capture_says_why_not() {
    insta::assert_snapshot!(explain(&["--why-not", "Configuration changed", "--limit", "2"]));
}

#[test]
fn all_forms_say_the_same() {
    let rule = ["--event", "369", "--rule", "Configuration changed", "--format", "json"];
    let json: Json = serde_json::from_str(&explain(&rule)).unwrap();
    assert_eq!(json["event"]["evt.type"], "openat");
    let explained = &json["rules"][0];
    assert_eq!(explained["matches"], false);
    assert_eq!(explained["decided_by"]["condition"], "evt.is_open_write = true");
    assert_eq!(explained["decided_by"]["value"], false);
    assert_eq!(explained["decided_by"]["place"]["line"], 6);
    let parts = explained["condition"]["parts"].as_array().unwrap();
    assert_eq!(parts.last().unwrap()["exception"], "known_programs");
    assert_eq!(parts.last().unwrap()["evaluated"], false);
    assert_eq!(explained["lists"]["shells"]["line"], 3);

    let why_not = ["--why-not", "Shell over the network", "--format", "json"];
    let json: Json = serde_json::from_str(&explain(&why_not)).unwrap();
    assert_eq!(json["matches"], 0);
    assert!(json["decided_by"].as_array().unwrap().iter().any(|part| part["events"] != 0));
}

#[test]
fn what_can_not_be_explained_is_said() {
    let wrong: [&[&str]; 5] = [
        &["--rule", "Configuration chnged"],
        &["--condition", "proc.name = nobody"],
        &["--event", "999999"],
        &["--event", "1", "--condition", "proc.name = cat"],
        &["--limit", "1", "--rule", "Shell over the network"],
    ];
    let said = wrong.map(|words| format!("$ explain {}\n{}", words.join(" "), explain(words)));
    insta::assert_snapshot!(said.join("\n"));
    assert!(!Path::new("/nowhere.scap").exists());
    let missing = peregrine(&["explain", "--capture", "/nowhere.scap"]);
    assert!(!missing.status.success());
    assert!(String::from_utf8(missing.stderr).unwrap().contains("cannot read /nowhere.scap"));
    let neither = peregrine(&["explain"]);
    assert!(String::from_utf8(neither.stderr).unwrap().contains("--capture"));
}
