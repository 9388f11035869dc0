//! Observers of the events of a run: alerts, recordings, losses, timeouts and metrics.

pub mod drops;
mod matches;
pub mod metrics;
mod recorder;
mod throttle;
mod timeouts;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use peregrine_alert::{AlertOrigin, InternalRule, Priority, RuleId, Scalar};
use peregrine_engine::held::{HeldAlerts, HeldStats, MaxWaits};
use peregrine_engine::meter::RuleMeter;
use peregrine_engine::{Generation, Match, Observer, Undecided};
use peregrine_event::source::Observation;
use peregrine_event::{Event, SourceId};
use peregrine_output::{DeliveryReport, Drain, NextOutputs, Outputs, Summary};
use peregrine_state::{Matchers, State};
use peregrine_telemetry::{DropPolicy, Heartbeat, Phase};

use crate::capture::MatchCaptureSettings;
use crate::clock::now;
use crate::{MetricsChange, memory};

use drops::Drops;
use matches::{Matches, submit};
use metrics::{GroupSampler, LoopState, Metrics, SyscallCosts};
use throttle::AlertThrottle;

pub(crate) use recorder::prepare_directory;
pub use recorder::{Recorder, RecordingSettings};
pub use timeouts::{TimeoutSettings, Timeouts};

/// The observer of a run.
pub struct RunObserver {
    /// Number of matches by rule.
    pub summary: Summary,
    /// Losses.
    pub drops: Drops,
    /// Recorded files.
    pub recorder: Recorder,
    /// Metrics, if enabled.
    pub metrics: Option<Metrics>,
    syscalls: Option<SyscallCosts>,
    groups: Option<GroupSampler>,
    timeouts: Timeouts,
    outputs: Outputs,
    heartbeat: Arc<Heartbeat>,
    held: HeldAlerts,
    throttle: AlertThrottle,
    capture_full: InternalRule,
    stall_limit: StallLimit,
    /// Events that rules were evaluated for.
    events: u64,
    /// Whether the time limit counts already.
    begun: bool,
    /// Whether events happen while the run goes on. Then the times of events of other sources than
    /// the kernel are those of other machines, and say nothing about the time of the run.
    live: bool,
    /// Whether a stop is requested: events that other sources have accepted are still processed.
    stopping: bool,
    limit: Option<Duration>,
    /// The run is over at the first event that is not older than this.
    end: u64,
    /// The run is over when no event is available at this time, or later.
    idle_end: u64,
    /// Whether the run was idle once: then the start-up backlog is processed.
    settled: bool,
}

/// Settings of a run that a reload may change.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPolicies {
    /// Reaction to losses.
    pub drops: DropPolicy,
    /// When missing events are reported.
    pub timeouts: TimeoutSettings,
    /// Time without progress of the event thread after which a live run reports that it stalls;
    /// zero is never.
    pub stall_timeout: Duration,
    /// Maximum time that alerts and rules wait until more is known of a container.
    pub max_waits: MaxWaits,
    /// Recording around matches.
    pub captures: Option<MatchCaptureSettings>,
    /// Which control groups are those of containers, about which runtimes are asked from here on:
    /// where a reload may have changed either.
    pub matchers: Option<Matchers>,
}

/// Time without progress that is a stall, in nanoseconds. The watchdog reads it.
pub type StallLimit = Arc<AtomicU64>;

/// The parts of a [`RunObserver`].
pub struct Observers {
    /// Losses.
    pub drops: Drops,
    /// Recorded files.
    pub recorder: Recorder,
    /// Metrics, if enabled.
    pub metrics: Option<Metrics>,
    /// When missing events are reported.
    pub timeouts: TimeoutSettings,
    /// When the event thread stalls.
    pub stall_limit: StallLimit,
    /// Destinations of alerts.
    pub outputs: Outputs,
    /// Shows what the event thread waits for.
    pub heartbeat: Arc<Heartbeat>,
    /// Maximum time that alerts and rules wait until more is known of a container.
    pub max_waits: MaxWaits,
    /// Maximum duration of the run, in event time.
    pub limit: Option<Duration>,
}

