//! What a run needs, from configuration, rules and command line.

use std::sync::Arc;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_engine::{Generation, GenerationSettings};
use peregrine_fields::Field;
use peregrine_rules::RuleSet;
use peregrine_runtime::control::Controls;

use super::rules::{self, Texts};
use super::setup::Setup;
use super::{delivery, syscalls};
use crate::args::RunArgs;
use crate::log::Log;
use crate::run::{self, Job};

/// Selects the system calls and puts together what a run needs.
pub(crate) fn job<'a>(
    setup: &'a Setup,
    set: RuleSet<Field>,
    rules_files: &'a Texts,
    options: &'a RunArgs,
    controls: Controls,
    opened: &'a dyn Fn(),
) -> anyhow::Result<Job<'a>> {
    let hostname = hostname(&setup.log);
    let settings = GenerationSettings {
        selected: syscalls::select(setup, &set),
        ..run::generation_settings(setup.config())
    };
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), &hostname);
    let (content, fields) = (delivery::content(setup.config()), rules::vocabulary(setup));
    let generation = Generation::new(set, origin.registry(), settings);
    let generation = Arc::new(generation.with_alerts(&origin, content, &fields)?);
    // At exit the kernel takes this memory back at once, which is faster than freeing it piece by
    // piece.
    std::mem::forget(Arc::clone(&generation));
    Ok(Job {
        options,
        config: setup.config(),
        files: &setup.loaded.files,
        read_at: setup.loaded.read_at,
        containers: setup.containers(),
        generation,
        rules_files,
        origin,
        log: Arc::clone(&setup.log),
        controls,
        opened,
    })
}

/// Name of this host: the variable `FALCO_HOSTNAME`, or the kernel's.
fn hostname(log: &Log) -> String {
    if let Some(name) = std::env::var_os("FALCO_HOSTNAME") {
        let name = name.to_string_lossy().into_owned();
        log.info(format_args!(
            "Hostname value has been overridden via environment variable to: {name}"
        ));
        return name;
    }
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
