//! The program on a replay.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use tempfile::TempDir;

use super::wait_until;

/// A directory with configuration, rules and events, in which the program runs.
#[derive(Debug)]
pub(crate) struct Place {
    directory: TempDir,
}

/// The program. It is killed when the test ends.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    directory: PathBuf,
}

/// Events of a run that goes on until this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    events: Writer<File>,
    sent: u64,
}

const CONFIG: &str = "\
engine: {kind: replay, replay: {capture_file: events}}
log_stderr: true
log_syslog: false
load_plugins: []
";

impl Place {
    /// With these outputs in `falco.yaml`. Each event raises one alert.
    pub(crate) fn new(outputs: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        place.write("falco.yaml", &format!("{CONFIG}{outputs}"));
        place.rule_with_text("");
        place
    }

    /// A file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Content of a file in the directory; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A capture with this many events, whose alerts have their number and a text of this length.
    pub(crate) fn events(&self, events: u64, length: usize) {
        self.rule_with_text(&"x".repeat(length));
        let mut feed = Feed::new(File::create(self.path("events")).unwrap());
        feed.send(events);
        drop(feed.events.finish().unwrap());
    }

    /// The program that replays the capture.
    pub(crate) fn start(&self) -> Run {
        self.start_with(&[])
    }

    /// The same with options.
    pub(crate) fn start_with(&self, options: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.directory.path()).args(["-c", "falco.yaml", "-r", "rules.yaml"]);
        command.args(options).stdin(Stdio::null());
        command.stdout(File::create(self.path("stdout")).unwrap());
        command.stderr(File::create(self.path("log")).unwrap());
        let child = command.spawn().unwrap();
        Run { child, directory: self.directory.path().to_owned() }
    }

    /// The program with events that the test sends one by one.
    pub(crate) fn start_feeding(&self) -> (Run, Feed) {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let events = self.path("events");
        // A second run reads the same FIFO.
        let _ = rustix::fs::mkfifoat(rustix::fs::CWD, &events, mode);
        let run = self.start();
        // Opening waits for the reader.
        (run, Feed::new(File::options().write(true).open(events).unwrap()))
    }

    fn rule_with_text(&self, text: &str) {
        self.write(
            "rules.yaml",
            &format!(
                "- {{rule: Closed, desc: d, condition: evt.type = close, output: 'number=%evt.num {text}', priority: NOTICE}}\n"
            ),
        );
    }
}

impl Feed {
    pub(crate) fn new(to: File) -> Self {
        Self { events: Writer::new(to, Compression::None, &[]).unwrap(), sent: 0 }
    }

    /// The next event comes behind so many that an earlier run had.
    pub(crate) fn skip(&mut self, events: u64) {
        self.sent += events;
    }

    /// Sends so many events more.
    pub(crate) fn send(&mut self, events: u64) {
        for _ in 0..events {
            self.sent += 1;
            let mut bytes = Vec::new();
            let mut close = Builder::new(EventType::SyscallCloseX, self.sent, 7);
            close.i64(0).i64(3).finish(&mut bytes).unwrap();
            self.events.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        }
        self.events.flush().unwrap();
    }
}

impl Run {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// What it has written to stderr so far.
    pub(crate) fn log(&self) -> String {
        text(&self.directory.join("log"))
    }

    /// What it has written to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        text(&self.directory.join("stdout"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// The number of the event in the text of an alert, in any format.
#[track_caller]
pub(crate) fn number_in(alert: &str) -> u64 {
    let (_, rest) = alert.split_once("number=").unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}
