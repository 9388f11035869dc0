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
        let stderr = stderr_of(&output);
        assert!(output.status.success(), "{stderr}");
        stderr
    }
}

fn stderr_of(output: &Output) -> String {
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
    assert!(
        stderr_of(&wrong).ends_with("Error: Unknown log format xml\n"),
        "{}",
        stderr_of(&wrong)
    );
}

/// The warnings in a text, with the places that they point to.
fn told(stderr: &str) -> Vec<String> {
    let mut told = Vec::new();
    for line in stderr.lines() {
        if let Some(warning) = line.strip_prefix("warning: ") {
            let (message, _code) = warning.rsplit_once(" [CONFIG_").unwrap();
            told.push(message.to_owned());
        } else if let (Some(place), Some(last)) =
            (line.trim().strip_prefix("--> "), told.last_mut())
        {
            *last = format!("{place}: {last}");
        }
    }
    told
}

#[test]
fn rules_files_that_hold_no_rules_are_named() {
    let place = Place::new("rules_files: [rules.yaml, gone.yaml, empty, notes.txt]\n");
    fs::create_dir(place.0.path().join("empty")).unwrap();
    place.write("notes.txt", "");
    assert_eq!(
        told(&place.dry_run(&[])),
        [
            "falco.yaml:6:27: rules_files: gone.yaml does not exist, so nothing is read there",
            "falco.yaml:6:38: no rules are read from empty: the directory has no .yaml or .yml file",
            "falco.yaml:6:45: no rules are read from notes.txt: the name does not end in .yaml or .yml",
        ]
    );
    // Options replace the list, and their paths stand in the log.
    let stderr = place.dry_run(&["-r", "rules.yaml", "-r", "notes.txt", "-r", "empty"]);
    assert_eq!(told(&stderr), [""; 0], "{stderr}");
    for path in ["notes.txt", "empty"] {
        assert!(stderr.contains(&format!(": no rules are read from {path}: the ")), "{stderr}");
    }
}

#[test]
fn a_pipe_is_read_if_it_is_named_and_not_from_a_directory() {
    let place = Place::new("");
    let directory = place.0.path().join("rules.d");
    fs::create_dir(&directory).unwrap();
    place.write("rules.d/rules.yaml", RULES);
    for pipe in ["rules.d/pipe.yaml", "pipe"] {
        let path = place.0.path().join(pipe);
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let stderr = place.dry_run(&["-r", "rules.d"]);
    assert!(stderr.contains("rules.d/pipe.yaml is not read: it is no regular file"), "{stderr}");

    let mut command = place.command(&["--dry-run", "-r", "pipe"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    place.write("pipe", RULES);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("   pipe | schema validation: ok"));
}

#[test]
fn selections_and_additions_that_meet_no_rule_are_named() {
    let place = Place::new(
        "rules:
- disable: {rule: Openned}
- disable: {rule: 'Shut*'}
- enable: {tag: files}
- enable: {tag: file}
append_output:
- {match: {rule: Opened, tags: [files]}, extra_output: a}
- {match: {rule: Openned}, extra_output: a}
- {match: {tags: [net]}, extra_output: a}
- {match: {source: k8s_audit}, extra_output: a}
",
    );
    let stderr = place.dry_run(&["-r", "rules.yaml"]);
    assert_eq!(
        told(&stderr),
        [
            "falco.yaml:7:19: rules: no rule is named 'Openned'",
            "falco.yaml:8:19: rules: no rule matches 'Shut*'",
            "falco.yaml:10:17: rules: no rule has the tag 'file'",
            "falco.yaml:13:18: append_output: no rule is named 'Openned'",
            "falco.yaml:14:18: append_output: no rule has the tag 'net'",
            "falco.yaml:15:11: append_output: no rule meets all of its conditions",
        ]
    );
    assert_eq!(stderr.matches("did you mean `Opened`?").count(), 2);
    assert!(stderr.contains("did you mean `files`?"), "{stderr}");
}

#[test]
fn keys_given_twice_and_values_of_the_wrong_type_are_named() {
    let place = Place::new("priority: debug\npriority: error\njson_output: perhaps\n");
    assert_eq!(
        told(&place.dry_run(&["-r", "rules.yaml", "-o", "output_timeout=soon"])),
        [
            "falco.yaml:7:1: key 'priority' is given twice, in lines 6 and 7: the one in line 6 counts",
            "falco.yaml:8:14: 'json_output' does not take this value: it is ignored, and the default applies, false",
            "command line: 'output_timeout' does not take this value: it is ignored, and the default applies, 2000",
        ]
    );
}

#[test]
fn a_dry_run_shows_warnings_whatever_the_log_is() {
    let place = Place::new("");
    place.write(
        "quiet.yaml",
        "stdout_output: {enabled: true}\nlog_syslog: false\njsn_output: true\n",
    );
    let words = ["-c", "quiet.yaml", "-r", "rules.yaml", "--dry-run"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    let output = program.current_dir(place.0.path()).args(words).output().unwrap();
    assert!(output.status.success());
    let stderr = stderr_of(&output);
    assert!(stderr.starts_with("warning: unknown key 'jsn_output'"), "{stderr}");
    assert!(
        stderr.contains(" --> quiet.yaml:3:1\n") && stderr.contains("did you mean"),
        "{stderr}"
    );
}

#[test]
fn a_dry_run_checks_outputs_and_shows_the_place() {
    let place = Place::new("program_output: {enabled: true, program: no-such-prog -x}\n");
    let output = place.command(&["-r", "rules.yaml", "--dry-run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr_of(&output);
    let error = "Error: program_output.program: there is no program no-such-prog that this user can execute\n";
    assert!(stderr.ends_with(error), "{stderr}");
    assert!(stderr.contains(" --> falco.yaml:6:42\n"), "{stderr}");
    assert!(stderr.contains("help: install it, or name it by its path"), "{stderr}");
}

#[test]
fn a_key_given_twice_in_a_rule_is_named_with_both_lines() {
    let place = Place::new("");
    place.write("rules.yaml", &format!("{RULES}  priority: ERROR\n"));
    let output = place.command(&["-o", "json_output=true", "-V", "rules.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let warning = "Key 'priority' is given twice, in lines 5 and 7. The one in line 5 counts.";
    assert!(stdout.contains(warning) && stdout.contains("LOAD_DUPLICATE_KEY"), "{stdout}");
}
