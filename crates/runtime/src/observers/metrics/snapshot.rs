//! Converts counters of the event loop and of the kernel side to inputs of telemetry.

use std::collections::BTreeMap;
use std::time::Duration;

use peregrine_alert::RuleId;
use peregrine_engine::{held, meter};
use peregrine_event::snapshot::InterfaceAddress;
use peregrine_output::ChannelStatistics;
use peregrine_probe::bpf::{HookPlan, ProgramStatistics, Programs};
use peregrine_probe::{Live, Losses};
use peregrine_state::{Scanned, State};
use peregrine_telemetry::metrics::{
    CostStats, HeldStats, LookupStats, OutputStats, ProgramStats, RuleCost, ScanStats, StateStats,
};
use peregrine_telemetry::{HostInfo, KernelSource, KernelStats, Ledger, SnapshotContext};

use super::{GroupSampler, LoopState, Metrics};
use crate::clock::now;

/// Maximum age of the kernel counters of a snapshot.
const MAX_AGE: Duration = Duration::from_millis(100);

/// Counters of the kernel side, and the name of its hook plan.
pub(super) fn kernel(live: &Live) -> (impl KernelSource + 'static, &'static str) {
    let plan = match live.probe().plan() {
        HookPlan::PerSyscall => "fexit",
        HookPlan::SysExit => "sys_exit",
    };
    (Kernel { losses: live.losses().clone(), programs: live.probe().programs() }, plan)
}

struct Kernel {
    losses: Losses,
    programs: Programs,
}

impl KernelSource for Kernel {
    fn counters(&mut self) -> Option<KernelStats> {
        let reading = self.losses.refresh(MAX_AGE).ok()?;
        let statistics = &reading.statistics;
        Some(KernelStats {
            cpus: statistics.cpus.clone(),
            late: statistics.late,
            lookups: LookupStats {
                threads: statistics.resolved,
                thread_timeouts: statistics.resolved_in_part,
                account_reads: statistics.account_reads,
                readers: statistics.readers,
            },
        })
    }

    fn programs(&mut self) -> Vec<ProgramStats> {
        self.programs.read().into_iter().map(program).collect()
    }
}

impl Metrics {
    /// The current counters of the event loop.
    pub(super) fn snapshot(&self, event_loop: &LoopState<'_>) -> SnapshotContext {
        let LoopState { events, summary, outputs, ledger, state, .. } = event_loop;
        let lost = outputs.lost_by_rule();
        let lost_alerts = |rule: RuleId| lost.get(rule.index()).copied().unwrap_or_default();
        SnapshotContext {
            ts: now(),
            events: *events,
            outputs: outputs.statistics().iter().map(output_stats).collect(),
            throttling: event_loop.throttling,
            held: held_stats(event_loop.held),
            capture_drops: event_loop.capture_drops,
            rules: self.active.clone(),
            matches: self.ids.iter().map(|rule| summary.matches(*rule)).collect(),
            lost: self.ids.iter().map(|rule| lost_alerts(*rule)).collect(),
            suppressed: self.ids.iter().map(|rule| summary.suppressed(*rule)).collect(),
            host: self.host(state),
            state: state_stats(state),
            scan: scan_stats(&state.counters().scanned),
            seen_by_group: seen_by_group(event_loop.groups),
            lost_by_group: lost_by_group(ledger),
            costs: event_loop.syscalls.map(|syscalls| CostStats {
                syscalls: syscalls.stats(),
                rules: self.rule_costs((event_loop.rules)().unwrap_or_default()),
            }),
        }
    }

    /// Pairs costs with the rule names, which have the same order.
    fn rule_costs(&self, costs: Vec<meter::RuleCost>) -> Vec<RuleCost> {
        let costs = self.names.iter().zip(costs).map(|(name, cost)| RuleCost {
            name: name.clone(),
            evaluations: cost.evaluations,
            time: cost.ns,
        });
        costs.collect()
    }

    fn host(&self, state: &State) -> HostInfo {
        let machine = state.machine();
        let recorded = String::from_utf8_lossy(&machine.hostname).into_owned();
        HostInfo {
            hostname: Some(recorded).filter(|name| !self.live && !name.is_empty()),
            boot_ts: machine.boot_ts,
            cpus: machine.num_cpus,
            addresses: addresses(state),
        }
    }
}

fn held_stats(stats: held::HeldStats) -> HeldStats {
    let held::HeldStats { incomplete, without_metadata, undecided, given_up } = stats;
    HeldStats { incomplete, without_metadata, undecided, given_up }
}

fn output_stats(channel: &ChannelStatistics) -> OutputStats {
    OutputStats {
        name: channel.channel,
        submitted: channel.submitted,
        recovered: channel.recovered,
        delivered: channel.delivered,
        retried: channel.retried,
        failed: channel.failed,
        queue_full: channel.queue_full,
        over_share: channel.over_share,
        discarded: channel.discarded,
        spool_full: channel.spool_full,
        expired: channel.expired,
        damaged: channel.damaged,
        spooled: channel.spooled,
        spool_bytes: channel.spool_bytes,
        waiting: channel.waiting,
        waiting_bytes: channel.waiting_bytes,
        oldest: channel.oldest.as_nanos().try_into().unwrap_or(u64::MAX),
    }
}

fn state_stats(state: &State) -> StateStats {
    let counters = state.counters();
    StateStats {
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
        postponed_account_requests: counters.postponed_account_requests,
        unidentified_containers: counters.unidentified_containers,
        repaired_processes: counters.reread_processes,
        repaired_threads: counters.corrected_threads,
        repaired_fds: counters.corrected_fds,
    }
}

fn scan_stats(scanned: &Scanned) -> ScanStats {
    ScanStats {
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

fn seen_by_group(groups: Option<&GroupSampler>) -> Vec<(String, u64)> {
    let groups = groups.into_iter().flat_map(GroupSampler::groups);
    let mut groups: Vec<_> = groups.map(|(group, events)| (group.to_owned(), events)).collect();
    groups.sort_unstable();
    groups
}

fn lost_by_group(ledger: &Ledger) -> Vec<(String, u64)> {
    ledger.by_group().map(|(name, lost)| (name.to_owned(), lost.iter().sum())).collect()
}

fn program(program: ProgramStatistics) -> ProgramStats {
    ProgramStats { name: program.name, runs: program.runs, time: program.time_ns }
}

/// Addresses of all interfaces except the loopback interface, by name and protocol.
fn addresses(state: &State) -> Vec<(String, &'static str, Vec<String>)> {
    let mut addresses: BTreeMap<(String, &'static str), Vec<String>> = BTreeMap::new();
    for interface in
        state.interfaces().described().iter().filter(|interface| interface.name != b"lo")
    {
        let (protocol, address) = match interface.address {
            InterfaceAddress::V4 { address, .. } => ("ipv4", address.to_string()),
            InterfaceAddress::V6 { address, .. } => ("ipv6", address.to_string()),
        };
        let name = String::from_utf8_lossy(&interface.name).into_owned();
        addresses.entry((name, protocol)).or_default().push(address);
    }
    addresses.into_iter().map(|((name, protocol), all)| (name, protocol, all)).collect()
}
