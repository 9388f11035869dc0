//! The inputs of metrics: counters and facts, by value. A group that the configuration leaves out
//! is `None`.

use crate::audit::AuditCounts;
use std::collections::BTreeSet;

use peregrine_event::EventCounters;

use crate::heartbeat::StallStats;
use crate::metrics::metric::MetricValue;

/// Everything that a snapshot of metrics is computed from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricInputs {
    /// Time of the snapshot, nanoseconds since the epoch.
    pub ts: u64,
    /// Facts of the run.
    pub run: RunInfo,
    /// Reloads of configuration and rules.
    pub reloads: ReloadStats,
    /// Events that rules were evaluated on.
    pub events: u64,
    /// The outputs.
    pub outputs: Vec<OutputStats>,
    /// What throttling has done.
    pub throttling: ThrottleStats,
    /// What waited for containers.
    pub held: HeldStats,
    /// Events left out of capture files.
    pub capture_drops: u64,
    /// How often each limit was reached, by its name.
    pub limits: Vec<(&'static str, u64)>,
    /// Stalls of the event thread, where they are watched.
    pub stalls: Option<StallStats>,
    /// Connections of the web server, if there is one.
    pub web: Option<WebConnections>,
    /// Counters of the source of audit events, if there is one.
    pub audit: Option<AuditCounts>,
    /// Rules, in the order of loading.
    pub rules: Option<Vec<RuleStats>>,
    /// CPU and memory.
    pub resources: Option<ResourceUsage>,
    /// Process and fd tables.
    pub state: Option<StateStats>,
    /// What asking container runtimes yields, where they are asked.
    pub containers: Option<ContainerStats>,
    /// What watching the API server of Kubernetes yields, where it is asked.
    pub kubernetes: Option<KubernetesStats>,
    /// Metrics that plugins from libraries have of their own.
    pub plugins: Option<Vec<PluginStats>>,
    /// Events and losses in the kernel.
    pub kernel: Option<EventCounters>,
    /// Events and losses of each CPU, by its number.
    pub cpus: Option<Vec<EventCounters>>,
    /// Events delivered after a later one.
    pub late: Option<u64>,
    /// Lookups in `/proc` that events asked for.
    pub lookups: Option<LookupStats>,
    /// Delivered events by cgroup, estimated.
    pub seen_by_group: Option<Vec<(String, u64)>>,
    /// Events lost by cgroup.
    pub lost_by_group: Option<Vec<(String, u64)>>,
    /// BPF programs.
    pub programs: Option<Vec<ProgramStats>>,
    /// Items read from `/proc`.
    pub scan: Option<ScanStats>,
    /// Cost of system calls and rules.
    pub costs: Option<CostStats>,
    /// The previous snapshot, which rates refer to.
    pub previous: Option<PreviousSnapshot>,
}

/// The values of the previous snapshot that rates are computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreviousSnapshot {
    /// Time of that snapshot, nanoseconds since the epoch.
    pub ts: u64,
    /// [`MetricInputs::events`] then.
    pub events: u64,
    /// Events in the kernel then.
    pub kernel_events: u64,
    /// Losses in the kernel then.
    pub kernel_drops: u64,
}

/// An output and what became of the alerts that it should deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputStats {
    /// Its name.
    pub name: &'static str,
    /// Alerts that it should deliver.
    pub submitted: u64,
    /// Alerts that an earlier run has left in its spool.
    pub recovered: u64,
    /// Alerts that it has delivered.
    pub delivered: u64,
    /// Times that an alert was sent again.
    pub retried: u64,
    /// Alerts that it failed to deliver.
    pub failed: u64,
    /// Alerts lost because the queue was full of alerts of their rule.
    pub queue_full: u64,
    /// Alerts lost in a full queue because their rule had most of it.
    pub over_share: u64,
    /// Alerts not delivered when the run ended.
    pub discarded: u64,
    /// Alerts lost because the spool was full.
    pub spool_full: u64,
    /// Alerts that were in the spool for too long.
    pub expired: u64,
    /// Alerts lost because the spool was damaged.
    pub damaged: u64,
    /// Alerts in the spool.
    pub spooled: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Alerts that wait or are being delivered.
    pub waiting: u64,
    /// Memory of these alerts, bytes.
    pub waiting_bytes: u64,
    /// How long the oldest of them or in the spool has been waiting, nanoseconds.
    pub oldest: u64,
}

