//! `peregrine tune`: what rules and system calls cost on this machine, or on that of a capture, and
//! which settings follow.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use peregrine_config::Engine as Kind;
use peregrine_engine::select::{self, BaseSyscalls};
use peregrine_engine::{Engine, Generation};
use peregrine_probe::bpf::online_cpus;
use peregrine_runtime::control::{self, Control};
use peregrine_runtime::signals;
use peregrine_scap::{Reader, open_file};
use peregrine_tune::{Cpus, Limits, Report, candidates, measure};

use peregrine_args::{EventsArgs, RunArgs, TuneCommand};
use peregrine_wiring::prepare::{PreparedRun, generation};
use peregrine_wiring::print::print;
use peregrine_wiring::rules::{self, Rules};
use peregrine_wiring::setup::Setup;
use peregrine_wiring::{checks, events, live, run};

/// Measures and recommends: tables on stderr, settings on stdout. No alert leaves the program.
pub(crate) fn run(args: &TuneCommand) -> anyhow::Result<()> {
    // Every rule is measured, also behind another that matches.
    let events = EventsArgs { capture: args.capture.clone(), ..EventsArgs::default() };
    let setup = Setup::load(&events.config(&args.config))?;
    let Rules { texts, set } = rules::load(&setup, &args.rules)?;
    let run = RunArgs::default();
    let (controller, controls) = control::channel();
    signals::forward(controller, &setup.log, None)?;
    let prepared = PreparedRun::new(&setup, &texts, &run, controls, &|| ());
    let prepared = prepared.with_containers(&setup, &set)?;
    let generation = generation(&setup, set, &prepared.agent.origin, &[])?;
    checks::buffers(&setup)?;
    recommend(args, &setup, &prepared, &generation)
}

fn recommend(
    tune: &TuneCommand,
    setup: &Setup,
    prepared: &PreparedRun<'_>,
    generation: &Arc<Generation>,
) -> anyhow::Result<()> {
    let keys = &prepared.config.base_syscalls;
    let configured =
        BaseSyscalls { custom_set: keys.custom_set.clone(), repair: keys.repair, all: keys.all };
    let candidates = candidates(&select::of_rules(generation.rules()), &configured);
    if let Some(name) = &tune.set
        && !candidates.iter().any(|candidate| candidate.name == *name)
    {
        let names: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
        bail!("there is no set {name}; there are: {}", names.join(", "));
    }
    let controls = &prepared.controls;
    let stopped = || controls.poll() && matches!(controls.next(), Some(Control::Stop));
    let measured = match &prepared.config.engine {
        Kind::Replay { capture_file } => {
            let file = open_file(capture_file)
                .with_context(|| format!("cannot read {}", capture_file.display()))?;
            let limits = Limits { cpus: Cpus::default(), time: None, stopped: &stopped };
            let mut engine = Engine::new(Arc::clone(generation), run::state(prepared));
            let measured = measure(&mut engine, &mut Reader::new(file), &candidates, &limits);
            measured.with_context(|| capture_file.display().to_string())?
        }
        Kind::Live { settings, .. } => {
            let all = candidates.iter().map(|candidate| &candidate.set);
            let all = all.fold(generation.settings().selected.clone(), |all, set| all.union(set));
            let opened = events::open_live(setup, prepared, settings, &all, Arc::clone(generation));
            let (mut source, mut engine, _feeders) = opened?;
            let count = online_cpus().context("CPUs of this machine")? as usize;
            let per_ring = match settings.cpus_for_each_buffer {
                0 => count,
                some => usize::from(some),
            };
            let time = Some(Duration::from_secs(tune.seconds.into()));
            let limits = Limits { cpus: Cpus { count, per_ring }, time, stopped: &stopped };
            let _ = writeln!(io::stderr(), "Monitoring for {} seconds …", tune.seconds);
            let measured = measure(&mut engine, &mut source, &candidates, &limits);
            let measured = measured.map_err(|error| live::failed(&error, &prepared.agent.log))?;
            let lost = source.losses().refresh(Duration::ZERO)?.statistics.total().lost();
            measured.with_rings(lost, settings.ring_size.preset())
        }
        Kind::NoDriver => return Ok(()),
    };
    if measured.events() == 0 {
        bail!("there was no event to measure");
    }
    let report = Report::new(generation, &candidates, &measured, tune.set.as_deref());
    let _ = write!(io::stderr(), "{}", report.tables());
    Ok(print(report.settings())?)
}
