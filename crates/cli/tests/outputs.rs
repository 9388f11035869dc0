//! Outputs that hang, seen from outside: the others go on, memory stays bounded, and what is lost
//! is told.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod wait;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use tempfile::TempDir;
use wait::wait_until;

/// A replay in a directory of its own, with the file `log` for stderr.
struct Place {
    directory: TempDir,
}

impl Place {
    /// A capture with this many events, each of which raises an alert with a text of this length.
    fn new(events: u64, length: usize, outputs: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let config = "\
engine: {kind: replay, replay: {capture_file: events.scap}}
log_stderr: true
log_syslog: false
load_plugins: []
";
        fs::write(place.path("falco.yaml"), format!("{config}{outputs}")).unwrap();
        let text = "x".repeat(length);
        let rule = format!(
            "- {{rule: Closed, desc: d, condition: evt.type = close, output: '%evt.num {text}', priority: NOTICE}}\n"
        );
        fs::write(place.path("rules.yaml"), rule).unwrap();
        let file = File::create(place.path("events.scap")).unwrap();
        let mut capture = Writer::new(file, Compression::None, &[]).unwrap();
        for ts in 1..=events {
            let mut bytes = Vec::new();
            Builder::new(EventType::SyscallCloseX, ts, 7).i64(0).i64(3).finish(&mut bytes).unwrap();
            capture.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        }
        drop(capture.finish().unwrap());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let (path, mode) = (self.path(name), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        path
    }

    fn start(&self) -> Child {
        self.start_by(&mut Command::new(env!("CARGO_BIN_EXE_peregrine")))
    }

    /// Starts a command that takes the options.
    fn start_by(&self, command: &mut Command) -> Child {
        command.current_dir(self.directory.path()).stdout(Stdio::piped());
        command.stderr(File::create(self.path("log")).unwrap());
        command.args(["-c", "falco.yaml", "-r", "rules.yaml"]).spawn().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }
}

fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
}

