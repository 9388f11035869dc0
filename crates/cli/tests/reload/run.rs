//! The program in a directory of its own, with events that a test sends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peregrine_event::snapshot::Item;
use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use tempfile::TempDir;

/// Much longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const CONFIG: &str = "\
engine: {kind: replay, replay: {capture_file: events}}
log_stderr: true
log_syslog: false
log_level: debug
load_plugins: []
file_output: {enabled: true, filename: alerts, keep_alive: true}
";

/// A program that evaluates events as they are written, in a directory of its own.
pub(crate) struct Run {
    directory: TempDir,
    child: Option<Child>,
    pub(crate) events: Option<Writer<File>>,
    pub(crate) sent: u64,
}

/// A rule that reports each event with a word.
pub(crate) fn rule(word: &str) -> String {
    format!(
        "- {{rule: Closed, desc: d, condition: evt.type = close, output: '{word} %evt.rawtime', priority: NOTICE}}\n"
    )
}

impl Run {
    /// A directory with these files; names that end in a slash are directories.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let run =
            Self { directory: tempfile::tempdir().unwrap(), child: None, events: None, sent: 0 };
        for (name, text) in files {
            match name.strip_suffix('/') {
                Some(name) => fs::create_dir(run.path(name)).unwrap(),
                None => run.write(name, text),
            }
        }
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, run.path("events"), mode).unwrap();
        run
    }

    /// A program with the rules in `rules.yaml` as the configuration says.
    pub(crate) fn start(config: &str, rules: &str) -> Self {
        let mut run = Self::new(&[
            ("falco.yaml", &format!("{CONFIG}rules_files: [rules.yaml]\n{config}")),
            ("rules.yaml", rules),
        ]);
        run.spawn();
        run
    }

    pub(crate) fn spawn(&mut self) {
        self.spawn_with(&[], &[]);
        self.event();
    }

    /// The program with these options, on a machine of this state. No event is sent yet.
    pub(crate) fn spawn_with(&mut self, options: &[&str], snapshot: &[Item]) {
        self.spawn_alone(options);
        // Opening waits for the reader.
        let events = File::options().write(true).open(self.path("events")).unwrap();
        self.events = Some(Writer::new(events, Compression::None, snapshot).unwrap());
    }

    /// The program with these options, which reads no events.
    pub(crate) fn spawn_alone(&mut self, options: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.stdout(File::create(self.path("stdout")).unwrap());
        command.stderr(File::create(self.path("log")).unwrap());
        self.child = Some(command.args(["-c", "falco.yaml"]).args(options).spawn().unwrap());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn replace(&self, name: &str, text: &str) {
        self.write(".new", text);
        fs::rename(self.path(".new"), self.path(name)).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().try_into().unwrap())
    }

    pub(crate) fn hang_up(&self) {
        kill(self.pid(), Signal::SIGHUP).unwrap();
    }

    /// Sends the next event, whose time is its number, if the program reads events.
    pub(crate) fn event(&mut self) {
        let Some(events) = &mut self.events else { return };
        self.sent += 1;
        let mut bytes = Vec::new();
        let mut event = Builder::new(EventType::SyscallCloseX, self.sent, 7);
        event.i64(0).i64(3).finish(&mut bytes).unwrap();
        events.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        events.flush().unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The words of the alerts about events, in the order of the events. The times that follow
    /// them are complete.
    pub(crate) fn words(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("alerts")).unwrap_or_default();
        let alerts: Vec<_> = text.lines().filter_map(|line| line.split_once("Notice ")).collect();
        for (number, (_, text)) in (1..).zip(&alerts) {
            assert!(text.ends_with(&format!(" {number}")), "{text} is not event {number}");
        }
        alerts.iter().map(|(_, text)| text.split(' ').next().unwrap().to_owned()).collect()
    }

    /// Content of a file; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}:\n{}", self.log());
            // Requests are handled between two events.
            self.event();
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub(crate) fn wait_for_log(&mut self, line: &str, times: usize) {
        self.wait_until(line, |run| run.log().matches(line).count() >= times);
    }

    /// Waits until events are reported with a word.
    #[track_caller]
    pub(crate) fn wait_for_word(&mut self, word: &str) {
        self.wait_until(word, |run| run.words().last().is_some_and(|last| last == word));
    }

    /// Ends the events. Every one of them has its alert; returns the words without repetitions.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.end();
        let mut words = self.words();
        assert_eq!(words.len() as u64, self.sent);
        words.dedup();
        words
    }

    /// Ends the events, and waits for the program.
    #[track_caller]
    pub(crate) fn end(&mut self) {
        drop(self.events.take().unwrap().finish().unwrap());
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{}", self.log());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
