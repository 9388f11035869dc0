//! A run from its first event to its report.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use peregrine_alert::AlertOrigin;
use peregrine_engine::held::HeldStats;
use peregrine_engine::meter::RuleMeter;
use peregrine_engine::profile::Profile;
use peregrine_engine::{Engine, EventParser, Generation, ParserError, Source};
use peregrine_event::inbox::{Feed, InboxSource};
use peregrine_event::source::TimedSource;
use peregrine_output::{AlertSender, DeliveryReport, Drain, Outputs, Summary};
use peregrine_probe::bpf::{KernelTypes, count_runs};
use peregrine_probe::{Live, LiveError};
use peregrine_telemetry::Phase;
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::capture::{Backpressure, CaptureError};
use crate::control::Controls;
use crate::event_loop::{Ended, EventLoop, Reselect};
use crate::limits::LimitReporter;
use crate::observers::drops::Drops;
use crate::observers::metrics::Metrics;
use crate::observers::{
    Observers, Recorder, RecordingSettings, RunObserver, StallLimit, nanoseconds,
};
use crate::settings::{RunSettings, SourceSettings};
use crate::sources::{
    self, AnySource, LiveSettings, Mux, OtherSource, PluginSources, ReplayError, SourceError,
    open_all,
};
use crate::watchdog::Watchdog;
use crate::{Log, ProfileReport};

/// Time between two events that say only that time passes, without a driver beside plugins.
const TICK: Duration = Duration::from_millis(100);
/// Time for the delivery of queued alerts after a stop was requested.
const STOP_DRAIN: Duration = Duration::from_secs(2);

/// The environment of a run.
pub struct RunContext<'a> {
    /// The initial rules.
    pub generation: Arc<Generation>,
    /// Destinations of alerts.
    pub outputs: Outputs,
    /// Origin of alerts.
    pub origin: AlertOrigin,
    /// Metrics, if enabled.
    pub metrics: Option<Metrics>,
    /// What other threads tell and are asked: about containers.
    pub feed: Option<Feed>,
    /// The log.
    pub log: Log,
    /// Called once the kernel is monitored.
    pub opened: &'a dyn Fn(),
    /// Sources that run beside the kernel. A replay does not open them.
    pub others: Vec<OtherSource>,
    /// Sources of the plugins whose events a capture may hold.
    pub plugins: PluginSources,
    /// What changes the state after each event.
    pub parser: Option<Box<dyn EventParser>>,
}

/// A prepared run: recorded files are created.
pub struct Run<'a> {
    settings: RunSettings,
    context: RunContext<'a>,
    recorder: Recorder,
}

/// The result of a run.
pub struct RunReport {
    /// Matches by rule.
    pub summary: Summary,
    /// What became of the alerts.
    pub delivery: DeliveryReport,
    /// Losses. Prints their summary.
    pub drops: Drops,
    /// Events that rules were evaluated for.
    pub events: u64,
    /// Time from the opening of the source to its end.
    pub elapsed: Duration,
    /// The profile, if it was measured.
    pub profile: Option<ProfileReport>,
    /// Whether the source was opened.
    pub started: bool,
    /// Whether the source was the running kernel.
    pub live: bool,
    /// Why it failed, if it did.
    pub result: Result<(), RunError>,
}

impl RunReport {
    /// Number and rate of events, and the events delivered and lost by the kernel, as lines of
    /// text.
    pub fn rates(&self) -> String {
        let (seconds, events) = (self.elapsed.as_secs_f64(), self.events);
        let rate = events as f64 / seconds;
        let rate =
            format!("Elapsed time: {seconds:.3}, Captured Events: {events}, {rate:.2} eps\n");
        if !self.live {
            return rate;
        }
        let total = self.drops.ledger().total();
        let (seen, lost) = (total.events(), total.lost());
        format!("Driver Events:{seen}\nDriver Drops:{lost}\n(syscall) {rate}")
    }
}

/// Why a run failed.
#[derive(Debug, Error)]
pub enum RunError {
    /// The capture file can't be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The kernel can't be monitored.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// Another source than the kernel has no events, or no more.
    #[error("{0}")]
    Source(SourceError),
    /// A plugin refuses events.
    #[error(transparent)]
    Parser(ParserError),
    /// The kernel can't count the runs of programs.
    #[error(transparent)]
    CountRuns(Box<dyn std::error::Error + Send + Sync>),
    /// The run ended because of losses, as configured.
    #[error("Drop manager internal error")]
    Losses,
}