/// Facts of the run: versions, host, files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInfo {
    /// Falco version that rules and tools check.
    pub version: String,
    /// Name of the host.
    pub hostname: String,
    /// Event source.
    pub source: String,
    /// Falco's name of the event engine; a replay has none.
    pub engine: Option<String>,
    /// Event sources of plugins that are open.
    pub plugin_sources: Vec<String>,
    /// Hook plan of a live run.
    pub hook_plan: Option<String>,
    /// Release of the kernel.
    pub kernel_release: String,
    /// When the program started, nanoseconds since the epoch.
    pub start_ts: u64,
    /// When the configuration was read, nanoseconds since the epoch.
    pub reload_ts: u64,
    /// When the machine booted, nanoseconds since the epoch; 0 where that is not known.
    pub boot_ts: u64,
    /// CPUs of the machine.
    pub cpus: u32,
    /// Rules files.
    pub rules_files: Vec<FileDigest>,
    /// Configuration files.
    pub config_files: Vec<FileDigest>,
    /// Addresses of the machine's interfaces, by name and protocol (`ipv4`, `ipv6`).
    pub addresses: Vec<(String, &'static str, Vec<String>)>,
}

/// Reloads of configuration and rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadStats {
    /// Reloads that brought new rules into force.
    pub done: u64,
    /// Reloads that failed: the rules stayed.
    pub failed: u64,
    /// Number of the generation in force, from 1.
    pub generation: u64,
    /// How long the last one took to read and compile, nanoseconds.
    pub load: u64,
    /// How long the event thread took to change to it, nanoseconds.
    pub swap: u64,
}

/// A loaded file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDigest {
    /// Its name, without directories.
    pub name: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// Connections of the web server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebConnections {
    /// Open ones.
    pub open: u64,
    /// Accepted since the start.
    pub accepted: u64,
}

/// A rule and its matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleStats {
    /// The rule.
    pub rule: RuleInfo,
    /// Events that it matched.
    pub matches: u64,
    /// Alerts lost before an output was given them; each output counts.
    pub lost: u64,
    /// Alerts that were not sent one by one, but in digests.
    pub suppressed: u64,
}

/// What `alert_throttling` has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleStats {
    /// Alerts that were not sent one by one.
    pub suppressed: u64,
    /// Digests of these.
    pub digests: u64,
    /// Windows that are open.
    pub windows: u64,
    /// Alerts that were sent because there was no room for another window.
    pub unthrottled: u64,
}

/// What waited until more was known of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldStats {
    /// Alerts sent before its users and groups were read.
    pub incomplete: u64,
    /// Alerts sent before a runtime had described it.
    pub without_metadata: u64,
    /// Events with rules that waited for that.
    pub undecided: u64,
    /// Those of them whose rules were decided without it.
    pub given_up: u64,
}

/// Identity of a rule, as its metrics show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its name.
    pub name: String,
    /// Its priority, 0 for the most urgent.
    pub priority: u8,
    /// Its event source.
    pub source: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
}

/// CPU and memory used by the program and by its host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceUsage {
    /// CPU time of the program in per cent of the time since it started; 100 is one CPU.
    pub cpu_percent: f64,
    /// Resident memory, KiB.
    pub rss_kb: u64,
    /// Virtual memory, KiB.
    pub vsz_kb: u64,
    /// Proportional set size: shared pages count by share, KiB.
    pub pss_kb: u64,
    /// Memory of the container or control group the program is in, bytes.
    pub container_memory: u64,
    /// CPU time of the host in per cent of the time since it booted; 100 is all CPUs.
    pub host_cpu_percent: f64,
    /// Memory of the host in use, KiB.
    pub host_memory_kb: u64,
    /// Running processes of the host.
    pub host_procs_running: u64,
    /// Open files of the host.
    pub host_open_fds: u64,
}

/// Sizes and counters of the process and fd tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub struct StateStats {
    pub threads: u64,
    pub fds: u64,
    pub found_fds: u64,
    pub unknown_fds: u64,
    pub added_fds: u64,
    pub removed_fds: u64,
    pub stored_events: u64,
    pub dropped_events: u64,
    pub retrieved_events: u64,
    pub missing_events: u64,
    pub found_threads: u64,
    pub unknown_threads: u64,
    pub added_threads: u64,
    pub removed_threads: u64,
    pub dropped_threads: u64,
    pub postponed_account_requests: u64,
    pub unidentified_containers: u64,
    pub repaired_processes: u64,
    pub repaired_threads: u64,
    pub repaired_fds: u64,
}