impl RunObserver {
    /// An observer without events so far.
    pub fn new(parts: Observers, generation: &Generation, origin: &AlertOrigin) -> Self {
        let Observers {
            drops,
            mut recorder,
            metrics,
            timeouts,
            stall_limit,
            outputs,
            heartbeat,
            max_waits,
            limit,
        } = parts;
        recorder.show_waits(&heartbeat);
        Self {
            summary: Summary::new(names(generation)),
            drops,
            recorder,
            syscalls: (metrics.as_ref())
                .filter(|metrics| metrics.counts_costs())
                .map(|_| SyscallCosts::new()),
            groups: metrics.is_some().then(GroupSampler::new),
            metrics,
            timeouts: Timeouts::new(timeouts, origin),
            outputs,
            heartbeat,
            held: HeldAlerts::new(max_waits),
            throttle: AlertThrottle::new(origin),
            capture_full: InternalRule::new(origin, CAPTURE_FULL, Priority::Informational),
            stall_limit,
            events: 0,
            begun: false,
            live: false,
            stopping: false,
            limit,
            end: u64::MAX,
            idle_end: u64::MAX,
            settled: false,
        }
    }

    /// Starts the run now: event times are wall clock times.
    pub(crate) fn start_clock(&mut self) {
        self.live = true;
        self.begin(now());
    }

    /// The time limit counts from this event time on.
    #[cold]
    fn begin(&mut self, ts: u64) {
        self.begun = true;
        if let Some(limit) = self.limit {
            self.end = ts.saturating_add(limit.as_nanos().try_into().unwrap_or(u64::MAX));
            self.idle_end = self.end;
        }
    }

    /// A stop is requested at this event time: only older events are processed.
    pub(crate) fn stop_at(&mut self, ts: u64) {
        self.stopping = true;
        self.end = self.end.min(ts);
        self.idle_end = self.idle_end.min(ts.saturating_add(SETTLING));
        self.drops.stop();
    }

    /// The time of the run at an event.
    #[inline(always)]
    fn clock(&self, event: &Event<'_>) -> u64 {
        if event.source == SourceId::SYSCALL || !self.live { event.ts } else { now() }
    }

    /// Submits a snapshot of the counters if the collecting thread requests one.
    pub(crate) fn poll_metrics(&self, state: &State, meter: &impl RuleMeter) {
        let Self { events, summary, outputs, held, throttle, .. } = self;
        let Self { drops, recorder, metrics, syscalls, groups, .. } = self;
        let groups = groups.as_ref();
        if let Some(metrics) = metrics {
            metrics.poll(&LoopState {
                events: *events,
                throttling: throttle.stats(),
                held: held.stats(),
                capture_drops: recorder.dropped(),
                summary,
                outputs,
                groups,
                ledger: drops.ledger(),
                state,
                syscalls: syscalls.as_ref(),
                rules: &|| meter.rule_costs(),
            });
        }
    }

    /// Reopens the files and connections of outputs.
    pub(crate) fn reopen(&self) {
        self.outputs.reopen();
        self.metrics.iter().for_each(Metrics::reopen);
    }

    /// Goes on with another generation, other outputs and other settings. Returns the metrics that
    /// end; to drop them takes time.
    pub(crate) fn install(
        &mut self,
        generation: &Generation,
        outputs: NextOutputs,
        policies: RunPolicies,
        metrics: MetricsChange,
    ) -> Option<Metrics> {
        self.outputs.install(outputs);
        let RunPolicies { drops, timeouts, stall_timeout, max_waits, captures, .. } = policies;
        self.drops.set_policy(drops);
        self.timeouts.configure(timeouts);
        self.stall_limit.store(nanoseconds(stall_timeout), Relaxed);
        self.held.set_max_waits(max_waits);
        self.recorder.configure(captures);
        names(generation).for_each(|(rule, name)| self.summary.add_rule(rule, name));
        let ended = match metrics {
            MetricsChange::Stay => None,
            MetricsChange::Begin(metrics) => self.metrics.replace(metrics),
            MetricsChange::End => self.metrics.take(),
        };
        if let Some(metrics) = &mut self.metrics {
            metrics.install(generation);
        }
        let Self { throttle, outputs, heartbeat, .. } = self;
        throttle.install(generation, |digest| submit(outputs, heartbeat, digest));
        ended
    }

    /// What was held.
    pub(crate) fn held_stats(&self) -> HeldStats {
        self.held.stats()
    }

    /// Ends the run: decides rules and sends held alerts with what is known now, and digests of
    /// suppressed ones.
    pub(crate) fn give_up_held(&mut self, state: &State) {
        let (held, mut matches) = self.matches(now());
        held.release_all(state, &mut matches);
        let Self { throttle, outputs, heartbeat, .. } = self;
        throttle.finish(|digest| submit(outputs, heartbeat, digest));
    }

