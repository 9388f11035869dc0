//! `peregrine run`, also without the word: processes events.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context, anyhow};
use peregrine_config::Engine as Kind;
use peregrine_files::PidFile;
use peregrine_output::{Incident, Outputs};
use peregrine_runtime::control::{self, Control, Controller};
use peregrine_runtime::observers::metrics::{Metrics, MetricsControl};
use peregrine_runtime::reload::{Reloader, Requests};
use peregrine_runtime::service::Service;
use peregrine_runtime::sources::{OtherSource, PluginSources, ReplayError};
use peregrine_runtime::{
    ProfileReport, Run, RunContext, RunError, RunReport, SourceSettings, signals,
};
use peregrine_server::ServerSlot;
use peregrine_telemetry::Phase;

use peregrine_args::{ConfigArgs, RulesArgs, RunArgs, RunCommand};
use peregrine_wiring::agent::Agent;
use peregrine_wiring::plan::Plan;
use peregrine_wiring::prepare::PreparedRun;
use peregrine_wiring::print::{print, print_error};
use peregrine_wiring::privileges::drop_privileges;
use peregrine_wiring::reload::{RunFiles, RunVersions, Running, Version};
use peregrine_wiring::rules::{self, Rules};
use peregrine_wiring::setup::Setup;
use peregrine_wiring::{checks, containers, feed, live, metrics, plugins, run, server};

/// Exit code if the pid file can't be written; scripts tell it from other failures.
const NO_PIDFILE: u8 = 255;
/// Exit code if the reader of standard output has closed it, as of programs that SIGPIPE ends.
const STDOUT_CLOSED: u8 = 128 + 13;

/// Runs until the events end or a signal stops it.
pub(crate) fn run(args: RunCommand) -> anyhow::Result<ExitCode> {
    let mut setup = match args.run.dry_run {
        true => Setup::load_for_check(&args.config)?,
        false => Setup::load_for_run(&args.config)?,
    };
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
    let pidfile = pidfile.map(|path| PidFile::write(path).map_err(|error| (path.display(), error)));
    let _pidfile = match pidfile.transpose() {
        Ok(pidfile) => pidfile,
        Err((path, error)) => {
            log.error(format_args!("{path}: {error}"));
            log.error(format_args!("Could not write pid to pidfile {path}. Exiting."));
            return Ok(ExitCode::from(NO_PIDFILE));
        }
    };
    let prepared = PreparedRun::new(setup, &texts, args, controls, opened);
    let mut prepared = prepared.with_containers(setup, &set)?;
    prepared.agent.sources = checks::enabled_sources(setup, &rules.load)?;
    plugins::log_sources(setup);
    let plan = Plan::new(setup, set, &prepared.agent)?;
    checks::buffers(setup)?;
    if args.dry_run {
        log.debug("Skipping event processing in dry-run");
        return Ok(ExitCode::SUCCESS);
    }
    let asked = prepared.agent.containers.is_some().then(|| containers::settings(setup));
    let asked = asked.transpose()?;
    let reload = reloads.map(|(config, requests)| {
        let files = RunFiles::new(setup, &config.overrides, rules, args);
        let read = prepared.agent.reloads.files();
        let first = Version::new(setup.loaded.clone(), &texts, read, &plan);
        (files, first.with_containers(asked), requests)
    });
    drop(texts);
    let others = plugins::open(
        setup,
        &prepared.agent.sources,
        prepared.agent.audit.as_ref(),
        &prepared.controls,
    );
    let of_captures = plugins::of_captures(setup);
    let code = process(setup, &prepared, plan, reload, controller, (others, of_captures));
    setup.plugins().shut_down();
    code
}

