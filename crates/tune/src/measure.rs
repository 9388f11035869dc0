//! The measurement: a run of the engine that counts events and profiles rules.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peregrine_engine::profile::Profile;
use peregrine_engine::{Engine, Match, Observer, Source};
use peregrine_event::{Event, EventType};
use peregrine_state::State;
use rustix::time::{ClockId, clock_gettime};

use crate::count::{Counts, Cpus};
use crate::sets::Candidate;

/// What a measurement is limited to.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// CPUs of the machine.
    pub cpus: Cpus,
    /// How long to monitor a machine; `None` measures a capture to its end.
    pub time: Option<Duration>,
    /// Whether the user has stopped the measurement.
    pub stopped: &'a dyn Fn() -> bool,
}

/// What was measured.
pub struct Measured {
    /// Seconds of measuring.
    pub(crate) seconds: f64,
    /// Events.
    pub(crate) counts: Counts,
    /// Events that arrived before these, while the reader started.
    pub(crate) skipped: u64,
    /// Cost of the rules, over all events.
    pub(crate) profile: Profile,
    /// CPU time for all events.
    pub(crate) cpu: Duration,
    /// Longest time that an event of this machine waited for the reader.
    pub(crate) behind: Option<Duration>,
    /// Lost events.
    pub(crate) lost: u64,
    /// `buf_size_preset` of the rings during the measurement.
    pub(crate) preset: Option<i16>,
}

impl Measured {
    /// The same with what only the live source knows: lost events and the `buf_size_preset` of the
    /// rings.
    #[must_use]
    pub fn with_rings(self, lost: u64, preset: i16) -> Self {
        Self { lost, preset: Some(preset), ..self }
    }

    /// Number of events.
    pub fn events(&self) -> u64 {
        self.counts.events()
    }

    /// Nanoseconds that rules take for an event of each type.
    pub(crate) fn rules_ns(&self) -> BTreeMap<EventType, f64> {
        let types = self.profile.types.iter();
        types.map(|ty| (ty.ty, ty.ns / ty.events.max(1) as f64)).collect()
    }

    /// Share of the profiled events that were counted.
    pub(crate) fn part(&self) -> f64 {
        let events = self.counts.events();
        events as f64 / (events + self.skipped).max(1) as f64
    }
}

/// Runs the engine over the events of a source and measures what they cost.
///
/// # Errors
/// The source has failed.
pub fn measure<S: Source>(
    engine: &mut Engine,
    source: &mut S,
    candidates: &[Candidate],
    limits: &Limits<'_>,
) -> Result<Measured, S::Error> {
    let generation = Arc::clone(engine.generation());
    let mut meter = Meter::new(candidates, limits);
    let mut profiler = generation.profiler();
    engine.run(source, &mut meter, &mut profiler)?;
    meter.pause();
    Ok(Measured {
        seconds: match limits.time {
            Some(_) => meter.begun.elapsed().as_secs_f64(),
            None => meter.counts.seconds(),
        },
        profile: Profile::new(&generation, &profiler),
        cpu: meter.cpu,
        behind: limits.time.is_some().then_some(meter.behind),
        counts: meter.counts,
        skipped: meter.skipped,
        lost: 0,
        preset: None,
    })
}

/// Observes the run that is measured.
struct Meter<'a> {
    limits: &'a Limits<'a>,
    counts: Counts,
    begun: Instant,
    /// Whether events are counted: not until the reader has caught up with those that arrived
    /// during its start.
    counts_now: bool,
    /// Events before that.
    skipped: u64,
    /// CPU time for events so far, without that for waiting; and that of the thread when it last
    /// resumed.
    cpu: Duration,
    resumed: Option<Duration>,
    /// Longest time from an event to its evaluation.
    behind: Duration,
    turn: u32,
}

/// Counting begins after this time even if the reader has had no pause.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Events between two reads of the clock.
const CLOCK_PERIOD: u32 = 64;

impl<'a> Meter<'a> {
    fn new(candidates: &[Candidate], limits: &'a Limits<'a>) -> Self {
        let (begun, zero) = (Instant::now(), Duration::ZERO);
        Self {
            limits,
            counts: Counts::new(candidates, limits.cpus),
            begun,
            counts_now: limits.time.is_none(),
            skipped: 0,
            cpu: zero,
            resumed: None,
            behind: zero,
            turn: 0,
        }
    }

    fn begin(&mut self) {
        self.counts_now = true;
        self.begun = Instant::now();
    }

    /// Whether the measurement is over.
    fn check(&self) -> ControlFlow<()> {
        let over = self.limits.time.is_some_and(|limit| self.begun.elapsed() >= limit);
        if over || (self.limits.stopped)() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// No event is currently available.
    fn pause(&mut self) {
        if let Some(resumed) = self.resumed.take() {
            self.cpu += cpu_time().saturating_sub(resumed);
        }
    }
}

impl Observer for Meter<'_> {
    fn arrived(&mut self, event: &Event<'_>, _state_only: bool, _state: &State) {
        if self.counts_now {
            self.resumed.get_or_insert_with(cpu_time);
            self.counts.count(event);
        } else {
            self.skipped += 1;
        }
    }

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.turn = (self.turn + 1) % CLOCK_PERIOD;
        if self.turn > 0 {
            return ControlFlow::Continue(());
        }
        if !self.counts_now {
            if self.begun.elapsed() >= CATCH_UP {
                self.begin();
            }
        } else if self.limits.time.is_some() {
            self.behind = self.behind.max(Duration::from_nanos(now().saturating_sub(event.ts)));
        }
        self.check()
    }

    fn matched(&mut self, _: &Match<'_>) {}

    fn idle(&mut self, _: &State) -> ControlFlow<()> {
        if !self.counts_now {
            self.begin();
        }
        self.pause();
        self.check()
    }
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Nanoseconds since the epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}
