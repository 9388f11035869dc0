//! `peregrine rules lint`: exit codes, baselines and costs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

const RULES: &str = "
- rule: Shell
  desc: A shell is started.
  condition: evt.type in (execve, execveat) and proc.name = bash
  output: shell %proc.exepath %proc.cmdline (parent=%proc.pname user=%user.name)
  priority: NOTICE
  tags: [mitre_execution]
";

fn lint(directory: &TempDir, words: &[&str]) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    let words = ["rules", "lint"].iter().chain(words);
    let output: Output = program.current_dir(directory).args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("rules.yaml"), RULES).unwrap();
    fs::write(directory.path().join("broken.yaml"), "- rule: x\n").unwrap();
    directory
}

#[test]
fn exit_codes_say_what_was_found() {
    let directory = directory();
    let (code, out, err) = lint(&directory, &["rules.yaml"]);
    assert!(code == 0 && out.starts_with("warning: ") && out.contains("[L0401]"), "{out}{err}");
    assert_eq!(err, "0 errors, 1 warning\n");
    let (code, out, _) = lint(&directory, &["--deny", "L04", "rules.yaml"]);
    assert!(code == 1 && out.starts_with("error: "), "{out}");
    let (code, out, err) = lint(&directory, &["--allow=L0401", "--deny=all", "rules.yaml"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "0 errors, 0 warnings\n"));
    for words in [&["broken.yaml"][..], &["absent.yaml"], &["--deny", "L9", "rules.yaml"]] {
        let (code, out, err) = lint(&directory, words);
        assert!(code == 2 && out.is_empty() && err.contains("Error: "), "{words:?}: {err}");
    }
}

#[test]
fn a_baseline_holds_what_was_found_before() {
    let directory = directory();
    let (code, _, err) = lint(&directory, &["--write-baseline", "known.json", "rules.yaml"]);
    assert_eq!((code, err.as_str()), (0, "known.json: 1 findings\n"));
    let words = ["--baseline", "known.json", "--deny", "all", "rules.yaml"];
    let (code, out, err) = lint(&directory, &words);
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(err, "0 errors, 0 warnings, 1 known from the baseline\n");
}

#[test]
fn costs_are_weighted_by_a_capture() {
    let capture = format!("{}/../../conformance/captures/own_zoo.scap", env!("CARGO_MANIFEST_DIR"));
    let (code, out, _) = lint(&directory(), &["--costs", "--capture", &capture, "rules.yaml"]);
    assert_eq!(code, 0);
    let row = out.lines().nth(1).unwrap();
    assert!(row.ends_with("%  Shell"), "{out}");
}
