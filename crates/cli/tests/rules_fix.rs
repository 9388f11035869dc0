//! `peregrine rules fix`, through the program.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Two safe fixes and one that guesses, in a file with comments and Windows line ends.
const RULES: &str = "# Our rules.\r\n- list: shells\r\n  items: [bash, sh]   # keep\r\n\r\n- rule: Shell\r\n  desc: d\r\n  condition: evt.type = execve && proc.name in (shells) and proc.pnmae = nginx # why\r\n  output: shell\r\n  severity: INFO\r\n";

const SAFE: &str = "# Our rules.\r\n- list: shells\r\n  items: [bash, sh]   # keep\r\n\r\n- rule: Shell\r\n  desc: d\r\n  condition: evt.type = execve and proc.name in (shells) and proc.pnmae = nginx # why\r\n  output: shell\r\n  priority: INFO\r\n";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("rules.yaml", RULES);
        place
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn fix(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        program.current_dir(self.0.path()).args([&["rules", "fix"], words].concat());
        let Output { status, stdout, stderr } = program.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

#[test]
fn a_difference_is_shown_and_nothing_is_written() {
    let place = Place::new();
    let (code, shown, _) = place.fix(&["--diff", "rules.yaml"]);
    assert_eq!(code, Some(1));
    assert!(shown.starts_with("--- "), "{shown}");
    let changed = |sign: char, text: &str| {
        shown.lines().any(|line| line.starts_with(sign) && line.contains(text))
    };
    assert!(changed('-', "evt.type = execve && proc"), "{shown}");
    assert!(changed('+', "evt.type = execve and proc"), "{shown}");
    assert!(changed('-', "severity: INFO") && changed('+', "priority: INFO"), "{shown}");
    assert!(!changed('+', "proc.pname"), "a guess is not a safe fix: {shown}");
    assert_eq!(place.read("rules.yaml"), RULES);
}

#[test]
fn safe_fixes_are_written_and_all_else_stays() {
    let place = Place::new();
    let (code, shown, _) = place.fix(&["rules.yaml"]);
    assert_eq!(code, Some(0));
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(lines.iter().all(|line| line.starts_with("rules.yaml:")), "{shown}");
    assert_eq!(place.read("rules.yaml"), SAFE);
    // Nothing is left to do.
    assert_eq!(place.fix(&["rules.yaml"]).0, Some(0));
    let (code, shown, _) = place.fix(&["--diff", "rules.yaml"]);
    assert_eq!((code, shown.as_str()), (Some(0), ""));
    assert_eq!(place.read("rules.yaml"), SAFE);
}

#[test]
fn guesses_are_applied_on_demand() {
    let place = Place::new();
    assert_eq!(place.fix(&["--unsafe", "rules.yaml"]).0, Some(0));
    assert_eq!(place.read("rules.yaml"), SAFE.replace("pnmae", "pname"));
}

#[test]
fn files_that_build_on_each_other_are_fixed_where_the_mistake_is() {
    let place = Place::new();
    place.write("base.yaml", SAFE.replace("pnmae", "pname"));
    let mine =
        "\u{feff}- rule: Shell\n  condition: && user.uid != 0\n  override: {condition: append}\n";
    place.write("mine.yaml", mine);
    let (code, shown, errors) = place.fix(&["base.yaml", "mine.yaml"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.lines().all(|line| line.starts_with("mine.yaml:")), "{shown}");
    assert_eq!(place.read("mine.yaml"), mine.replace("&&", "and"));
    assert_eq!(place.read("base.yaml"), SAFE.replace("pnmae", "pname"));
}

#[test]
fn mode_and_links_of_a_file_stay() {
    let place = Place::new();
    let target = place.path("rules.yaml");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(Path::new("rules.yaml"), place.path("link.yaml")).unwrap();
    assert_eq!(place.fix(&["link.yaml"]).0, Some(0));
    assert!(place.path("link.yaml").symlink_metadata().unwrap().is_symlink());
    assert_eq!(place.read("rules.yaml"), SAFE);
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn what_has_no_fix_stays_and_what_cannot_be_read_is_an_error() {
    let place = Place::new();
    let text = "- rule: Shell\n  desc: d\n  output: o\n  priority: INFO\n";
    place.write("missing.yaml", text);
    assert_eq!(place.fix(&["missing.yaml"]).0, Some(0));
    assert_eq!(place.read("missing.yaml"), text);
    place.write("latin.yaml", b"- list: caf\xe9\n  items: []\n");
    for name in ["latin.yaml", "absent.yaml"] {
        let (code, _, errors) = place.fix(&[name]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(name), "{errors}");
    }
    let (code, _, errors) = place.fix(&["-c", "absent.conf", "rules.yaml"]);
    assert_eq!(code, Some(2), "{errors}");
    assert_eq!(place.read("rules.yaml"), RULES);
}
