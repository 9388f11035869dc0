//! Where rows are performed: a loaded probe that watches one control group, and a process in it for each row.

use std::fs;
use std::io::{PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use peregrine_event::{Event, EventCounters, syscall_names};
use peregrine_probe::Ring;
use peregrine_probe::bpf::{HookPlan, Probe, ProbeConfig, ProbeError, Selection, Tracepoints};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, Signal, kill_process};

use crate::frame::{self, Row, Verdict};
use crate::sys;

/// How long a row may take.
const PATIENCE: Duration = Duration::from_secs(20);
const RING_BYTES: u32 = 1 << 20;
const TRACEFS: &str = "/sys/kernel/tracing";

/// The loaded probe and what it watches.
pub(crate) struct Stage {
    probe: Probe,
    rings: Vec<Ring>,
    cgroup: Cgroup,
    directory: PathBuf,
    lost: u64,
    /// Tracepoints that this kernel does not have.
    pub(crate) missing: Tracepoints,
}

/// Why no row can be performed.
pub(crate) enum Unfit {
    /// The machine lacks something.
    Lacks(String),
    /// The kernel refuses what it should take.
    Refuses(String),
}

impl Stage {
    /// Loads the probe.
    pub(crate) fn set(plan: Option<HookPlan>) -> Result<Self, Unfit> {
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
        let refused = |error: ProbeError| Unfit::Refuses(error.to_string());
        let config = ProbeConfig {
            ring_bytes: RING_BYTES,
            scope: Some(cgroup.0.clone()),
            plan,
            ..ProbeConfig::default()
        };
        let mut probe = match Probe::load(&config) {
            Err(error @ ProbeError::Functions(_)) => return lacks(&error.to_string()),
            probe => probe.map_err(refused)?,
        };
        let rings = probe.take_rings().into_iter().map(|ring| Ring::map(&ring.records, ring.bytes));
        let rings = rings.collect::<Result<_, _>>().map_err(|e| Unfit::Refuses(e.to_string()))?;
        probe.attach().map_err(refused)?;
        let mut stage =
            Self { probe, rings, cgroup, directory, lost: 0, missing: Tracepoints::empty() };
        stage.select().map_err(refused)?;
        Ok(stage)
    }

    /// Everything that this kernel has, in several steps: rows that count events see whether they double.
    fn select(&mut self) -> Result<(), ProbeError> {
        let syscalls = syscall_names().map(|(code, _)| code).collect();
        let mut tracepoints = Tracepoints::empty();
        for tracepoint in Tracepoints::all() {
            tracepoints |= tracepoint;
            self.probe.select(&Selection { syscalls, tracepoints })?;
        }
        self.missing = self.probe.missing();
        Ok(())
    }

    /// How the kernel is watched, in a word.
    pub(crate) fn plan(&self) -> &'static str {
        match self.probe.plan() {
            HookPlan::PerSyscall => "per_syscall",
            HookPlan::SysExit => "sys_exit",
        }
    }

    /// Whether arguments are taken at the entry of calls, too.
    pub(crate) fn entries(&self) -> bool {
        self.probe.entries()
    }

    /// Performs a row in a process of its own.
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
        // The process of the row read its own copy of where the rings are.
        self.drain();
        let lost = self.lost() - self.lost;
        self.lost += lost;
        match verdict {
            Verdict::Ok(_) if lost > 0 => Verdict::Failed(format!("{lost} events were lost")),
            verdict => verdict,
        }
    }

    /// Ends what a row left behind in its control group, where nobody else is.
    fn clear(&self) {
        let left = fs::read_to_string(self.cgroup.0.join("cgroup.procs")).unwrap_or_default();
        for pid in left.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// What the process of a row does. The first letter of its report says how it ended.
    fn act(&mut self, row: &Row, mut report: PipeWriter) -> i32 {
        std::panic::set_hook(Box::new(|_| {}));
        let pid = std::process::id().to_string();
        if let Err(error) = fs::write(self.cgroup.0.join("cgroup.procs"), pid)
            .and_then(|()| std::env::set_current_dir(&self.directory))
        {
            let _ = write!(report, "-{error}");
            return 1;
        }
        // What a fork has not touched is not in memory, and what is not cannot be read while a hook runs.
        sys::ok!(mlockall(libc::MCL_CURRENT));
        sys::ok!(munlockall());
        self.drain();
        let text = match frame::run(row, || self.drain()) {
            Verdict::Ok(count) => format!("+{count}"),
            Verdict::Failed(failure) => format!("-{failure}"),
            Verdict::Skipped(why) => format!("~{why}"),
        };
        i32::from(report.write_all(text.as_bytes()).is_err())
    }

    /// Everything that is in the rings, by time.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for ring in &mut self.rings {
            while let Some(record) = ring.peek() {
                events.push(record.get(2..).unwrap_or_default().to_vec());
                ring.advance();
            }
            ring.release();
        }
        events
            .sort_by_key(|bytes| Event::parse(bytes, 0).map(|event| event.ts).unwrap_or_default());
        events
    }

    fn lost(&self) -> u64 {
        let counters = self.probe.counters().by_cpu().unwrap_or_default();
        counters.iter().map(EventCounters::lost).sum()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A control group that goes away when nobody is left in it.
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

/// Makes the mounts this process's own and adds what is missing. Gives where cgroup v2 is.
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

/// Reads until the other side ends; false if that takes too long.
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
