//! The running kernel.

use std::path::PathBuf;

use peregrine_engine::select::SyscallSet;
use peregrine_event::inbox::Feed;
use peregrine_event::{EventType, native_syscalls};
use peregrine_probe::bpf::{HookPlan, ProbeConfig, Selection, Tracepoints};
use peregrine_probe::{Live, LiveError, ProcLookup};

use crate::Log;

/// How the kernel is monitored.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// The kernel side.
    pub probe: ProbeConfig,
    /// Where the root directory of the host is: elsewhere in a container.
    pub host_root: PathBuf,
    /// Whether the kernel counts the runs of programs.
    pub count_runs: bool,
}

/// Starts monitoring.
///
/// # Errors
/// When the kernel refuses, or the machine can't be scanned.
pub fn open_live(
    settings: &LiveSettings,
    feed: Option<Feed>,
    log: &Log,
) -> Result<(Live, ProcLookup), LiveError> {
    let LiveSettings { probe, host_root, .. } = settings;
    let mut live = Live::start(probe, host_root)?;
    let mut resolver = live.resolver()?;
    if let Some(Feed { inbox, initial_wait, requests }) = feed {
        live.listen(inbox, initial_wait);
        resolver.ask_about_containers(requests);
    }
    log.debug(match live.probe().plan() {
        HookPlan::PerSyscall => "Each selected syscall has a hook of its own",
        HookPlan::SysExit => "One hook at the exit of every syscall reports the selected ones",
    });
    if let Some(why) = live.given_up() {
        log.warning(format_args!(
            "One hook for all syscalls, because a function cannot be hooked: {why}"
        ));
    }
    for (function, why) in live.probe().unhooked() {
        log.warning(format_args!("The kernel function {function} cannot be hooked: {why}"));
    }
    if !live.probe().missing().is_empty() {
        log.warning("This kernel does not report page faults: there will be no such events");
    }
    match &probe.scope {
        None => log.info("Watching the whole machine"),
        Some(scope) => {
            let scope = scope.display();
            log.info(format_args!("Watching control group {scope} and those below it"));
        }
    }
    Ok((live, resolver))
}

/// The selection for the kernel side.
pub fn probe_selection(selected: &SyscallSet) -> Selection {
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

#[cfg(test)]
mod tests {
    use peregrine_event::syscall_name;

    use super::*;

    #[test]
    fn the_kernel_side_gets_syscalls_and_tracepoints() {
        let selected = SyscallSet::named(["openat", "syncfs", "procexit", "switch"]);
        let selection = probe_selection(&selected);
        let names: Vec<_> = selection.syscalls.iter().filter_map(syscall_name).collect();
        assert_eq!(names.len(), 2);
        assert!(names.contains(&"openat") && names.contains(&"syncfs"));
        assert_eq!(selection.tracepoints, Tracepoints::PROCESS_EXIT | Tracepoints::SWITCH);
    }
}
