//! Rules of the first releases: executes the page about them literally.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
load_plugins: []
";

/// The blocks of a language in the page.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string("../../docs/old-rules.md").unwrap();
    let parts = page.split("```").skip(1).step_by(2);
    parts.filter_map(|block| Some(block.strip_prefix(language)?.trim_start().to_owned())).collect()
}

/// A directory in which the commands of the page can be run.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    fs::copy(captures.join("cat_write.scap"), place.path().join("trace.scap")).unwrap();
    fs::write(place.path().join("falco.yaml"), CONFIG).unwrap();
    fs::write(place.path().join("old.conf"), &blocks("conf")[0]).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_peregrine"), place.path().join("peregrine"))
        .unwrap();
    place
}

fn shell(place: &TempDir, commands: &str) -> Output {
    let path = format!("{}:/usr/bin:/bin", place.path().display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", commands]).current_dir(place.path()).env("PATH", path).env("TZ", "UTC");
    shell.output().unwrap()
}

#[test]
fn the_page_tells_what_happens() {
    let place = place();
    for commands in blocks("sh") {
        let output = shell(&place, &commands);
        assert!(output.status.success(), "{commands}{}", String::from_utf8_lossy(&output.stderr));
    }
    let file = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(file("new.yaml"), blocks("yaml")[0]);
    let alerts = file("new.txt");
    assert!(alerts.contains(
        "16:17:57.881799840: Informational Library opened (cat /lib/x86_64-linux-gnu/libc.so.6)\n"
    ));
    assert!(
        alerts.contains("\nTriggered rules by rule name:\n   Library opened: 2\n   Rule 2: 1\n")
    );
}

#[test]
fn old_rules_say_that_they_are_old() {
    let place = place();
    let output = shell(&place, "peregrine -c falco.yaml -o json_output=true -V old.conf");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &answer["falco_load_results"][0];
    assert_eq!(result["successful"], true);
    assert_eq!(result["warnings"][0]["code"], "LOAD_DEPRECATED_ITEM");
    assert!(result["warnings"][0]["message"].as_str().unwrap().contains("peregrine rules convert"));
}

#[test]
fn what_is_wrong_with_old_rules_has_its_place() {
    let place = place();
    fs::write(place.path().join("old.conf"), "opened: evt.type = open\nopened | LOUD noise\n")
        .unwrap();
    for command in ["peregrine rules convert old.conf", "peregrine -c falco.yaml -V old.conf"] {
        let output = shell(&place, command);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("--> old.conf:2:10\n"), "{stderr}");
        assert!(
            stderr.lines().last().unwrap().starts_with("Error: old.conf") || command.contains("-V")
        );
    }
    let output = shell(&place, "peregrine rules convert gone.conf");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "Error: Could not open file gone.conf for reading\n"
    );
}

#[test]
fn commands_explain_themselves() {
    let place = place();
    let output = shell(&place, "peregrine rules --help; peregrine rules convert --help");
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("peregrine rules convert <FILE>"));
    assert_eq!(shell(&place, "peregrine rules brew").status.code(), Some(1));
}
