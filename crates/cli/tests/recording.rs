//! Recordings, through the program: a replay of a recording raises the same alerts.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use peregrine_event::{Abi, Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};

const CONFIG: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
json_output: true
log_stderr: true
log_syslog: false
plugins: [{name: container, library_path: libcontainer.so}]
";

/// Prints everything about each fd and process event, so that wrongly recorded state is detected.
const RULES: &str = "\
- rule: Everything
  desc: Every event.
  condition: evt.num > 0
  output: \"%evt.num %evt.type %evt.args %proc.name %proc.cmdline %proc.pid %proc.aname[1] %proc.aname[2] %proc.exepath
    %proc.cwd %proc.env %proc.tty %proc.sid %proc.vpid %proc.is_exe_writable %proc.exe_ino %proc.fdopencount %thread.cap_effective
    %fd.name %fd.type %fd.num %fd.lip %fd.rport %fd.l4proto %fd.is_server %user.name %group.name %container.id %container.name\"
  priority: DEBUG
";

/// Opens of one file start a capture.
const CAPTURE_RULES: &str = "\
- rule: Opened
  desc: A file is opened.
  condition: evt.type in (open, openat) and fd.name contains shadow
  output: \"%evt.num %fd.name by %proc.cmdline of %proc.aname[1] in %proc.cwd\"
  priority: NOTICE
  capture: true
  capture_duration: 2
- rule: Closed
  desc: A file is closed.
  condition: evt.type = close and fd.name contains shadow
  output: \"%fd.name by %proc.cmdline of %proc.aname[1] in %proc.cwd\"
  priority: NOTICE
";

struct Place(tempfile::TempDir);

impl Place {
    fn new(rules: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("falco.yaml"), CONFIG).unwrap();
        fs::write(place.path("rules.yaml"), rules).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replays a capture and returns the alerts, without the summary after them.
    fn replay(&self, capture: &Path, more: &[&str]) -> Vec<String> {
        let output = self.run(capture, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8(output.stdout).unwrap();
        stdout.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect()
    }

    fn run(&self, capture: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.0.path()).env("TZ", "UTC").env("FALCO_HOSTNAME", "HOST");
        command.args(["-c", "falco.yaml", "-r", "rules.yaml", "-o", "engine.kind=replay", "-o"]);
        command.arg(format!("engine.replay.capture_file={}", capture.display()));
        command.args(more).output().unwrap()
    }
}

fn shipped() -> Vec<PathBuf> {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    let all = fs::read_dir(captures).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        all.filter(|path| path.extension().is_some_and(|e| e == "scap")).collect();
    all.sort();
    all
}

/// Names of the captures around alerts.
fn captures(place: &Place) -> Vec<String> {
    let files = fs::read_dir(place.0.path()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("cap_")).collect();
    names.sort();
    names
}

#[test]
fn a_recorded_replay_replays_the_same() {
    let place = Place::new(RULES);
    let captures = shipped();
    assert!(captures.len() > 1);
    for capture in captures {
        for name in ["again.scap", "again.scap.gz"] {
            let file = place.path(name);
            let first = place.replay(&capture, &["-w", name]);
            let second = place.replay(&file, &[]);
            assert!(first == second, "{}: not the same when recorded", capture.display());
        }
        let plain = fs::metadata(place.path("again.scap")).unwrap().len();
        assert!(fs::metadata(place.path("again.scap.gz")).unwrap().len() < plain);
    }
}

#[test]
fn what_can_not_be_recorded_is_told_at_once() {
    let place = Place::new(RULES);
    let output = place.run(&shipped()[0], &["-w", "no/such/directory.scap"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Error: cannot record into no/such/directory.scap: "), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn captures_around_alerts_raise_them_again() {
    let place = Place::new(CAPTURE_RULES);
    let capture = shipped().into_iter().find(|path| path.ends_with("own_acts.scap")).unwrap();
    let keys = ["-o", "capture.enabled=true", "-o", "capture.path_prefix=cap"];
    let alerts = place.replay(&capture, &keys);
    assert!(!alerts.is_empty());
    let files = captures(&place);
    assert!(!files.is_empty());
    for file in &files {
        let again = place.replay(&place.path(file), &[]);
        assert!(!again.is_empty(), "{file}");
        // Events are renumbered; everything else is unchanged.
        let without_number = |line: &String| {
            let alert: serde_json::Value = serde_json::from_str(line).unwrap();
            let mut fields = alert["output_fields"].clone();
            fields.as_object_mut().unwrap().remove("evt.num");
            (alert["rule"].to_string(), alert["time"].to_string(), fields.to_string())
        };
        let alerts: Vec<_> = alerts.iter().map(without_number).collect();
        for line in &again {
            assert!(alerts.contains(&without_number(line)), "{file}: {line}");
        }
    }
    let stem = files[0].strip_suffix(".scap").unwrap();
    let digits: Vec<_> = stem.split('_').skip(1).map(str::len).collect();
    assert_eq!(digits, [20, 20]);
}

#[test]
fn alerts_that_go_on_make_one_capture() {
    let place = Place::new(RULES);
    let mode = ["-o", "capture.enabled=true", "-o", "capture.mode=all_rules"];
    let more = ["-o", "capture.path_prefix=cap", "-o", "capture.default_duration=1000000"];
    place.replay(&shipped()[0], &[mode, more].concat());
    assert_eq!(captures(&place).len(), 1);
}

/// The rule shown on the page about live monitoring.
fn rule_of_the_page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/live.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rule) = page.split_once("```yaml\n- rule: Call of 32 bits\n").unwrap();
    format!("- rule: Call of 32 bits\n{}", rule.split_once("```").unwrap().0)
}

#[test]
fn recordings_keep_how_calls_were_made() {
    let place = Place::new(&rule_of_the_page());
    let file = fs::File::create(place.path("calls.scap")).unwrap();
    let mut writer = Writer::new(file, Compression::None, &[]).unwrap();
    for (ts, abi) in [(1, Abi::Native), (2, Abi::Ia32), (3, Abi::Aarch32)] {
        let mut bytes = Vec::new();
        let mut builder = Builder::new(EventType::SyscallOpenX, ts, 7);
        builder.i64(-2).text("/none").u32(1).u32(0).u32(0).u64(0).finish(&mut bytes).unwrap();
        let mut event = Event::parse(&bytes, 0).unwrap();
        event.abi = abi;
        writer.event(&event, false).unwrap();
    }
    writer.finish().unwrap();

    let alerts = place.replay(&place.path("calls.scap"), &["-w", "again.scap"]);
    let abis: Vec<_> = alerts
        .iter()
        .map(|line| {
            let alert: serde_json::Value = serde_json::from_str(line).unwrap();
            alert["output_fields"]["evt.abi"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(abis, ["ia32", "aarch32"]);
    assert_eq!(place.replay(&place.path("again.scap"), &[]), alerts);
}
