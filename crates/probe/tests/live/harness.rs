//! Cgroups, processes in them, and the probe that monitors them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use peregrine_event::source::{Due, Next, ProcResolver, Record, Source, TimedSource};
use peregrine_event::{Event, syscall_names};
use peregrine_probe::bpf::{ProbeConfig, Selection, Tracepoints};
use peregrine_probe::{Live, ProcLookup};
use peregrine_state::{Config, Context, State};
use rustix::process::{Pid, Signal, kill_process};

/// Time limit for something to happen: far longer than needed, also on an emulated CPU.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A cgroup that is removed with all its processes.
pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let path = words.next()?;
            (words.next()? == "cgroup2").then_some(path)
        });
        let missing = match mount {
            _ if !rustix::process::geteuid().is_root() => "root",
            None => "cgroup v2",
            _ if !Path::new("/sys/kernel/btf/vmlinux").exists() => "a kernel with BTF",
            Some(mount) => {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let name = format!("peregrine-test-{}-{number}", std::process::id());
                let path = Path::new(mount).join(name);
                match fs::create_dir(&path) {
                    Ok(()) => return Some(Self(path)),
                    Err(_) => "the right to make control groups",
                }
            }
        };
        eprintln!("skipped: this test needs {missing}");
        None
    }

    /// Runs a shell script in the cgroup; events before its first command are not checked.
    pub(crate) fn shell(&self, script: &str) -> Running {
        let script = format!("echo $$ > {}/cgroup.procs; {script}", self.0.display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null());
        Running(command.spawn().unwrap())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            let members = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            for pid in members.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn pid(&self) -> i64 {
        self.0.id().into()
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until the process executes this program.
    pub(crate) fn is_called(&self, comm: &str) {
        let path = format!("/proc/{}/comm", self.0.id());
        eventually(|| fs::read_to_string(&path).is_ok_and(|text| text.trim() == comm));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never happens");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this may come when that is due. What is idle may have something a moment later.
fn is_due(due: Due, next: &Next<'_>) -> bool {
    match next {
        Next::Loading | Next::Record(Record::Restart | Record::Snapshot(_)) => due == Due::Now,
        // Late events come with those before them.
        Next::Record(Record::Event { event, .. }) => due >= Due::At(event.ts) && due < Due::End,
        Next::Repair(_) | Next::Observation(_) => matches!(due, Due::At(_) | Due::Idle),
        Next::Idle => due == Due::Idle,
        Next::End => due == Due::End,
    }
}

/// A monitored cgroup and its state.
pub(crate) struct Watched {
    pub(crate) live: Live,
    pub(crate) state: State,
    pub(crate) resolver: ProcLookup,
    pub(crate) loaded: bool,
}

impl Watched {
    pub(crate) fn new(cgroup: &Cgroup, syscalls: &[&str], ring_bytes: u32) -> Self {
        let codes = syscall_names().filter(|(_, name)| syscalls.contains(name));
        let config = ProbeConfig {
            selection: Selection {
                syscalls: codes.map(|(code, _)| code).collect(),
                tracepoints: Tracepoints::PROCESS_EXIT,
            },
            ring_bytes,
            scope: Some(cgroup.0.clone()),
            ..ProbeConfig::default()
        };
        let mut live = Live::start(&config, Path::new("/")).unwrap();
        let resolver = live.resolver().unwrap();
        Self {
            live,
            resolver,
            state: State::new(Config { live: true, ..Config::default() }),
            loaded: false,
        }
    }

    /// Consumes records until `see` returns true.
    pub(crate) fn until(
        &mut self,
        mut see: impl FnMut(Option<(&Event<'_>, Context)>, &State) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        // Events delayed for longer than the merge window arrive late, and are counted.
        let (mut num, mut ts, mut late) = (0, 0, 0);
        let mut peek = false;
        loop {
            assert!(Instant::now() < deadline, "it never comes");
            // With a peek every other time.
            peek = !peek;
            let due = peek.then(|| self.live.due().unwrap());
            let next = self.live.next().unwrap();
            assert!(due.is_none_or(|due| is_due(due, &next)), "{due:?} {next:?}");
            let seen = match next {
                Next::End => panic!("a kernel has no end"),
                Next::Record(Record::Restart) => panic!("a kernel does not begin anew"),
                Next::Loading => continue,
                Next::Record(Record::Snapshot(item)) => {
                    assert!(!self.loaded);
                    self.state.load(item);
                    continue;
                }
                Next::Repair(repair) => {
                    self.state.repair(repair);
                    see(None, &self.state)
                }
                Next::Observation(observation) => {
                    self.state.observe(observation);
                    see(None, &self.state)
                }
                Next::Idle => {
                    let counted =
                        self.live.losses().refresh(Duration::ZERO).unwrap().statistics.late;
                    assert!(late <= counted, "time goes back {late} times, {counted} are counted");
                    self.loaded |= {
                        self.state.loaded();
                        true
                    };
                    see(None, &self.state)
                }
                Next::Record(Record::Event { event, .. }) => {
                    if !std::mem::replace(&mut self.loaded, true) {
                        self.state.loaded();
                    }
                    assert!(num == 0 || event.num == num + 1);
                    num = event.num;
                    late += u64::from(event.ts < ts);
                    ts = ts.max(event.ts);
                    if let Some(tid) = self.state.unknown_tid(&event) {
                        let items = self.resolver.resolve(tid, &|tid| self.state.knows(tid));
                        self.state.add_resolved(items);
                    }
                    let context = self.state.apply(&event);
                    while let Some(request) = self.state.next_files_request() {
                        assert!(self.resolver.request_files(&request));
                    }
                    while let Some(request) = self.state.next_account_request() {
                        assert!(self.resolver.request_accounts(&request));
                    }
                    see(Some((&event, context)), &self.state)
                }
            };
            if seen {
                return;
            }
        }
    }
}
