//! The run itself: events from their source through state and rules to the outputs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};
use peregrine_alert::AlertOrigin;
use peregrine_config::{CaptureMode, Config, Engine as Kind, ReadFile, RuleMatching};
use peregrine_engine::{
    AlertTemplate, Engine, Generation, GenerationSettings, Matching, ProcResolver, Source,
};
use peregrine_fields::{Fields, Run};
use peregrine_output::{Incident, Outputs};
use peregrine_runtime::capture::{Backpressure, MatchCaptureSettings};
use peregrine_runtime::observers::{Recorder, RecordingSettings};
use peregrine_scap::Reader;
use peregrine_telemetry::{Heartbeat, Ticker};
use rustix::time::{ClockId, clock_gettime};

use crate::args::RunArgs;
use crate::log::Log;
use crate::metrics::{Metrics, MetricsSettings};
use crate::print::print;
use crate::profile::{self, Report};
use crate::signals::Signals;
use crate::watch::Watch;
use crate::wiring::delivery;
use crate::wiring::rules::Texts;
use crate::{live, wiring};

/// What a run needs, all of it checked.
pub(crate) struct Job<'a> {
    /// The command line.
    pub(crate) options: &'a RunArgs,
    /// The configuration.
    pub(crate) config: &'a Config,
    /// The files it was read from.
    pub(crate) files: &'a BTreeMap<String, ReadFile>,
    /// When it was read.
    pub(crate) read_at: SystemTime,
    /// Whether containers are looked after (the plugin `container` is loaded).
    pub(crate) containers: bool,
    /// The fields that rules may use.
    pub(crate) fields: Fields,
    /// The rules, and how they are evaluated.
    pub(crate) generation: Arc<Generation>,
    /// Names and texts of the files that the rules came from.
    pub(crate) rules_files: &'a Texts,
    /// What alerts say about this engine: its host and the ids of its rules.
    pub(crate) origin: AlertOrigin,
    /// Where to talk about oneself.
    pub(crate) log: Arc<Log>,
    /// Requests from outside.
    pub(crate) signals: Signals,
    /// To be called when the kernel is being watched.
    pub(crate) opened: &'a dyn Fn(),
}

impl Job<'_> {
    /// Where the root directory of the host is: elsewhere in a container that watches it.
    pub(crate) fn host_root(&self) -> PathBuf {
        let root = std::env::var_os("HOST_ROOT").filter(|root| !root.is_empty());
        root.map_or_else(|| PathBuf::from("/"), PathBuf::from)
    }
}

/// Runs until the source ends or somebody asks to stop. The summary is printed whatever happens, after the last alert is out.
pub(crate) fn run(job: &Job<'_>) -> anyhow::Result<()> {
    if matches!(job.config.engine, Kind::NoDriver) {
        return Ok(());
    }
    let content = delivery::content(job.config);
    let templates: Vec<_> = (job.generation.rules().rules.iter())
        .map(|rule| AlertTemplate::new(rule, &job.origin, content, &job.fields))
        .collect::<Result<_, _>>()?;
    let backpressure = match job.config.engine {
        Kind::Live { .. } => Backpressure::Drop,
        Kind::Replay { .. } | Kind::NoDriver => Backpressure::Wait,
    };
    let recorder = Recorder::start(recording(job), backpressure, &runtime_log(job))?;
    profile::prepare(job.options)?;
    let log = Arc::clone(&job.log);
    let report = move |incident: &Incident| log.line(incident.priority(), incident);
    let outputs = Outputs::start(delivery::delivery(job.config), Arc::new(report))?;
    let heartbeat = Arc::new(Heartbeat::new());
    let metrics = MetricsSettings::new(job)
        .map(|settings| metrics(job, settings, &heartbeat, &outputs))
        .transpose()?;
    let server = match &job.config.engine {
        Kind::Live { .. } => {
            wiring::server::start(job, &heartbeat, metrics.as_ref().map(Metrics::scraper))?
        }
        Kind::Replay { .. } | Kind::NoDriver => None,
    };
    let _ticker = server.is_some().then(|| Ticker::start(heartbeat.clone())).transpose()?;
    let mut watch = Watch::new(job, &templates, &outputs, recorder, metrics, &heartbeat);
    let result = match &job.config.engine {
        Kind::Replay { capture_file } => replay(job, &mut watch, capture_file),
        Kind::Live { settings, .. } => live::run(job, &mut watch, settings),
        Kind::NoDriver => Ok(()),
    };
    let result = result.and_then(|()| watch.drops.result());
    let Watch { summary, profile, metrics, .. } = watch;
    drop(server);
    // Writes the last reports before the outputs are closed.
    drop(metrics);
    outputs.close();
    print(summary.to_string())?;
    result?;
    profile.map_or(Ok(()), |profile| profile.tell(job.options))
}

