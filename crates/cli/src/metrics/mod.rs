//! Metrics of a run: snapshots are taken on the event loop, and told as alerts, as lines of a file, or to who asks the web
//! server.

mod figures;
mod resources;
mod tally;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use peregrine_alert::Priority;
use peregrine_config::sha256;
use peregrine_output::{
    Alert, Channels, Delivery, FileOutput, Incident, Message, Outputs, Scalar, Style, Summary,
};
use peregrine_probe::bpf::{HookPlan, Programs};
use peregrine_probe::{Counters, Live};
use peregrine_state::State;
use peregrine_telemetry::Ledger;
use peregrine_telemetry::metrics::{Before, FileDigest, Form, Snapshot, Value};
use serde_json::json;
use tokio::sync::oneshot;

use crate::pulse::{Pulse, next_after};
use crate::run::Job;
use crate::watch::now;
use crate::webserver::AskMetrics;
use crate::wiring::checks::milliseconds;
use crate::wiring::delivery;
pub(crate) use tally::{RuleMeter, Tally};

use resources::Resources;

/// The metrics of a run.
pub(crate) struct Metrics<'a> {
    job: &'a Job<'a>,
    style: &'a Style,
    form: Form,
    /// When the program started, nanoseconds since the epoch.
    started: u64,
    rules_files: Vec<FileDigest>,
    config_files: Vec<FileDigest>,
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
            rules_files: job
                .rules_files
                .iter()
                .map(|(name, text)| digest(name, sha256(text)))
                .collect(),
            config_files: job
                .files
                .iter()
                .map(|(name, file)| digest(name, file.sha256.clone()))
                .collect(),
            resources: Resources::new(&job.host_root()),
            kernel: None,
            tally: keys
                .syscalls_counters_enabled
                .then(|| Rc::new(Tally::new(job.generation.rules().rules.len()))),
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
}

fn digest(path: &str, sha256: String) -> FileDigest {
    let name = Path::new(path).file_name().unwrap_or_default();
    FileDigest { name: name.to_string_lossy().into_owned(), sha256 }
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
