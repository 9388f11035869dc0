//! Watching this machine's kernel: opening the source, and saying why where that fails.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use peregrine_engine::select::SyscallSet;
use peregrine_engine::{Next, Source};
use peregrine_event::{EventType, Syscall, syscalls_aarch64, syscalls_x86_64};
use peregrine_probe::bpf::{Cause, HookPlan, LossClass, ProbeConfig, Selection, Tracepoints};
use peregrine_probe::{Live, LiveError, ProcStrangers, Statistics};

use crate::config::{Engine, ModernEbpf};
use crate::log::Log;
use crate::run::{Job, follow, state, tell_rate};
use crate::watch::Watch;

/// Where the kernel describes its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Runs until somebody asks to stop.
pub(crate) fn run(
    job: &Job<'_>,
    watch: &mut Watch<'_>,
    settings: &ModernEbpf,
) -> anyhow::Result<()> {
    let log = &job.log;
    let config = probe_config(job, settings)?;
    tell_start(job, &config);
    let host_root = std::env::var_os("HOST_ROOT").filter(|root| !root.is_empty());
    let host_root = host_root.map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let started = Instant::now();
    let live = Live::start(&config, &host_root).map_err(|error| explain(&error, log))?;
    let strangers = ProcStrangers::new(&host_root, config.scope.as_ref())?;
    log.debug(match live.probe().plan() {
        HookPlan::PerSyscall => "Each selected syscall has a hook of its own",
        HookPlan::SysExit => "One hook at the end of every syscall passes on the selected ones",
    });
    match &config.scope {
        None => log.info("Watching the whole machine"),
        Some(scope) => {
            let scope = scope.display();
            log.info(format_args!("Watching control group {scope} and those below it"));
        }
    }
    let mut source = Accounted::new(live, log);
    watch.goes_by_the_clock();
    (job.opened)();
    let state = peregrine_state::Config { live: true, ..state(job) };
    let (events, result) = follow(job, &mut source, watch, state, Some(Box::new(strangers)));
    source.look();
    if job.options.verbose {
        let (seen, lost) = (source.seen.events(), source.seen.lost());
        let _ = writeln!(io::stderr(), "Driver Events:{seen}\nDriver Drops:{lost}");
        tell_rate("(syscall) ", events, started.elapsed());
    }
    let _ = writeln!(
        io::stderr(),
        "Syscall event drop monitoring:\n   - event drop detected: {} occurrences\n   \
         - num times actions taken: 0",
        source.losses
    );
    result.map_err(|error| explain(&error, log))
}

fn probe_config(job: &Job<'_>, settings: &ModernEbpf) -> anyhow::Result<ProbeConfig> {
    let scope = &settings.scope.cgroup;
    let scope = (!scope.is_empty()).then(|| PathBuf::from(scope));
    if let Some(path) = scope.as_ref().filter(|path| !path.join("cgroup.procs").exists()) {
        bail!(
            "engine.modern_ebpf.scope.cgroup: {} is no control group: it takes a directory of the cgroup v2 file system, \
             such as one below /sys/fs/cgroup",
            path.display()
        );
    }
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let snaplen = match job.config.falco_libs.snaplen {
        0 => ProbeConfig::default().snaplen,
        snaplen => snaplen.try_into().unwrap_or(u16::MAX),
    };
    Ok(ProbeConfig {
        selection: selection(&job.selected),
        // The preset was checked.
        ring_bytes: 1 << (19 + settings.buf_size_preset.clamp(1, 10)),
        cpus_per_ring: u32::from(settings.cpus_for_each_buffer)
            .min(u32::try_from(cpus).unwrap_or(u32::MAX)),
        snaplen,
        drop_failed_exit: settings.drop_failed_exit,
        scope,
        ..ProbeConfig::default()
    })
}

/// What is selected, as the kernel side is told.
fn selection(selected: &SyscallSet) -> Selection {
    let native: &[Syscall] =
        if cfg!(target_arch = "aarch64") { syscalls_aarch64() } else { syscalls_x86_64() };
    let tracepoints = [
        (EventType::Procexit_1E, Tracepoints::PROCESS_EXIT),
        (EventType::Schedswitch_6E, Tracepoints::SWITCH),
        (EventType::PageFaultE, Tracepoints::PAGE_FAULT_USER | Tracepoints::PAGE_FAULT_KERNEL),
        (EventType::SignaldeliverE, Tracepoints::SIGNAL_DELIVER),
    ];
    let wanted = tracepoints.into_iter().filter(|(event, _)| selected.contains(*event));
    Selection {
        syscalls: selected.syscalls(native).map(|syscall| syscall.sc).collect(),
        tracepoints: wanted.map(|(_, tracepoint)| tracepoint).collect(),
    }
}

fn tell_start(job: &Job<'_>, config: &ProbeConfig) {
    let log = &job.log;
    log.info("Enabled event sources: syscall");
    log.debug("Opening event source 'syscall'");
    if matches!(job.config.engine, Engine::Live { kmod: true, .. }) {
        log.info("There is no kernel module: engine.kind=kmod is taken for modern_ebpf");
    }
    log.info("Opening 'syscall' source with modern BPF probe.");
    log.info(format_args!("One ring buffer every '{}' CPUs.", config.cpus_per_ring));
    if config.drop_failed_exit {
        log.info("Failed syscalls are left out in the kernel");
    }
}