/// Starts to collect metrics.
fn metrics<'a>(
    job: &'a Job<'_>,
    settings: MetricsSettings,
    heartbeat: &Arc<Heartbeat>,
    outputs: &Outputs,
) -> io::Result<Metrics<'a>> {
    let log = Arc::clone(&job.log);
    let report = move |incident: &Incident| {
        log.line(incident.priority(), format_args!("metrics.output_file: {incident}"));
    };
    let (rules, alerts) = (&job.generation.rules().rules, outputs.sender());
    Metrics::start(settings, rules, heartbeat.clone(), alerts, &job.origin, Arc::new(report))
}

fn replay(job: &Job<'_>, watch: &mut Watch<'_>, capture: &Path) -> anyhow::Result<()> {
    let file = File::open(capture).map_err(|error| {
        let (capture, reason) = (capture.display(), describe(&error));
        anyhow!("Could not open trace filename {capture} for reading: {reason}")
    })?;
    let started = Instant::now();
    let (events, result) = follow(job, &mut Reader::new(file), watch, state(job), None);
    if job.options.verbose {
        tell_rate("", events, started.elapsed());
    }
    watch.drops.sum_up();
    result.with_context(|| capture.display().to_string())?;
    // Falco waits as long as it may run, also when the capture is over: scripts rely on it.
    wait(&job.signals, duration(job).unwrap_or_default());
    Ok(())
}

/// What went wrong, without the number that an `io::Error` prints and Falco does not.
fn describe(error: &io::Error) -> String {
    let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
    errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned())
}

/// Lets everything the source has go through the engine. Gives the number of events.
pub(crate) fn follow<S: Source>(
    job: &Job<'_>,
    source: &mut S,
    watch: &mut Watch<'_>,
    state: peregrine_state::Config,
    resolver: Option<Box<dyn ProcResolver>>,
) -> (u64, Result<(), S::Error>) {
    let mut engine = Engine::new(Arc::clone(&job.generation), state);
    if let Some(resolver) = resolver {
        engine = engine.with_resolver(resolver);
    }
    let result = if profile::is_asked(job.options) {
        let mut profiler = job.generation.profiler();
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        let result = engine.run(source, watch, &mut profiler);
        let cpu = clock_gettime(ClockId::ThreadCPUTime) - begun;
        let cpu = Duration::try_from(cpu).unwrap_or_default();
        watch.profile = Some(Report::new(&job.generation, &profiler, cpu));
        result
    } else if let Some(mut meter) = watch.metrics.as_ref().and_then(Metrics::meter) {
        engine.run(source, watch, &mut meter)
    } else {
        engine.run(source, watch, &mut ())
    };
    watch.recorder.finish(engine.state());
    watch.drops.look_at_repairs(engine.state());
    (engine.events(), result.map(drop))
}

/// How rules are evaluated and their fields print.
pub(crate) fn generation_settings(config: &Config) -> GenerationSettings {
    let matching = match config.rule_matching {
        RuleMatching::First => Matching::First,
        RuleMatching::All => Matching::All,
    };
    let run = Run { buffers: delivery::buffers(config), zone: delivery::zone(), ..Run::default() };
    GenerationSettings { matching, run, ..GenerationSettings::default() }
}

/// Which files are recorded.
fn recording(job: &Job<'_>) -> RecordingSettings {
    let keys = &job.config.capture;
    let matches = keys.enabled.then(|| {
        let all_rules = keys.mode == CaptureMode::AllRules;
        job.log.info(format_args!(
            "Capture is enabled in mode '{}'. Capturing events to {}",
            if all_rules { "all_rules" } else { "rules" },
            keys.path_prefix
        ));
        MatchCaptureSettings {
            path_prefix: keys.path_prefix.clone(),
            all_rules,
            default_duration: Duration::from_millis(keys.default_duration.into()),
            max_bytes: (keys.max_file_size_mb > 0).then_some(keys.max_file_size_mb << 20),
        }
    });
    RecordingSettings { all: job.options.write.clone(), matches }
}

/// The log, as the crates below know it.
fn runtime_log(job: &Job<'_>) -> peregrine_runtime::Log {
    let log = Arc::clone(&job.log);
    peregrine_runtime::Log::new(move |level, line| log.line(level, line))
}

/// Sizes of the state.
pub(crate) fn state(job: &Job<'_>) -> peregrine_state::Config {
    peregrine_state::Config {
        max_threads: job.config.falco_libs.thread_table_size as usize,
        containers: job.containers,
        ..peregrine_state::Config::default()
    }
}

/// `-v`: how fast it went. `source` stands before it where there is more than one way to get events.
pub(crate) fn tell_rate(source: &str, events: u64, time: Duration) {
    let seconds = time.as_secs_f64();
    let rate = events as f64 / seconds;
    let _ = writeln!(
        io::stderr(),
        "{source}Elapsed time: {seconds:.3}, Captured Events: {events}, {rate:.2} eps"
    );
}

/// `-M`: how long to run, in time of the events. Zero and less is no limit.
pub(crate) fn duration(job: &Job<'_>) -> Option<Duration> {
    let seconds = u64::try_from(job.options.seconds).ok().filter(|&seconds| seconds > 0);
    seconds.map(Duration::from_secs)
}

fn wait(signals: &Signals, duration: Duration) {
    let deadline = Instant::now() + duration;
    while !signals.stop_asked() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}
