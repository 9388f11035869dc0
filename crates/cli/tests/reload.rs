//! Reload through the program: rules change between two events of a run that goes on.
//!
//! The events come through a FIFO, as from a source that never ends, one at a time where a test
//! needs that.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use peregrine_event::{Builder, Event, EventType};
use peregrine_scap::{Compression, Writer};
use tempfile::TempDir;

/// Much longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const CONFIG: &str = "\
engine: {kind: replay, replay: {capture_file: events}}
log_stderr: true
log_syslog: false
log_level: debug
load_plugins: []
file_output: {enabled: true, filename: alerts, keep_alive: true}
";

/// A program that evaluates events as they are written, in a directory of its own.
struct Run {
    directory: TempDir,
    child: Option<Child>,
    events: Option<Writer<File>>,
    sent: u64,
}

/// A rule that reports each event with a word.
fn rule(word: &str) -> String {
    format!(
        "- {{rule: Closed, desc: d, condition: evt.type = close, output: '{word} %evt.rawtime', priority: NOTICE}}\n"
    )
}

impl Run {
    /// A directory with these files; names that end in a slash are directories.
    fn new(files: &[(&str, &str)]) -> Self {
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
    fn start(config: &str, rules: &str) -> Self {
        let mut run = Self::new(&[
            ("falco.yaml", &format!("{CONFIG}rules_files: [rules.yaml]\n{config}")),
            ("rules.yaml", rules),
        ]);
        run.spawn();
        run
    }

    fn spawn(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command.current_dir(self.directory.path()).stdout(Stdio::null());
        command.stderr(File::create(self.path("log")).unwrap());
        self.child = Some(command.args(["-c", "falco.yaml"]).spawn().unwrap());
        // Opening waits for the reader.
        let events = File::options().write(true).open(self.path("events")).unwrap();
        self.events = Some(Writer::new(events, Compression::None, &[]).unwrap());
        self.event();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn replace(&self, name: &str, text: &str) {
        self.write(".new", text);
        fs::rename(self.path(".new"), self.path(name)).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().unwrap().id().try_into().unwrap())
    }

    fn hang_up(&self) {
        kill(self.pid(), Signal::SIGHUP).unwrap();
    }

    /// Sends the next event, whose time is its number.
    fn event(&mut self) {
        self.sent += 1;
        let mut bytes = Vec::new();
        let mut event = Builder::new(EventType::SyscallCloseX, self.sent, 7);
        event.i64(0).i64(3).finish(&mut bytes).unwrap();
        let events = self.events.as_mut().unwrap();
        events.event(&Event::parse(&bytes, 0).unwrap(), false).unwrap();
        events.flush().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The words of the alerts about events, in the order of the events. The times that follow
    /// them are complete.
    fn words(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("alerts")).unwrap_or_default();
        let alerts: Vec<_> = text.lines().filter_map(|line| line.split_once("Notice ")).collect();
        for (number, (_, text)) in (1..).zip(&alerts) {
            assert!(text.ends_with(&format!(" {number}")), "{text} is not event {number}");
        }
        alerts.iter().map(|(_, text)| text.split(' ').next().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}:\n{}", self.log());
            // Requests are handled between two events.
            self.event();
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn wait_for_log(&mut self, line: &str, times: usize) {
        self.wait_until(line, |run| run.log().matches(line).count() >= times);
    }

    /// Waits until events are reported with a word.
    #[track_caller]
    fn wait_for_word(&mut self, word: &str) {
        self.wait_until(word, |run| run.words().last().is_some_and(|last| last == word));
    }

    /// Ends the events. Every one of them has its alert; returns the words without repetitions.
    #[track_caller]
    fn finish(mut self) -> Vec<String> {
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
        let mut words = self.words();
        assert_eq!(words.len() as u64, self.sent);
        words.dedup();
        words
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

#[test]
fn after_a_hangup_signal_the_new_rules_alert() {
    let mut run = Run::start("watch_config_files: false\n", &rule("old"));
    run.wait_for_word("old");
    run.write("rules.yaml", &rule("new"));
    run.hang_up();
    run.wait_for_word("new");
    run.wait_for_log("SIGHUP received, restarting...", 1);
    run.wait_for_log("Rules changed (1): Closed", 1);
    run.wait_for_log("Reloaded: generation 2", 1);
    // The old rules reported every event up to the reload, the new ones every event after it.
    assert_eq!(run.finish(), ["old", "new"]);
}

#[test]
fn changed_files_are_noticed_however_they_are_changed() {
    let mut run = Run::start("", &rule("one"));
    run.wait_for_word("one");
    run.write("rules.yaml", &rule("two"));
    run.wait_for_word("two");
    run.replace("rules.yaml", &rule("three"));
    run.wait_for_word("three");
    // Some editors move the old file away before they write the new one.
    fs::rename(run.path("rules.yaml"), run.path("rules.yaml~")).unwrap();
    thread::sleep(Duration::from_millis(700));
    run.event();
    run.write("rules.yaml", &rule("four"));
    run.wait_for_word("four");
    run.write("falco.yaml", &format!("{CONFIG}rules_files: [rules.d]\n"));
    fs::create_dir(run.path("rules.d")).unwrap();
    run.write("rules.d/a.yaml", &rule("five"));
    run.wait_for_word("five");
    run.write("rules.d/b.yaml", &rule("six"));
    run.wait_for_word("six");
    fs::remove_file(run.path("rules.d/b.yaml")).unwrap();
    run.wait_for_word("five");
    assert!(!run.log().contains("Reload failed"), "{}", run.log());
    assert_eq!(run.finish(), ["one", "two", "three", "four", "five", "six", "five"]);
}

#[test]
fn a_config_map_may_be_swapped() {
    let config = format!("{CONFIG}rules_files: [mounted]\n");
    let mut run = Run::new(&[("falco.yaml", &config), ("mounted/", "")]);
    let swap = |run: &Run, version: &str| {
        fs::create_dir(run.path(&format!("mounted/..{version}"))).unwrap();
        run.write(&format!("mounted/..{version}/rules.yaml"), &rule(version));
        symlink(format!("..{version}"), run.path("mounted/..tmp")).unwrap();
        fs::rename(run.path("mounted/..tmp"), run.path("mounted/..data")).unwrap();
    };
    swap(&run, "one");
    symlink("..data/rules.yaml", run.path("mounted/rules.yaml")).unwrap();
    run.spawn();
    run.wait_for_word("one");
    for (old, version) in [("one", "two"), ("two", "three")] {
        swap(&run, version);
        // The kubelet removes the old version at once.
        fs::remove_dir_all(run.path(&format!("mounted/..{old}"))).unwrap();
        run.wait_for_word(version);
    }
    assert_eq!(run.finish(), ["one", "two", "three"]);
}

#[test]
fn a_broken_file_leaves_the_rules_and_is_reported() {
    let mut run = Run::start("", &rule("old"));
    run.wait_for_word("old");
    run.write(
        "rules.yaml",
        "- {rule: Closed, desc: d, condition: evt.typo = close, output: o, priority: INFO}\n",
    );
    run.wait_for_log("Reload failed, and the rules stay: ", 1);
    let alerts = |run: &Run| fs::read_to_string(run.path("alerts")).unwrap();
    run.wait_until("the alert", |run| {
        alerts(run).contains("Critical Falco internal: hot restart failure: ")
    });
    assert!(alerts(&run).contains("evt.typo"), "{}", alerts(&run));
    // A signal doesn't change that.
    run.hang_up();
    run.wait_for_log("Reload failed", 2);
    // Neither does a broken configuration, and the rules that it names are not read.
    run.write("falco.yaml", "rules_files: [rules.yaml\n");
    run.wait_for_log("Reload failed", 3);
    assert!(!run.log().contains("SIGHUP received"), "{}", run.log());
    run.write("rules.yaml", &rule("new"));
    run.write("falco.yaml", &format!("{CONFIG}rules_files: [rules.yaml]\n"));
    run.wait_for_word("new");
    assert_eq!(run.finish(), ["old", "new"]);
}

#[test]
fn changes_are_named_and_keys_that_need_a_restart_stay() {
    let more = "- {rule: Gone, desc: d, condition: evt.type = open, output: o, priority: INFO}\n";
    let mut run = Run::start(
        "falco_libs: {snaplen: 96}\nstatic_fields: {api_token: first, site: attic}\n",
        &(rule("old") + more),
    );
    run.wait_for_word("old");
    run.replace("rules.yaml", &rule("new-%static.site"));
    run.replace(
        "falco.yaml",
        &format!(
            "{CONFIG}rules_files: [rules.yaml]\nfalco_libs: {{snaplen: 128}}\n\
             static_fields: {{api_token: second, site: cellar}}\n"
        ),
    );
    run.wait_for_word("new-cellar");
    run.wait_for_log("Reloaded: generation 2", 1);
    let log = run.log();
    for line in [
        "Rules removed (1): Gone\n",
        "Rules changed (1): Closed\n",
        "Keys changed (2): static_fields.api_token, static_fields.site (was \"attic\", is \"cellar\")\n",
        "Needs a restart to take effect: falco_libs.snaplen (was \"96\", is \"128\")\n",
    ] {
        assert!(log.contains(line), "{line} is not in:\n{log}");
    }
    assert!(!log.contains("second"), "{log}");
    assert_eq!(run.finish(), ["old", "new-cellar"]);
}

#[test]
fn the_same_content_is_not_loaded_again() {
    let mut run = Run::start("", &rule("old"));
    // What is watched since a moment ago is read once more.
    run.wait_for_log("Configuration and rules are the same as before", 1);
    run.replace("rules.yaml", &rule("old"));
    run.wait_for_log("Configuration and rules are the same as before", 2);
    assert!(!run.log().contains("SIGHUP"), "{}", run.log());
    run.hang_up();
    run.wait_for_log("SIGHUP received, restarting...", 1);
    assert_eq!(run.log().matches("Loading rules from").count(), 1);
    assert_eq!(run.finish(), ["old"]);
}

#[test]
fn a_hundred_reloads_leave_descriptors_threads_and_memory_as_they_were() {
    let mut run = Run::start("watch_config_files: false\n", &rule("0"));
    let reload = |run: &mut Run, number: usize| {
        // Each version has other rules.
        run.write("rules.yaml", &(many_rules(number) + &rule(&number.to_string())));
        run.hang_up();
        run.wait_for_word(&number.to_string());
        run.wait_for_log("Reloaded: ", number);
    };
    for number in 1..=20 {
        reload(&mut run, number);
    }
    let before = usage(run.pid());
    for number in 21..=120 {
        reload(&mut run, number);
    }
    let after = usage(run.pid());
    assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads));
    // Each version takes more than 100 KB.
    assert!(after.memory < before.memory + 5000, "{before:?} {after:?}");
    assert_eq!(run.finish().len(), 121);
}

fn many_rules(number: usize) -> String {
    let rule = |rule| {
        format!(
            "- {{rule: R{rule}, desc: d, condition: evt.type = open and fd.name startswith /{number}/{rule}, output: '%proc.name %fd.name', priority: INFO}}\n"
        )
    };
    (0..50).map(rule).collect()
}

#[derive(Debug)]
struct Usage {
    descriptors: usize,
    threads: usize,
    /// Resident, in KiB.
    memory: u64,
}

fn usage(pid: Pid) -> Usage {
    let process = Path::new("/proc").join(pid.to_string());
    let count = |name: &str| fs::read_dir(process.join(name)).unwrap().count();
    let status = fs::read_to_string(process.join("status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    Usage {
        descriptors: count("fd"),
        threads: count("task"),
        memory: memory.trim().trim_end_matches(" kB").parse().unwrap(),
    }
}
