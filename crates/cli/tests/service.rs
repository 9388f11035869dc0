//! The program as a service: what it tells a service manager, its pid file, and the unit.
//!
//! Replays are enough for these; the running kernel is in `live/service.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Tells a bounded time from none.
const SOON: Duration = Duration::from_secs(60);
/// How long the service manager waits for a sign of life.
const WATCHDOG: Duration = Duration::from_millis(1500);

const CONFIG: &str = "\
stdout_output: {enabled: true}
log_stderr: true
log_syslog: false
load_plugins: []
";

const RULES: &str = "\
- rule: All
  desc: Every event is an alert.
  condition: evt.num > 0
  output: '%evt.num'
  priority: NOTICE
";

struct Place(TempDir);

/// A process that ends with the test.
struct Owned(Child);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("falco.yaml"), CONFIG).unwrap();
        fs::write(place.path("rules.yaml"), RULES).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn replay(&self, capture: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.0.path()).env_remove("NOTIFY_SOCKET");
        command.args(["-c", "falco.yaml", "-r", "rules.yaml", "-o", "engine.kind=replay", "-o"]);
        command.arg(format!("engine.replay.capture_file={}", capture.display()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.replay(&capture()).args(more).output().unwrap()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn capture() -> PathBuf {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    captures.join("own_acts.scap").canonicalize().unwrap()
}

/// The next message; `None` if none comes in this time.
fn message(manager: &UnixDatagram, within: Duration) -> Option<String> {
    let mut bytes = [0; 4096];
    manager.set_read_timeout(Some(within)).unwrap();
    let length = manager.recv(&mut bytes).ok()?;
    Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
}

/// The event thread waits for a capture that does not go on.
#[test]
fn the_watchdog_is_fed_only_while_the_event_thread_makes_progress() {
    let place = Place::new();
    let manager = UnixDatagram::bind(place.path("notify")).unwrap();
    let fifo = place.path("fifo.scap");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut command = place.replay(&fifo);
    command.env("NOTIFY_SOCKET", place.path("notify"));
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    let mut replay = Owned(command.spawn().unwrap());
    let mut writer = File::options().write(true).open(&fifo).unwrap();
    let bytes = fs::read(capture()).unwrap();
    let (begin, rest) = bytes.split_at(bytes.len() * 9 / 10);
    writer.write_all(begin).unwrap();
    let ready = message(&manager, SOON).unwrap();
    assert!(ready.starts_with("READY=1\nSTATUS=") && ready.contains("1 rules"), "{ready}");
    // Signs of life that were due before it stood still may come.
    let begun = Instant::now();
    while let Some(sign) = message(&manager, 2 * WATCHDOG) {
        assert_eq!(sign, "WATCHDOG=1");
        assert!(begun.elapsed() < SOON, "it is fed all the time");
    }
    writer.write_all(rest).unwrap();
    drop(writer);
    let mut last = message(&manager, SOON).unwrap();
    while last == "WATCHDOG=1" {
        last = message(&manager, SOON).unwrap();
    }
    assert!(last.starts_with("STOPPING=1\n"), "{last}");
    assert_eq!(replay.0.wait().unwrap().code(), Some(0));
}

#[test]
fn programs_of_the_run_are_not_given_the_socket() {
    let place = Place::new();
    let manager = UnixDatagram::bind(place.path("notify")).unwrap();
    let program = "{enabled: true, keep_alive: true, program: env >environment; cat >/dev/null}";
    let config = format!("{CONFIG}program_output: {program}\n");
    fs::write(place.path("falco.yaml"), config).unwrap();
    let mut command = place.replay(&capture());
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "10000000");
    assert!(command.output().unwrap().status.success());
    assert!(message(&manager, SOON).is_some());
    let environment = fs::read_to_string(place.path("environment")).unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("NOTIFY") && !environment.contains("WATCHDOG"), "{environment}");
}

#[test]
fn a_manager_that_cannot_be_told_is_a_warning() {
    let place = Place::new();
    let mut command = place.replay(&capture());
    let output = command.env("NOTIFY_SOCKET", place.path("nobody")).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert_eq!(log.matches("The service manager cannot be told: ").count(), 1, "{log}");
}