/// What went wrong, and what can be done about it. The kernel's own words about a program it refuses can be thousands of
/// lines: they are in the log, for those who look for a fault.
fn explain(error: &LiveError, log: &Log) -> anyhow::Error {
    let hint = match error {
        LiveError::Scan(_) => return anyhow!("{error}"),
        _ if !Path::new(BTF).exists() => {
            "this kernel does not describe its types (no /sys/kernel/btf/vmlinux): it takes Linux 5.8 or newer, \
             built with CONFIG_DEBUG_INFO_BTF"
        }
        _ if !rustix::process::geteuid().is_root() => {
            "it takes root, or the capabilities CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE and CAP_SYS_PTRACE: try sudo"
        }
        _ => {
            "the kernel refuses BPF programs even to root: in a container, run it privileged; elsewhere look for lockdown \
             mode or a security module"
        }
    };
    let whole = chain(error);
    let (first, more) = whole.split_once('\n').unwrap_or((&whole, ""));
    if !more.is_empty() {
        log.debug(&whole);
    }
    anyhow!("cannot watch this kernel: {first}\n{hint}")
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            // Writing into a string does not fail.
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    text
}

/// The source, with an eye on what it loses.
struct Accounted<'a> {
    live: Live,
    log: &'a Log,
    seen: Statistics,
    looked: Instant,
    /// Records since the clock was looked at.
    records: u32,
    /// Looks that found something lost.
    losses: u64,
}

/// Time between two looks at the counters.
const LOOK: Duration = Duration::from_secs(1);
/// Records after which the clock is looked at, when there is no pause between them.
const MANY_RECORDS: u32 = 4096;

impl<'a> Accounted<'a> {
    fn new(live: Live, log: &'a Log) -> Self {
        let seen = Statistics::default();
        Self { live, log, seen, looked: Instant::now(), records: 0, losses: 0 }
    }

    /// Reads the counters, and tells when something was lost since they were read last.
    fn look(&mut self) {
        let Ok(now) = self.live.statistics() else { return };
        let new = now.since(&self.seen);
        if new.lost() > 0 {
            self.losses += 1;
            self.log.warning(losses(&new));
        }
        self.seen = now;
        self.looked = Instant::now();
    }
}

impl Source for Accounted<'_> {
    type Error = LiveError;

    fn next(&mut self) -> Result<Next<'_>, LiveError> {
        self.records += 1;
        if self.records >= MANY_RECORDS {
            self.records = 0;
            if self.looked.elapsed() >= LOOK {
                self.look();
            }
        }
        let next = self.live.next()?;
        if matches!(next, Next::Idle) {
            // Pauses are long enough for a look at the clock each.
            self.records = MANY_RECORDS;
        }
        Ok(next)
    }
}

/// What was lost, in words.
fn losses(lost: &Statistics) -> String {
    const CLASSES: [(LossClass, &str); 9] = [
        (LossClass::CloneFork, "clone and fork"),
        (LossClass::Execve, "exec"),
        (LossClass::Connect, "connect"),
        (LossClass::Open, "open"),
        (LossClass::DirFile, "directories and files"),
        (LossClass::OtherInterest, "of interest"),
        (LossClass::Close, "close"),
        (LossClass::ProcExit, "process exit"),
        (LossClass::Other, "other"),
    ];
    const CAUSES: [(Cause, &str); 4] = [
        (Cause::RingFull, "ring full"),
        (Cause::Scratch, "too long"),
        (Cause::PageFault, "memory not readable"),
        (Cause::Bug, "bug"),
    ];
    let mut text = format!("{} of {} events were lost", lost.lost(), lost.events());
    let mut before = ": ";
    for (class, class_name) in CLASSES {
        for (cause, cause_name) in CAUSES {
            let count = lost.lost_of(class, cause);
            if count > 0 {
                // Writing into a string does not fail.
                let _ = write!(text, "{before}{count} {class_name} ({cause_name})");
                before = ", ";
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use peregrine_event::syscall_name;

    use super::*;

    #[test]
    fn what_is_selected_reaches_the_kernel() {
        let selected = SyscallSet::named(["openat", "syncfs", "procexit", "switch"]);
        let selection = selection(&selected);
        let names: Vec<_> = selection.syscalls.iter().filter_map(syscall_name).collect();
        assert_eq!(names.len(), 2);
        assert!(names.contains(&"openat") && names.contains(&"syncfs"));
        assert_eq!(selection.tracepoints, Tracepoints::PROCESS_EXIT | Tracepoints::SWITCH);
    }

    #[test]
    fn losses_are_told_by_class_and_cause() {
        let mut cpu = peregrine_probe::bpf::Counters { events: 100, ..Default::default() };
        cpu.lost[LossClass::Open as usize][Cause::RingFull as usize] = 7;
        cpu.lost[LossClass::Execve as usize][Cause::Scratch as usize] = 1;
        let lost = Statistics { cpus: vec![cpu], ..Statistics::default() };
        assert_eq!(
            losses(&lost),
            "8 of 100 events were lost: 1 exec (too long), 7 open (ring full)"
        );
    }
}
