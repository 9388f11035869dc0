//! Metrics of a run: snapshots are taken on the event loop, and told as alerts, as lines of a file, or to who asks the web
//! server.

mod resources;
mod tally;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use peregrine_event::snapshot::InterfaceAddress;
use peregrine_output::{
    Alert, Channels, Delivery, FileOutput, Incident, Message, Outputs, Scalar, Style, Summary,
};
use peregrine_probe::bpf::{HookPlan, ProgramStatistics, Programs};
use peregrine_probe::{Counters, Live, Statistics};
use peregrine_rules::Priority;
use peregrine_state::{Scanned, State};
use peregrine_telemetry::Ledger;
use peregrine_telemetry::metrics::{
    Before, Figures, FileDigest, Form, ProgramFigures, RuleFigures, RunFigures, ScanFigures,
    Snapshot, StateFigures, Value,
};
use serde_json::json;
use tokio::sync::oneshot;

use crate::actions::checks::{SYSCALL, milliseconds};
use crate::config::Engine;
use crate::delivery;
use crate::digest::sha256;
use crate::pulse::{Pulse, next_after};
use crate::run::Job;
use crate::version;
use crate::watch::now;
use crate::webserver::AskMetrics;
pub(crate) use tally::{RuleMeter, Tally};

use resources::Resources;

/// The metrics of a run.
pub(crate) struct Metrics<'a> {
    job: &'a Job<'a>,
    style: &'a Style,
    form: Form,
    /// When the program started, nanoseconds since the epoch.
    started: u64,
    resources: Resources,
    kernel: Option<Kernel>,
    tally: Option<Rc<Tally>>,
    reports: Option<Reports>,
    scrapes: Option<Scrapes>,
}

/// What the kernel side can be asked.
struct Kernel {
    counters: Counters,
    programs: Programs,
    plan: HookPlan,
}

/// What the event loop knows when a snapshot is taken.
pub(crate) struct Moment<'a> {
    /// Events that rules were asked about.
    pub(crate) events: u64,
    /// What matched.
    pub(crate) summary: &'a Summary,
    /// Where alerts go.
    pub(crate) outputs: &'a Outputs,
    /// What was lost, and by whom.
    pub(crate) ledger: &'a Ledger,
    /// The picture of the machine.
    pub(crate) state: &'a State,
}

/// Snapshots at intervals.
struct Reports {
    interval: Duration,
    next: Instant,
    before: Option<Before>,
    samples: u64,
    as_alert: bool,
    file: Option<Outputs>,
}

/// Snapshots for the web server.
struct Scrapes {
    asked: Receiver<oneshot::Sender<String>>,
    last: Option<(Instant, String)>,
}

/// Who asks more often than this gets the same answer again, so that nobody can keep the event loop from its work.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

impl<'a> Metrics<'a> {
    /// `None` where they are not wanted.
    pub(crate) fn new(job: &'a Job<'a>, style: &'a Style) -> io::Result<Option<Self>> {
        let keys = &job.config.metrics;
        if !keys.enabled {
            return Ok(None);
        }
        let file = match keys.output_file.as_str() {
            "" => None,
            path => Some(file(job, Path::new(path))?),
        };
        let interval = Duration::from_millis(milliseconds(&keys.interval));
        let reports = (keys.output_rule || file.is_some()).then(|| Reports {
            interval,
            next: Instant::now() + interval,
            before: None,
            samples: 0,
            as_alert: keys.output_rule,
            file,
        });
        Ok(Some(Self {
            job,
            style,
            form: Form { megabytes: keys.convert_memory_to_mb, zeros: keys.include_empty_values },
            started: now().saturating_sub((resources::age() * 1e9) as u64),
            resources: Resources::new(&job.host_root()),
            kernel: None,
            tally: keys
                .syscalls_counters_enabled
                .then(|| Rc::new(Tally::new(job.rules.set.rules.len()))),
            reports,
            scrapes: None,
        }))
    }