#[test]
fn the_pid_file_is_there_during_the_run_only() {
    let place = Place::new();
    let fifo = place.path("fifo.scap");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    // One that an earlier run has left.
    fs::write(place.path("pid"), "1\n").unwrap();
    let replay = Owned(place.replay(&fifo).args(["-P", "pid"]).spawn().unwrap());
    let pid = replay.0.id().to_string();
    let end = Instant::now() + SOON;
    while fs::read_to_string(place.path("pid")).unwrap_or_default() != pid {
        assert!(Instant::now() < end, "no pid file");
        thread::sleep(Duration::from_millis(10));
    }
    let mut replay = replay;
    fs::write(&fifo, fs::read(capture()).unwrap()).unwrap();
    assert_eq!(replay.0.wait().unwrap().code(), Some(0));
    assert!(!place.path("pid").exists());
}

#[test]
fn a_file_that_is_no_pid_file_stays_and_ends_the_start() {
    let place = Place::new();
    let output = place.run(&["-P", "rules.yaml"]);
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(fs::read_to_string(place.path("rules.yaml")).unwrap(), RULES);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("Could not write pid to pidfile rules.yaml. Exiting."), "{log}");
}

/// Each exit code of docs/command-line.md that a run can end with; 3 is in `stop.rs`.
#[test]
fn exit_codes_tell_how_the_run_ended() {
    let place = Place::new();
    assert_eq!(place.run(&[]).status.code(), Some(0));
    assert_eq!(place.run(&["--dry-run"]).status.code(), Some(0));
    assert_eq!(place.run(&["-r", "missing.yaml"]).status.code(), Some(1));
    assert_eq!(place.run(&["-o", "engine.kind=other"]).status.code(), Some(1));
    assert_eq!(place.run(&["-P", "missing/pid"]).status.code(), Some(255));
    let fifo = place.path("fifo.scap");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let manager = UnixDatagram::bind(place.path("notify")).unwrap();
        let mut command = place.replay(&fifo);
        let mut replay = Owned(command.env("NOTIFY_SOCKET", place.path("notify")).spawn().unwrap());
        let mut writer = File::options().write(true).open(&fifo).unwrap();
        let bytes = fs::read(capture()).unwrap();
        let (begin, rest) = bytes.split_at(bytes.len() / 2);
        writer.write_all(begin).unwrap();
        assert!(message(&manager, SOON).unwrap().starts_with("READY=1"));
        kill_process(Pid::from_child(&replay.0), signal).unwrap();
        assert!(message(&manager, SOON).unwrap().starts_with("STOPPING=1"));
        // The next event ends it; the capture is not read to its end.
        let _ = writer.write_all(rest);
        drop(writer);
        assert_eq!(replay.0.wait().unwrap().code(), Some(0));
        fs::remove_file(place.path("notify")).unwrap();
    }
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let place = Place::new();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let unit = fs::read_to_string(units.join("peregrine.service")).unwrap();
    // Every program of a unit must exist.
    let installed = "/usr/bin/peregrine";
    assert!(unit.contains(installed));
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_peregrine"));
    fs::write(place.path("peregrine.service"), &unit).unwrap();
    verify(&place.path("peregrine.service"));
    let drop_ins = place.path("peregrine.service.d");
    fs::create_dir(&drop_ins).unwrap();
    for name in ["program-output.conf", "notify-reload.conf"] {
        // systemd 253 is the first that knows this type.
        let text = fs::read_to_string(units.join("drop-ins").join(name)).unwrap();
        let text = text.replace("Type=notify-reload\n", "");
        fs::write(drop_ins.join(name), text).unwrap();
    }
    verify(&place.path("peregrine.service"));
}

fn verify(unit: &Path) {
    let mut command = Command::new("systemd-analyze");
    match command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(unit).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(error) => {
            assert!(std::env::var_os("PEREGRINE_CI").is_none(), "systemd-analyze: {error}");
            eprintln!("skipped: systemd-analyze: {error}");
        }
    }
}
