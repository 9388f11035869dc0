//! `peregrine tune`: what the rules and the system calls they need cost on this machine, or on that of a capture, and which
//! settings follow from that.
//!
//! Nothing is restarted with other settings. What was watched is enough to tell how much of it each set of system calls
//! would have kept, and how large a ring must be for what came at worst.

mod count;
mod report;
mod sets;

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use peregrine_config::Engine as Kind;
use peregrine_engine::select::{self, BaseSyscalls};
use peregrine_engine::{Engine, Match, Observer, ProcResolver, Source};
use peregrine_event::Event;
use peregrine_probe::bpf::online_cpus;
use peregrine_scap::Reader;
use peregrine_state::State;
use rustix::time::{ClockId, clock_gettime};

use crate::args::{ConfigArgs, RunArgs, TuneCommand};
use crate::live;
use crate::print::print;
use crate::run::{self, Job};
use crate::signals::Signals;
use crate::watch::now;
use crate::wiring::rules::{self, Rules};
use crate::wiring::setup::Setup;
use crate::wiring::{checks, job};

use count::Counts;
use report::{Measured, Report};
use sets::Candidate;

/// Measures and recommends: tables on stderr, settings on stdout. No alert leaves the program.
pub(crate) fn run(args: &TuneCommand) -> anyhow::Result<()> {
    let mut keys = vec!["log_level=warning".to_owned()];
    keys.extend(args.config.overrides.clone());
    // Every rule is measured, also behind another that matches.
    keys.push("rule_matching=all".to_owned());
    keys.push(match &args.capture {
        None => "engine.kind=modern_ebpf".to_owned(),
        Some(_) => "engine.kind=replay".to_owned(),
    });
    if let Some(capture) = &args.capture {
        keys.push(format!("engine.replay.capture_file={}", capture.display()));
    }
    let config = ConfigArgs { config: args.config.config.clone(), overrides: keys };
    let setup = Setup::load(&config)?;
    let Rules { texts, set } = rules::load(&setup, &args.rules)?;
    let run = RunArgs::default();
    let job = job::job(&setup, set, &texts, &run, Signals::listen()?, &|| ());
    checks::buffers(&setup)?;
    measure(args, &job)
}

fn measure(tune: &TuneCommand, job: &Job<'_>) -> anyhow::Result<()> {
    let keys = &job.config.base_syscalls;
    let configured =
        BaseSyscalls { custom_set: keys.custom_set.clone(), repair: keys.repair, all: keys.all };
    let candidates = sets::candidates(&select::of_rules(job.generation.rules()), &configured);
    if let Some(name) = &tune.set
        && !candidates.iter().any(|candidate| candidate.name == *name)
    {
        let names: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
        bail!("there is no set {name}; there are: {}", names.join(", "));
    }
    let measured = match &job.config.engine {
        Kind::Replay { capture_file } => {
            let file = File::open(capture_file)
                .with_context(|| format!("cannot read {}", capture_file.display()))?;
            let config = run::state(job);
            let tuner = Tuner::new(job, Counts::new(&candidates, 1, 1), None);
            let (measured, result) = follow(job, &mut Reader::new(file), tuner, config, None);
            result.with_context(|| capture_file.display().to_string())?;
            measured
        }
        Kind::Live { settings, .. } => {
            let all = candidates.iter().map(|candidate| &candidate.set);
            let all =
                all.fold(job.generation.settings().selected.clone(), |all, set| all.union(set));
            let (mut source, resolver) = live::open(job, settings, &all)?;
            let cpus = online_cpus().context("CPUs of this machine")? as usize;
            let per_ring = match settings.cpus_for_each_buffer {
                0 => cpus,
                some => usize::from(some),
            };
            let seconds = Duration::from_secs(tune.seconds.into());
            let _ = writeln!(io::stderr(), "Watching for {} seconds …", tune.seconds);
            let counts = Counts::new(&candidates, cpus, per_ring);
            let tuner = Tuner::new(job, counts, Some(seconds));
            let config = peregrine_state::Config { live: true, ..run::state(job) };
            let resolver: Box<dyn ProcResolver> = Box::new(resolver);
            let (measured, result) = follow(job, &mut source, tuner, config, Some(resolver));
            result.map_err(|error| live::explain(&error, &job.log))?;
            let lost = source.counters().read()?.total().lost();
            Measured { lost, preset: Some(settings.buf_size_preset), ..measured }
        }
        Kind::NoDriver => return Ok(()),
    };
    if measured.counts.events() == 0 {
        bail!("there was no event to measure");
    }
    let report = Report::new(job, &candidates, &measured, tune.set.as_deref());
    let _ = write!(io::stderr(), "{}", report.tables());
    Ok(print(report.settings())?)
}

