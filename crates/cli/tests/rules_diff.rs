//! `peregrine rules diff`, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value as Json;

const CAPTURE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");

const OLD: &str = "\
- list: shells
  items: [bash, sh, dash]
- macro: opened_for_writing
  condition: evt.type in (open, openat, openat2, creat) and evt.is_open_write = true
- macro: never
  condition: evt.num = 0
- rule: Configuration changed
  desc: A file below /etc is written.
  condition: opened_for_writing and fd.name startswith /etc/ and proc.name in (shells)
  output: changed %fd.name
  priority: WARNING
  tags: [host, filesystem]
- rule: Hashes read
  desc: Password hashes are read.
  condition: evt.type in (open, openat) and evt.is_open_read = true and (fd.name = /etc/shadow or fd.name = /etc/gshadow)
  output: read %fd.name
  priority: NOTICE
- rule: Old
  desc: d
  condition: evt.type = execve and proc.name = nmap
  output: scan
  priority: INFO
";

/// Another list, priority, tag and output; a rule that is only rewritten; one that is gone, and one
/// that is new.
const NEW: &str = "\
- list: shells
  items: [bash, dash, zsh]
- list: hashes
  items: [/etc/gshadow, /etc/shadow]
- macro: opened_for_writing
  condition: evt.is_open_write = true and evt.type in (openat2, openat, open, creat)
- macro: never
  condition: evt.num = 0
- macro: opened
  condition: (evt.type in (openat, open) or never)
- rule: Configuration changed
  desc: A file below /etc is written.
  condition: opened_for_writing and fd.name startswith /etc and proc.name in (shells)
  output: changed %fd.name by %proc.name
  priority: ERROR
  tags: [host, persistence]
- rule: Hashes read
  desc: Password hashes are read.
  condition: opened and evt.is_open_read=true and fd.name in (hashes)
  output: read %fd.name
  priority: NOTICE
- rule: Accounts changed
  desc: d
  condition: opened_for_writing and fd.name = /etc/passwd
  output: accounts changed by %proc.name
  priority: ERROR
";

fn diff(words: &[&str]) -> Output {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("old.yaml", OLD), ("new.yaml", NEW), ("bad.yaml", "- rule: x\n")] {
        fs::write(place.path().join(name), text).unwrap();
    }
    let more = "- rule: Old\n  enabled: false\n- {list: shells, items: [ksh], append: true}\n";
    fs::write(place.path().join("more.yaml"), more).unwrap();
    let parts = "- {list: l, items: [a]}\n- {macro: m, condition: proc.name in (l)}\n";
    fs::write(place.path().join("parts.yaml"), parts).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    program.current_dir(place.path()).args([&["rules", "diff"], words].concat()).output().unwrap()
}

fn text(words: &[&str]) -> String {
    let output = diff(words);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace(CAPTURE, "CAPTURE")
}

#[test]
fn differences_are_those_of_meaning_and_of_alerts() {
    insta::assert_snapshot!(text(&["old.yaml", "new.yaml", "--capture", CAPTURE]));
}

#[test]
fn markdown_is_for_reviews() {
    insta::assert_snapshot!(text(&[
        "old.yaml",
        "new.yaml",
        "--format",
        "markdown",
        "--capture",
        CAPTURE
    ]));
}

#[test]
fn later_files_are_part_of_a_set() {
    insta::assert_snapshot!(text(&["old.yaml", "old.yaml,more.yaml"]));
}

#[test]
fn json_has_all_of_it() {
    let json = text(&["old.yaml", "new.yaml", "--format", "json", "--capture", CAPTURE]);
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["same"], &json["rewritten"]), (&false.into(), &1.into()));
    let names = |change: &str| -> Vec<&str> {
        let rules = json["rules"].as_array().unwrap().iter();
        rules
            .filter(|rule| rule["change"] == change)
            .map(|rule| rule["name"].as_str().unwrap())
            .collect()
    };
    assert_eq!(names("changed"), ["Configuration changed"]);
    assert_eq!((names("added"), names("removed")), (vec!["Accounts changed"], vec!["Old"]));
    let changed = &json["rules"][0]["details"];
    assert_eq!(changed["properties"]["priority"]["new"], "Error");
    assert_eq!(changed["through"], serde_json::json!(["list shells"]));
    assert_eq!(json["alerts"][0]["rules"][0]["rule"], "Configuration changed");
}

#[test]
fn exit_codes_are_those_of_diff() {
    let code = |words: &[&str]| diff(words).status.code().unwrap();
    assert_eq!(code(&["old.yaml", "old.yaml", "--capture", CAPTURE]), 0);
    assert_eq!(code(&["old.yaml", "new.yaml"]), 1);
    // A macro and a list that no rule uses yet.
    assert_eq!(code(&["old.yaml", "old.yaml,parts.yaml"]), 0);
    assert_eq!(code(&["old.yaml", "bad.yaml"]), 2);
    assert_eq!(code(&["old.yaml", "missing.yaml"]), 2);
    assert_eq!(code(&["old.yaml", "old.yaml", "--capture", "/nowhere.scap"]), 2);
}
