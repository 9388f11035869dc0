//! The source `k8s_audit` in the program: files, the webhook under load, captures, metrics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod ports;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ports::free_port;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const CONFIG: &str = "\
log_stderr: true
log_syslog: false
json_output: true
rule_matching: all
";

const RULES: &str = r#"
- required_plugin_versions:
    - {name: k8saudit, version: 0.7.0}
    - {name: json, version: 0.7.0}
- rule: Secret
  desc: A secret is read.
  condition: ka.verb = get and ka.target.resource = secrets
  output: "%evt.num %ka.auditid %ka.user.name %json.value[/objectRef/name] %evt.source %evt.pluginname"
  priority: NOTICE
  source: k8s_audit
- rule: Opened
  desc: A file is opened.
  condition: evt.type in (open, openat)
  output: "%fd.name"
  priority: NOTICE
- rule: Other
  desc: Of a source that is not there.
  condition: evt.num > 0
  output: "x"
  priority: NOTICE
  source: aws_cloudtrail
"#;

/// An event of this size.
fn event(id: u64, verb: &str, size: usize) -> String {
    let filler = "x".repeat(size.saturating_sub(330));
    format!(
        r#"{{"kind":"Event","auditID":"{id}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/secrets/tok","verb":"{verb}","user":{{"username":"mona","groups":["devs"]}},"objectRef":{{"resource":"secrets","namespace":"shop","name":"tok"}},"stageTimestamp":"2026-03-02T10:00:01.250000Z","responseObject":{{"metadata":{{"name":"tok"}},"data":"{filler}"}}}}"#
    )
}

fn batch(first: u64, events: u64, size: usize) -> String {
    let items: Vec<_> = (first..first + events).map(|id| event(id, "get", size)).collect();
    format!(r#"{{"kind":"EventList","items":[{}]}}"#, items.join(","))
}

/// A directory with configuration and rules.
fn place(config: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("falco.yaml"), format!("{CONFIG}{config}")).unwrap();
    fs::write(place.path().join("rules.yaml"), RULES).unwrap();
    place
}