fn follow<S: Source>(
    job: &Job<'_>,
    source: &mut S,
    mut tuner: Tuner<'_>,
    state: peregrine_state::Config,
    resolver: Option<Box<dyn ProcResolver>>,
) -> (Measured, Result<(), S::Error>) {
    let mut engine = Engine::new(Arc::clone(&job.generation), state);
    if let Some(resolver) = resolver {
        engine = engine.with_resolver(resolver);
    }
    let mut profiler = job.generation.profiler();
    let result = engine.run(source, &mut tuner, &mut profiler);
    tuner.pause();
    let seconds = match tuner.limit {
        Some(_) => tuner.begun.elapsed().as_secs_f64(),
        None => tuner.counts.seconds(),
    };
    let measured = Measured {
        seconds,
        profile: job.generation.profile(&profiler),
        cpu: tuner.cpu,
        behind: tuner.limit.is_some().then_some(tuner.behind),
        counts: tuner.counts,
        skipped: tuner.skipped,
        lost: 0,
        preset: None,
    };
    (measured, result.map(drop))
}

/// Follows the run that is measured.
struct Tuner<'a> {
    job: &'a Job<'a>,
    counts: Counts,
    begun: Instant,
    /// How long to watch; a capture is measured to its end.
    limit: Option<Duration>,
    /// Whether it counts: not before the reader has caught up with what came while it started.
    counts_now: bool,
    /// Events before that.
    skipped: u64,
    /// CPU time for events so far, without that for waiting; and that of the thread when it went on.
    cpu: Duration,
    resumed: Option<Duration>,
    /// How long at worst an event had to wait until it was looked at.
    behind: Duration,
    turn: u32,
}

/// A machine that gives the reader no pause for so long is busy.
const PATIENCE: Duration = Duration::from_secs(1);
/// Events between two looks at the clock.
const SELDOM: u32 = 64;

impl<'a> Tuner<'a> {
    fn new(job: &'a Job<'a>, counts: Counts, limit: Option<Duration>) -> Self {
        let (begun, zero) = (Instant::now(), Duration::ZERO);
        Self {
            job,
            counts,
            begun,
            limit,
            counts_now: limit.is_none(),
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

    fn heed(&self) -> ControlFlow<()> {
        let over = self.limit.is_some_and(|limit| self.begun.elapsed() >= limit);
        if over || self.job.signals.stop_asked() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// There are no events just now.
    fn pause(&mut self) {
        if let Some(resumed) = self.resumed.take() {
            self.cpu += cpu_time().saturating_sub(resumed);
        }
    }
}

impl Observer for Tuner<'_> {
    fn arrived(&mut self, event: &Event<'_>, _state_only: bool, _state: &State) {
        if self.counts_now {
            self.resumed.get_or_insert_with(cpu_time);
            self.counts.count(event);
        } else {
            self.skipped += 1;
        }
    }

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.turn = (self.turn + 1) % SELDOM;
        if self.turn > 0 {
            return ControlFlow::Continue(());
        }
        if !self.counts_now {
            if self.begun.elapsed() >= PATIENCE {
                self.begin();
            }
        } else if self.limit.is_some() {
            self.behind = self.behind.max(Duration::from_nanos(now().saturating_sub(event.ts)));
        }
        self.heed()
    }

    fn matched(&mut self, _: &Match<'_>) {}

    fn idle(&mut self, _: &State) -> ControlFlow<()> {
        if !self.counts_now {
            self.begin();
        }
        self.pause();
        self.heed()
    }
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
