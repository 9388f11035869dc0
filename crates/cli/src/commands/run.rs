//! `peregrine run`, also without the word: processes events.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context;
use peregrine_config::Engine as Kind;
use peregrine_output::{Delivery, Incident, Outputs};
use peregrine_runtime::control::{self, Control, Controller};
use peregrine_runtime::observers::metrics::{Metrics, MetricsSettings};
use peregrine_runtime::reload::{Reloader, Requests};
use peregrine_runtime::service::Service;
use peregrine_runtime::{
    PidFile, ProfileReport, Run, RunContext, RunError, RunReport, SourceSettings, signals,
};
use peregrine_telemetry::{Phase, WebStats};

use crate::print::{print, print_error};
use crate::wiring::prepare::{PreparedRun, prepare};
use crate::wiring::privileges::drop_privileges;
use crate::wiring::reload::Reader;
use crate::wiring::rules::{self, Rules};
use crate::wiring::setup::Setup;
use crate::wiring::{checks, live, metrics, run, server};
use peregrine_args::{ConfigArgs, RulesArgs, RunArgs, RunCommand};

/// Exit code if the pid file can't be written; scripts tell it from other failures.
const NO_PIDFILE: u8 = 255;
/// Exit code if the reader of standard output has closed it, as of programs that SIGPIPE ends.
const STDOUT_CLOSED: u8 = 128 + 13;

/// Runs until the events end or a signal stops it.
pub(crate) fn run(args: RunCommand) -> anyhow::Result<ExitCode> {
    let mut setup = Setup::load_for_run(&args.config)?;
    setup.loaded.config.buffered_outputs &= !args.run.unbuffered;
    drop_privileges(&setup, &args.run);
    start(&setup, &args.rules, &args.run, Some(&args.config), &|| ())
}

/// Runs with this configuration, which is reloaded from `config` if that is given. `opened` is
/// called when the kernel is being monitored.
pub(super) fn start(
    setup: &Setup,
    rules: &RulesArgs,
    args: &RunArgs,
    config: Option<&ConfigArgs>,
    opened: &dyn Fn(),
) -> anyhow::Result<ExitCode> {
    let log = &setup.log;
    let Rules { texts, set } = rules::load(setup, rules)?;
    let delivery = checks::outputs(setup)?;
    let (controller, controls) = control::channel();
    let requests = |config| Requests::new().map(|requests| (config, requests));
    let reloads = config.filter(|_| !args.dry_run).map(requests).transpose()?;
    if !args.dry_run {
        let hangup = reloads.as_ref().map(|(_, requests)| requests.clone());
        let hangup =
            hangup.map(|requests| -> Box<dyn Fn() + Send> { Box::new(move || requests.send()) });
        signals::forward(controller.clone(), log, hangup)?;
        controller.set_service(Service::of_environment(controller.heartbeat(), log));
    }
    let pidfile = args.pidfile.as_ref().filter(|_| !args.dry_run);
    let pidfile =
        pidfile.map(|path| PidFile::create(path).map_err(|error| (path.display(), error)));
    let _pidfile = match pidfile.transpose() {
        Ok(pidfile) => pidfile,
        Err((path, error)) => {
            log.error(format_args!("{path}: {error}"));
            log.error(format_args!("Could not write pid to pidfile {path}. Exiting."));
            return Ok(ExitCode::from(NO_PIDFILE));
        }
    };
    let prepared = prepare(setup, set, &texts, args, controls, opened)?;
    checks::buffers(setup)?;
    let metrics = metrics::settings(&prepared, &delivery)?;
    if args.dry_run {
        log.debug("Skipping event processing in dry-run");
        return Ok(ExitCode::SUCCESS);
    }
    let reloader = reloads.map(|(config, requests)| {
        let first = Reader::new(setup, &config.overrides, rules, &texts, &prepared);
        Reloader::new(
            Box::new(first),
            requests,
            controller.clone(),
            &prepared.origin,
            &prepared.reloads,
            log,
        )
    });
    process(&prepared, delivery, metrics, reloader, controller)
}

