//! The run itself: events from their source through state and rules to the outputs.

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use peregrine_engine::{Engine, Hit, Matching, Observer};
use peregrine_event::Event;
use peregrine_event::render::Buffers;
use peregrine_fields::{Field, Fields, Run};
use peregrine_output::{AlertFormat, Incident, Outputs, Summary};
use peregrine_rules::Priority;
use peregrine_scap::Reader;

use crate::actions::rules::Rules;
use crate::app::print;
use crate::config::{Config, Engine as Source, RuleMatching};
use crate::delivery;
use crate::log::{Level, Log};
use crate::options::Options;
use crate::signals::Signals;

/// What a run needs, all of it checked.
pub(crate) struct Job<'a> {
    /// The command line.
    pub(crate) options: &'a Options,
    /// The configuration.
    pub(crate) config: &'a Config,
    /// Whether containers are looked after (the plugin `container` is loaded).
    pub(crate) containers: bool,
    /// The fields that rules may use.
    pub(crate) fields: Fields,
    /// The rules, selected; and the files they came from.
    pub(crate) rules: Rules,
    /// Name of this host in JSON alerts.
    pub(crate) hostname: String,
    /// Where to talk about oneself.
    pub(crate) log: Arc<Log>,
    /// Requests from outside.
    pub(crate) signals: Signals,
}

/// Runs until the source ends or somebody asks to stop.
pub(crate) fn run(job: Job<'_>) -> anyhow::Result<()> {
    match &job.config.engine {
        Source::Replay { capture_file } => replay(&job, capture_file),
        Source::Live { .. } => bail!(
            "watching the running kernel is not supported yet; replay a capture with \
             -o engine.kind=replay -o engine.replay.capture_file=FILE"
        ),
        Source::NoDriver => Ok(()),
    }
}

/// Replays a capture. The summary is printed whatever happens to it, after the last alert is out.
fn replay(job: &Job<'_>, capture: &Path) -> anyhow::Result<()> {
    let style = delivery::style(job.config, job.hostname.clone());
    let formats: Vec<_> = (job.rules.set.rules.iter())
        .map(|rule| AlertFormat::new(rule, &style, &job.fields))
        .collect::<Result<_, _>>()?;
    let log = Arc::clone(&job.log);
    let report = move |incident: &Incident| log.line(level(incident.priority()), incident);
    let outputs = Outputs::start(delivery::delivery(job.config), Arc::new(report))?;
    let names = job.rules.set.rules.iter().map(|rule| rule.name.clone());
    let mut watch = Watch {
        formats: &formats,
        outputs: &outputs,
        summary: Summary::new(names),
        signals: &job.signals,
        log: &job.log,
        first_ts: None,
        limit: duration(job).map(|limit| limit.as_nanos() as i64),
    };
    let result = watch.replay(job, capture);
    let summary = watch.summary;
    outputs.close();
    print(summary.to_string())?;
    result
}

/// Follows the run: makes alerts of matches and ends it when that is asked for.
struct Watch<'a> {
    formats: &'a [AlertFormat<Field>],
    outputs: &'a Outputs,
    summary: Summary,
    signals: &'a Signals,
    log: &'a Log,
    first_ts: Option<u64>,
    /// Nanoseconds of event time.
    limit: Option<i64>,
}

impl Watch<'_> {
    fn replay(&mut self, job: &Job<'_>, capture: &Path) -> anyhow::Result<()> {
        let file = File::open(capture).map_err(|error| {
            // `io::Error` ends with the number of the error, which Falco does not print.
            let error = error.to_string();
            let reason = error.split(" (os error").next().unwrap_or_default();
            anyhow!("Could not open trace filename {} for reading: {reason}", capture.display())
        })?;
        let state = peregrine_state::Config {
            max_threads: job.config.falco_libs.thread_table_size as usize,
            containers: job.containers,
            ..peregrine_state::Config::default()
        };
        let matching = match job.config.rule_matching {
            RuleMatching::First => Matching::First,
            RuleMatching::All => Matching::All,
        };
        let buffers = match job.config.buffer_format_base64 {
            true => Buffers::Base64,
            false => Buffers::Dots,
        };
        let run = Run { buffers, zone: jiff::tz::TimeZone::system(), ..Run::default() };
        let started = Instant::now();
        let mut engine = Engine::new(&job.rules.set, matching, state, run);
        let result = engine.run(&mut Reader::new(file), self);
        if job.options.verbose {
            let events = engine.events();
            let seconds = started.elapsed().as_secs_f64();
            let rate = events as f64 / seconds;
            let _ = writeln!(
                io::stderr(),
                "Elapsed time: {seconds:.3}, Captured Events: {events}, {rate:.2} eps"
            );
        }
        result.map_err(|error| anyhow!("{}: {error}", capture.display()))?;
        // Falco waits as long as it may run, also when the capture is over: scripts rely on it.
        self.wait(duration(job).unwrap_or_default());
        Ok(())
    }

    fn wait(&self, duration: Duration) {
        let deadline = Instant::now() + duration;
        while !self.signals.stop_asked() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

impl Observer for Watch<'_> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if self.signals.stop_asked() {
            self.log.info("SIGINT received, exiting...");
            return ControlFlow::Break(());
        }
        if self.signals.take_reopen() {
            self.log.info("SIGUSR1 received, reopening outputs...");
            self.outputs.reopen();
        }
        let first = *self.first_ts.get_or_insert(event.ts);
        match self.limit {
            // An asynchronous event may be older than the first one.
            Some(limit) if event.ts.wrapping_sub(first) as i64 >= limit => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn hit(&mut self, hit: &Hit<'_>) {
        let Some(format) = self.formats.get(hit.rule) else { return };
        let alert = format.alert(hit.event.ts, hit.view);
        self.summary.count(hit.rule, alert.priority);
        self.outputs.submit(alert);
    }
}

/// `-M`: how long to run, in time of the events. Zero and less is no limit.
fn duration(job: &Job<'_>) -> Option<Duration> {
    let seconds = u64::try_from(job.options.seconds).ok().filter(|&seconds| seconds > 0);
    seconds.map(Duration::from_secs)
}

fn level(priority: Priority) -> Level {
    match priority {
        Priority::Emergency => Level::Emergency,
        Priority::Alert => Level::Alert,
        Priority::Critical => Level::Critical,
        Priority::Error => Level::Error,
        Priority::Warning => Level::Warning,
        Priority::Notice => Level::Notice,
        Priority::Informational => Level::Info,
        Priority::Debug => Level::Debug,
    }
}