#[track_caller]
fn wait_for(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until("the program ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// The largest resident memory so far, in KiB.
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_blocked_stdout_costs_the_file_nothing_and_memory_is_bounded() {
    let place = Place::new(
        30_000,
        2000,
        "stdout_output: {enabled: true, when_full: drop_newest}\n\
         file_output: {enabled: true, filename: alerts, keep_alive: true}\n\
         outputs_queue: {max_memory_mb: 8}\n\
         output_timeout: 60000\n",
    );
    let mut child = place.start();
    wait_until("an alert is in the file", || lines(&place.path("alerts")) > 0);
    let before = peak_memory(&child);
    wait_until("all alerts are in the file", || lines(&place.path("alerts")) == 30_000);
    // Without a bound, 30,000 alerts of 2 KB would wait.
    let grown = peak_memory(&child) - before;
    assert!(grown < 40_000, "{grown} KiB");
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(wait_for(&mut child).success());
    let lost = stdout.split_once("Alerts lost by output:\n   stdout: ").unwrap().1;
    assert!(lost.contains(" of 30000 (queue full: "), "{lost}");
    assert!(!lost.contains("file"), "{lost}");
    let log = place.log();
    assert!(
        log.contains("Outputs queue out of memory. Drop event and continue on ... \"stdout\": ")
    );
}

#[test]
fn the_program_ends_although_stdout_is_never_read() {
    let outputs = "stdout_output: {enabled: true, when_full: drop_newest}\noutput_timeout: 200\n";
    let place = Place::new(5000, 1000, outputs);
    let mut child = place.start();
    assert!(wait_for(&mut child).success());
    let log = place.log();
    assert!(log.contains("output channels still blocked, discarding all remaining notifications"));
    assert!(log.contains(" alerts lost, not delivered at the end\n"), "{log}");
    assert!(log.contains("Events detected: 5000\n"), "{log}");
    assert!(log.contains("Alerts lost by output:\n   stdout: "), "{log}");
}

#[test]
fn a_replay_into_a_slow_fifo_loses_nothing() {
    let place = Place::new(
        10_000,
        1000,
        "file_output: {enabled: true, filename: fifo, keep_alive: true}\n\
         outputs_queue: {max_memory_mb: 1}\n",
    );
    let fifo = place.fifo("fifo");
    let mut child = place.start();
    let mut numbers = Vec::new();
    for line in BufReader::new(File::open(fifo).unwrap()).lines() {
        numbers.push(line.unwrap().split(' ').nth(2).unwrap().parse::<u64>().unwrap());
        if numbers.len() % 1000 == 0 {
            thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(wait_for(&mut child).success());
    assert_eq!(numbers, (1..=10_000).collect::<Vec<_>>());
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(stdout.contains("Events detected: 10000\n") && !stdout.contains("lost"), "{stdout}");
}

#[test]
fn a_replay_that_waits_for_an_output_ends_with_a_signal() {
    let place = Place::new(
        10_000,
        1000,
        "file_output: {enabled: true, filename: fifo, keep_alive: true}\n\
         outputs_queue: {max_memory_mb: 1}\n\
         output_timeout: 200\n",
    );
    place.fifo("fifo");
    let mut child = place.start();
    // It waits by now.
    wait_until("the timeout is reported", || place.log().contains("\"file\" output timeout, "));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    assert!(wait_for(&mut child).success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let (_, lost) = stdout.split_once("   file: ").unwrap();
    let mut numbers = lost.split_ascii_whitespace().filter_map(|word| word.parse::<u64>().ok());
    let (lost, submitted) = (numbers.next().unwrap(), numbers.next().unwrap());
    // Nothing could be delivered.
    assert!(submitted > 100 && lost == submitted, "{stdout}");
    assert!(place.log().contains(" alerts lost, not delivered at the end"), "{}", place.log());
}

#[test]
fn a_web_server_that_never_answers_holds_up_no_other_output() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let place = Place::new(
        100,
        10,
        &format!(
            "http_output: {{enabled: true, url: '{url}'}}\n\
             file_output: {{enabled: true, filename: alerts, keep_alive: true}}\n\
             program_output: {{enabled: true, keep_alive: true, program: 'exec cat > copy'}}\n\
             output_timeout: 200\n"
        ),
    );
    let mut child = place.start();
    assert!(wait_for(&mut child).success());
    for name in ["alerts", "copy"] {
        assert_eq!(lines(&place.path(name)), 100, "{name}");
    }
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let lost = "Alerts lost by output:\n   http: 100 of 100 (not delivered at the end: 100)\n";
    assert!(stdout.contains(lost), "{stdout}");
    assert!(stdout.ends_with("Alerts lost by rule name, in all outputs:\n   Closed: 99\n"));
}

#[test]
fn a_file_at_the_limit_of_its_size_does_not_end_the_program() {
    let outputs = "file_output: {enabled: true, filename: alerts, keep_alive: true}\n";
    let place = Place::new(1000, 100, outputs);
    let mut shell = Command::new("sh");
    // In blocks of 512 bytes.
    shell.args(["-c", "ulimit -f 40; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_peregrine")]);
    let mut child = place.start_by(&mut shell);
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(wait_for(&mut child).success(), "{}", place.log());
    let alerts = fs::read_to_string(place.path("alerts")).unwrap();
    assert!(alerts.len() <= 40 * 512 && alerts.ends_with("x\n"));
    let lost = 1000 - alerts.lines().count();
    assert!(
        stdout.contains(&format!("   file: {lost} of 1000 (channel failed: {lost})")),
        "{stdout}"
    );
    assert!(place.log().contains("file: File too large (os error 27) ("), "{}", place.log());
}

#[test]
fn a_run_whose_stdout_is_closed_ends_with_a_code_of_its_own() {
    let place = Place::new(100_000, 200, "stdout_output: {enabled: true}\n");
    let mut child = place.start();
    let mut first = String::new();
    // As `head -n 1`.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("Notice 1 x"), "{first}");
    assert_eq!(wait_for(&mut child).code(), Some(141), "{}", place.log());
    let log = place.log();
    assert_eq!(log.matches("standard output is closed: the run ends").count(), 1, "{log}");
    assert!(log.contains("Events detected: ") && !log.contains("panicked"), "{log}");
}

#[test]
fn a_closed_stdout_can_be_the_end_of_that_output_only() {
    let place = Place::new(
        10_000,
        200,
        "stdout_output: {enabled: true, peregrine: {when_closed: disable}}\n\
         file_output: {enabled: true, filename: alerts, keep_alive: true}\n",
    );
    let mut child = place.start();
    drop(child.stdout.take());
    assert!(wait_for(&mut child).success(), "{}", place.log());
    assert_eq!(lines(&place.path("alerts")), 10_000);
    let log = place.log();
    let told = "stdout: standard output is closed: alerts for it are lost from now on (";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    assert!(log.contains("   stdout: 10000 of 10000 (channel failed: 10000)\n"), "{log}");
}

#[test]
fn a_program_that_fails_is_reported_and_counted() {
    for (keep_alive, events) in [(true, 100), (false, 5)] {
        let program = "'cat > /dev/null; exit 3'";
        let program = if keep_alive { "'exec <&-; exit 3'" } else { program };
        let place = Place::new(
            events,
            10,
            &format!(
                "program_output: {{enabled: true, keep_alive: {keep_alive}, program: {program}}}\n"
            ),
        );
        let mut child = place.start();
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert!(wait_for(&mut child).success(), "{}", place.log());
        let lost = format!("   program: {events} of {events} (channel failed: {events})");
        assert!(stdout.contains(&lost), "{stdout}");
        let log = place.log();
        assert!(log.contains("program: program output has ended (exit status: 3): "), "{log}");
    }
}

#[test]
fn a_program_that_never_reads_does_not_outlive_the_run() {
    let place = Place::new(
        100,
        10,
        "program_output: {enabled: true, keep_alive: true, program: 'echo $$ > pid; exec sleep 1000'}\n\
         output_timeout: 200\n",
    );
    let mut child = place.start();
    assert!(wait_for(&mut child).success(), "{}", place.log());
    let pid = fs::read_to_string(place.path("pid")).unwrap();
    assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists());
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(stdout.contains("   program: 100 of 100 ("), "{stdout}");
}

#[test]
fn a_file_is_rotated_and_no_alert_is_lost_in_between() {
    let place = Place::new(
        10_000,
        400,
        "file_output:\n  enabled: true\n  keep_alive: true\n  filename: logs/alerts\n\
         \x20 peregrine: {rotate: {max_mb: 1, every: 365d, compress: gzip}, fsync: 1s}\n",
    );
    fs::create_dir(place.path("logs")).unwrap();
    let mut child = place.start();
    assert!(wait_for(&mut child).success(), "{}", place.log());
    let mut names: Vec<_> = fs::read_dir(place.path("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "alerts" && !name.ends_with(".partial"))
        .collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    let mut text = String::new();
    for name in names.iter().map(String::as_str).chain(["alerts"]) {
        let file = File::open(place.path("logs").join(name)).unwrap();
        let before = text.len();
        match name.ends_with(".gz") {
            true => flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap(),
            false => BufReader::new(file).read_to_string(&mut text).unwrap(),
        };
        assert!(text.len() - before <= 1 << 20, "{name}");
    }
    let numbers: Vec<u64> =
        text.lines().map(|line| line.split(' ').nth(2).unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=10_000).collect::<Vec<_>>());
}
