//! Follows a run: makes alerts of matches, records what is to be recorded, and ends it when that is asked for.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peregrine_alert::{Alert, InternalRule, Priority, Scalar};
use peregrine_config::{Config, Engine};
use peregrine_engine::{AlertTemplate, Match, Observer};
use peregrine_event::Event;
use peregrine_fields::Field;
use peregrine_output::{Outputs, Summary, local_time_of_day};
use peregrine_runtime::memory;
use peregrine_runtime::observers::Recorder;
use peregrine_state::State;
use peregrine_telemetry::{Heartbeat, TimeoutMonitor};

use crate::drops::Drops;
use crate::log::Log;
use crate::metrics::{LoopState, Metrics, Tally};
use crate::profile::Report;
use crate::run::{Job, duration};
use crate::signals::Signals;

/// Nanoseconds since the epoch, now.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// The observer of a run.
pub(crate) struct Watch<'a> {
    /// What matched so far.
    pub(crate) summary: Summary,
    /// Files that are written on the way.
    pub(crate) recorder: Recorder,
    /// What the rules have cost, where that is asked for and the run is over.
    pub(crate) profile: Option<Report>,
    /// What was lost.
    pub(crate) drops: Drops<'a>,
    /// What is told of the run, where that is wanted.
    pub(crate) metrics: Option<Metrics<'a>>,
    /// What system calls cost, where that is wanted.
    tally: Option<Rc<Tally>>,
    /// For each rule, in the order of the rule set.
    templates: &'a [AlertTemplate<Field>],
    outputs: &'a Outputs,
    signals: &'a Signals,
    log: &'a Log,
    heartbeat: &'a Heartbeat,
    /// Events that rules were asked about.
    events: u64,
    first_ts: Option<u64>,
    limit: Option<Duration>,
    /// Whether there was a pause: then everything that was there at the start is known.
    settled: bool,
    timeouts: TimeoutMonitor,
    timeouts_rule: InternalRule,
    size_rule: InternalRule,
    max_file_size_mb: u64,
}

/// Name of the rule about no events.
const TIMEOUTS: &str = "Falco internal: timeouts notification";
/// Name of the rule about a capture that is as large as it may get.
const CAPTURE_SIZE: &str = "Falco internal: capture size limit reached";

impl<'a> Watch<'a> {
    /// Nothing has happened yet.
    pub(crate) fn new(
        job: &'a Job<'_>,
        templates: &'a [AlertTemplate<Field>],
        outputs: &'a Outputs,
        recorder: Recorder,
        metrics: Option<Metrics<'a>>,
        heartbeat: &'a Heartbeat,
    ) -> Self {
        Self {
            summary: Summary::new(templates.iter().map(|template| {
                let rule = template.rule();
                (rule.id(), rule.name().to_owned())
            })),
            recorder,
            profile: None,
            drops: Drops::new(&job.config.syscall_event_drops, outputs, &job.origin, &job.log),
            tally: metrics.as_ref().and_then(Metrics::tally),
            metrics,
            templates,
            outputs,
            signals: &job.signals,
            log: &job.log,
            heartbeat,
            events: 0,
            first_ts: None,
            limit: duration(job),
            settled: false,
            timeouts: timeouts(job.config),
            timeouts_rule: InternalRule::new(&job.origin, TIMEOUTS, Priority::Debug),
            size_rule: InternalRule::new(&job.origin, CAPTURE_SIZE, Priority::Informational),
            max_file_size_mb: job.config.capture.max_file_size_mb,
        }
    }

    /// The time of the events is that of the clock, and begins now.
    pub(crate) fn goes_by_the_clock(&mut self) {
        self.first_ts = Some(now());
    }

    /// Answers the heartbeat, and does what waits for it.
    #[inline]
    fn poll(&self, state: &State) {
        if self.heartbeat.poll() {
            self.poll_metrics(state);
        }
    }

    #[cold]
    fn poll_metrics(&self, state: &State) {
        let Self { events, summary, outputs, drops, metrics, .. } = self;
        if let Some(metrics) = metrics {
            let ledger = drops.ledger();
            metrics.poll(&LoopState { events: *events, summary, outputs, ledger, state });
        }
    }

