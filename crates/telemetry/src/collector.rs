//! The collecting thread of metrics.
//!
//! A snapshot of metrics needs counters that only the event loop has, and files below `/proc` that
//! are slow to read. The event loop hands over the former by value ([`SnapshotContext`]) when it is
//! asked through the [`Heartbeat`]; the thread of a [`Collector`] reads the latter, joins both and
//! renders the result, for reports at an interval and for scrapes.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peregrine_event::EventCounters;

use crate::audit::{AuditCounts, AuditStats};
use crate::containers::ContainerCounters;
use crate::heartbeat::Heartbeat;
use crate::kubernetes::KubernetesCounters;
use crate::metrics::{
    CostStats, FieldOptions, HeldStats, LookupStats, MetricInputs, MetricSnapshot, MetricValue,
    OutputStats, PluginStats, PreviousSnapshot, ProgramStats, RuleInfo, RuleStats, RunInfo,
    ScanStats, StateStats, ThrottleStats, WebConnections,
};
use crate::reloads::{LoadedFiles, Reloads};
use crate::resources::ResourceReader;
use crate::web::WebStats;

/// Scrapes within this time after another get the same text, so that clients can't keep the event
/// loop from its work.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

/// Longest wait for the event loop. A scrape that waits longer gets the last snapshot again: that
/// the loop stalls is what matters then.
const STALE: Duration = Duration::from_secs(2);

/// What the event loop contributes to a snapshot: counters, by value.
#[derive(Clone, Debug, Default)]
pub struct SnapshotContext {
    /// Time of the snapshot, nanoseconds since the epoch.
    pub ts: u64,
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
    /// Active rules, in the order of loading.
    pub rules: Arc<[RuleInfo]>,
    /// Matches of each of [`rules`](Self::rules).
    pub matches: Vec<u64>,
    /// Alerts of each of [`rules`](Self::rules) that were lost before an output was given them;
    /// may be shorter.
    pub lost: Vec<u64>,
    /// Alerts of each of [`rules`](Self::rules) that were not sent one by one; may be shorter.
    pub suppressed: Vec<u64>,
    /// The machine that the events are from.
    pub host: HostInfo,
    /// Sizes and counters of the process and fd tables.
    pub state: StateStats,
    /// Items read from `/proc`.
    pub scan: ScanStats,
    /// Delivered events by cgroup, estimated.
    pub seen_by_group: Vec<(String, u64)>,
    /// Events lost by each control group.
    pub lost_by_group: Vec<(String, u64)>,
    /// Cost of system calls and rules, where it is counted.
    pub costs: Option<CostStats>,
}

/// The machine that events are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostInfo {
    /// Its name, where a capture file records another one than this host's.
    pub hostname: Option<String>,
    /// Boot time, nanoseconds since the epoch; 0 where it is not known.
    pub boot_ts: u64,
    /// Number of CPUs.
    pub cpus: u32,
    /// Addresses of its interfaces, by name and protocol (`ipv4`, `ipv6`).
    pub addresses: Vec<(String, &'static str, Vec<String>)>,
}

/// Groups of metrics that the configuration selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricGroups {
    /// Matches by rule.
    pub rules: bool,
    /// CPU and memory of the program and its host.
    pub resources: bool,
    /// Process and fd tables.
    pub state: bool,
    /// Events and losses in the kernel.
    pub kernel: bool,
    /// The same for each CPU.
    pub kernel_by_cpu: bool,
    /// Runs of BPF programs.
    pub programs: bool,
    /// Items read from `/proc`.
    pub scan: bool,
}

/// What a [`Collector`] needs to know.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    /// Selected groups.
    pub groups: MetricGroups,
    /// Form of the reports; its `zeros` applies to scrapes too.
    pub fields: FieldOptions,
    /// Time between two reports; `None` for scrapes only.
    pub interval: Option<Duration>,
    /// Facts of the run. Those of the host come from each [`SnapshotContext`], those of files from
    /// [`reloads`](Self::reloads).
    pub run: RunInfo,
    /// Reloads, and the files that rules and configuration were read from.
    pub reloads: Arc<Reloads>,
    /// Reader of CPU and memory usage.
    pub resources: ResourceReader,
    /// Connections of the web server, if there is one.
    pub web: Option<Arc<WebStats>>,
    /// Counters of the thread that asks container runtimes, if there is one.
    pub containers: Option<Arc<ContainerCounters>>,
    /// Counters of the source of audit events, if there is one.
    pub audit: Option<Arc<AuditStats>>,
    /// Counters of the thread that watches the API server of Kubernetes, if there is one.
    pub kubernetes: Option<Arc<KubernetesCounters>>,
    /// Asks the plugins from libraries, if there are any.
    pub plugins: Option<PluginMetrics>,
}

