//! `peregrine run`: maps the configuration to a run, and prints what it has come to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use peregrine_alert::AlertOrigin;
use peregrine_config::{CaptureMode, Config, Engine as Kind, ReadFile, RuleMatching};
use peregrine_engine::{Generation, GenerationSettings, Matching};
use peregrine_fields::Run as PrintSettings;
use peregrine_output::{Incident, Outputs};
use peregrine_runtime::capture::MatchCaptureSettings;
use peregrine_runtime::control::Controls;
use peregrine_runtime::observers::metrics::{Metrics, MetricsSettings};
use peregrine_runtime::observers::{RecordingSettings, TimeoutSettings};
use peregrine_runtime::{
    Log as RuntimeLog, ProfileReport, Run, RunContext, RunError, RunReport, RunSettings,
    SourceSettings,
};
use peregrine_telemetry::{DropAction, DropPolicy, Ticker};

use crate::args::RunArgs;
use crate::log::Log;
use crate::print::print;
use crate::wiring;
use crate::wiring::rules::Texts;
use crate::wiring::{delivery, live};

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
    /// Whether container metadata is wanted (the plugin `container` is loaded).
    pub(crate) containers: bool,
    /// The rules, and how they are evaluated.
    pub(crate) generation: Arc<Generation>,
    /// Names and texts of the files that the rules came from.
    pub(crate) rules_files: &'a Texts,
    /// What alerts say about this engine: its host and the ids of its rules.
    pub(crate) origin: AlertOrigin,
    /// The log.
    pub(crate) log: Arc<Log>,
    /// Requests from outside.
    pub(crate) controls: Controls,
    /// To be called when the kernel is being monitored.
    pub(crate) opened: &'a dyn Fn(),
}

impl Job<'_> {
    /// Where the root directory of the host is: elsewhere in a container that watches it.
    pub(crate) fn host_root(&self) -> PathBuf {
        let root = std::env::var_os("HOST_ROOT").filter(|root| !root.is_empty());
        root.map_or_else(|| PathBuf::from("/"), PathBuf::from)
    }

    /// The log, as the runtime knows it.
    pub(crate) fn runtime_log(&self) -> RuntimeLog {
        let log = Arc::clone(&self.log);
        RuntimeLog::new(move |level, line| log.line(level, line))
    }
}

/// Runs until the source ends or a stop is requested. The summary is printed whatever happens, after the last alert is out.
pub(crate) fn run(job: &Job<'_>) -> anyhow::Result<()> {
    let source = match &job.config.engine {
        Kind::NoDriver => return Ok(()),
        Kind::Replay { capture_file } => SourceSettings::Replay(capture_file.clone()),
        Kind::Live { settings, .. } => {
            let settings = live::settings(job, settings)?;
            live::log_start(job, &settings.probe);
            SourceSettings::Live(settings)
        }
    };
    let live = matches!(source, SourceSettings::Live(_));
    let settings = settings(job, source);
    prepare_profile(job.options)?;
    let log = Arc::clone(&job.log);
    let report = move |incident: &Incident| log.line(incident.priority(), incident);
    let outputs = Outputs::start(delivery::delivery(job.config), Arc::new(report))?;
    let metrics = wiring::metrics::settings(job);
    let metrics = metrics.map(|settings| metrics_of(job, settings, &outputs)).transpose()?;
    let scraper = metrics.as_ref().map(Metrics::scraper);
    let context = RunContext {
        generation: Arc::clone(&job.generation),
        outputs,
        origin: job.origin.clone(),
        metrics,
        log: job.runtime_log(),
        opened: job.opened,
    };
    let run = Run::prepare(settings, context)?;
    let heartbeat = job.controls.heartbeat();
    let server = if live { wiring::server::start(job, heartbeat, scraper)? } else { None };
    let ticker = server.is_some().then(|| Ticker::start(heartbeat.clone())).transpose()?;
    let report = run.run(&job.controls);
    drop((server, ticker));
    print_report(job, &report)?;
    result(job, report.result)?;
    report.profile.map_or(Ok(()), |profile| print_profile(job.options, &profile))
}

