//! Events of a capture or of this machine, for commands that look at them and raise no alerts.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peregrine_config::{Engine as Kind, LiveSettings as LiveKeys};
use peregrine_engine::select::SyscallSet;
use peregrine_engine::{Engine, Generation, Observer};
use peregrine_fields::{Field, Fields};
use peregrine_probe::Live;
use peregrine_rules::{Loader, RuleSet};

use peregrine_runtime::{control, signals, sources};
use peregrine_scap::Reader;

use super::prepare::{PreparedRun, generation};
use super::rules::{self, Texts};
use super::setup::Setup;
use super::stoppable::Stoppable;
use super::{checks, live, run};
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

/// Evaluates rules on all events until they end, the observer stops, the time is over, or the user
/// presses Ctrl-C.
pub fn observe(
    setup: &Setup,
    texts: &Texts,
    set: RuleSet<Field>,
    events: &EventsArgs,
    observer: &mut impl Observer,
) -> anyhow::Result<()> {
    let options = RunArgs::default();
    let (controller, controls) = control::channel();
    signals::forward(controller, &setup.log, None)?;
    let prepared = PreparedRun::new(setup, texts, &options, controls, &|| ());
    let generation = generation(setup, set, &prepared.agent.origin, &[])?;
    let time = events.seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
    let progress = |events| {
        if shown {
            print_error(format!("\r{events} events "));
        }
    };
    let mut observer = Stoppable::new(observer, &prepared.controls, time, progress);
    match &prepared.config.engine {
        Kind::Replay { capture_file } => {
            let name = capture_file.display();
            let file = File::open(capture_file).with_context(|| format!("cannot read {name}"))?;
            let mut engine = Engine::new(generation, run::state(&prepared));
            let ended = engine.run(&mut Reader::new(file), &mut observer, &mut ());
            ended.with_context(|| name.to_string())?;
        }
        Kind::Live { settings, .. } => {
            let log = &prepared.agent.log;
            let selected = generation.settings().selected.clone();
            let (mut source, mut engine) = open_live(&prepared, settings, &selected, generation)?;
            let ended = engine.run(&mut source, &mut observer, &mut ());
            ended.map_err(|error| live::failed(&error, log))?;
        }
        Kind::NoDriver => {}
    }
    Ok(())
}

/// Begins to monitor this machine for these system calls.
pub fn open_live(
    prepared: &PreparedRun<'_>,
    keys: &LiveKeys,
    selected: &SyscallSet,
    generation: Arc<Generation>,
) -> anyhow::Result<(Live, Engine)> {
    let log = &prepared.agent.log;
    let live = live::settings(prepared, keys, selected)?;
    live::log_start(prepared, &live.probe);
    let opened = sources::open_live(&live, None, log);
    let (source, resolver) = opened.map_err(|error| live::failed(&error, log))?;
    let config = peregrine_state::Config { live: true, ..run::state(prepared) };
    Ok((source, Engine::new(generation, config).with_resolver(Box::new(resolver))))
}
