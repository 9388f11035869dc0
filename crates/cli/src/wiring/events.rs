//! Events of a capture or of this machine, for commands that look at them and raise no alerts.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::Context;
use peregrine_config::Engine as Kind;
use peregrine_engine::{Engine, Observer};
use peregrine_fields::Field;
use peregrine_rules::RuleSet;
use peregrine_runtime::observe::Stoppable;
use peregrine_runtime::{control, signals, sources};
use peregrine_scap::Reader;

use super::prepare::{PreparedRun, generation};
use super::rules::Texts;
use super::setup::Setup;
use super::{live, run};
use crate::print::print_error;
use peregrine_args::{ConfigArgs, EventsArgs, RunArgs};

/// The configuration, with events from where the command line says.
pub(crate) fn setup(config: &ConfigArgs, events: &EventsArgs) -> anyhow::Result<Setup> {
    let mut keys = vec!["log_level=error".to_owned()];
    keys.extend(config.overrides.clone());
    keys.push("rule_matching=all".to_owned());
    match events.file() {
        Some(file) => {
            keys.push("engine.kind=replay".to_owned());
            keys.push(format!("engine.replay.capture_file={}", file.display()));
        }
        None => keys.push("engine.kind=modern_ebpf".to_owned()),
    }
    if let Some(cgroup) = &events.cgroup {
        keys.push(format!("engine.modern_ebpf.scope.cgroup={}", cgroup.display()));
    }
    Setup::load(&ConfigArgs { config: config.config.clone(), overrides: keys })
}

/// Evaluates rules on all events until they end, the observer stops, the time is over, or the user
/// presses Ctrl-C.
pub(crate) fn observe(
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
    let selected = generation.settings().selected.clone();
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
            let live = live::settings(&prepared, settings, &selected)?;
            let opened = sources::open_live(&live, log);
            let (mut source, resolver) = opened.map_err(|error| live::failed(&error, log))?;
            let config = peregrine_state::Config { live: true, ..run::state(&prepared) };
            let mut engine = Engine::new(generation, config).with_resolver(Box::new(resolver));
            let ended = engine.run(&mut source, &mut observer, &mut ());
            ended.map_err(|error| live::failed(&error, log))?;
        }
        Kind::NoDriver => {}
    }
    Ok(())
}
