//! The commands that documents show are commands.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

const RULES: &str = "\
- rule: Opened
  desc: A file is opened.
  condition: evt.type in (open, openat)
  output: '%fd.name'
  priority: NOTICE
";

#[test]
fn commands_of_the_page_about_watching_start() {
    assert!(start("live.md") >= 6);
}

#[test]
fn commands_of_the_page_about_losses_start() {
    assert!(start("drops.md") >= 8);
}

#[test]
fn commands_of_the_page_about_costs_start() {
    assert!(start("profiling.md") >= 3);
}

#[test]
fn commands_of_the_page_about_settings_measure() {
    assert!(start("tune.md") >= 5);
}

/// Starts what a page shows, as far as it goes without events. Gives the number of commands.
fn start(page: &str) -> usize {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let page = fs::read_to_string(page).unwrap();
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("my_rules.yaml"), RULES).unwrap();
    let config = "engine: {kind: modern_ebpf}\nstdout_output: {enabled: true}\n";
    fs::write(place.path().join("falco.yaml"), config).unwrap();
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");
    fs::copy(capture, place.path().join("trace.scap")).unwrap();
    let mut seen = 0;
    for line in page.lines().map(|line| line.trim_start().trim_start_matches("sudo ")) {
        let words = line.strip_prefix("peregrine ").filter(|words| !words.starts_with("demo"));
        let Some(words) = words else { continue };
        // What stands after many blanks is a remark.
        let words = words.split("  #").next().unwrap_or_default().trim();
        let words = words.split_whitespace().take_while(|word| !["#", ">"].contains(word));
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(place.path()).args(words.clone());
        // A capture stands for the machine.
        match words.clone().next() {
            Some("tune") if words.clone().any(|word| word == "--capture") => &mut command,
            Some("tune") => command.args(["--capture", "trace.scap"]),
            _ => command.arg("--dry-run"),
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    seen
}