fn command(place: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(place).args(["-c", "falco.yaml", "-r", "rules.yaml"]).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(place: &Path, options: &[&str]) -> Output {
    let output = command(place, options).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    output
}

/// The texts of the alerts.
fn texts(stdout: &[u8]) -> Vec<String> {
    let alerts = stdout.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    let text = |line: &[u8]| {
        let alert: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(alert["source"], "k8s_audit");
        let text = alert["output"].as_str().unwrap();
        text.split_once("Notice ").unwrap().1.to_owned()
    };
    alerts.map(text).collect()
}

const FILE: &str = "\
engine: {kind: nodriver}
stdout_output: {enabled: true}
plugins:
  - {name: k8saudit, open_params: audit.jsonl}
  - {name: json}
";

#[test]
fn a_file_is_evaluated_recorded_and_replayed() {
    let place = place(FILE);
    let lines: Vec<_> =
        (1..=3).map(|id| event(id, if id == 2 { "list" } else { "get" }, 0)).collect();
    fs::write(place.path().join("audit.jsonl"), lines.join("\n")).unwrap();
    let expected = ["1 1 mona tok k8s_audit k8saudit", "3 3 mona tok k8s_audit k8saudit"];
    let options = ["--disable-source", "syscall", "-w", "all.scap"];
    assert_eq!(texts(&run(place.path(), &options).stdout), expected);
    let replay = "engine={kind: replay, replay: {capture_file: all.scap}}";
    assert_eq!(texts(&run(place.path(), &["-o", replay]).stdout), expected);
    // Without the plugin, nothing says which source the events of the capture belong to.
    let without = format!("{CONFIG}stdout_output: {{enabled: true}}\nload_plugins: []\n");
    fs::write(place.path().join("falco.yaml"), without).unwrap();
    fs::write(place.path().join("rules.yaml"), "[]").unwrap();
    let output = command(place.path(), &["-o", replay]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("Unknown event source for inspector's event (plugin ID: 1)"),
        "{stderr}"
    );
}

#[test]
fn sources_are_chosen_and_checked() {
    let place = place(FILE);
    let failure = |options: &[&str]| {
        let output = command(place.path(), options).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{options:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = failure(&["--enable-source", "other"]);
    assert!(text.contains("Attempted enabling an unknown event source: other"), "{text}");
    let text = failure(&["--disable-source", "syscall", "--disable-source", "k8s_audit"]);
    assert!(text.contains("Must enable at least one event source"), "{text}");
    // The file does not exist.
    let text = failure(&["--disable-source", "syscall"]);
    assert!(text.contains("Error: stat audit.jsonl: no such file or directory"), "{text}");
    let text = failure(&["-o", "plugins[0].native=false", "-o", "plugins[0].library_path=/x.so"]);
    assert!(text.contains("Runtime error: cannot load plugin /x.so: can't load"), "{text}");
    let text = failure(&["-o", "plugins[0].init_config={maxEventSize: []}"]);
    assert!(
        text.contains("error in plugin k8saudit init config: In <root>[maxEventSize]"),
        "{text}"
    );
    run(place.path(), &["--dry-run"]);
    let list = |options: &[&str]| String::from_utf8(run(place.path(), options).stdout).unwrap();
    let fields = list(&["--list=k8s_audit", "-N"]);
    assert!(
        fields.contains("ka.req.pod.initContainers.image\n") && fields.contains("json.value\n")
    );
    assert!(!fields.contains("proc.name"));
    let plugins = list(&["--list-plugins"]);
    assert!(plugins.contains("Event Sourcing (ID=1, source='k8s_audit')"), "{plugins}");
}

/// The program with a webhook.
struct Agent {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Agent {
    fn start(place: &Path) -> Self {
        let mut child = command(place, &[]).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Audit events are received at") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {line}");
        }
        Self { child, log }
    }

    /// Posts a batch on a connection of its own if there is none. Returns the status.
    fn post(connection: &mut Option<BufReader<TcpStream>>, port: u16, body: &str) -> u16 {
        let connection = connection.get_or_insert_with(|| {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_nodelay(true).unwrap();
            BufReader::new(stream)
        });
        let head = format!(
            "POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.get_mut().write_all(head.as_bytes()).unwrap();
        connection.get_mut().write_all(body.as_bytes()).unwrap();
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        while connection.read_line(&mut line).unwrap() > 2 {
            let text = line.to_ascii_lowercase();
            if let Some(rest) = text.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = text.strip_prefix("content-length: ") {
                length = rest.trim().parse().unwrap();
            }
            line.clear();
        }
        connection.read_exact(&mut vec![0; length]).unwrap();
        status
    }

    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        stdout
    }
}

/// Each batch that was answered with 200 is evaluated whole, also when the program is stopped right
/// after, and no other is. `PEREGRINE_AUDIT_EVENTS` sets how many events are posted.
#[test]
fn all_events_of_accepted_batches_are_evaluated() {
    const CLIENTS: u64 = 4;
    const EVENTS: u64 = 100;
    let wanted = std::env::var("PEREGRINE_AUDIT_EVENTS").ok().and_then(|it| it.parse().ok());
    let batches = wanted.unwrap_or(4_000u64) / EVENTS;
    let port = free_port();
    let place = place(&format!(
        "engine: {{kind: nodriver}}\nfile_output: {{enabled: true, filename: alerts}}\nplugins:\n  - {{name: k8saudit, open_params: \"http://127.0.0.1:{port}/k8s-audit\"}}\n  - {{name: json}}\n"
    ));
    let rules = RULES.replace("priority: NOTICE", "priority: NOTICE\n  tags: [t]");
    fs::write(place.path().join("rules.yaml"), rules).unwrap();
    let agent = Agent::start(place.path());
    let (accepted, again, number) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let bodies: Vec<_> = (0..8).map(|n| batch(n * EVENTS, EVENTS, 4096)).collect();
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = None;
                loop {
                    let batch = number.fetch_add(1, Relaxed);
                    if batch >= batches {
                        return;
                    }
                    let body = &bodies[(batch % 8) as usize];
                    loop {
                        match Agent::post(&mut connection, port, body) {
                            200 => break,
                            429 => again.fetch_add(1, Relaxed),
                            other => panic!("{other}"),
                        };
                        thread::sleep(Duration::from_millis(20));
                    }
                    accepted.fetch_add(EVENTS, Relaxed);
                }
            });
        }
    });
    let (took, accepted) = (begun.elapsed(), accepted.into_inner());
    let summary = agent.stop();
    eprintln!(
        "{accepted} events of 4 KiB in {took:.2?}: {:.0} events/s, {} batches were sent again",
        accepted as f64 / took.as_secs_f64(),
        again.into_inner()
    );
    assert_eq!(accepted, batches * EVENTS);
    assert!(summary.contains(&format!("Events detected: {accepted}\n")), "{summary}");
}
