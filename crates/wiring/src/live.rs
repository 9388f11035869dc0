//! From the configuration to the settings of the live source, and why it can't be opened.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use peregrine_config::{Engine, Hooks, LiveSettings as LiveKeys};
use peregrine_engine::select::SyscallSet;
use peregrine_probe::LiveError;
use peregrine_probe::bpf::{HookPlan, ProbeConfig, online_cpus};
use peregrine_runtime::Log;
use peregrine_runtime::sources::{LiveSettings, probe_selection};

use super::host;
use super::prepare::PreparedRun;

/// How the kernel is monitored.
///
/// # Errors
/// When the control group does not exist, or CPUs can't be counted.
pub fn settings(
    prepared: &PreparedRun<'_>,
    settings: &LiveKeys,
    selected: &SyscallSet,
) -> anyhow::Result<LiveSettings> {
    Ok(LiveSettings {
        probe: probe_config(prepared, settings, selected)?,
        host_root: host::root(),
        count_runs: prepared.config.metrics.enabled && prepared.config.metrics.bpf_enable_stats,
    })
}

fn probe_config(
    prepared: &PreparedRun<'_>,
    settings: &LiveKeys,
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
    let snaplen = match prepared.config.falco_libs.snaplen {
        0 => ProbeConfig::default().snaplen,
        snaplen => snaplen.try_into().unwrap_or(u16::MAX),
    };
    Ok(ProbeConfig {
        selection: probe_selection(selected),
        ring_bytes: settings.ring_size.bytes(),
        cpus_per_ring: u32::from(settings.cpus_for_each_buffer).min(cpus),
        snaplen,
        drop_failed_exit: settings.drop_failed_exit,
        scope,
        readers: crate::reader::mode(),
        heartbeat: prepared.controls.heartbeat().clone(),
        plan: match settings.hooks {
            Hooks::Auto => None,
            Hooks::PerSyscall => Some(HookPlan::PerSyscall),
            Hooks::SysExit => Some(HookPlan::SysExit),
        },
        ..ProbeConfig::default()
    })
}

/// Logs what is about to be opened, in the words of Falco.
pub fn log_start(prepared: &PreparedRun<'_>, config: &ProbeConfig) {
    let log = &prepared.agent.log;
    log.debug("Opening event source 'syscall'");
    if matches!(prepared.config.engine, Engine::Live { kmod: true, .. }) {
        log.info("There is no kernel module: engine.kind=kmod is taken for modern_ebpf");
    }
    log.info("Opening 'syscall' source with modern BPF probe.");
    log.info(format_args!("One ring buffer every '{}' CPUs.", config.cpus_per_ring));
    if config.drop_failed_exit {
        log.info("Failed syscalls are left out in the kernel");
    }
}

/// The error of a live source with its remedy. What the kernel prints about a program it rejects
/// can be thousands of lines: they go into the log, at level debug.
pub fn failed(error: &LiveError, log: &Log) -> anyhow::Error {
    let Some(hint) = error.hint() else { return anyhow!("{error}") };
    let whole = error.with_causes();
    let (first, more) = whole.split_once('\n').unwrap_or((&whole, ""));
    if !more.is_empty() {
        log.debug(&whole);
    }
    anyhow!("cannot watch this kernel: {first}\n{hint}")
}
