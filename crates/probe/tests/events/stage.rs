//! Runs rows: a loaded probe that monitors one cgroup, and a process in it for each row.

use std::fs;
use std::io::{PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use peregrine_event::{EventCounters, syscall_names};
use peregrine_probe::bpf::{HookPlan, Probe, ProbeConfig, ProbeError, Selection, Tracepoints};
use peregrine_probe::{Ring, event_of};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, Signal, kill_process};

use crate::frame::{self, Row, Verdict};
use crate::sys;

/// Time limit of a row.
const PATIENCE: Duration = Duration::from_secs(20);
const RING_BYTES: u32 = 1 << 20;
const TRACEFS: &str = "/sys/kernel/tracing";

/// Closed at the end of an act when two plans are compared: later events need not agree.
const END: i32 = -0x5eed;

/// The loaded probe and its cgroup.
pub(crate) struct Stage {
    /// Rows are checked against the first probe; the others must report the same.
    watches: Vec<Watch>,
    cgroup: Cgroup,
    directory: PathBuf,
    /// Tracepoints that this kernel does not have.
    pub(crate) missing: Tracepoints,
}

/// A loaded probe and its rings.
struct Watch {
    probe: Probe,
    rings: Vec<Ring>,
    lost: u64,
}

/// Why no row can run.
pub(crate) enum Unfit {
    /// The machine lacks something.
    Lacks(String),
    /// The kernel rejects what it should accept.
    Refuses(String),
}

impl Stage {
    /// Loads a probe for each of these plans; `None` is the best that the kernel supports.
    pub(crate) fn set(plans: &[Option<HookPlan>]) -> Result<Self, Unfit> {
        let lacks = |what: &str| Err(Unfit::Lacks(what.into()));
        if !rustix::process::geteuid().is_root() {
            return lacks("needs root");
        }
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return lacks("needs a kernel that describes its types (/sys/kernel/btf/vmlinux)");
        }
        let own = format!("peregrine-events-{}", std::process::id());
        let directory = std::env::temp_dir().join(&own);
        let Some(cgroups) = private_mounts(&directory) else { return lacks("needs cgroup v2") };
        let cgroup = Cgroup(cgroups.join(&own));
        if fs::create_dir(&cgroup.0).is_err() {
            return lacks("needs the right to make control groups");
        }
        let mut stage =
            Self { watches: Vec::new(), cgroup, directory, missing: Tracepoints::empty() };
        for plan in plans {
            let watch = Watch::of(&stage.cgroup.0, *plan)?;
            stage.missing |= watch.probe.missing();
            stage.watches.push(watch);
        }
        Ok(stage)
    }

    /// The plans in use, one word each.
    pub(crate) fn plans(&self) -> String {
        let words = self.watches.iter().map(|watch| match watch.probe.plan() {
            HookPlan::PerSyscall => "per_syscall",
            HookPlan::SysExit => "sys_exit",
        });
        words.collect::<Vec<_>>().join("+")
    }

    /// Functions of system calls that should be hooked and are not, with reasons.
    pub(crate) fn unhooked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.watches.iter().flat_map(|watch| watch.probe.unhooked())
    }

    /// Whether arguments are also captured at the entry of calls.
    pub(crate) fn entries(&self) -> bool {
        self.watches.iter().all(|watch| watch.probe.entries())
    }

    /// Runs a row in a process of its own.
    pub(crate) fn perform(&mut self, row: &Row) -> Verdict {
        let (mut reader, writer) = match std::io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => return Verdict::Failed(error.to_string()),
        };
        let _ = fs::create_dir_all(&self.directory);
        let pid = sys::fork(|| self.act(row, writer));
        let mut report = String::new();
        let in_time = read_in_time(&mut reader, &mut report);
        if !in_time {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        let status = sys::wait(pid);
        self.clear();
        let _ = fs::remove_dir_all(&self.directory);
        let verdict = match report.split_at_checked(1) {
            _ if !in_time => Verdict::Failed(format!("not over after {PATIENCE:?}")),
            Some(("+", count)) => Verdict::Ok(count.parse().unwrap_or_default()),
            Some(("-", failure)) => Verdict::Failed(failure.into()),
            Some(("~", why)) => Verdict::Skipped(why.into()),
            _ => Verdict::Failed(format!("its process ended with status {status:#x}")),
        };
        // The process of the row advanced its own copy of the ring positions.
        let lost: u64 = self.watches.iter_mut().map(Watch::clear).sum();
        match verdict {
            Verdict::Ok(_) if lost > 0 => Verdict::Failed(format!("{lost} events were lost")),
            verdict => verdict,
        }
    }

    /// Kills what a row left behind in its private cgroup.
    fn clear(&self) {
        let left = fs::read_to_string(self.cgroup.0.join("cgroup.procs")).unwrap_or_default();
        for pid in left.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// The body of a row's process. The first byte of its report is its outcome.
    fn act(&mut self, row: &Row, mut report: PipeWriter) -> i32 {
        std::panic::set_hook(Box::new(|_| {}));
        let pid = std::process::id().to_string();
        if let Err(error) = fs::write(self.cgroup.0.join("cgroup.procs"), pid)
            .and_then(|()| std::env::set_current_dir(&self.directory))
        {
            let _ = write!(report, "-{error}");
            return 1;
        }
        // After a fork, untouched pages are not mapped, and a hook cannot fault them in.
        sys::ok!(mlockall(libc::MCL_CURRENT));
        sys::ok!(munlockall());
        self.drain();
        let verdict = match frame::act(row) {
            Ok(expected) => {
                if self.watches.len() > 1 {
                    sys::sys!(close(END));
                }
                frame::hold(row, &expected, &self.drain(), END)
            }
            Err(verdict) => verdict,
        };
        let text = match verdict {
            Verdict::Ok(count) => format!("+{count}"),
            Verdict::Failed(failure) => format!("-{failure}"),
            Verdict::Skipped(why) => format!("~{why}"),
        };
        i32::from(report.write_all(text.as_bytes()).is_err())
    }

    /// The events of each plan, by time.
    fn drain(&mut self) -> Vec<Vec<Vec<u8>>> {
        self.watches.iter_mut().map(Watch::drain).collect()
    }
}

