//! Events of a capture or of this machine, for commands that look at them and raise no alerts.

use std::io::{self, IsTerminal};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, bail};
use peregrine_config::{Engine as Kind, LiveSettings as LiveKeys};
use peregrine_engine::select::SyscallSet;
use peregrine_engine::{Engine, Generation, Observer};
use peregrine_event::inbox::Preview;
use peregrine_fields::{Field, Fields};
use peregrine_filter::Filter;
use peregrine_probe::Live;
use peregrine_rules::{Loader, RuleSet};

use peregrine_runtime::{control, signals, sources};
use peregrine_scap::{Reader, open_file};

use super::feed::{self, Feeders};
use super::patient::PatientResolver;
use super::prepare::{PreparedRun, generation};
use super::rules::{self, Texts};
use super::setup::Setup;
use super::stoppable::Stoppable;
use super::{checks, live, plugins, run};
use crate::print::print_error;
use peregrine_args::{ConfigArgs, EventsArgs, LoadArgs, RunArgs};

/// The configuration for these events, with the rules of the command line, or else its own.
pub fn prepare(
    config: &ConfigArgs,
    events: &EventsArgs,
    named: &[String],
) -> anyhow::Result<(Setup, Texts, Loader<Fields>)> {
    let mut config = events.config(config);
    // Whatever a condition names is monitored.
    config.overrides.push("base_syscalls.all=true".to_owned());
    let setup = Setup::load(&config)?;
    checks::plugins(&setup)?;
    let texts = rules::chosen(&setup, named)?;
    let loader = rules::loaded(&setup, &LoadArgs::default(), &texts)?;
    Ok((setup, texts, loader))
}

/// The condition that restricts events to a process or a container, if the command line does.
pub fn scope(
    events: &EventsArgs,
    loader: &Loader<Fields>,
) -> anyhow::Result<Option<Filter<Field>>> {
    let mut tests = Vec::new();
    if let Some(pid) = events.pid {
        tests.push(format!("(proc.pid = {pid} or proc.apid = {pid})"));
    }
    if let Some(container) = &events.container {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if container.is_empty() || !container.bytes().all(is_word) {
            bail!("--container takes the id or the name of a container, not '{container}'");
        }
        // The id of a field is the beginning of the whole one.
        let id = container.get(..ID).unwrap_or(container);
        let name = match loader.condition("container.name exists", checks::SYSCALL).1 {
            Some(_) => format!(" or container.name = \"{container}\""),
            None => String::new(),
        };
        tests.push(format!("(container.id startswith \"{id}\"{name})"));
    }
    if tests.is_empty() {
        return Ok(None);
    }
    let rule = rules::query(loader, &tests.join(" and "), "%evt.num")?;
    Ok(Some(rule.filter))
}

/// Length of the id of a container, in the field.
const ID: usize = 12;

/// Options of the run that events come from: none but its own.
static OPTIONS: LazyLock<RunArgs> = LazyLock::new(RunArgs::default);

/// Rules, and the events that they are evaluated on.
pub struct Watch<'a> {
    setup: &'a Setup,
    events: &'a EventsArgs,
    prepared: PreparedRun<'a>,
    generation: Arc<Generation>,
    scope: Option<Filter<Field>>,
}

impl<'a> Watch<'a> {
    /// These rules and events; Ctrl-C is caught from here on.
    pub fn new(
        setup: &'a Setup,
        texts: &Texts,
        set: RuleSet<Field>,
        events: &'a EventsArgs,
        scope: Option<Filter<Field>>,
    ) -> anyhow::Result<Self> {
        let (controller, controls) = control::channel();
        signals::forward(controller, &setup.log, None)?;
        let prepared = PreparedRun::new(setup, texts, &OPTIONS, controls, &|| ());
        let prepared = prepared.with_all_containers(setup)?;
        let generation = generation(setup, set, &prepared.agent.origin, &[])?;
        Ok(Self { setup, events, prepared, generation, scope })
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet<Field> {
        self.generation.rules()
    }

    /// Evaluates the rules on all events until they end, the observer stops, the time is over, or
    /// the user presses Ctrl-C.
    pub fn observe(&self, observer: &mut impl Observer) -> anyhow::Result<()> {
        let Self { setup, events, prepared, generation, scope } = self;
        let time = events.seconds.map(|seconds| Duration::from_secs(seconds.into()));
        let shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let progress = |events| {
            if shown {
                print_error(format!("\r{events} events "));
            }
        };
        let stoppable = Stoppable::new(observer, &prepared.controls, time, progress);
        let mut observer = stoppable.within(scope.as_ref());
        match &prepared.config.engine {
            Kind::Replay { capture_file } => {
                let name = capture_file.display();
                let file = open_file(capture_file);
                let file = file.with_context(|| format!("cannot read {name}"))?;
                let mut engine = Engine::new(Arc::clone(generation), run::state(prepared));
                let names = checks::enabled_sources(setup, &LoadArgs::default())?;
                if let Some(parsers) = setup.plugins().parsers(&names) {
                    engine = engine.with_parser(Some(Box::new(parsers)));
                }
                let mut reader = Reader::new(file).with_plugins(plugins::of_captures(setup));
                let ended = engine.run(&mut reader, &mut observer, &mut ());
                let refusal = engine.close();
                ended.with_context(|| name.to_string())?;
                if let Some(refusal) = refusal {
                    return Err(refusal.into());
                }
            }
            Kind::Live { settings, .. } => {
                let log = &prepared.agent.log;
                let selected = &generation.settings().selected;
                let opened = open_live(setup, prepared, settings, selected, Arc::clone(generation));
                let (mut source, mut engine, _feeders) = opened?;
                let ended = engine.run(&mut source, &mut observer, &mut ());
                ended.map_err(|error| live::failed(&error, log))?;
            }
            Kind::NoDriver => {}
        }
        Ok(())
    }
}

/// How long an event waits for the runtimes to describe its container, unless alerts wait longer.
const CONTAINER_WAIT: Duration = Duration::from_millis(500);

/// Begins to monitor this machine for these system calls. Events wait for the descriptions of their
/// containers, which the runtimes give while the last part of the result lives.
pub fn open_live(
    setup: &Setup,
    prepared: &PreparedRun<'_>,
    keys: &LiveKeys,
    selected: &SyscallSet,
    generation: Arc<Generation>,
) -> anyhow::Result<(Live, Engine, Feeders)> {
    let log = &prepared.agent.log;
    let live = live::settings(prepared, keys, selected)?;
    log.info("Enabled event sources: syscall");
    live::log_start(prepared, &live.probe);
    let preview = Preview::default();
    let (feed, feeders) = feed::start(setup, &prepared.agent, Some(preview.clone()))?;
    let opened = sources::open_live(&live, feed, log);
    let (source, resolver) = opened.map_err(|error| live::failed(&error, log))?;
    let config = peregrine_state::Config {
        live: true,
        lookup_containers: prepared.agent.containers.is_some(),
        ..run::state(prepared)
    };
    let longest = Duration::from_millis(prepared.config.containers.max_delay_ms.into());
    let resolver = PatientResolver::new(resolver, preview, longest.max(CONTAINER_WAIT));
    Ok((source, Engine::new(generation, config).with_resolver(Box::new(resolver)), feeders))
}