/// The result of the event loop.
struct Followed<E> {
    result: Result<Ended, E>,
    events: u64,
    profile: Option<ProfileReport>,
    started: bool,
    /// Why the parser has stopped it, if it has.
    refusal: Option<ParserError>,
}

impl<'a> Run<'a> {
    /// Creates the recorded files.
    ///
    /// # Errors
    /// When one of them can't be created.
    pub fn prepare(settings: RunSettings, context: RunContext<'a>) -> Result<Self, CaptureError> {
        let backpressure = match settings.source {
            SourceSettings::Live(_) | SourceSettings::Nothing => Backpressure::Drop,
            // Files are read as fast as their events are recorded.
            SourceSettings::Others => Backpressure::Wait,
            SourceSettings::Replay(_) => Backpressure::Wait,
        };
        let RunSettings { record_all: all, policies, .. } = &settings;
        let recording = RecordingSettings { all: all.clone(), matches: policies.captures.clone() };
        let recorder = Recorder::start(recording, backpressure, &context.log)?;
        Ok(Self { settings, context, recorder })
    }

    /// Runs until the source ends or a stop is requested. Delivers all alerts.
    pub fn run(self, controls: &Controls) -> RunReport {
        let Self { settings, context, recorder } = self;
        let RunContext {
            generation,
            outputs,
            origin,
            metrics,
            feed,
            log,
            opened,
            others,
            plugins,
            parser,
        } = context;
        // Until the end of this function: a full stderr must not hold up the event thread.
        let _background = log.in_background();
        // Without a thread for it, there is no report; metrics still have the counts.
        let _limits = LimitReporter::start(log.clone()).ok();
        let alerts = outputs.sender();
        let sender = alerts.clone();
        controls.on_stop(move || sender.stop_blocking());
        let sender = alerts.clone();
        let waiting = move || sender.statistics().iter().map(|c| (c.channel, c.waiting)).collect();
        controls.on_undelivered(waiting);
        // A replay may wait for its capture, such as a pipe, as long as that takes.
        let live = matches!(settings.source, SourceSettings::Live(_));
        let policies = settings.policies.clone();
        let stall_limit = StallLimit::new(nanoseconds(policies.stall_timeout).into());
        let watchdog = live.then(|| {
            let (heartbeat, limit) = (controls.heartbeat(), Arc::clone(&stall_limit));
            Watchdog::start(heartbeat, limit, &origin, outputs.sender(), log.clone()).ok()
        });
        let drops = Drops::new(policies.drops, outputs.sender(), &origin, log.clone());
        let parts = Observers {
            drops,
            recorder,
            metrics,
            timeouts: policies.timeouts,
            stall_limit,
            outputs,
            heartbeat: Arc::clone(controls.heartbeat()),
            max_waits: policies.max_waits,
            limit: settings.limit,
        };
        let mut observer = RunObserver::new(parts, &generation, &origin);
        controls.service().monitoring(None, alerts.clone(), generation.iter().count());
        let drains = live || !others.is_empty();
        let work = Work {
            settings: &settings,
            alerts,
            controls,
            log: &log,
            drains,
            others,
            plugins,
            parser,
        };
        let begun = Instant::now();
        let Followed { result, events, profile, started, refusal } = match &settings.source {
            SourceSettings::Replay(path) => work.replay(generation, &mut observer, path),
            SourceSettings::Live(live) => work.live(generation, &mut observer, live, feed, opened),
            SourceSettings::Nothing => {
                let told = InboxSource::new(feed.map(|feed| feed.inbox));
                let told = AnySource::Told(Box::new(told));
                work.without_kernel(generation, &mut observer, vec![told])
            }
            SourceSettings::Others => work.without_kernel(generation, &mut observer, Vec::new()),
        };
        let elapsed = begun.elapsed();
        controls.service().stopped();
        drop(watchdog);
        let result = result.and_then(|_| match (refusal, observer.drops.exits()) {
            (Some(refusal), _) => Err(RunError::Parser(refusal)),
            (None, true) => Err(RunError::Losses),
            (None, false) => Ok(()),
        });
        report_held(observer.held_stats(), &log);
        let drain = match controls.stop_requested() {
            true => Drain::Within(STOP_DRAIN),
            false => Drain::WhileProgress,
        };
        let (summary, delivery, drops) = observer.close(controls.heartbeat(), drain);
        log.report_repeats();
        RunReport { summary, delivery, drops, events, elapsed, profile, started, live, result }
    }
}