impl Watch {
    /// Loads a probe with this plan for this cgroup.
    fn of(cgroup: &Path, plan: Option<HookPlan>) -> Result<Self, Unfit> {
        let refused = |error: ProbeError| Unfit::Refuses(error.to_string());
        let config = ProbeConfig {
            ring_bytes: RING_BYTES,
            scope: Some(cgroup.to_owned()),
            plan,
            ..ProbeConfig::default()
        };
        let mut probe = match Probe::load(&config) {
            Err(error @ ProbeError::Functions(_)) => return Err(Unfit::Lacks(error.to_string())),
            probe => probe.map_err(refused)?,
        };
        let rings = probe.take_rings().into_iter().map(|ring| Ring::map(&ring.records, ring.bytes));
        let rings = rings.collect::<Result<_, _>>().map_err(|e| Unfit::Refuses(e.to_string()))?;
        probe.attach().map_err(refused)?;
        // Selects everything the kernel has, in several steps: rows that count events detect
        // duplicates.
        let syscalls = syscall_names().map(|(code, _)| code).collect();
        let mut tracepoints = Tracepoints::empty();
        for tracepoint in Tracepoints::all() {
            tracepoints |= tracepoint;
            probe.select(&Selection { syscalls, tracepoints }).map_err(refused)?;
        }
        Ok(Self { probe, rings, lost: 0 })
    }

    /// The records in the rings, by time.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for ring in &mut self.rings {
            while let Some(record) = ring.peek() {
                events.push(record.to_vec());
                ring.advance();
            }
            ring.release();
        }
        events.sort_by_key(|record| event_of(record).map(|event| event.ts).unwrap_or_default());
        events
    }

    /// Drains the rings; returns the number of events lost since the last call.
    fn clear(&mut self) -> u64 {
        self.drain();
        let counters = self.probe.counters().by_cpu().unwrap_or_default();
        let all: u64 = counters.iter().map(EventCounters::lost).sum();
        let before = std::mem::replace(&mut self.lost, all);
        all - before
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A cgroup, removed when it is empty.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Makes the mounts private and adds missing ones. Returns the mount point of cgroup v2.
fn private_mounts(directory: &Path) -> Option<PathBuf> {
    sys::ok!(unshare(libc::CLONE_NEWNS));
    let _ = mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC);
    let attached = |kind: &str, at: &Path| mount(kind, at, kind, MountFlags::empty(), None);
    if !Path::new(TRACEFS).join("events").exists() {
        let _ = attached("tracefs", Path::new(TRACEFS));
    }
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut points = mounts.lines().map(|line| line.split(' ').skip(1));
    let known = points.find_map(|mut words| {
        let at = words.next()?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(at))
    });
    known.or_else(|| {
        let at = directory.with_extension("cgroup");
        fs::create_dir_all(&at).ok()?;
        attached("cgroup2", &at).ok().map(|()| at)
    })
}

/// Reads until end of file; false on timeout.
fn read_in_time(from: &mut std::io::PipeReader, to: &mut String) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = left.try_into() else { return false };
        let ready = poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&timeout));
        let mut part = [0; 4096];
        match ready {
            Ok(0) => return false,
            Ok(_) => match from.read(&mut part) {
                Ok(0) => break,
                Ok(len) => bytes.extend_from_slice(&part[..len]),
                Err(_) => break,
            },
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    *to = String::from_utf8_lossy(&bytes).into_owned();
    true
}
