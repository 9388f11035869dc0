//! Watching this machine's kernel: opening the source, and saying why where that fails.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use peregrine_config::{Engine, Hooks, LiveSettings};
use peregrine_engine::select::SyscallSet;
use peregrine_event::{EventType, native_syscalls};
use peregrine_probe::bpf::{
    HookPlan, ProbeConfig, ProbeError, Selection, Tracepoints, count_runs, online_cpus,
};
use peregrine_probe::{Live, LiveError, ProcLookup};

use crate::log::Log;
use crate::run::{Job, follow, state, tell_rate};
use crate::watch::Watch;

/// Where the kernel describes its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Runs until somebody asks to stop.
pub(crate) fn run(
    job: &Job<'_>,
    watch: &mut Watch<'_>,
    settings: &LiveSettings,
) -> anyhow::Result<()> {
    let log = &job.log;
    let started = Instant::now();
    let (mut live, resolver) = open(job, settings, &job.generation.settings().selected)?;
    watch.drops.count_by(live.losses());
    // As long as this is open, the kernel counts runs of programs.
    let mut _runs = None;
    if let Some(metrics) = &mut watch.metrics {
        metrics.attach_kernel(&live);
        _runs = job.config.metrics.bpf_enable_stats.then(count_runs).transpose()?;
    }
    watch.goes_by_the_clock();
    (job.opened)();
    let state = peregrine_state::Config { live: true, ..state(job) };
    let (events, result) = follow(job, &mut live, watch, state, Some(Box::new(resolver)));
    watch.drops.finish(live.given());
    if job.options.verbose {
        let total = watch.drops.ledger().total();
        let (seen, lost) = (total.events(), total.lost());
        let _ = writeln!(io::stderr(), "Driver Events:{seen}\nDriver Drops:{lost}");
        tell_rate("(syscall) ", events, started.elapsed());
    }
    watch.drops.sum_up();
    result.map_err(|error| explain(&error, log))
}

/// Begins to watch these system calls.
pub(crate) fn open(
    job: &Job<'_>,
    settings: &LiveSettings,
    selected: &SyscallSet,
) -> anyhow::Result<(Live, ProcLookup)> {
    let log = &job.log;
    let config = probe_config(job, settings, selected)?;
    tell_start(job, &config);
    let host_root = job.host_root();
    let mut live = Live::start(&config, &host_root).map_err(|error| explain(&error, log))?;
    let resolver = live.resolver()?;
    log.debug(match live.probe().plan() {
        HookPlan::PerSyscall => "Each selected syscall has a hook of its own",
        HookPlan::SysExit => "One hook at the end of every syscall passes on the selected ones",
    });
    if let Some(why) = live.given_up() {
        log.warning(format_args!(
            "One hook for all syscalls, as the kernel does not let every function be hooked: {why}"
        ));
    }
    for (function, why) in live.probe().unhooked() {
        log.warning(format_args!(
            "The kernel does not let its function {function} be hooked: {why}"
        ));
    }
    if !live.probe().missing().is_empty() {
        log.warning("This kernel does not tell of page faults: there will be no such events");
    }
    match &config.scope {
        None => log.info("Watching the whole machine"),
        Some(scope) => {
            let scope = scope.display();
            log.info(format_args!("Watching control group {scope} and those below it"));
        }
    }
    Ok((live, resolver))
}

fn probe_config(
    job: &Job<'_>,
    settings: &LiveSettings,
    selected: &SyscallSet,
) -> anyhow::Result<ProbeConfig> {
    let scope = &settings.scope.cgroup;
    let scope = (!scope.is_empty()).then(|| PathBuf::from(scope));
    if let Some(path) = scope.as_ref().filter(|path| !path.join("cgroup.procs").exists()) {
        bail!(
            "engine.modern_ebpf.scope.cgroup: {} is no control group: it takes a directory of the cgroup v2 file system, \
             such as one below /sys/fs/cgroup",
            path.display()
        );
    }
    let cpus = online_cpus().context("CPUs of this machine")?;
    let snaplen = match job.config.falco_libs.snaplen {
        0 => ProbeConfig::default().snaplen,
        snaplen => snaplen.try_into().unwrap_or(u16::MAX),
    };
    Ok(ProbeConfig {
        selection: selection(selected),
        ring_bytes: settings.ring_size.bytes(),
        cpus_per_ring: u32::from(settings.cpus_for_each_buffer).min(cpus),
        snaplen,
        drop_failed_exit: settings.drop_failed_exit,
        scope,
        plan: match settings.hooks {
            Hooks::Auto => None,
            Hooks::PerSyscall => Some(HookPlan::PerSyscall),
            Hooks::SysExit => Some(HookPlan::SysExit),
        },
        ..ProbeConfig::default()
    })
}

/// What is selected, as the kernel side is told.
fn selection(selected: &SyscallSet) -> Selection {
    let tracepoints = [
        (EventType::Procexit_1E, Tracepoints::PROCESS_EXIT),
        (EventType::Schedswitch_6E, Tracepoints::SWITCH),
        (EventType::PageFaultE, Tracepoints::PAGE_FAULT_USER | Tracepoints::PAGE_FAULT_KERNEL),
        (EventType::SignaldeliverE, Tracepoints::SIGNAL_DELIVER),
    ];
    let wanted = tracepoints.into_iter().filter(|(event, _)| selected.contains(*event));
    Selection {
        syscalls: selected.syscalls(native_syscalls()).map(|syscall| syscall.sc).collect(),
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
pub(crate) fn explain(error: &LiveError, log: &Log) -> anyhow::Error {
    let hint = match error {
        LiveError::Scan(_) | LiveError::Thread(_) => return anyhow!("{error}"),
        LiveError::Probe(ProbeError::Functions(_)) => {
            "engine.modern_ebpf.hooks: with sys_exit, or auto, it can be watched all the same"
        }
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
}