/// The parts of a run that its sources need. The rules belong to the engine alone, so that a reload
/// frees them.
struct Work<'a> {
    settings: &'a RunSettings,
    alerts: AlertSender,
    controls: &'a Controls,
    log: &'a Log,
    /// Whether sources have events from before a stop that they have not delivered by then.
    drains: bool,
    others: Vec<OtherSource>,
    plugins: PluginSources,
    parser: Option<Box<dyn EventParser>>,
}

impl Work<'_> {
    fn replay(
        mut self,
        generation: Arc<Generation>,
        observer: &mut RunObserver,
        path: &Path,
    ) -> Followed<RunError> {
        let _reading = self.controls.heartbeat().enter(Phase::ReadingCapture);
        let mut replay = match sources::open_capture(path) {
            Ok(reader) => reader.with_plugins(std::mem::take(&mut self.plugins)),
            Err(error) => return Followed::failed(error.into()),
        };
        let engine = self.engine(generation, self.settings.state.clone());
        let followed =
            self.follow(engine, &mut replay, observer, |_: &mut _, _: &_, _, _: &mut _| ());
        if matches!(followed.result, Ok(Ended::Source | Ended::Observer)) {
            // Falco keeps running for the requested duration after the end of the capture, and
            // scripts rely on that.
            self.controls.wait_for_stop(self.settings.limit.unwrap_or_default());
        }
        if replay.is_cut() {
            self.log.warning(format_args!(
                "{}: the compressed data has no end, as that of a recorder that was killed. All events up to there were read.",
                path.display()
            ));
        }
        followed.map_err(|error| ReplayError::read(path, error).into())
    }

    fn live(
        mut self,
        generation: Arc<Generation>,
        observer: &mut RunObserver,
        settings: &LiveSettings,
        feed: Option<Feed>,
        opened: &dyn Fn(),
    ) -> Followed<RunError> {
        let others = match open_all(std::mem::take(&mut self.others)) {
            Ok(others) => others,
            Err(error) => return Followed::failed(error),
        };
        let (mut live, resolver) = match sources::open_live(settings, feed, self.log) {
            Ok(opened) => opened,
            Err(error) => return Followed::failed(error.into()),
        };
        observer.drops.count_by(live.losses());
        let (losses, rules) = (live.losses().clone(), generation.iter().count());
        self.controls.service().monitoring(Some(losses), self.alerts.clone(), rules);
        observer.metrics.iter_mut().for_each(|metrics| metrics.attach_kernel(&live));
        // The kernel counts runs of programs while this is open.
        let _runs = match settings.count_runs.then(count_runs).transpose() {
            Ok(runs) => runs,
            Err(error) => return Followed::failed(RunError::CountRuns(error.into())),
        };
        observer.start_clock();
        opened();
        let state = peregrine_state::Config { live: true, ..self.settings.state.clone() };
        let engine = self.engine(generation, state);
        let engine = engine.with_resolver(Box::new(resolver));
        let log = self.log.clone();
        let _events = self.controls.heartbeat().enter(Phase::Events);
        let select = |live: &mut Live, generation: &Generation, types: Option<KernelTypes>| {
            types.into_iter().for_each(|types| live.lend_types(types));
            let selection = sources::probe_selection(&generation.settings().selected);
            if let Err(error) = live.select(&selection) {
                log.error(format_args!("The kernel goes on with what was selected: {error}"));
            }
        };
        let followed = if others.is_empty() {
            let reselect = |live: &mut Live, generation: &_, types, observer: &mut RunObserver| {
                observer.metrics.iter_mut().for_each(|metrics| metrics.attach_kernel(live));
                select(live, generation, types);
            };
            self.follow(engine, &mut live, observer, reselect).map_err(RunError::Live)
        } else {
            let live = AnySource::Live(&mut live);
            let mut mux = Mux::new([live].into_iter().chain(others).collect());
            let reselect = |mux: &mut Mux<AnySource<'_>>,
                            generation: &_,
                            types,
                            observer: &mut RunObserver| {
                if let Some(AnySource::Live(live)) = mux.sources_mut().first_mut() {
                    observer.metrics.iter_mut().for_each(|metrics| metrics.attach_kernel(live));
                    select(live, generation, types);
                }
            };
            self.follow(engine, &mut mux, observer, reselect)
        };
        observer.drops.finish(live.given());
        detach(live);
        followed
    }

    /// Other sources only, and those of the list.
    fn without_kernel(
        mut self,
        generation: Arc<Generation>,
        observer: &mut RunObserver,
        mut sources: Vec<AnySource<'_>>,
    ) -> Followed<RunError> {
        match open_all(std::mem::take(&mut self.others)) {
            Ok(others) => sources.extend(others),
            Err(error) => return Followed::failed(error),
        }
        if sources.iter().any(TimedSource::is_beside_others)
            && let Some(AnySource::Told(told)) = sources.first_mut()
        {
            told.tick(TICK);
        }
        observer.start_clock();
        let state = peregrine_state::Config { live: true, ..self.settings.state.clone() };
        let engine = self.engine(generation, state);
        let _events = self.controls.heartbeat().enter(Phase::Events);
        let mut mux = Mux::new(sources);
        self.follow(engine, &mut mux, observer, |_: &mut _, _: &_, _, _: &mut _| ())
    }

    fn engine(&mut self, generation: Arc<Generation>, state: peregrine_state::Config) -> Engine {
        Engine::new(generation, state).with_parser(self.parser.take())
    }

    /// Runs the event loop over a source, with the configured meter.
    fn follow<S: Source>(
        &self,
        engine: Engine,
        source: &mut S,
        observer: &mut RunObserver,
        reselect: impl Reselect<S>,
    ) -> Followed<S::Error> {
        if self.settings.profile {
            let mut profiler = engine.generation().profiler();
            let begun = cpu_time();
            let (result, mut engine) =
                self.drive(engine, source, observer, &mut profiler, reselect);
            let cpu = cpu_time().saturating_sub(begun);
            let generation = engine.generation();
            let profile = ProfileReport::new(generation, Profile::new(generation, &profiler), cpu);
            let (events, profile) = (engine.events(), Some(profile));
            let refusal = engine.close();
            return Followed { result, events, profile, started: true, refusal };
        }
        let (result, mut engine) = if observer.metrics.as_ref().is_some_and(Metrics::counts_costs) {
            let mut counters = engine.generation().cost_counters();
            self.drive(engine, source, observer, &mut counters, reselect)
        } else {
            self.drive(engine, source, observer, &mut (), reselect)
        };
        let refusal = engine.close();
        Followed { result, events: engine.events(), profile: None, started: true, refusal }
    }

    fn drive<S: Source>(
        &self,
        engine: Engine,
        source: &mut S,
        observer: &mut RunObserver,
        meter: &mut impl RuleMeter,
        reselect: impl Reselect<S>,
    ) -> (Result<Ended, S::Error>, Engine) {
        let (controls, log) = (self.controls, self.log);
        let mut events =
            EventLoop { engine, observer, meter, controls, log, ready: false, drains: self.drains };
        let result = events.run(source, reselect);
        source.close();
        let engine = events.engine;
        // At exit the kernel takes this memory back at once, which is faster than freeing it piece
        // by piece.
        std::mem::forget(Arc::clone(engine.generation()));
        observer.give_up_held(engine.state());
        let finishing = controls.heartbeat().enter(Phase::FinishingCaptures);
        observer.recorder.finish(engine.state());
        drop(finishing);
        observer.drops.report_repairs(engine.state());
        (result, engine)
    }
}

impl<E> Followed<E> {
    fn failed(error: E) -> Self {
        Self { result: Err(error), events: 0, profile: None, started: false, refusal: None }
    }

    fn map_err<F>(self, map: impl FnOnce(E) -> F) -> Followed<F> {
        let Self { result, events, profile, started, refusal } = self;
        Followed { result: result.map_err(map), events, profile, started, refusal }
    }
}

/// Tells of alerts and rules that did not get what they waited for.
fn report_held(stats: HeldStats, log: &Log) {
    let HeldStats { incomplete, without_metadata, given_up, .. } = stats;
    for (count, what) in [
        (incomplete, "alerts were sent before the users and groups of their containers were read"),
        (without_metadata, "alerts were sent before their containers were described"),
        (given_up, "events had rules that were decided before their containers were described"),
    ] {
        if count > 0 {
            log.warning(format_args!("{count} {what}"));
        }
    }
}

/// Ends the monitoring of the kernel. That can take the kernel minutes where functions are hooked;
/// alerts and the end of the program do not wait for it.
fn detach(live: Live) {
    let detacher = thread::Builder::new().name("detach".to_owned());
    // If no thread can be started, it is detached here.
    let _ = detacher.spawn(move || drop(live));
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
