//! Runs the program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use regex_automata::meta::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::answers::captures;

/// Longest time for one run.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A directory to run in, removed afterwards.
pub(crate) struct Place {
    root: TempDir,
}

/// The outcome of a run.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    stderr: String,
    folder: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(place.folder()).unwrap();
        place
    }

    /// The working directory. Its parent holds what cases share.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("case")
    }

    /// Writes a file; the path is relative to the working directory.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs the program; `{SCAP}` in arguments stands for the directory of the captures.
    pub(crate) fn run<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Outcome {
        let captures = captures();
        let output = |name| self.root.path().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
            .args(arguments.into_iter().map(|argument| argument.replace("{SCAP}", &captures)))
            .current_dir(self.folder())
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/tmp")])
            .envs([("TZ", "UTC"), ("FALCO_HOSTNAME", "HOST")])
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(File::create(output("stdout")).unwrap())
            .stderr(File::create(output("stderr")).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(1));
        };
        let text = |name| String::from_utf8_lossy(&fs::read(output(name)).unwrap()).into_owned();
        Outcome {
            code: status.code().unwrap_or(-1),
            stdout: text("stdout"),
            stderr: text("stderr"),
            folder: format!("{}/", self.folder().display()),
        }
    }
}

impl Outcome {
    /// Alerts among the lines of standard output.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = Value> {
        let lines = self.stdout.lines().filter(|line| line.starts_with('{'));
        lines.filter_map(|line| serde_json::from_str(line).ok())
    }

    /// From `Error:` on.
    pub(crate) fn error(&self) -> String {
        let is_error = |line: &&str| {
            let line = without_time(line).unwrap_or(line);
            line.starts_with("Error:") || line.starts_with("Runtime error:")
        };
        let mut lines = self.stderr.lines().skip_while(|line| !is_error(line));
        let first = lines.next().map(|line| without_time(line).unwrap_or(line));
        let rest = lines.filter(|line| without_time(line).is_none());
        let text: Vec<_> = first.into_iter().chain(rest).collect();
        let text = text.join("\n").replace(&self.folder, "").replace(&captures(), "{SCAP}");
        text.trim_end().to_owned()
    }

    /// Log lines without their time.
    pub(crate) fn log(&self) -> Vec<String> {
        let lines = self.stderr.lines().filter_map(without_time);
        lines.map(|line| line.replace(&self.folder, "")).collect()
    }

    /// Lines of stderr that are not part of the log, with N for each number.
    pub(crate) fn counters(&self) -> Vec<String> {
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+(\.\d+)?").unwrap());
        let lines = self.stderr.lines().filter(|line| without_time(line).is_none());
        let hide = |line: &str| {
            let mut parts = vec![];
            let mut end = 0;
            for number in NUMBER.find_iter(line) {
                parts.push(&line[end..number.start()]);
                end = number.end();
            }
            parts.push(&line[end..]);
            parts.join("N")
        };
        lines.map(hide).collect()
    }
}

/// A log line without its time.
fn without_time(line: &str) -> Option<&str> {
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        let plain = r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4}";
        let iso = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d{4}";
        Regex::new(&format!("^(?:{plain}|{iso}): ")).unwrap()
    });
    TIME.find(line).map(|time| &line[time.end()..])
}

/// Processes items on all CPUs. The results are in the order of the items.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((at, item)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, item))
        } {
            done.push((at, work(item)));
        }
        done
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