/// Asks plugins for the metrics that they have of their own.
#[derive(Clone)]
pub struct PluginMetrics(pub Arc<dyn Fn() -> Vec<PluginStats> + Send + Sync>);

impl fmt::Debug for PluginMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PluginMetrics")
    }
}

/// Counters of the kernel side. Read on the collecting thread.
pub trait KernelSource: Send {
    /// Events and losses, where the kernel tells them.
    fn counters(&mut self) -> Option<KernelStats>;

    /// Runs of BPF programs.
    fn programs(&mut self) -> Vec<ProgramStats>;
}

/// Events and losses in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelStats {
    /// By CPU number.
    pub cpus: Vec<EventCounters>,
    /// Events delivered after a later one.
    pub late: u64,
    /// Lookups in `/proc` that events asked for.
    pub lookups: LookupStats,
}

/// Metrics as they go to alerts and files at each interval.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricReport {
    /// Time of the snapshot, nanoseconds since the epoch.
    pub ts: u64,
    /// Number of the report, from 1.
    pub sample: u64,
    /// Names and values.
    pub fields: BTreeMap<String, MetricValue>,
}

/// Destination of reports. Called on the collecting thread.
pub trait ReportSink: Send {
    /// Writes a report.
    fn report(&mut self, report: MetricReport);

    /// Opens files again.
    fn reopen(&mut self) {}

    /// Writes what is still queued. No report follows.
    fn close(self: Box<Self>);
}

/// The collecting thread. Dropping it ends the thread and closes the sink.
#[derive(Debug)]
pub struct Collector {
    commands: Sender<Command>,
    wanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Requests metrics in the Prometheus text format, and changes what is collected.
#[derive(Clone, Debug)]
pub struct Scraper(Sender<Command>);

enum Command {
    Scrape(Reply),
    Snapshot(Box<SnapshotContext>),
    Kernel { source: Box<dyn KernelSource>, hook_plan: String },
    Configure(Box<CollectorSettings>),
    Reopen,
    Stop,
}

type Reply = Box<dyn FnOnce(&str) + Send>;

impl Collector {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        settings: CollectorSettings,
        heartbeat: Arc<Heartbeat>,
        sink: Box<dyn ReportSink>,
    ) -> io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let wanted = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            next: settings.interval.map(|interval| (Instant::now() + interval, interval)),
            settings,
            heartbeat,
            wanted: wanted.clone(),
            sink,
            kernel: None,
            previous: None,
            samples: 0,
            report_due: false,
            scrapes: Vec::new(),
            stale_at: None,
            last_context: None,
            last: None,
        };
        let run = move || worker.run(&received);
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(run)?;
        Ok(Self { commands, wanted, thread: Some(thread) })
    }

    /// For the event loop, after a heartbeat: whether the thread waits for
    /// [`submit`](Self::submit).
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Hands over the counters of the event loop.
    pub fn submit(&self, context: SnapshotContext) {
        self.send(Command::Snapshot(Box::new(context)));
    }

    /// Adds the kernel side, once it is loaded.
    pub fn attach_kernel(&self, source: Box<dyn KernelSource>, hook_plan: String) {
        self.send(Command::Kernel { source, hook_plan });
    }

    /// Makes the sink open its files again.
    pub fn reopen(&self) {
        self.send(Command::Reopen);
    }

    /// A handle for scrapes from other threads.
    #[must_use]
    pub fn scraper(&self) -> Scraper {
        Scraper(self.commands.clone())
    }

    fn send(&self, command: Command) {
        // The thread ends only by `Stop`.
        let _ = self.commands.send(command);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Scraper {
    /// Requests the text. `reply` runs on the collecting thread once the event loop has answered;
    /// it is dropped without a call when the run ends before.
    pub fn scrape(&self, reply: impl FnOnce(&str) + Send + 'static) {
        let _ = self.0.send(Command::Scrape(Box::new(reply)));
    }

    /// Changes the settings. Reports keep their numbers and their previous values.
    pub fn configure(&self, settings: CollectorSettings) {
        let _ = self.0.send(Command::Configure(Box::new(settings)));
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scrape(_) => "Scrape",
            Self::Snapshot(_) => "Snapshot",
            Self::Kernel { .. } => "Kernel",
            Self::Configure(_) => "Configure",
            Self::Reopen => "Reopen",
            Self::Stop => "Stop",
        })
    }
}

