//! The explained form of problems: where it is printed, and where it stands alone.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::pty::openpty;
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
load_plugins: []
";

/// Valid, with a warning that Falco gives and one that it does not give.
const DOUBTFUL: &str = "\
- rule: Lookup
  desc: a name is looked up
  condition: evt.type = connect and fd.sip.name = example.org
  output: '%proc.name'
  priority: NOTICE
  tag: [net]
";

const WRONG: &str = "- rule: Shell\n  desc d\n- macro: m\n  cond: proc.name = sh\n";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("falco.yaml", CONFIG);
        place.write("doubtful.yaml", DOUBTFUL);
        place.write("wrong.yaml", WRONG);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.path()).args(["-c", "falco.yaml"]).args(arguments);
        command.env("TZ", "UTC").env("FALCO_HOSTNAME", "HOST").env_remove("NO_COLOR");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// Everything that a terminal gets.
    fn on_terminal(&self, arguments: &[&str], colors: bool) -> String {
        let pty = openpty(None, None).unwrap();
        let mut command = self.command(arguments);
        command.stdout(pty.slave.try_clone().unwrap()).stderr(pty.slave);
        if !colors {
            command.env("NO_COLOR", "1");
        }
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut shown = Vec::new();
        // A terminal without writers gives an error in place of an end.
        let _ = File::from(pty.master).read_to_end(&mut shown);
        child.wait().unwrap();
        String::from_utf8(shown).unwrap().replace("\r\n", "\n")
    }
}

#[test]
fn warnings_are_explained_once_and_falcos_text_stays() {
    let place = Place::new();
    for arguments in [&["-V", "doubtful.yaml"][..], &["-r", "doubtful.yaml", "--dry-run"]] {
        let (code, _, stderr) = place.run(arguments);
        assert_eq!(code, 0, "{stderr}");
        for part in ["[W0411]", "--> doubtful.yaml:3:37", "[W0102]", "did you mean `tags`?"] {
            assert_eq!(stderr.matches(part).count(), 1, "{part}: {stderr}");
        }
        assert_eq!(stderr.matches("LOAD_UNKNOWN_KEY (Unknown key").count(), 1, "{stderr}");
        assert!(!stderr.contains('\x1b'));
    }
    let (_, stdout, _) = place.run(&["-V", "doubtful.yaml"]);
    assert_eq!(stdout, "doubtful.yaml: Ok, with warnings\n");
}

#[test]
fn json_results_are_those_of_falco() {
    let place = Place::new();
    let (code, stdout, _) =
        place.run(&["-o", "json_output=true", "-V", "doubtful.yaml", "-V", "wrong.yaml"]);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    let results = json["falco_load_results"].as_array().unwrap();
    assert_eq!(results[0]["warnings"].as_array().unwrap().len(), 1);
    assert_eq!(results[0]["warnings"][0]["code"], "LOAD_UNKNOWN_KEY");
    assert_eq!(results[1]["errors"].as_array().unwrap().len(), 1);
    assert_eq!(results[1]["errors"][0]["code"], "LOAD_ERR_YAML_PARSE");
}

#[test]
fn all_errors_of_a_file_are_explained_before_the_last_line() {
    let (code, _, stderr) = Place::new().run(&["-V", "wrong.yaml"]);
    assert_eq!(code, 1);
    let places =
        ["wrong.yaml:2:3", "[E0012]", "wrong.yaml:4:3", "[E0116]", "Error: wrong.yaml: Invalid"];
    for part in places {
        assert_eq!(stderr.matches(part).count(), 1, "{part}: {stderr}");
    }
}

#[test]
fn on_a_terminal_the_explained_form_stands_alone() {
    let place = Place::new();
    insta::assert_snapshot!(shown(&place.on_terminal(&["-V", "wrong.yaml"], false)), @r"
    error: missing `:` after `desc` [E0012]
     --> wrong.yaml:2:3
      |
    2 |   desc d
      |   ^^^^
      = help: write `desc: d`

    error: `cond` is no key of macros: it is called `condition` [E0116]
     --> wrong.yaml:4:3
      |
    4 |   cond: proc.name = sh
      |   ^^^^
      = help: write `condition`
    wrong.yaml: 2 errors
    Error: wrong.yaml: 2 errors
    ");
    let colored = place.on_terminal(&["-V", "wrong.yaml"], true);
    assert!(colored.contains("\x1b[1;31merror\x1b[0m"), "{colored:?}");
    let warned = place.on_terminal(&["-V", "doubtful.yaml"], false);
    assert!(!warned.contains("LOAD_UNKNOWN_KEY ("), "{warned}");
    assert!(shown(&warned).ends_with("doubtful.yaml: 2 warnings\n"), "{warned}");
    place.write("falco.yaml", &format!("{CONFIG}log_level: loud\n"));
    insta::assert_snapshot!(shown(&place.on_terminal(&["--dry-run"], false)), @r"
    error: Unknown log level loud [CONFIG_ERR_VALUE]
     --> falco.yaml:6:12
      |
    6 | log_level: loud
      |            ^^^^
      = help: one of emergency, alert, critical, error, warning, notice, info, debug
    ");
}

/// What is shown apart from lines of the log, the last lines in a fixed order: standard output and
/// standard error are the same terminal.
fn shown(text: &str) -> String {
    let is_log = |line: &&str| {
        line.get(..4).is_some_and(|day| {
            ["Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat ", "Sun "].contains(&day)
        })
    };
    let lines: Vec<_> = text.lines().filter(|line| !is_log(line)).collect();
    let verdict =
        |line: &&&str| line.starts_with("wrong.yaml: ") || line.starts_with("doubtful.yaml: ");
    let others = lines.iter().filter(|line| !verdict(line) && !line.starts_with("Error: "));
    let verdicts = lines.iter().filter(verdict);
    let errors = lines.iter().filter(|line| line.starts_with("Error: "));
    others.chain(verdicts).chain(errors).map(|line| format!("{line}\n")).collect()
}

#[test]
fn validate_takes_directories_and_several_files() {
    let place = Place::new();
    fs::create_dir(place.path().join("rules")).unwrap();
    place.write("rules/b.yaml", "- list: unused\n  items: [a]\n");
    place.write("rules/a.yml", DOUBTFUL);
    place.write("rules/notes.txt", "none");
    let (code, stdout, stderr) = place.run(&["-V", "rules"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout, "rules/a.yml: Ok, with warnings\nrules/b.yaml: Ok, with warnings\n");
    let (_, stdout, _) = place.run(&["-V", "doubtful.yaml", "rules/b.yaml"]);
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
    fs::create_dir(place.path().join("empty")).unwrap();
    let (code, _, stderr) = place.run(&["-V", "empty"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("Error: no rules files in empty"), "{stderr}");
    let (code, _, stderr) = place.run(&["--list", "k8s_audit"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("there is no source `k8s_audit`"), "{stderr}");
}
