//! The running kernel, monitored through the program.
//!
//! Each test creates its own cgroup and monitors only that. Without root, or if the kernel accepts
//! no BPF programs, the tests are skipped and say so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod drops;
mod late_containers;
mod metrics;
#[path = "../ports/mod.rs"]
mod ports;
mod service;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_event::snapshot::Item;
use peregrine_scap::{Reader, Record};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

const CONFIG: &str = "\
engine: {kind: modern_ebpf}
stdout_output: {enabled: true}
json_output: true
log_stderr: true
log_syslog: false
rule_matching: all
load_plugins: []
";

/// One rule per act, with fields that depend on the snapshot or on events of other processes.
const RULES: &str = r#"
- rule: Sensitive file read
  desc: d
  condition: evt.type in (open, openat) and evt.is_open_read=true and fd.name=/etc/shadow and proc.name=cat
  output: "%proc.cmdline %proc.exepath %proc.cwd %proc.aname[1] %proc.pcmdline %fd.name %fd.directory %user.name %user.uid"
  priority: WARNING
- rule: Server starts shell
  desc: d
  condition: evt.type=execve and evt.rawres=0 and proc.name=sh and proc.pname=nginx
  output: "%proc.cmdline %proc.exepath %proc.pname %proc.pexepath %proc.aname[2] %user.name"
  priority: WARNING
- rule: Write below etc
  desc: d
  condition: evt.type in (open, openat) and evt.is_open_write=true and fd.name startswith /etc/
  output: "%fd.name %proc.name %evt.arg.flags"
  priority: WARNING
- rule: Tool connects
  desc: d
  condition: evt.type=connect and proc.name=ncat and fd.typechar=4
  output: "%fd.name %fd.sip %fd.sport %fd.cip %fd.lip %fd.rport %fd.l4proto %fd.type %proc.name"
  priority: WARNING
- rule: Run from memory
  desc: d
  condition: evt.type in (execve, execveat) and evt.rawres=0 and proc.is_exe_from_memfd=true
  output: "%proc.exepath %proc.args"
  priority: WARNING
- rule: Attached
  desc: d
  condition: evt.type=ptrace and evt.arg.request=PTRACE_ATTACH
  output: "%evt.res %proc.name %evt.arg.pid"
  priority: WARNING
- rule: Sets its user
  desc: d
  condition: evt.type=setuid and user.uid=65534
  output: "%user.name %user.uid %evt.arg.uid %proc.name"
  priority: WARNING
- rule: Symlink over sensitive file
  desc: d
  condition: evt.type in (symlink, symlinkat) and evt.arg.target=/etc/shadow
  output: "%evt.arg.target %evt.arg.linkpath %proc.cwd %proc.name"
  priority: WARNING
- rule: Directory traversal
  desc: d
  condition: evt.type in (open, openat) and fd.nameraw contains "../../" and proc.name=cat
  output: "%fd.name %fd.nameraw"
  priority: WARNING
- rule: Log truncated
  desc: d
  condition: evt.type in (open, openat) and evt.arg.flags contains O_TRUNC and fd.name startswith /var/log/
  output: "%fd.name %proc.name"
  priority: WARNING
"#;

/// All acts, in a mount namespace in which `/etc` and `/var/log` are directories of the test. `$1`
/// is the directory of the test, `$2` a listening port.
const ACTS: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$1/etc" /etc
mount --bind "$1/log" /var/log
cd "$1"
cat /etc/shadow >/dev/null
./nginx -c 'sh -c ":"; :'
echo x >/etc/new.conf
./ncat -c "exec 3<>/dev/tcp/127.0.0.1/$2"
python3 -c '
import os
fd = os.memfd_create("kit")
with open("/bin/true", "rb") as program:
    os.write(fd, program.read())
os.execv(f"/proc/self/fd/{fd}", ["kit", "argument"])'
python3 -c '
import ctypes, os, time
child = os.fork()
if child == 0:
    time.sleep(10)
    os._exit(0)
ATTACH, DETACH = 16, 17
libc = ctypes.CDLL(None)
libc.ptrace(ATTACH, child, None, None)
os.waitpid(child, 0)
libc.ptrace(DETACH, child, None, None)
os.kill(child, 9)
os.waitpid(child, 0)'
python3 -c '
import os
os.setgid(65534)
os.setuid(65534)
try:
    os.setuid(1)
except PermissionError:
    pass'
ln -s /etc/shadow link
./nginx -c 'cat ../../../../../../etc/shadow >/dev/null; :'
: >/var/log/some.log
"#;

