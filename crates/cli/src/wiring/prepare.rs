//! What a run needs, from configuration, rules and command line.

use std::sync::Arc;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_config::{Config, RuleMatching};
use peregrine_engine::{Generation, GenerationSettings, Matching};
use peregrine_fields::{Field, Run as PrintSettings};
use peregrine_rules::RuleSet;
use peregrine_runtime::Log;
use peregrine_runtime::control::Controls;
use peregrine_telemetry::Reloads;

use super::metrics::loaded_files;
use super::rules::{self, Texts};
use super::setup::Setup;
use super::{delivery, host, syscalls};
use peregrine_args::RunArgs;

/// What a run needs, all of it checked.
pub(crate) struct PreparedRun<'a> {
    /// The command line.
    pub(crate) options: &'a RunArgs,
    /// The configuration.
    pub(crate) config: &'a Config,
    /// Whether container metadata is wanted (the plugin `container` is loaded).
    pub(crate) containers: bool,
    /// The rules, and how they are evaluated.
    pub(crate) generation: Arc<Generation>,
    /// The files of configuration and rules, and what reloads did.
    pub(crate) reloads: Arc<Reloads>,
    /// What alerts say about this engine: its host and the ids of its rules.
    pub(crate) origin: AlertOrigin,
    /// The log.
    pub(crate) log: Log,
    /// Requests from outside.
    pub(crate) controls: Controls,
    /// To be called when the kernel is being monitored.
    pub(crate) opened: &'a dyn Fn(),
}

/// Selects the system calls and puts together what a run needs.
pub(crate) fn prepare<'a>(
    setup: &'a Setup,
    set: RuleSet<Field>,
    rules_files: &Texts,
    options: &'a RunArgs,
    controls: Controls,
    opened: &'a dyn Fn(),
) -> anyhow::Result<PreparedRun<'a>> {
    let hostname = host::name();
    if host::name_is_given() {
        setup.log.info(format_args!(
            "Hostname value has been overridden via environment variable to: {hostname}"
        ));
    }
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), &hostname);
    let generation = generation(setup, set, &origin)?;
    // At exit the kernel takes this memory back at once, which is faster than freeing it piece by
    // piece.
    std::mem::forget(Arc::clone(&generation));
    Ok(PreparedRun {
        options,
        config: setup.config(),
        containers: setup.containers(),
        generation,
        reloads: Arc::new(Reloads::new(loaded_files(&setup.loaded, rules_files))),
        origin,
        log: setup.log.clone(),
        controls,
        opened,
    })
}

/// Selects the system calls and compiles the rules.
pub(crate) fn generation(
    setup: &Setup,
    set: RuleSet<Field>,
    origin: &AlertOrigin,
) -> anyhow::Result<Arc<Generation>> {
    let settings = GenerationSettings {
        selected: syscalls::select(setup, &set),
        ..generation_settings(setup.config())
    };
    let (content, fields) = (delivery::content(setup.config()), rules::vocabulary(setup));
    let generation = Generation::new(set, origin.registry(), settings);
    let generation = generation.with_alerts(origin, content, &fields)?;
    delivery::check_renamed(setup, &generation)?;
    Ok(Arc::new(generation))
}

/// How rules are evaluated and their fields print.
fn generation_settings(config: &Config) -> GenerationSettings {
    let matching = match config.rule_matching {
        RuleMatching::First => Matching::First,
        RuleMatching::All => Matching::All,
    };
    let (buffers, zone) = (delivery::buffers(config), delivery::zone());
    let run = PrintSettings { buffers, zone, ..PrintSettings::default() };
    GenerationSettings { matching, run, ..GenerationSettings::default() }
}
