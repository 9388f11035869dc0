//! The agent under attack: the program of this build, monitoring the control group of an attack.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::place::Place;
use crate::quiet::CANARY;

/// One ring per CPU: a flood on one CPU does not displace the events of others.
const CONFIG: &str = "\
engine: {kind: modern_ebpf, modern_ebpf: {cpus_for_each_buffer: 1}}
json_output: true
log_stderr: true
log_syslog: false
log_level: debug
plugins: [{name: container, library_path: libcontainer.so}]
webserver: {enabled: true, listen_address: 127.0.0.1, listen_port: 0, threadiness: 1,
  healthz_timeout: 5000, prometheus_metrics_enabled: true}
metrics: {enabled: true, interval: 1h}
";

const RULES: &str = r#"
- rule: Quiet act
  desc: The quiet group opens a file.
  condition: evt.type in (open, openat, openat2) and evt.is_open_write=true and fd.name contains /canary-
  output: "%fd.name"
  priority: WARNING
- rule: Looped call
  desc: An attacker repeats a call that matches.
  condition: evt.type in (open, openat, openat2) and fd.name endswith /looped
  output: "%fd.name %proc.name %proc.cmdline %proc.pname %proc.exepath %proc.cwd %user.uid %evt.num"
  priority: WARNING
- rule: Container runs a program
  desc: An alert that names a user of a container.
  condition: evt.type=execve and evt.rawres=0 and container.id != host and proc.name=true
  output: "%user.name %container.id"
  priority: NOTICE
"#;

/// In alerts of the rule that a flood matches.
const LOOPED: &str = "\"rule\":\"Looped call\"";

/// The program to attack.
pub(crate) fn program() -> OsString {
    let other = std::env::var_os("PEREGRINE_PROGRAM");
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_peregrine").into())
}

/// Where its alerts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alerts {
    /// To standard output.
    Stdout,
    /// To a file, while standard output is a pipe that is never read.
    FileOnly,
}

/// The agent, running.
pub(crate) struct Agent {
    child: Child,
    log: Arc<Mutex<String>>,
    seen: Arc<Mutex<Seen>>,
    started: Instant,
    /// Kept open and never read.
    _stdout: Option<ChildStdout>,
}

/// The alerts that have arrived.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Time from each act of the quiet group to its alert.
    pub(crate) delays: HashMap<String, Duration>,
    /// Alerts of the agent itself, such as that of losses or a stall.
    pub(crate) internal: Vec<String>,
    /// All alerts.
    pub(crate) total: usize,
}

impl Agent {
    /// Starts it in its own control group; `more` are arguments.
    pub(crate) fn start(place: &Place, alerts: Alerts, more: &[&str]) -> Self {
        let channels = match alerts {
            Alerts::Stdout => "stdout_output: {enabled: true}\n".to_owned(),
            Alerts::FileOnly => {
                let file = place.path("alerts.json");
                let file = file.display();
                format!(
                    "stdout_output: {{enabled: true}}\n\
                     file_output: {{enabled: true, keep_alive: true, filename: {file}}}\n"
                )
            }
        };
        place.write("falco.yaml", &format!("{CONFIG}{channels}"));
        place.write("rules.yaml", RULES);
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(place.agent());
        command.arg(program()).args(["-c", "falco.yaml", "-r", "rules.yaml"]);
        let scope = place.watched();
        command.arg("-o").arg(format!("engine.modern_ebpf.scope.cgroup={}", scope.display()));
        command.args(more).current_dir(place.directory()).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let (log, seen) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<Seen>>::default());
        collect_log(child.stderr.take().unwrap(), &log);
        let mut stdout = child.stdout.take();
        match alerts {
            Alerts::Stdout => collect_alerts(stdout.take().unwrap(), &seen),
            Alerts::FileOnly => follow_file(place.path("alerts.json"), &seen),
        }
        Self { child, log, seen, started: Instant::now(), _stdout: stdout }
    }

    /// Waits until it monitors the kernel, at most this long; returns how long it took.
    pub(crate) fn wait_started(&mut self, within: Duration) -> Option<Duration> {
        while !self.log().contains("Watching control group") {
            if self.started.elapsed() > within || self.has_ended() {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Some(self.started.elapsed())
    }

    /// Address of its web server, once that listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let log = self.log();
        let address = log.split("listening on ").nth(1)?.split_whitespace().next()?;
        address.parse().ok()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What has arrived.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// A line of `/proc/PID/status`, such as the peak of resident memory (`VmHWM`), in bytes.
    pub(crate) fn memory(&self, line: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// How long it takes to end; `None` if it does not in this time.
    pub(crate) fn wait_ended(&mut self, within: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while !self.has_ended() {
            if begun.elapsed() > within {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Some(begun.elapsed())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // If it is in an uninterruptible sleep, the test must not wait for it.
        let _ = self.wait_ended(Duration::from_secs(5));
    }
}

impl Seen {
    fn add(&mut self, line: &str) {
        // Floods of alerts must not hold up the reading of the others.
        if line.contains(LOOPED) {
            self.total += 1;
            return;
        }
        let Ok(alert) = serde_json::from_str::<Value>(line) else { return };
        self.total += 1;
        let fields = &alert["output_fields"];
        match (alert["rule"].as_str(), fields["fd.name"].as_str()) {
            (Some("Quiet act"), Some(name)) => {
                let act = name.split(CANARY).nth(1).unwrap_or(name);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                let then = Duration::from_nanos(fields["evt.time"].as_u64().unwrap_or_default());
                self.delays.insert(act.to_owned(), now.saturating_sub(then));
            }
            (Some(rule), _) if rule.starts_with("Falco internal") => {
                self.internal.push(alert["output"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
}

fn collect_log(stderr: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

fn collect_alerts(stdout: impl Read + Send + 'static, seen: &Arc<Mutex<Seen>>) {
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            seen.lock().unwrap().add(&line);
        }
    });
}

/// Reads lines that are appended to a file, until the test drops what it has seen.
fn follow_file(path: PathBuf, seen: &Arc<Mutex<Seen>>) {
    let seen = Arc::downgrade(seen);
    thread::spawn(move || {
        let (mut file, mut line) = (None, String::new());
        while let Some(seen) = seen.upgrade() {
            if file.is_none() {
                file =
                    fs::File::open(&path).ok().map(|file| BufReader::with_capacity(1 << 20, file));
            }
            let read = file.as_mut().map_or(0, |file| file.read_line(&mut line).unwrap_or(0));
            if read > 0 && line.ends_with('\n') {
                seen.lock().unwrap().add(&line);
                line.clear();
            } else if read == 0 {
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
}