struct Worker {
    settings: CollectorSettings,
    heartbeat: Arc<Heartbeat>,
    wanted: Arc<AtomicBool>,
    sink: Box<dyn ReportSink>,
    kernel: Option<Box<dyn KernelSource>>,
    /// Time of the next report, and the interval.
    next: Option<(Instant, Duration)>,
    previous: Option<PreviousSnapshot>,
    samples: u64,
    /// A report waits for the next snapshot.
    report_due: bool,
    /// Scrapes that wait for the next snapshot.
    scrapes: Vec<Reply>,
    /// When these get the last snapshot again.
    stale_at: Option<Instant>,
    last_context: Option<SnapshotContext>,
    /// The latest text, and when it was rendered.
    last: Option<(Instant, String)>,
}

impl Worker {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            match self.wait(commands) {
                Ok(Command::Scrape(reply)) => self.scrape(reply),
                Ok(Command::Snapshot(context)) => self.snapshot(*context),
                Ok(Command::Kernel { source, hook_plan }) => {
                    self.kernel = Some(source);
                    self.settings.run.hook_plan = Some(hook_plan);
                }
                Ok(Command::Configure(settings)) => self.configure(*settings),
                Ok(Command::Reopen) => self.sink.reopen(),
                Err(RecvTimeoutError::Timeout) => self.due(Instant::now()),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.sink.close();
    }

    fn configure(&mut self, settings: CollectorSettings) {
        if settings.interval != self.settings.interval {
            self.next = settings.interval.map(|interval| (Instant::now() + interval, interval));
        }
        let hook_plan = self.settings.run.hook_plan.take();
        self.settings = settings;
        self.settings.run.hook_plan = hook_plan;
        // It may have other metrics than the next.
        self.last = None;
    }

