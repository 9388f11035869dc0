//! `peregrine query`, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::File;
use std::process::{Command, Output};

use serde_json::Value as Json;

const CAPTURE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");

fn query(words: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    program.args([&["query"], words].concat()).stdin(File::open(CAPTURE).unwrap());
    program.env("TZ", "UTC").output().unwrap()
}

fn lines(words: &[&str]) -> String {
    let output = query(&[words, &["--capture", CAPTURE]].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    String::from_utf8(output.stdout).unwrap() + &errors
}

#[test]
fn events_are_printed_as_they_are_known() {
    let shadow = "fd.name = /etc/shadow and evt.type in (openat, close, newfstatat)";
    insta::assert_snapshot!(lines(&[shadow]));
}

#[test]
fn a_format_says_what_is_printed() {
    let condition = "evt.type = execve and proc.name in (cat, id)";
    insta::assert_snapshot!(lines(&[condition, "-p", "%evt.num\t%proc.cmdline", "-n", "4"]));
    let json = lines(&[condition, "-p", "%proc.name %proc.pid", "--format", "json", "-n", "1"]);
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "proc.name": json["proc.name"], "proc.pid": json["proc.pid"] })
    );
    assert!(json["proc.pid"].is_u64() || json["proc.pid"].is_i64());
}

#[test]
fn macros_of_the_rules_and_standard_input_may_be_used() {
    let words =
        ["opened_for_reading and fd.name = /etc/shadow", "--capture", "-", "--format", "json"];
    let output = query(&words);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| event["fd.name"] == "/etc/shadow"));
}

#[test]
fn the_exit_code_says_whether_there_was_an_event() {
    let code = |condition: &str| query(&[condition, "--capture", CAPTURE]).status.code().unwrap();
    assert_eq!(code("evt.num = 369"), 0);
    assert_eq!(code("proc.name = nobody"), 1);
}

#[test]
fn mistakes_are_explained() {
    let said = |words: &[&str], place: &str, remedy: &str| {
        let said = lines(words);
        assert!(said.contains(place) && said.contains(remedy), "{said}");
    };
    said(&["proc.nmae = cat"], "--> condition:1:1", "`proc.name`");
    said(&["opened_for_raeding"], "--> condition:1:1", "`opened_for_reading`");
    said(&["evt.type = openat", "-p", "%proc.nmae"], "--> output format:1:", "`proc.name`");
}

#[test]
fn events_of_one_process_and_of_one_container() {
    let pids = |words: &[&str]| -> Vec<String> {
        let condition = ["evt.type = execve", "-p", "%proc.pid %proc.ppid"];
        let shown = lines(&[&condition, words].concat());
        shown.lines().map(str::to_owned).collect()
    };
    let all = pids(&[]);
    // A process that has started others.
    let parents = all.iter().filter_map(|line| line.split_once(' ')).map(|(_, parent)| parent);
    let parents = parents.filter(|parent| parent.parse::<u64>().is_ok());
    let parent = parents.min_by_key(|parent| {
        all.iter().filter(|line| line.ends_with(&format!(" {parent}"))).count()
    });
    let parent = parent.unwrap();
    let below = pids(&["--pid", parent]);
    assert!(!below.is_empty() && below.len() < all.len());
    let children = all.iter().filter(|line| line.ends_with(&format!(" {parent}")));
    assert!(children.clone().count() > 0 && children.clone().all(|line| below.contains(line)));
    assert_eq!(pids(&["--container", "host"]).len(), all.len());
    assert_eq!(
        query(&["evt.num > 0", "--capture", CAPTURE, "--container", "0123"]).status.code(),
        Some(1)
    );
    let output = query(&["evt.num > 0", "--capture", CAPTURE, "--container", "a\" or"]);
    assert!(!output.status.success());
}