    /// Ends the run: completes files and delivers queued alerts.
    pub fn close(
        self,
        heartbeat: &Arc<Heartbeat>,
        drain: Drain,
    ) -> (Summary, DeliveryReport, Drops) {
        // Reports of metrics go to the outputs.
        let closing = heartbeat.enter(Phase::ClosingMetrics);
        drop(self.metrics);
        drop(closing);
        let _delivering = heartbeat.enter(Phase::DeliveringAlerts);
        let delivery = self.outputs.close(drain);
        (self.summary, delivery, self.drops)
    }

    #[cold]
    fn expire_throttles(&mut self, now: u64) {
        let Self { throttle, outputs, heartbeat, .. } = self;
        throttle.expire(now, |digest| submit(outputs, heartbeat, digest));
    }

    #[cold]
    fn release_held(&mut self, now: u64, state: &State) {
        let (held, mut matches) = self.matches(now);
        held.release(now, state, &mut matches);
    }

    /// What is held, and where matches go at this time.
    #[inline]
    fn matches(&mut self, now: u64) -> (&mut HeldAlerts, Matches<'_>) {
        let Self { held, throttle, summary, recorder, outputs, heartbeat, .. } = self;
        (held, Matches { throttle, summary, recorder, outputs, heartbeat, now })
    }

    /// The alert about a capture that has reached its size.
    #[cold]
    fn report_full_capture(&self, max_bytes: u64, written: u64) {
        let max = max_bytes >> 20;
        let fields = [("max_file_size_mb", max), ("written_bytes", written)];
        let fields = fields.map(|(name, value)| (name.to_owned(), Scalar::Uint(value)));
        let text = format!("{CAPTURE_FULL}. Configured limit: {max} MB.");
        let alert = self.capture_full.alert(now(), &text, fields.into());
        submit(&self.outputs, &self.heartbeat, alert);
    }
}

/// How long an event takes to arrive from the kernel at most, nanoseconds.
const SETTLING: u64 = 20_000_000;
/// Rule name of alerts about captures that reached their size.
const CAPTURE_FULL: &str = "Falco internal: capture size limit reached";

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

fn names(generation: &Generation) -> impl Iterator<Item = (RuleId, String)> {
    generation.iter().map(|(id, rule)| (id, rule.name.clone()))
}

impl Observer for RunObserver {
    const DEFERS: bool = true;

    fn restart(&mut self) {
        self.recorder.restart();
    }

    #[inline(always)]
    fn arrived(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        if let Some(syscalls) = &mut self.syscalls {
            syscalls.arrived(event);
        }
        self.recorder.arrived(event, state_only, state);
    }

    #[inline(always)]
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        let now = self.clock(event);
        if !self.begun {
            self.begin(now);
        }
        if now >= self.end && !(self.stopping && event.source != SourceId::SYSCALL) {
            return ControlFlow::Break(());
        }
        self.events += 1;
        self.timeouts.event(now);
        self.drops.tick(now)
    }

    fn matched(&mut self, matched: &Match<'_>) {
        let (held, mut matches) = self.matches(matched.event.ts);
        if let Some(alert) = matches.take(matched) {
            held.add(matched, alert, &mut matches);
        }
    }

    fn undecided(&mut self, undecided: Undecided, state: &State) {
        let (held, mut matches) = self.matches(undecided.ts());
        held.add_undecided(undecided, state, &mut matches);
    }

    fn observing(&mut self, observation: &Observation) {
        self.recorder.observing(observation);
    }

    fn observed(&mut self, state: &State) {
        self.release_held(now(), state);
    }

    #[inline(always)]
    fn done(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        let now = self.clock(event);
        if !self.held.is_empty() && (self.held.is_due(now) || event.ty.describes_machine()) {
            self.release_held(now, state);
        }
        if self.throttle.is_due(now) {
            self.expire_throttles(now);
        }
        if let Some(full) = self.recorder.done(event, state_only, state) {
            self.report_full_capture(full.max_bytes, full.written);
        }
        if let Some(syscalls) = &mut self.syscalls {
            syscalls.done(event);
        }
        if let Some(groups) = &mut self.groups {
            groups.done(event, state);
        }
    }

    fn idle(&mut self, state: &State) -> ControlFlow<()> {
        if !std::mem::replace(&mut self.settled, true) {
            memory::give_back();
        }
        let now = now();
        if self.held.is_due(now) {
            self.release_held(now, state);
        }
        if self.throttle.is_due(now) {
            self.expire_throttles(now);
        }
        self.recorder.idle(now);
        self.drops.report_repairs(state);
        if let Some(alert) = self.timeouts.idle(now) {
            submit(&self.outputs, &self.heartbeat, alert);
        }
        if self.begun && now >= self.idle_end {
            return ControlFlow::Break(());
        }
        self.drops.tick(now)
    }
}