fn settings(job: &Job<'_>, source: SourceSettings) -> RunSettings {
    let (options, config) = (job.options, job.config);
    let drops = &config.syscall_event_drops;
    // A service that is monitored alone may have nothing to do: its silence is reported once.
    let alone = matches!(&source, SourceSettings::Live(live) if live.probe.scope.is_some());
    RunSettings {
        source,
        state: state(job),
        accounts_max_wait: Duration::from_millis(config.containers.accounts_max_wait_ms.into()),
        // `-M`: zero and less is no limit.
        limit: u64::try_from(options.seconds)
            .ok()
            .filter(|&seconds| seconds > 0)
            .map(Duration::from_secs),
        drops: DropPolicy {
            actions: drops.actions.as_slice().iter().copied().map(drop_action).collect(),
            threshold: drops.threshold.get(),
            rate: drops.rate,
            max_burst: drops.max_burst,
            simulate: drops.simulate_drops,
        },
        timeouts: TimeoutSettings {
            max_consecutives: config.syscall_event_timeouts.max_consecutives.get(),
            repeats: !alone,
        },
        recording: recording(job),
        profile: options.profile || options.profile_folded.is_some(),
    }
}

fn drop_action(action: peregrine_config::DropAction) -> DropAction {
    match action {
        peregrine_config::DropAction::Ignore => DropAction::Ignore,
        peregrine_config::DropAction::Log => DropAction::Log,
        peregrine_config::DropAction::Alert => DropAction::Alert,
        peregrine_config::DropAction::Exit => DropAction::Exit,
    }
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

/// Starts to collect metrics.
fn metrics_of(job: &Job<'_>, settings: MetricsSettings, outputs: &Outputs) -> io::Result<Metrics> {
    let log = Arc::clone(&job.log);
    let report = move |incident: &Incident| {
        log.line(incident.priority(), format_args!("metrics.output_file: {incident}"));
    };
    let (heartbeat, alerts) = (job.controls.heartbeat().clone(), outputs.sender());
    Metrics::start(settings, &job.generation, heartbeat, alerts, &job.origin, Arc::new(report))
}

/// How rules are evaluated and their fields print.
pub(crate) fn generation_settings(config: &Config) -> GenerationSettings {
    let matching = match config.rule_matching {
        RuleMatching::First => Matching::First,
        RuleMatching::All => Matching::All,
    };
    let (buffers, zone) = (delivery::buffers(config), delivery::zone());
    let run = PrintSettings { buffers, zone, ..PrintSettings::default() };
    GenerationSettings { matching, run, ..GenerationSettings::default() }
}

/// Sizes of the state.
pub(crate) fn state(job: &Job<'_>) -> peregrine_state::Config {
    peregrine_state::Config {
        max_threads: job.config.falco_libs.thread_table_size as usize,
        containers: job.containers,
        ..peregrine_state::Config::default()
    }
}

/// What the run has come to: rates and losses on stderr, the summary on stdout.
fn print_report(job: &Job<'_>, report: &RunReport) -> anyhow::Result<()> {
    if report.started {
        let mut stderr = io::stderr().lock();
        if job.options.verbose {
            let _ = stderr.write_all(rates(report).as_bytes());
        }
        let _ = write!(stderr, "{}", report.drops);
    }
    Ok(print(report.summary.to_string())?)
}

/// `-v`: how fast it went.
fn rates(report: &RunReport) -> String {
    let (seconds, events) = (report.elapsed.as_secs_f64(), report.events);
    let rate = events as f64 / seconds;
    let rate = format!("Elapsed time: {seconds:.3}, Captured Events: {events}, {rate:.2} eps\n");
    if !report.live {
        return rate;
    }
    let total = report.drops.ledger().total();
    let (seen, lost) = (total.events(), total.lost());
    format!("Driver Events:{seen}\nDriver Drops:{lost}\n(syscall) {rate}")
}

fn result(job: &Job<'_>, result: Result<(), RunError>) -> anyhow::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(RunError::Live(error)) => Err(live::explain(&error, &job.log)),
        Err(RunError::Open { path, error }) => {
            let (path, reason) = (path.display(), describe(&error));
            Err(anyhow!("Could not open trace filename {path} for reading: {reason}"))
        }
        Err(error) => Err(error.into()),
    }
}

/// What went wrong, without the number that an `io::Error` prints and Falco does not.
fn describe(error: &io::Error) -> String {
    let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
    errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned())
}

/// Creates the file for the stacks, so that a wrong name is reported before the run.
fn prepare_profile(options: &RunArgs) -> anyhow::Result<()> {
    let Some(path) = &options.profile_folded else { return Ok(()) };
    File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// `--profile` prints tables on stderr, `--profile-folded` writes stacks to a file.
fn print_profile(options: &RunArgs, profile: &ProfileReport) -> anyhow::Result<()> {
    if options.profile {
        let _ = write!(io::stderr().lock(), "{profile}");
    }
    if let Some(path) = &options.profile_folded {
        fs::write(path, profile.folded())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
