//! Outputs with a format, a selection and fields of their own, seen from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]
#![allow(clippy::print_stdout, reason = "a test says why it was skipped")]

mod ocsf;
mod throttling;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use peregrine_event::snapshot::{self, Item};
use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use serde_json::Value;
use tempfile::TempDir;

/// A replay in a directory of its own.
struct Place {
    directory: TempDir,
}

impl Place {
    /// With these outputs; what else is needed, the configuration has.
    fn new(outputs: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let config = "\
engine: {kind: replay, replay: {capture_file: events.scap}}
log_stderr: true
log_syslog: false
plugins: [{name: container, library_path: libcontainer.so}]
";
        place.write("falco.yaml", &format!("{config}{outputs}"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Events that open these files, a second between them.
    fn opens(&self, names: &[&[u8]]) {
        self.events(&(1..).zip(names.iter().copied()).collect::<Vec<_>>());
    }

    /// Events that open files at these seconds.
    fn events(&self, opens: &[(u64, &[u8])]) {
        let file = File::create(self.path("events.scap")).unwrap();
        let thread = snapshot::Thread {
            tid: 7,
            pid: 7,
            comm: (*b"cat").into(),
            exe: (*b"/bin/cat").into(),
            ..snapshot::Thread::default()
        };
        let snapshot = [Item::Thread(Box::new(thread))];
        let mut capture = Writer::new(file, Compression::None, &snapshot).unwrap();
        for (second, name) in opens {
            let mut bytes = Vec::new();
            Builder::new(EventType::SyscallOpenX, START + second * SECOND, 7)
                .i64(3)
                .text(name)
                .u32(1)
                .u32(0)
                .u32(0)
                .u64(0)
                .finish(&mut bytes)
                .unwrap();
            capture.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        }
        drop(capture.finish().unwrap());
    }

    fn run(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.directory.path()).env("FALCO_HOSTNAME", "host-1");
        command.args(["-c", "falco.yaml", "-r", "rules.yaml"]).output().unwrap()
    }

    /// What it wrote to standard error.
    #[track_caller]
    fn run_well(&self) -> String {
        let output = self.run();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        errors
    }
}

const SECOND: u64 = 1_000_000_000;
/// Time of the capture.
const START: u64 = 1_470_327_477_000_000_000;

const RULES: &str = "
- rule: Secret opened
  desc: d
  condition: evt.type = open and fd.name startswith /secret
  output: secret %fd.name opened in %evt.num by %proc.name
  priority: ERROR
  tags: [mitre_credential_access, T1003]
- rule: File opened
  desc: d
  condition: evt.type = open
  output: file %fd.name opened in %evt.num
  priority: NOTICE
  tags: [files]
";

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures")
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One alert in all formats. Only the outputs that show fields have them, and only an OCSF finding
/// has what the rule does not print.
#[test]
fn each_output_has_its_format() {
    let place = Place::new(
        "
file_output: {enabled: true, filename: file, keep_alive: true, peregrine: {format: ocsf}}
stdout_output: {enabled: true, peregrine: {format: cef}}
program_output: {enabled: true, keep_alive: true, program: cat > program, peregrine: {format: json}}
",
    );
    place.write("rules.yaml", RULES);
    place.opens(&[b"/secret|x=y"]);
    let output = place.run();
    assert!(output.status.success());
    let version = env!("CARGO_PKG_VERSION");
    let cef = String::from_utf8(output.stdout).unwrap().replace(version, "VERSION");
    insta::assert_snapshot!(cef.lines().next().unwrap());
    insta::assert_snapshot!(place.read("program"));
    let ocsf = place.read("file").replace(version, "VERSION");
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&ocsf)[0]).unwrap());
}

#[test]
fn each_output_gets_the_alerts_that_it_selects() {
    let place = Place::new(
        "
json_output: true
file_output: {enabled: true, filename: file, peregrine: {select: {tags: [T1003, nothing]}}}
stdout_output: {enabled: true, peregrine: {select: {priority: error}}}
program_output:
  enabled: true
  keep_alive: true
  program: cat > program
  peregrine: {format: text, select: {rules: ['*opened', 'File opene', 'Falco internal: x']}}
",
    );
    place.write("rules.yaml", RULES);
    place.opens(&[b"/secret", b"/etc/passwd", b"/secret/2"]);
    let output = place.run();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let names = |text: &str| -> Vec<_> {
        json(text).iter().map(|alert| alert["output_fields"]["fd.name"].clone()).collect()
    };
    assert_eq!(names(&place.read("file")), ["/secret", "/secret/2"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let alerts: Vec<_> = stdout.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(names(&alerts.join("\n")), ["/secret", "/secret/2"]);
    assert_eq!(place.read("program").lines().count(), 3);
    // Both are selections that no rule meets.
    assert!(errors.contains("no rule has the tag 'nothing'"), "{errors}");
    assert!(errors.contains("no rule is named 'File opene'"), "{errors}");
    assert!(errors.contains("did you mean `File opened`?"), "{errors}");
    assert!(!errors.contains("named 'Falco internal"), "{errors}");
    // Nothing is lost, and the summary counts all.
    assert!(!stdout.contains("Alerts lost"), "{stdout}");
    assert!(stdout.contains("Events detected: 3"), "{stdout}");
}

#[test]
fn fields_are_dropped_and_renamed_where_an_output_says_so() {
    let place = Place::new(
        "
json_output: true
file_output:
  enabled: true
  filename: file
  peregrine: {fields: {drop: ['proc.*'], rename: {fd.name: path}}}
program_output: {enabled: true, keep_alive: true, program: cat > program}
",
    );
    place.write("rules.yaml", RULES);
    place.opens(&[b"/secret"]);
    place.run_well();
    let fields = |file| json(&place.read(file))[0]["output_fields"].to_string();
    let time = "1470327478000000000";
    assert_eq!(fields("file"), format!(r#"{{"evt.num":1,"evt.time":{time},"path":"/secret"}}"#));
    assert_eq!(
        fields("program"),
        format!(r#"{{"evt.num":1,"evt.time":{time},"fd.name":"/secret","proc.name":"cat"}}"#)
    );
}

#[test]
fn names_that_collide_are_errors() {
    for (rename, errors) in [
        (
            "{fd.name: proc.name}",
            "file_output.peregrine.fields.rename: alerts of rule 'Secret opened' have fd.name and \
             proc.name, and both would be 'proc.name'",
        ),
        (
            "{fd.name: x, proc.name: x}",
            "file_output.peregrine.fields.rename: two fields get the name 'x'",
        ),
    ] {
        let fields = format!("peregrine: {{fields: {{rename: {rename}}}}}");
        let place = Place::new(&format!(
            "json_output: true\nfile_output: {{enabled: true, filename: file, {fields}}}\n"
        ));
        place.write("rules.yaml", RULES);
        place.opens(&[b"/secret"]);
        let output = place.run();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}");
        assert!(text.contains(errors) && text.contains("falco.yaml:6:"), "{text}");
    }
}
