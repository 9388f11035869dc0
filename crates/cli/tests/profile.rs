//! `--profile`, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Replays the capture that ships with the project, with the built-in rules.
fn replay(directory: &Path, more: &[&str]) -> Output {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/demo.scap");
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(directory).args(["-o", "engine.kind=replay", "-o"]);
    command.arg(format!("engine.replay.capture_file={capture}")).args(more);
    command.output().unwrap()
}

/// The words of each line of the table of rules: nine figures, and the name.
fn rules(tables: &str) -> BTreeMap<String, Vec<String>> {
    let lines = tables.lines().skip_while(|line| !line.trim_end().ends_with("  rule")).skip(1);
    let rows = lines.take_while(|line| !line.ends_with("(selecting the rules to evaluate)"));
    let row = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (words[9..].join(" "), words[..9].to_vec())
    };
    rows.map(row).collect()
}

#[test]
fn hits_are_those_of_the_summary() {
    let directory = tempfile::tempdir().unwrap();
    let output = replay(directory.path(), &["--profile"]);
    assert!(output.status.success());
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (_, summary) = stdout.split_once("Triggered rules by rule name:").unwrap();
    let alerts: BTreeMap<_, _> = (summary.lines())
        .filter_map(|line| line.trim().rsplit_once(": "))
        .map(|(rule, count)| (rule.to_owned(), count.to_owned()))
        .collect();
    assert!(alerts.len() > 2, "{stdout}");
    let rules = rules(&stderr);
    for (rule, count) in &alerts {
        assert_eq!(&rules[rule][7], count, "{stderr}");
    }
    for (rule, figures) in &rules {
        let count = |at: usize| figures[at].parse::<u64>().unwrap();
        let (events, asked, hits) = (count(5), count(6), count(7));
        assert!(hits <= asked && asked <= events && events > 0, "{rule}: {figures:?}");
        assert_eq!(hits > 0, alerts.contains_key(rule), "{rule}");
    }
    // The conditions of the most expensive rules follow.
    assert!(stderr.contains("of rules  condition\n"), "{stderr}");
    assert!(stderr.contains("evt.is_open_write = true"), "{stderr}");
}

#[test]
fn stacks_lead_from_rules_to_their_conditions() {
    let directory = tempfile::tempdir().unwrap();
    let output = replay(directory.path(), &["--profile-folded", "stacks.txt"]);
    assert!(output.status.success());
    assert!(!String::from_utf8(output.stderr).unwrap().contains("ns/event"), "not asked for");
    let stacks = fs::read_to_string(directory.path().join("stacks.txt")).unwrap();
    for line in stacks.lines() {
        let (stack, ns) = line.rsplit_once(' ').unwrap();
        assert!(ns.parse::<u64>().unwrap() > 0, "{line}");
        assert!(stack.split(';').all(|frame| !frame.is_empty()), "{line}");
    }
    assert!(stacks.lines().any(|line| line.starts_with("Write below /etc;open")), "{stacks}");
}

#[test]
fn a_file_that_can_not_be_written_is_told_before_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let output = replay(directory.path(), &["--profile-folded", "no/such/stacks.txt"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Error: cannot write no/such/stacks.txt: "), "{stderr}");
    assert!(output.stdout.is_empty());
}