    /// Does what signals ask for.
    fn heed_signals(&self) -> ControlFlow<()> {
        if self.signals.stop_asked() {
            self.log.info("SIGINT received, exiting...");
            return ControlFlow::Break(());
        }
        if self.signals.take_reopen() {
            self.log.info("SIGUSR1 received, reopening outputs...");
            self.outputs.reopen();
            self.metrics.iter().for_each(Metrics::reopen);
        }
        ControlFlow::Continue(())
    }

    fn is_over(&self, first: u64, ts: u64) -> bool {
        // An asynchronous event may be older than the first one.
        let age = ts.wrapping_sub(first) as i64;
        self.limit.is_some_and(|limit| i128::from(age) >= limit.as_nanos() as i128)
    }
}

impl Observer for Watch<'_> {
    fn restart(&mut self) {
        self.recorder.restart();
    }

    #[inline(always)]
    fn arrived(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        self.poll(state);
        if let Some(tally) = &self.tally {
            tally.arrived(event);
        }
        self.recorder.arrived(event, state_only, state);
    }

    #[inline(always)]
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.heed_signals()?;
        let first = *self.first_ts.get_or_insert(event.ts);
        if self.is_over(first, event.ts) {
            return ControlFlow::Break(());
        }
        self.events += 1;
        self.timeouts.event(event.ts);
        self.drops.tick(event.ts)
    }

    fn matched(&mut self, matched: &Match<'_>) {
        let Some(template) = self.templates.get(matched.index) else { return };
        let alert = template.render(matched.event.ts, matched.event.num, matched.view);
        self.summary.count(matched.id, alert.priority());
        self.outputs.submit(alert);
        self.recorder.matched(matched);
    }

    #[inline(always)]
    fn done(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        if let Some(reached) = self.recorder.done(event, state_only, state) {
            let max = self.max_file_size_mb;
            self.outputs.submit(size_reached(max, reached.written, &self.size_rule));
        }
        if let Some(tally) = &self.tally {
            tally.done(event);
        }
    }

    fn idle(&mut self, state: &State) -> ControlFlow<()> {
        self.poll(state);
        self.heed_signals()?;
        if !std::mem::replace(&mut self.settled, true) {
            memory::give_back();
        }
        let now = now();
        self.recorder.idle(now);
        self.drops.look_at_repairs(state);
        if self.timeouts.idle(now) {
            self.outputs.submit(silence(now, &self.timeouts, &self.timeouts_rule));
        }
        match self.first_ts {
            Some(first) if self.is_over(first, now) => ControlFlow::Break(()),
            _ => self.drops.tick(now),
        }
    }
}

/// A service that is watched alone may have nothing to do: its silence is told once.
fn timeouts(config: &Config) -> TimeoutMonitor {
    let alone = matches!(&config.engine, Engine::Live { settings, .. } if !settings.scope.cgroup.is_empty());
    TimeoutMonitor::new(config.syscall_event_timeouts.max_consecutives.get(), !alone)
}

/// The alert about a capture that is as large as it may get.
fn size_reached(max_mb: u64, written: u64, rule: &InternalRule) -> Alert {
    let fields = [("max_file_size_mb", max_mb), ("written_bytes", written)];
    let fields = fields.map(|(name, value)| (name.to_owned(), Scalar::Uint(value)));
    let text = format!("{}. Configured limit: {max_mb} MB.", rule.name());
    rule.alert(now(), &text, fields.into())
}

/// The alert about no events.
fn silence(now: u64, timeouts: &TimeoutMonitor, rule: &InternalRule) -> Alert {
    let last = timeouts.last_event().map_or_else(|| "none".to_owned(), local_time_of_day);
    let max = timeouts.max_consecutives();
    let text = format!("{}. {max} consecutive timeouts without event.", rule.name());
    rule.alert(now, &text, [("last_event_time".to_owned(), Scalar::Text(last))].into())
}