/// A cgroup and a directory for a test.
struct Place {
    group: PathBuf,
    directory: tempfile::TempDir,
}

/// A process that ends with the test, whether that passes or fails.
struct Owned(Child);

/// Peregrine, monitoring the cgroup of a place.
struct Watcher {
    child: Owned,
    /// Its output before it started monitoring.
    start_log: String,
    alerts: Receiver<String>,
    seen: Vec<Value>,
    log: JoinHandle<String>,
}

impl Place {
    /// `None`, with a line that says why, if the test cannot run.
    fn new(name: &str) -> Option<Self> {
        if !geteuid().is_root() {
            return skip("it takes root");
        }
        for tool in ["python3", "bash", "unshare", "mount"] {
            if Command::new(tool).arg("--version").output().is_err() {
                return skip(&format!("it takes {tool}"));
            }
        }
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let Some(root) = roots.iter().find(|root| root.join("cgroup.controllers").exists()) else {
            return skip("there is no cgroup v2 file system");
        };
        let group = root.join(format!("peregrine-test-{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&group) {
            return skip(&format!("{}: {error}", group.display()));
        }
        let place = Self { group, directory: tempfile::tempdir().unwrap() };
        // Other users than root traverse it too.
        fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        place.write("falco.yaml", CONFIG);
        for directory in ["etc", "log"] {
            fs::create_dir_all(place.path(directory)).unwrap();
        }
        place.write("etc/shadow", "demo:*:20000:0:99999:7:::\n");
        place.write("etc/passwd", "nobody:x:65534:65534:nobody:/:/bin/false\n");
        place.write("log/some.log", "a line\n");
        for name in ["nginx", "ncat"] {
            symlink("/bin/bash", place.path(name)).unwrap();
        }
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Starts Peregrine. `None`, with a line that says why, if the kernel cannot be monitored.
    fn watch(&self, more: &[&str]) -> Option<Watcher> {
        self.watch_from(more, "Watching control group")
    }

    /// The same; returns once this is in the log.
    fn watch_from(&self, more: &[&str], start: &str) -> Option<Watcher> {
        self.watch_in(more, &[], start)
    }

    /// The same with these variables in the environment.
    fn watch_with(&self, more: &[&str], environment: &[(&str, &str)]) -> Option<Watcher> {
        self.watch_in(more, environment, "Watching control group")
    }

    fn watch_in(
        &self,
        more: &[&str],
        environment: &[(&str, &str)],
        start: &str,
    ) -> Option<Watcher> {
        let mut command = peregrine(self.directory.path());
        command.envs(environment.iter().copied());
        command.arg("-o").arg(format!("engine.modern_ebpf.scope.cgroup={}", self.group.display()));
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Owned(command.spawn().unwrap());
        let (send, alerts) = channel();
        let stdout = BufReader::new(child.0.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
        let (mut line, mut log) = (String::new(), String::new());
        while !line.contains(start) {
            line.clear();
            if stderr.read_line(&mut line).unwrap() == 0 {
                let _ = child.0.wait();
                assert!(log.contains("cannot watch this kernel"), "{log}");
                return skip(&log);
            }
            log += &line;
        }
        let start_log = log;
        let log = thread::spawn(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).unwrap();
            rest
        });
        Some(Watcher { child, start_log, alerts, seen: Vec::new(), log })
    }

    /// Performs the acts in the cgroup.
    fn act(&self, script: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        self.write("acts.sh", script);
        let enter =
            "echo $$ >\"$0/cgroup.procs\" && exec unshare --mount bash \"$1/acts.sh\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", enter]).arg(&self.group).arg(self.directory.path()).arg(port);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Does nothing if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Watcher {
    /// Waits until each of these rules has matched as often as it is listed.
    fn wait_for(&mut self, rules: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut missing: Vec<_> = rules.to_vec();
        while !missing.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.alerts.recv_timeout(left) else {
                panic!("no alert of {missing:?}; there were: {:#?}", self.seen);
            };
            let alert: Value = serde_json::from_str(&line).unwrap();
            if let Some(found) = missing.iter().position(|rule| alert["rule"] == **rule) {
                missing.remove(found);
            }
            self.seen.push(alert);
        }
    }

