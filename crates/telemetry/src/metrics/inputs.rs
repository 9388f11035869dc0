//! What metrics are made of: counters and facts, by value.

use std::collections::BTreeSet;

use peregrine_event::EventCounters;

/// What was counted up to a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The moment, nanoseconds since the epoch.
    pub ts: u64,
    /// What stays the same.
    pub run: RunFigures,
    /// Events that rules were asked about.
    pub events: u64,
    /// Alerts that found the queue before the outputs full.
    pub queue_drops: u64,
    /// Rules, in the order of loading.
    pub rules: Option<Vec<RuleFigures>>,
    /// CPU and memory.
    pub resources: Option<ResourceFigures>,
    /// The picture of the machine.
    pub state: Option<StateFigures>,
    /// Events and losses in the kernel.
    pub kernel: Option<EventCounters>,
    /// Events and losses of each CPU, by its number.
    pub cpus: Option<Vec<EventCounters>>,
    /// Events given out after a later one.
    pub late: Option<u64>,
    /// Events lost by control group.
    pub lost_by_group: Option<Vec<(String, u64)>>,
    /// BPF programs.
    pub programs: Option<Vec<ProgramFigures>>,
    /// What was read of `/proc`.
    pub scan: Option<ScanFigures>,
    /// What system calls and rules cost.
    pub costs: Option<CostFigures>,
    /// The snapshot before this one.
    pub before: Option<Before>,
}

/// What rates are reckoned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// When that was, nanoseconds since the epoch.
    pub ts: u64,
    /// [`Figures::events`] then.
    pub events: u64,
    /// Events in the kernel then.
    pub kernel_events: u64,
    /// Losses in the kernel then.
    pub kernel_drops: u64,
}

/// What stays the same during a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFigures {
    /// Version that rules and tools ask for.
    pub version: String,
    /// Name of the host.
    pub hostname: String,
    /// Event source.
    pub source: String,
    /// Name of the engine that events come from, where it has one.
    pub engine: Option<String>,
    /// How system calls are hooked, where the kernel is watched.
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

/// A file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDigest {
    /// Its name, without directories.
    pub name: String,
    /// SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
}

/// What a rule did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFigures {
    /// Its name.
    pub name: String,
    /// Its priority, 0 for the most urgent.
    pub priority: u8,
    /// Its event source.
    pub source: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Events that it matched.
    pub matches: u64,
}

/// What the program and its host use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceFigures {
    /// CPU time of the program in per cent of the time since it started; 100 is one CPU.
    pub cpu_percent: f64,
    /// Resident memory, KiB.
    pub rss_kb: u64,
    /// Virtual memory, KiB.
    pub vsz_kb: u64,
    /// Resident memory, of what is shared only its part, KiB.
    pub pss_kb: u64,
    /// Memory of the container or control group the program is in, bytes.
    pub container_memory: u64,
    /// CPU time of the host in per cent of the time since it booted; 100 is all CPUs.
    pub host_cpu_percent: f64,
    /// Memory of the host in use, KiB.
    pub host_memory_kb: u64,
    /// Processes of the host that run.
    pub host_procs_running: u64,
    /// Open files of the host.
    pub host_open_fds: u64,
}

/// What the picture of the machine holds, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub struct StateFigures {
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
}

/// A BPF program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramFigures {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// How long it ran in all, nanoseconds.
    pub time: u64,
}

/// What was read of `/proc`: when watching began, and later of threads that nobody had told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ScanFigures {
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

/// What was counted of system calls and rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostFigures {
    /// System calls and other kinds of events, by name.
    pub syscalls: Vec<SyscallFigures>,
    /// Rules, in the order of loading.
    pub rules: Vec<RuleCostFigures>,
}

/// Events of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyscallFigures {
    /// The name.
    pub name: String,
    /// How many there were.
    pub events: u64,
    /// How long they took, in state and rules, nanoseconds.
    pub time: u64,
}

/// What a rule cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleCostFigures {
    /// Its name.
    pub name: String,
    /// How often it was asked about an event.
    pub evaluations: u64,
    /// How long that took, nanoseconds.
    pub time: u64,
}

impl Figures {
    /// Time since the snapshot before, 0 for the first.
    pub(super) fn seconds(&self) -> f64 {
        self.before.map_or(0.0, |before| self.ts.saturating_sub(before.ts) as f64 / 1e9)
    }

    pub(super) fn before(&self) -> Before {
        self.before.unwrap_or_default()
    }
}
