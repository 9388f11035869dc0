//! What was counted, gathered from where it is.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use peregrine_config::Engine;
use peregrine_event::snapshot::InterfaceAddress;
use peregrine_output::Summary;
use peregrine_probe::Statistics;
use peregrine_probe::bpf::{HookPlan, ProgramStatistics};
use peregrine_state::{Scanned, State};
use peregrine_telemetry::Ledger;
use peregrine_telemetry::metrics::{
    Figures, ProgramFigures, RuleFigures, RunFigures, ScanFigures, StateFigures,
};

use super::{Metrics, Moment};
use crate::version;
use crate::watch::now;
use crate::wiring::checks::SYSCALL;

impl Metrics<'_> {
    /// What was counted until now.
    pub(super) fn figures(&self, moment: &Moment<'_>) -> Figures {
        let keys = &self.job.config.metrics;
        let statistics = self.kernel.as_ref().and_then(|kernel| kernel.counters.read().ok());
        let cpus = statistics.as_ref().filter(|_| keys.kernel_event_counters_per_cpu_enabled);
        let state = moment.state.counters();
        Figures {
            ts: now(),
            run: self.run_figures(moment.state),
            events: moment.events,
            queue_drops: moment.outputs.dropped(),
            rules: keys.rules_counters_enabled.then(|| self.rules(moment.summary)),
            resources: keys.resource_utilization_enabled.then(|| self.resources.read()),
            state: keys.state_counters_enabled.then(|| state_figures(moment.state)),
            kernel: statistics
                .as_ref()
                .map(Statistics::total)
                .filter(|_| keys.kernel_event_counters_enabled),
            cpus: cpus.filter(|_| keys.kernel_event_counters_enabled).map(|all| all.cpus.clone()),
            programs: (self.kernel.as_ref())
                .filter(|_| keys.libbpf_stats_enabled)
                .map(|kernel| kernel.programs.read().into_iter().map(program).collect()),
            scan: (self.kernel.as_ref())
                .filter(|_| keys.kernel_iter_event_counters_enabled)
                .map(|_| scan_figures(&state.scanned)),
            late: statistics
                .as_ref()
                .map(|statistics| statistics.late)
                .filter(|_| keys.kernel_event_counters_enabled),
            lost_by_group: (self.kernel.as_ref())
                .filter(|_| keys.kernel_event_counters_enabled)
                .map(|_| lost_by_group(moment.ledger)),
            costs: self.tally.as_ref().map(|tally| {
                tally.figures(
                    self.job.generation.rules().rules.iter().map(|rule| rule.name.as_str()),
                )
            }),
            before: None,
        }
    }

    fn run_figures(&self, state: &State) -> RunFigures {
        let (machine, live) = (state.machine(), self.kernel.is_some());
        let recorded = String::from_utf8_lossy(&machine.hostname).into_owned();
        let read_at = self.job.read_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        RunFigures {
            version: version::FALCO.to_owned(),
            hostname: if live || recorded.is_empty() {
                self.job.hostname.clone()
            } else {
                recorded
            },
            source: SYSCALL.to_owned(),
            engine: matches!(self.job.config.engine, Engine::Live { .. })
                .then(|| "modern_bpf".to_owned()),
            hook_plan: self.kernel.as_ref().map(|kernel| plan_name(kernel.plan).to_owned()),
            kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
            start_ts: self.started,
            reload_ts: read_at.as_nanos().try_into().unwrap_or(u64::MAX),
            boot_ts: machine.boot_ts,
            cpus: machine.num_cpus,
            rules_files: self.rules_files.clone(),
            config_files: self.config_files.clone(),
            addresses: addresses(state),
        }
    }

    fn rules(&self, summary: &Summary) -> Vec<RuleFigures> {
        let rules = self.job.generation.rules().rules.iter().zip(summary.rules());
        let figures =
            rules.filter(|(rule, _)| rule.active).map(|(rule, (_, matches))| RuleFigures {
                name: rule.name.clone(),
                priority: rule.priority as u8,
                source: rule.source.clone(),
                tags: rule.tags.clone(),
                matches,
            });
        figures.collect()
    }
}

fn state_figures(state: &State) -> StateFigures {
    let counters = state.counters();
    StateFigures {
        threads: state.tree().len() as u64,
        fds: state.fd_tables().total() as u64,
        found_fds: counters.found_fds,
        unknown_fds: counters.unknown_fds,
        added_fds: counters.added_fds,
        removed_fds: counters.removed_fds,
        stored_events: counters.stored_events,
        dropped_events: counters.dropped_events,
        retrieved_events: counters.retrieved_events,
        missing_events: counters.missing_events,
        found_threads: counters.found_threads,
        unknown_threads: counters.unknown_threads,
        added_threads: counters.added_threads,
        removed_threads: counters.removed_threads,
        dropped_threads: counters.dropped_threads,
    }
}

fn scan_figures(scanned: &Scanned) -> ScanFigures {
    ScanFigures {
        threads: scanned.threads,
        pipes: scanned.pipes,
        memfds: scanned.memfds,
        files: scanned.files,
        directories: scanned.directories,
        ipv4_sockets: scanned.ipv4_sockets,
        ipv6_sockets: scanned.ipv6_sockets,
        unix_sockets: scanned.unix_sockets,
        netlink_sockets: scanned.netlink_sockets,
        anonymous: scanned.anonymous,
    }
}

fn plan_name(plan: HookPlan) -> &'static str {
    match plan {
        HookPlan::PerSyscall => "fexit",
        HookPlan::SysExit => "sys_exit",
    }
}

/// Groups that lost something.
fn lost_by_group(ledger: &Ledger) -> Vec<(String, u64)> {
    ledger.by_group().map(|(name, lost)| (name.to_owned(), lost.iter().sum())).collect()
}

fn program(program: ProgramStatistics) -> ProgramFigures {
    ProgramFigures { name: program.name, runs: program.runs, time: program.time_ns }
}

/// Addresses of all interfaces but the one to oneself, by name and protocol.
fn addresses(state: &State) -> Vec<(String, &'static str, Vec<String>)> {
    let mut addresses: BTreeMap<(String, &'static str), Vec<String>> = BTreeMap::new();
    for interface in state.interfaces().told().iter().filter(|interface| interface.name != b"lo") {
        let (protocol, address) = match interface.address {
            InterfaceAddress::V4 { address, .. } => ("ipv4", address.to_string()),
            InterfaceAddress::V6 { address, .. } => ("ipv6", address.to_string()),
        };
        let name = String::from_utf8_lossy(&interface.name).into_owned();
        addresses.entry((name, protocol)).or_default().push(address);
    }
    addresses.into_iter().map(|((name, protocol), all)| (name, protocol, all)).collect()
}
