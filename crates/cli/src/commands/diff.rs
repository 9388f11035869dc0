//! `peregrine rules diff`: what changes between two sets of rules.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use peregrine_authoring::Paint;
use peregrine_authoring::rule_diff::{AlertDiff, compare, compare_alerts, print as print_diff};
use peregrine_engine::Engine;
use peregrine_fields::Fields;
use peregrine_rules::Loader;
use peregrine_runtime::control;
use peregrine_runtime::signals;
use peregrine_scap::Reader;

use peregrine_args::{DiffCommand, LoadArgs, RunArgs};
use peregrine_wiring::prepare::{PreparedRun, generation};
use peregrine_wiring::print::{has_colors, print, print_error};
use peregrine_wiring::rules::{self, Texts};
use peregrine_wiring::setup::Setup;
use peregrine_wiring::{checks, run};

/// Prints the differences. The exit codes are those of diff.
pub(crate) fn run(args: &DiffCommand) -> anyhow::Result<ExitCode> {
    differ(args).map(|differ| ExitCode::from(u8::from(differ))).or_else(|error| {
        if error.is::<io::Error>() {
            return Err(error);
        }
        print_error(format!("Error: {error:#}\n"));
        Ok(ExitCode::from(2))
    })
}

fn differ(args: &DiffCommand) -> anyhow::Result<bool> {
    let mut config = args.config.clone();
    config.overrides.insert(0, "log_level=error".to_owned());
    let setup = Setup::load(&config)?;
    checks::plugins(&setup)?;
    let (old, old_texts) = load(&setup, &args.old)?;
    let (new, _) = load(&setup, &args.new)?;
    let diff = compare(&old, &new, &rules::vocabulary(&setup));
    let alerts = alerts(&setup, &old_texts, [old, new], args)?;
    let paint = Paint::new(has_colors(&io::stdout()));
    print(print_diff(&diff, &alerts, args.format, paint))?;
    Ok(!diff.is_empty() || alerts.iter().any(|alerts| !alerts.is_empty()))
}

/// One set: files and directories, separated by commas.
fn load(setup: &Setup, named: &str) -> anyhow::Result<(Loader<Fields>, Texts)> {
    let paths: Vec<_> = named.split(',').map(str::to_owned).collect();
    let texts = rules::chosen(setup, &paths)?;
    Ok((rules::loaded(setup, &LoadArgs::default(), &texts)?, texts))
}

/// The differences of the alerts on each capture.
fn alerts(
    setup: &Setup,
    texts: &Texts,
    loaders: [Loader<Fields>; 2],
    args: &DiffCommand,
) -> anyhow::Result<Vec<AlertDiff>> {
    if args.captures.is_empty() {
        return Ok(Vec::new());
    }
    let options = RunArgs::default();
    let (controller, controls) = control::channel();
    signals::forward(controller, &setup.log, None)?;
    let prepared = PreparedRun::new(setup, texts, &options, controls, &|| ());
    let generations = loaders.map(|loader| {
        let set = rules::select(setup, loader.into_rules());
        generation(setup, set, &prepared.agent.origin, &[])
    });
    let [old, new] = generations;
    let (old, new) = (old?, new?);
    let alerts = |capture: &std::path::PathBuf| {
        let name = capture.display().to_string();
        let open = || Reader::open(capture).with_context(|| format!("cannot read {name}"));
        let engine = |generation| Engine::new(Arc::clone(generation), run::state(&prepared));
        let (mut one, mut other) = (engine(&old), engine(&new));
        let (mut one_source, mut other_source) = (open()?, open()?);
        let (engines, sources) = ([&mut one, &mut other], [&mut one_source, &mut other_source]);
        compare_alerts(name.clone(), engines, sources, || false).context(name)
    };
    args.captures.iter().map(alerts).collect()
}