    /// Whether this rule matches before this time has passed without any alert.
    fn sees(&mut self, rule: &str, patience: Duration) -> bool {
        while let Ok(line) = self.alerts.recv_timeout(patience) {
            self.seen.push(serde_json::from_str(&line).unwrap());
            if self.seen.last().is_some_and(|alert| alert["rule"] == rule) {
                return true;
            }
        }
        false
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Ends the run and returns all alerts.
    fn end(self) -> Vec<Value> {
        self.end_and_tell().0
    }

    /// The same, with the output on stderr.
    fn end_and_tell(self) -> (Vec<Value>, String) {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// The same of a run that was told to end. A second signal would end it at once.
    fn finish(mut self) -> (Vec<Value>, String) {
        let rest: Vec<String> = self.alerts.iter().collect();
        assert!(self.child.0.wait().unwrap().success());
        let alerts = rest.iter().filter(|line| line.starts_with('{'));
        self.seen.extend(alerts.map(|line| serde_json::from_str(line).unwrap()));
        (self.seen, self.log.join().unwrap())
    }
}

fn peregrine(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
    command.current_dir(directory).env("TZ", "UTC").env("FALCO_HOSTNAME", "HOST");
    command.args(["-c", "falco.yaml"]);
    command
}

fn skip<T>(why: &str) -> Option<T> {
    eprintln!("SKIPPED: the running kernel is not tested: {}", why.trim_end());
    None
}

/// The fields of the first alert of each rule.
fn fields(alerts: &[Value]) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    for alert in alerts {
        let rule = alert["rule"].as_str().unwrap().to_owned();
        fields.entry(rule).or_insert_with(|| alert["output_fields"].clone());
    }
    fields
}

#[test]
fn acts_raise_alerts_with_the_right_fields_and_their_recording_does_so_again() {
    let Some(place) = Place::new("acts") else { return };
    place.write("rules.yaml", RULES);
    let Some(mut watcher) = place.watch(&["-r", "rules.yaml", "-w", "live.scap"]) else { return };
    place.act(ACTS);
    let rules: Vec<_> = RULES.lines().filter_map(|line| line.strip_prefix("- rule: ")).collect();
    assert_eq!(rules.len(), 10);
    watcher.wait_for(&rules);
    let alerts = watcher.end();
    let fields = fields(&alerts);
    let directory = place.directory.path().to_str().unwrap();
    let real = |program: &str| {
        let found = ["/usr/bin", "/bin"].map(|bin| Path::new(bin).join(program));
        let found = found.iter().find(|path| path.exists()).unwrap();
        found.canonicalize().unwrap().to_str().unwrap().to_owned()
    };
    let check = |rule: &str, expected: &[(&str, &str)]| {
        for (field, value) in expected {
            let seen = &fields[rule][*field];
            let seen = seen.as_str().map_or_else(|| seen.to_string(), str::to_owned);
            assert_eq!(seen, *value, "{rule}: {field} of {:#?}", fields[rule]);
        }
    };
    check(
        "Sensitive file read",
        &[
            ("proc.cmdline", "cat /etc/shadow"),
            ("proc.exepath", &real("cat")),
            ("proc.cwd", &format!("{directory}/")),
            ("proc.aname[1]", "bash"),
            ("fd.name", "/etc/shadow"),
            ("fd.directory", "/etc"),
            ("user.name", "root"),
            ("user.uid", "0"),
        ],
    );
    check(
        "Server starts shell",
        &[
            ("proc.cmdline", "sh -c :"),
            ("proc.exepath", &real("sh")),
            ("proc.pname", "nginx"),
            ("proc.pexepath", &real("bash")),
            ("proc.aname[2]", "bash"),
        ],
    );
    check("Write below etc", &[("fd.name", "/etc/new.conf"), ("proc.name", "bash")]);
    let port = fields["Tool connects"]["fd.sport"].to_string();
    let name = fields["Tool connects"]["fd.name"].as_str().unwrap();
    assert!(
        name.starts_with("127.0.0.1:") && name.ends_with(&format!("->127.0.0.1:{port}")),
        "{name}"
    );
    check(
        "Tool connects",
        &[
            ("fd.sip", "127.0.0.1"),
            ("fd.cip", "127.0.0.1"),
            ("fd.l4proto", "tcp"),
            ("fd.type", "ipv4"),
        ],
    );
    check("Run from memory", &[("proc.exepath", "memfd:kit"), ("proc.args", "argument")]);
    check("Attached", &[("evt.res", "SUCCESS"), ("proc.name", "python3")]);
    check("Sets its user", &[("user.uid", "65534"), ("user.name", "nobody")]);
    check(
        "Symlink over sensitive file",
        &[("evt.arg.target", "/etc/shadow"), ("proc.cwd", &format!("{directory}/"))],
    );
    let traversal = [("fd.name", "/etc/shadow"), ("fd.nameraw", "../../../../../../etc/shadow")];
    check("Directory traversal", &traversal);
    check("Log truncated", &[("fd.name", "/var/log/some.log"), ("proc.name", "bash")]);

    let mut replay = peregrine(place.directory.path());
    replay.args(["-r", "rules.yaml", "-o", "engine.kind=replay", "-o"]);
    let output = replay.arg("engine.replay.capture_file=live.scap").output().unwrap();
    let again = String::from_utf8(output.stdout).unwrap();
    let again = again.lines().filter(|line| line.starts_with('{'));
    let again: Vec<Value> = again.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(again, alerts);
    assert_nobody_else_is_recorded(&place.path("live.scap"));
}

/// A recording of a cgroup contains it and its ancestors. This test has few ancestors.
fn assert_nobody_else_is_recorded(capture: &Path) {
    let mut reader = Reader::open(capture).unwrap();
    let (mut parents, mut actors) = (BTreeMap::new(), Vec::new());
    while let Some(record) = reader.next().unwrap() {
        match record {
            Record::Snapshot(Item::Thread(thread)) => {
                parents.insert(thread.tid, thread.ptid);
            }
            Record::Event { event, .. } => actors.push(event.tid),
            _ => {}
        }
    }
    let mut related = std::collections::BTreeSet::new();
    for mut tid in actors {
        while related.insert(tid) {
            let Some(&parent) = parents.get(&tid) else { break };
            tid = parent;
        }
    }
    let strangers: Vec<_> = parents.keys().filter(|tid| !related.contains(tid)).collect();
    assert!(strangers.is_empty(), "{} threads of others are recorded", strangers.len());
}

/// The upstream rules, if their directory is given.
#[test]
fn upstream_rules_see_the_acts() {
    let Some(directory) = std::env::var_os("PEREGRINE_UPSTREAM_RULES") else {
        let _: Option<()> = skip("PEREGRINE_UPSTREAM_RULES names no directory of upstream rules");
        return;
    };
    let Some(place) = Place::new("upstream") else { return };
    let directory = PathBuf::from(directory);
    let directory = directory.to_str().unwrap();
    place.write("falco.yaml", &CONFIG.replace("load_plugins: []", CONTAINER));
    let Some(mut watcher) = place.watch(&["-r", directory]) else {
        return;
    };
    place.act(ACTS);
    watcher.wait_for(&[
        "Read sensitive file untrusted",
        "Run shell untrusted",
        "Write below etc",
        "Fileless execution via memfd_create",
        "PTRACE attached to process",
        "Create Symlink Over Sensitive Files",
        "Clear Log Activities",
        "Directory traversal monitored file read",
        // Both concern containers, and the cgroup of a test looks like one.
        "Netcat Remote Code Execution in Container",
        "Non sudo setuid",
    ]);
    let alerts = watcher.end();
    // A user of the container's own passwd file.
    let setuid = alerts.iter().find(|alert| alert["rule"] == "Non sudo setuid").unwrap();
    assert_eq!(setuid["output_fields"]["user.name"], "nobody");
}

const CONTAINER: &str = "plugins: [{name: container, library_path: libcontainer.so}]";

#[test]
fn without_events_the_run_ends_in_time_and_leaves_a_capture() {
    let Some(place) = Place::new("idle") else { return };
    place.write("rules.yaml", RULES);
    let more = ["-r", "rules.yaml", "-M", "1", "-w", "idle.scap.gz"];
    let Some(mut watcher) = place.watch(&more) else { return };
    let begun = Instant::now();
    assert!(watcher.child.0.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(8));
    let mut reader = Reader::open(place.path("idle.scap.gz")).unwrap();
    assert!(reader.next().unwrap().is_some());
}

#[test]
fn what_rules_cost_is_measured_while_the_kernel_is_watched() {
    let Some(place) = Place::new("profile") else { return };
    place.write("rules.yaml", RULES);
    let more = ["-r", "rules.yaml", "--profile-folded", "stacks.txt"];
    let Some(mut watcher) = place.watch(&more) else { return };
    // Only a sample of the events is timed, so there must be many.
    place.act(
        "mount --make-rprivate /; mount --bind \"$1/etc\" /etc
        for ((i = 0; i < 2000; i++)); do : </etc/shadow; done
        cat /etc/shadow >/dev/null",
    );
    watcher.wait_for(&["Sensitive file read"]);
    let _ = watcher.end();
    let stacks = fs::read_to_string(place.path("stacks.txt")).unwrap();
    let of_rule = stacks.lines().find(|line| line.starts_with("Sensitive file read;open"));
    assert!(of_rule.is_some(), "{stacks}");
}
