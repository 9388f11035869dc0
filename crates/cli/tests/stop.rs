//! A stop ends the program in time, whatever its threads wait for.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod wait;

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use wait::wait_until;

/// A stop takes at most five seconds; a busy machine adds some.
const STOPPED: Duration = Duration::from_secs(15);
/// Exit code of a run that did not end in time.
const HUNG: i32 = 3;

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
  output: '%evt.num %proc.name'
  priority: NOTICE
";

/// A directory with configuration and rules.
struct Place(TempDir);

/// The program, ended with the test.
struct Running(Child);

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

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        path
    }

    /// Starts a replay, and waits until the program takes signals.
    fn replay(&self, capture: &Path) -> Running {
        self.replay_into(capture, Stdio::piped())
    }

    fn replay_into(&self, capture: &Path, stdout: Stdio) -> Running {
        let child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
            .current_dir(self.0.path())
            .args(["-c", "falco.yaml", "-r", "rules.yaml", "-P", "pid", "-o", "engine.kind=replay"])
            .arg("-o")
            .arg(format!("engine.replay.capture_file={}", capture.display()))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let running = Running(child);
        wait_until("a pid file", || self.path("pid").exists());
        running
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for the end, without reading stdout.
    fn end(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let mut status = None;
        wait_until("the end", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), begun.elapsed())
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// It is stopped, ends in time, and says what it hung on.
    fn is_ended_while(&mut self, phase: &str) {
        self.signal(Signal::TERM);
        let (status, time) = self.end();
        let text = self.stderr();
        assert_eq!(status.code(), Some(HUNG), "{text}");
        assert!(time < STOPPED, "{time:?}");
        assert!(text.contains(&format!("it hangs while {phase}")), "{text}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn capture() -> PathBuf {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/captures");
    captures.join("own_acts.scap").canonicalize().unwrap()
}

#[test]
fn a_capture_that_cannot_be_opened_yet_does_not_hold_up_the_end() {
    let place = Place::new();
    let fifo = place.fifo("fifo.scap");
    // Opening it for reading waits for a writer.
    place.replay(&fifo).is_ended_while("reading the capture");
}

#[test]
fn a_capture_that_does_not_go_on_does_not_hold_up_the_end() {
    let place = Place::new();
    let fifo = place.fifo("fifo.scap");
    let mut replay = place.replay(&fifo);
    let mut writer = fs::File::options().write(true).open(&fifo).unwrap();
    writer.write_all(&fs::read(capture()).unwrap()[..100]).unwrap();
    replay.is_ended_while("reading the capture");
}

#[test]
fn a_blocked_stdout_does_not_hold_up_the_end() {
    let place = Place::new();
    let config =
        CONFIG.replace("stdout_output", "file_output: {enabled: true, filename: alerts}\n#");
    fs::write(place.path("falco.yaml"), config).unwrap();
    let (_reader, writer) = full_pipe();
    place.replay_into(&capture(), writer.into()).is_ended_while("printing the summary");
}

/// A pipe that takes nothing more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[0]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let place = Place::new();
    let fifo = place.fifo("fifo.scap");
    let mut replay = place.replay(&fifo);
    replay.signal(Signal::INT);
    thread::sleep(Duration::from_millis(200));
    replay.signal(Signal::INT);
    let (status, _) = replay.end();
    assert_eq!(status.code(), Some(1));
}