/// Processes events until the source ends or a stop is requested. The summary is printed in any
/// case, after the last alert.
fn process(
    setup: &Setup,
    prepared: &PreparedRun<'_>,
    plan: Plan,
    reload: Option<(RunFiles, Version, Requests)>,
    controller: Controller,
    (others, plugins): (Vec<OtherSource>, PluginSources),
) -> anyhow::Result<ExitCode> {
    let (agent, Plan { generation, delivery, policies, metrics, server }) = (&prepared.agent, plan);
    if !matches!(prepared.config.engine, Kind::Replay { .. }) {
        agent.log.info(format_args!("Enabled event sources: {}", agent.sources.join(", ")));
    }
    let source = match &prepared.config.engine {
        Kind::Replay { capture_file } => SourceSettings::Replay(capture_file.clone()),
        _ if !agent.opens_kernel() => SourceSettings::Others,
        Kind::NoDriver if plugins::in_place_of_kernel(setup).is_some() => SourceSettings::Others,
        Kind::NoDriver => SourceSettings::Nothing,
        Kind::Live { settings, .. } => {
            plugins::check_event_schema(setup)?;
            let selected = &generation.settings().selected;
            let settings = live::settings(prepared, settings, selected)?;
            live::log_start(prepared, &settings.probe);
            SourceSettings::Live(settings)
        }
    };
    let settings = run::settings(prepared, source, policies);
    let stacks = create_profile(prepared)?;
    let (log, is_closed) = (agent.log.clone(), Arc::new(AtomicBool::new(false)));
    let (closed, stopper) = (Arc::clone(&is_closed), controller.clone());
    let report = move |incident: &Incident| {
        log.line(incident.priority(), incident);
        if incident.ends_run() && !closed.swap(true, Relaxed) {
            stopper.send(Control::Stop);
        }
    };
    let outputs = Outputs::start(delivery, Arc::new(report))?;
    let start = |settings| metrics::start(settings, &generation, agent, outputs.sender());
    let metrics = metrics.map(start).transpose()?;
    let (feed, feeders) = feed::start(setup, agent, None)?;
    let running = Running {
        outputs: outputs.planner(),
        alerts: outputs.sender(),
        metrics: metrics.as_ref().map(Metrics::control),
        web: ServerSlot::default(),
        containers: feeders.containers(),
    };
    let (origin, opened) = (agent.origin.clone(), prepared.opened);
    let context = RunContext {
        generation,
        outputs,
        origin,
        metrics,
        feed,
        log: agent.log.clone(),
        opened,
        others,
        plugins,
        parser: setup.plugins().parsers(&agent.sources).map(|it| Box::new(it) as _),
    };
    let run = Run::prepare(settings, context)?;
    let web = running.web.clone();
    let scraper = running.metrics.as_ref().map(MetricsControl::scraper);
    server::apply(server::change(None, server.as_ref(), agent, scraper)?, &web, agent)?;
    if let Some((files, first, requests)) = reload {
        let alerts = running.alerts.clone();
        let versions = Box::new(RunVersions::new(files, first, agent, running));
        let Agent { origin, reloads, log, .. } = agent;
        Reloader::new(versions, requests, controller, origin, reloads, log).start(alerts)?;
    }
    let report = run.run(&prepared.controls);
    web.stop();
    let _printing = prepared.controls.heartbeat().enter(Phase::PrintingSummary);
    print_report(prepared, &report)?;
    report.result.map_err(|error| match error {
        RunError::Live(error) => live::failed(&error, &agent.log),
        RunError::Source(error) => {
            agent.log.error("An error occurred in an event source, forcing termination...");
            anyhow!("{error}")
        }
        RunError::Parser(error) => {
            agent.log.error("An error occurred in an event source, forcing termination...");
            anyhow!("{error}")
        }
        RunError::Replay(ReplayError::Plugin(plugin)) => {
            print_error(format!("help: {}\n", plugins::missing(plugin)));
            ReplayError::Plugin(plugin).into()
        }
        error => error.into(),
    })?;
    report.profile.map_or(Ok(()), |profile| print_profile(prepared.options, &profile, stacks))?;
    Ok(if is_closed.load(Relaxed) { STDOUT_CLOSED.into() } else { ExitCode::SUCCESS })
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
        prepared.agent.log.info(summary);
        return Ok(());
    }
    match print(&summary) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => prepared.agent.log.info(summary),
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