/// Processes events until the source ends or a stop is requested. The summary is printed in any
/// case, after the last alert.
fn process(
    prepared: &PreparedRun<'_>,
    delivery: Delivery,
    metrics: Option<MetricsSettings>,
    reloader: Option<Reloader>,
    controller: Controller,
) -> anyhow::Result<ExitCode> {
    let source = match &prepared.config.engine {
        Kind::NoDriver => SourceSettings::Nothing,
        Kind::Replay { capture_file } => SourceSettings::Replay(capture_file.clone()),
        Kind::Live { settings, .. } => {
            let settings = live::settings(prepared, settings)?;
            live::log_start(prepared, &settings.probe);
            SourceSettings::Live(settings)
        }
    };
    let replays = matches!(source, SourceSettings::Replay(_));
    let settings = run::settings(prepared, source);
    let stacks = create_profile(prepared)?;
    let (log, is_closed) = (prepared.log.clone(), Arc::new(AtomicBool::new(false)));
    let closed = Arc::clone(&is_closed);
    let report = move |incident: &Incident| {
        log.line(incident.priority(), incident);
        if incident.ends_run() && !closed.swap(true, Relaxed) {
            controller.send(Control::Stop);
        }
    };
    let outputs = Outputs::start(delivery, Arc::new(report))?;
    let web = Arc::new(WebStats::default());
    let metrics = metrics.map(|mut settings| {
        settings.collector.web = prepared.config.webserver.enabled.then(|| web.clone());
        metrics_of(prepared, settings, &outputs)
    });
    let metrics = metrics.transpose()?;
    let scraper = metrics.as_ref().map(Metrics::scraper);
    let alerts = outputs.sender();
    let context = RunContext {
        generation: Arc::clone(&prepared.generation),
        outputs,
        origin: prepared.origin.clone(),
        metrics,
        log: prepared.log.clone(),
        opened: prepared.opened,
    };
    let run = Run::prepare(settings, context)?;
    let server = if replays { None } else { server::start(prepared, scraper, web)? };
    reloader.map(|reloader| reloader.start(alerts)).transpose()?;
    let report = run.run(&prepared.controls);
    drop(server);
    let _printing = prepared.controls.heartbeat().enter(Phase::PrintingSummary);
    print_report(prepared, &report)?;
    report.result.map_err(|error| match error {
        RunError::Live(error) => live::failed(&error, &prepared.log),
        error => error.into(),
    })?;
    report.profile.map_or(Ok(()), |profile| print_profile(prepared.options, &profile, stacks))?;
    Ok(if is_closed.load(Relaxed) { STDOUT_CLOSED.into() } else { ExitCode::SUCCESS })
}

/// Starts to collect metrics.
fn metrics_of(
    prepared: &PreparedRun<'_>,
    settings: MetricsSettings,
    outputs: &Outputs,
) -> io::Result<Metrics> {
    let log = prepared.log.clone();
    let report = move |incident: &Incident| {
        log.line(incident.priority(), format_args!("metrics.output_file: {incident}"));
    };
    let (heartbeat, alerts) = (prepared.controls.heartbeat().clone(), outputs.sender());
    Metrics::start(
        settings,
        &prepared.generation,
        heartbeat,
        alerts,
        &prepared.origin,
        Arc::new(report),
    )
}

/// Prints rates and losses on stderr, the summary on stdout.
fn print_report(prepared: &PreparedRun<'_>, report: &RunReport) -> anyhow::Result<()> {
    if report.started {
        let rates = if prepared.options.verbose { report.rates() } else { String::new() };
        print_error(format!("{rates}{}", report.drops));
    }
    let summary = format!("{}{}", report.summary, report.delivery.losses(&report.summary));
    // A thread that cannot write to stdout holds its lock.
    if report.delivery.channels.iter().any(|it| it.channel == "stdout" && it.discarded > 0) {
        prepared.log.info(summary);
        return Ok(());
    }
    match print(&summary) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => prepared.log.info(summary),
        printed => printed?,
    }
    Ok(())
}

/// Creates the file for the stacks, so that a wrong name is reported before the run.
fn create_profile(prepared: &PreparedRun<'_>) -> anyhow::Result<Option<File>> {
    let Some(path) = &prepared.options.profile_folded else { return Ok(None) };
    let file = peregrine_files::create(path, prepared.config.files.mode);
    file.map(Some).with_context(|| format!("cannot write {}", path.display()))
}

/// `--profile` prints tables on stderr, `--profile-folded` writes stacks to a file.
fn print_profile(
    options: &RunArgs,
    profile: &ProfileReport,
    stacks: Option<File>,
) -> anyhow::Result<()> {
    if options.profile {
        print_error(profile.to_string());
    }
    if let Some(mut file) = stacks {
        file.write_all(profile.folded().as_bytes()).context("cannot write the profile")?;
    }
    Ok(())
}