    fn wait(&self, commands: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match self.next.map(|(at, _)| at).into_iter().chain(self.stale_at).min() {
            Some(at) => commands.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn due(&mut self, now: Instant) {
        if self.stale_at.is_some_and(|at| at <= now) {
            self.stale_at = None;
            if let Some(context) = self.last_context.clone() {
                let inputs = self.inputs(context);
                self.reply(&inputs);
            }
        }
        if self.next.is_some_and(|(at, _)| at <= now) {
            self.report_later();
        }
    }

    /// A report is due: asks for a snapshot.
    fn report_later(&mut self) {
        if let Some((at, interval)) = &mut self.next {
            *at = next_after(*at, Instant::now(), *interval);
            self.report_due = true;
            self.request();
        }
    }

    fn scrape(&mut self, reply: Reply) {
        match &self.last {
            Some((at, text)) if at.elapsed() < SCRAPE_INTERVAL => reply(text),
            _ => {
                self.scrapes.push(reply);
                self.stale_at = self.stale_at.or_else(|| Some(Instant::now() + STALE));
                self.request();
            }
        }
    }

    fn request(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        self.heartbeat.request();
    }

    fn snapshot(&mut self, context: SnapshotContext) {
        self.last_context = Some(context.clone());
        self.stale_at = None;
        let inputs = self.inputs(context);
        self.reply(&inputs);
        if std::mem::take(&mut self.report_due) {
            self.report(MetricInputs { previous: self.previous, ..inputs });
        }
    }

    /// Answers the scrapes that wait.
    fn reply(&mut self, inputs: &MetricInputs) {
        if !self.scrapes.is_empty() {
            let text = MetricSnapshot::take(inputs).prometheus(self.settings.fields.zeros);
            self.scrapes.drain(..).for_each(|reply| reply(&text));
            self.last = Some((Instant::now(), text));
        }
    }

    fn report(&mut self, inputs: MetricInputs) {
        self.samples += 1;
        self.sink.report(MetricReport {
            ts: inputs.ts,
            sample: self.samples,
            fields: MetricSnapshot::take(&inputs).fields(self.settings.fields),
        });
        self.previous = Some(PreviousSnapshot {
            ts: inputs.ts,
            events: inputs.events,
            kernel_events: inputs.kernel.map_or(0, |kernel| kernel.events()),
            kernel_drops: inputs.kernel.map_or(0, |kernel| kernel.lost()),
        });
    }

    /// The counters of the event loop, joined with what is read here.
    fn inputs(&mut self, context: SnapshotContext) -> MetricInputs {
        let CollectorSettings {
            groups,
            run,
            reloads,
            resources,
            web,
            containers,
            audit,
            kubernetes,
            plugins,
            ..
        } = &self.settings;
        let kernel = self.kernel.as_mut();
        let (live, counted) = (kernel.is_some(), kernel.is_some() && groups.kernel);
        let (stats, programs) = kernel.map_or((None, None), |kernel| {
            let stats = groups.kernel.then(|| kernel.counters()).flatten();
            (stats, groups.programs.then(|| kernel.programs()))
        });
        let HostInfo { hostname, boot_ts, cpus, addresses } = context.host;
        let hostname = hostname.unwrap_or_else(|| run.hostname.clone());
        let LoadedFiles { read_at, rules, config } = reloads.files();
        MetricInputs {
            ts: context.ts,
            run: RunInfo {
                hostname,
                boot_ts,
                cpus,
                addresses,
                reload_ts: read_at,
                rules_files: rules,
                config_files: config,
                ..run.clone()
            },
            reloads: reloads.stats(),
            events: context.events,
            outputs: context.outputs,
            throttling: context.throttling,
            held: context.held,
            capture_drops: context.capture_drops,
            limits: peregrine_limits::ALL.iter().map(|l| (l.name(), l.reached())).collect(),
            stalls: live.then(|| self.heartbeat.stalls()),
            web: web
                .as_ref()
                .map(|web| WebConnections { open: web.open(), accepted: web.accepted() }),
            audit: audit.as_deref().map(AuditCounts::from),
            plugins: plugins.as_ref().map(|plugins| (plugins.0)()),
            rules: groups.rules.then(|| {
                let padded = |counts: Vec<u64>| counts.into_iter().chain(iter::repeat(0));
                let counts = padded(context.matches).zip(padded(context.lost));
                let counts = counts.zip(padded(context.suppressed));
                let rules = context.rules.iter().cloned().zip(counts);
                let stats = |(rule, ((matches, lost), suppressed))| RuleStats {
                    rule,
                    matches,
                    lost,
                    suppressed,
                };
                rules.map(stats).collect()
            }),
            resources: groups.resources.then(|| resources.read()),
            state: groups.state.then_some(context.state),
            containers: containers.as_ref().map(|containers| containers.stats()),
            kubernetes: kubernetes.as_ref().map(|kubernetes| kubernetes.stats()),
            kernel: stats.as_ref().map(KernelStats::total),
            late: stats.as_ref().map(|stats| stats.late),
            lookups: stats.as_ref().map(|stats| stats.lookups),
            cpus: stats.filter(|_| groups.kernel_by_cpu).map(|stats| stats.cpus),
            programs,
            scan: (live && groups.scan).then_some(context.scan),
            seen_by_group: counted.then_some(context.seen_by_group),
            lost_by_group: counted.then_some(context.lost_by_group),
            costs: context.costs,
            previous: None,
        }
    }
}

impl KernelStats {
    /// The sum over all CPUs.
    fn total(&self) -> EventCounters {
        let mut total = EventCounters::default();
        self.cpus.iter().for_each(|cpu| total.add(cpu));
        total
    }
}

/// The next time on the grid of `period` from `due` that is after `now`: missed times are not made
/// up for.
fn next_after(due: Instant, now: Instant, period: Duration) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let missed = late / period.as_nanos().max(1);
    due + period * u32::try_from(missed + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