    /// Time between two reports, where there are any.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.reports.as_ref().map(|reports| reports.interval)
    }

    /// Answers who asks in this way, from now on.
    pub(crate) fn serve(&mut self, pulse: Arc<Pulse>) -> AskMetrics {
        let (sender, asked) = channel();
        self.scrapes = Some(Scrapes { asked, last: None });
        Box::new(move || {
            let (answer, answered) = oneshot::channel();
            // When the event loop has ended, the answer is dropped, which who waits for it sees.
            let _ = sender.send(answer);
            pulse.ask();
            answered
        })
    }

    /// The kernel is watched, and counts.
    pub(crate) fn watch_kernel(&mut self, live: &Live) {
        let (counters, programs) = (live.counters().clone(), live.probe().programs());
        self.kernel = Some(Kernel { counters, programs, plan: live.probe().plan() });
    }

    /// What is to be told of every event, where that is wanted.
    pub(crate) fn tally(&self) -> Option<Rc<Tally>> {
        self.tally.clone()
    }

    /// What is to be told of every rule that is asked.
    pub(crate) fn meter(&self) -> Option<RuleMeter> {
        self.tally.as_ref().map(Tally::meter)
    }

    /// Does what is due and what was asked for.
    pub(crate) fn look_up(&mut self, moment: &Moment<'_>) {
        let now = Instant::now();
        if self.reports.as_ref().is_some_and(|reports| reports.next <= now) {
            self.report(now, moment);
        }
        self.answer(now, moment);
    }

    /// Opens the file anew.
    pub(crate) fn reopen(&self) {
        if let Some(file) = self.reports.as_ref().and_then(|reports| reports.file.as_ref()) {
            file.reopen();
        }
    }

    /// Writes what still waits.
    pub(crate) fn close(self) {
        if let Some(file) = self.reports.and_then(|reports| reports.file) {
            file.close();
        }
    }

    fn report(&mut self, now: Instant, moment: &Moment<'_>) {
        let mut figures = self.figures(moment);
        let Some(reports) = &mut self.reports else { return };
        reports.next = next_after(reports.next, now, reports.interval);
        reports.samples += 1;
        figures.before = reports.before;
        let fields = Snapshot::take(&figures).fields(self.form);
        reports.before = Some(Before {
            ts: figures.ts,
            events: figures.events,
            kernel_events: figures.kernel.map_or(0, |kernel| kernel.events()),
            kernel_drops: figures.kernel.map_or(0, |kernel| kernel.lost()),
        });
        if let Some(file) = &reports.file {
            let line = line(&fields, reports.samples);
            file.submit(Alert { priority: Priority::Informational, line });
        }
        if reports.as_alert {
            moment.outputs.submit(message(figures.ts, fields).alert(self.style));
        }
    }

    fn answer(&mut self, now: Instant, moment: &Moment<'_>) {
        let Some(scrapes) = &self.scrapes else { return };
        let asked: Vec<_> = scrapes.asked.try_iter().collect();
        if asked.is_empty() {
            return;
        }
        let recent = scrapes.last.as_ref().filter(|(at, _)| now - *at < SCRAPE_INTERVAL);
        let (at, text) = recent.cloned().unwrap_or_else(|| {
            (now, Snapshot::take(&self.figures(moment)).prometheus(self.form.zeros))
        });
        for answer in asked {
            // Who has gone meanwhile does not want it.
            let _ = answer.send(text.clone());
        }
        if let Some(scrapes) = &mut self.scrapes {
            scrapes.last = Some((at, text));
        }
    }

    fn figures(&self, moment: &Moment<'_>) -> Figures {
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
                tally.figures(self.job.rules.set.rules.iter().map(|rule| rule.name.as_str()))
            }),
            before: None,
        }
    }

    fn run_figures(&self, state: &State) -> RunFigures {
        let (machine, live) = (state.machine(), self.kernel.is_some());
        let recorded = String::from_utf8_lossy(&machine.hostname).into_owned();
        let read_at = self.job.read_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let digest = |path: &str, sha256: String| FileDigest {
            name: Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256,
        };
        let rules_files = self.job.rules.texts.iter();
        let config_files = self.job.files.iter();
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
            rules_files: rules_files.map(|(name, text)| digest(name, sha256(text))).collect(),
            config_files: config_files
                .map(|(name, file)| digest(name, file.sha256.clone()))
                .collect(),
            addresses: addresses(state),
        }
    }

    fn rules(&self, summary: &Summary) -> Vec<RuleFigures> {
        let rules = self.job.rules.set.rules.iter().zip(summary.rules());
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

/// The file is written to as alerts are, on a thread of its own: a slow disk must not hold up events.
fn file(job: &Job<'_>, path: &Path) -> io::Result<Outputs> {
    let log = Arc::clone(&job.log);
    let report = move |incident: &Incident| {
        log.line(incident.priority(), format_args!("metrics.output_file: {incident}"));
    };
    let channels = Channels {
        file: Some(FileOutput { path: path.to_owned(), keep_alive: true }),
        ..Channels::default()
    };
    let delivery = Delivery { channels, buffered: false, ..delivery::delivery(job.config) };
    Outputs::start(delivery, Arc::new(report))
}

fn line(fields: &BTreeMap<String, Value>, sample: u64) -> Vec<u8> {
    let fields: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Uint(value) => json!(value),
                Value::Double(value) => json!(value),
                Value::Text(value) => json!(value),
            };
            (name.clone(), value)
        })
        .collect();
    json!({ "output_fields": fields, "sample": sample }).to_string().into_bytes()
}

fn message(ts: u64, fields: BTreeMap<String, Value>) -> Message {
    let scalar = |value| match value {
        Value::Uint(value) => Scalar::Uint(value),
        Value::Double(value) => Scalar::Double(value),
        Value::Text(value) => Scalar::Text(value),
    };
    Message {
        ts,
        priority: Priority::Informational,
        rule: "Falco internal: metrics snapshot".to_owned(),
        text: "Falco metrics snapshot".to_owned(),
        fields: fields.into_iter().map(|(name, value)| (name, scalar(value))).collect(),
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