/// What watching the API server of Kubernetes yields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubernetesStats {
    /// 1 while the pods of the node are known and up to date.
    pub connected: u64,
    /// Pods that are known.
    pub pods: u64,
    /// Watches that are open or are being opened.
    pub watches: u64,
    /// Events about pods and other objects.
    pub events: u64,
    /// Lists that were asked for.
    pub lists: u64,
    /// Watches that failed.
    pub failures: u64,
}

/// A metric that a plugin has of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginStats {
    /// The plugin.
    pub plugin: String,
    /// Name of the metric.
    pub name: String,
    /// Whether it only grows.
    pub monotonic: bool,
    /// Its value.
    pub value: MetricValue,
}

/// What asking container runtimes yields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerStats {
    /// Containers that are known.
    pub containers: u64,
    /// Containers described without an image, sandboxes apart.
    pub missing_images: u64,
    /// Containers that were asked about because they appeared in events.
    pub lookups: u64,
    /// Of these, those whose description came later than alerts wait.
    pub late: u64,
    /// Of these, those that no runtime knew.
    pub failed: u64,
    /// The engines.
    pub engines: Vec<EngineStats>,
}

/// An engine that is asked about containers. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Its name.
    pub name: &'static str,
    /// Sockets that are connected.
    pub connected: u64,
    /// Times that a socket was connected.
    pub connects: u64,
    /// Answers about a container.
    pub answers: u64,
    /// Questions about a container that failed.
    pub errors: u64,
    /// Shortest time of an answer.
    pub latency_min: u64,
    /// Mean time of an answer.
    pub latency_avg: u64,
    /// Time that one answer in a hundred exceeds, rounded up to a power of two.
    pub latency_p99: u64,
}

/// Lookups in `/proc` that events asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupStats {
    /// Unknown threads that were looked up while their event waited.
    pub threads: u64,
    /// Of these, lookups that were cut short by their time limit.
    pub thread_timeouts: u64,
    /// Reads of the account files of a container.
    pub account_reads: u64,
    /// The readers.
    pub readers: ReaderStats,
}

/// The processes that read about other processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderStats {
    /// Questions to readers.
    pub questions: u64,
    /// Of these, questions about processes that were answered only as far as the process could not
    /// delay it.
    pub safe: u64,
    /// Lookups of unknown threads that hung.
    pub hung_lookups: u64,
    /// Processes of the start scan, after losses and of late lookups that hung.
    pub hung_processes: u64,
    /// Accounts of containers that hung.
    pub hung_accounts: u64,
    /// Readers that were given up and replaced.
    pub replaced: u64,
    /// Readers that hang in the kernel now.
    pub stuck: u64,
    /// Waits of the event thread for a reader.
    pub waits: u64,
    /// The time of these, nanoseconds.
    pub wait_ns: u64,
    /// Lookups that did not wait, because there was no time left or the reader was busy.
    pub refused: u64,
}

/// A BPF program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// Its name.
    pub name: String,
    /// Number of runs.
    pub runs: u64,
    /// Total run time, nanoseconds.
    pub time: u64,
}

/// Items read from `/proc`: in the start-up scan, and later for unknown threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ScanStats {
    pub threads: u64,
    pub pipes: u64,
    pub memfds: u64,
    pub files: u64,
    pub directories: u64,
    pub ipv4_sockets: u64,
    pub ipv6_sockets: u64,
    pub unix_sockets: u64,
    pub netlink_sockets: u64,
    pub anonymous: u64,
}

/// Cost of system calls and rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostStats {
    /// System calls and other kinds of events, by name.
    pub syscalls: Vec<SyscallCost>,
    /// Rules, in the order of loading.
    pub rules: Vec<RuleCost>,
}

/// Events of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyscallCost {
    /// The name.
    pub name: String,
    /// Number of events.
    pub events: u64,
    /// Time spent on them in state and rules, nanoseconds.
    pub time: u64,
}

/// Cost of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleCost {
    /// Its name.
    pub name: String,
    /// Events that it was evaluated on.
    pub evaluations: u64,
    /// Time of these evaluations, nanoseconds.
    pub time: u64,
}

impl MetricInputs {
    /// Seconds since the previous snapshot, 0 for the first.
    pub(super) fn seconds(&self) -> f64 {
        self.previous.map_or(0.0, |previous| self.ts.saturating_sub(previous.ts) as f64 / 1e9)
    }

    pub(super) fn previous(&self) -> PreviousSnapshot {
        self.previous.unwrap_or_default()
    }
}
