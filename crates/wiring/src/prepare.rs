//! What a run needs, from configuration, rules and command line.

use std::sync::Arc;

use peregrine_alert::AlertOrigin;
use peregrine_config::{Config, RuleMatching};
use peregrine_delivery as delivery;
use peregrine_engine::{Generation, GenerationSettings, Matching};
use peregrine_fields::{Field, Run as PrintSettings};
use peregrine_output::ChannelSettings;
use peregrine_rules::RuleSet;
use peregrine_runtime::control::Controls;
use peregrine_state::Matchers;

use super::agent::Agent;
use super::containers;
use super::rules::{self, Texts};
use super::setup::Setup;
use super::syscalls;
use super::{host, plugins};
use peregrine_args::RunArgs;

/// A run before its source is opened.
pub struct PreparedRun<'a> {
    /// The command line.
    pub options: &'a RunArgs,
    /// The configuration.
    pub config: &'a Config,
    /// Whether processes belong to containers.
    pub containers: bool,
    /// Which control groups are those of containers.
    pub matchers: Matchers,
    /// What reloads do not change.
    pub agent: Agent,
    /// Requests from outside.
    pub controls: Controls,
    /// To be called when the kernel is being monitored.
    pub opened: &'a dyn Fn(),
}

impl<'a> PreparedRun<'a> {
    /// A run with this configuration, which was read together with these rules files.
    pub fn new(
        setup: &'a Setup,
        rules_files: &Texts,
        options: &'a RunArgs,
        controls: Controls,
        opened: &'a dyn Fn(),
    ) -> Self {
        let agent = Agent::new(setup, rules_files, controls.heartbeat());
        let (config, containers) = (setup.config(), setup.allows_containers());
        let matchers = Matchers::default();
        Self { options, config, containers, matchers, agent, controls, opened }
    }

    /// With containers, if these rules use them, as the configuration describes them.
    ///
    /// # Errors
    /// When that can't be used.
    pub fn with_containers(self, setup: &Setup, set: &RuleSet<Field>) -> anyhow::Result<Self> {
        let used = containers::are_used(setup, set);
        self.containing(setup, used)
    }

    /// With containers wherever there may be some: what is shown of an event has fields of them
    /// that no rule has.
    ///
    /// # Errors
    /// When the configuration of containers can't be used.
    pub fn with_all_containers(self, setup: &Setup) -> anyhow::Result<Self> {
        let allowed = setup.allows_containers();
        self.containing(setup, allowed)
    }

    fn containing(mut self, setup: &Setup, containers: bool) -> anyhow::Result<Self> {
        self.containers = containers;
        if self.containers {
            self.matchers = containers::matchers(setup, &containers::checked_settings(setup)?);
            let counters = || Arc::new(containers::counters());
            self.agent.containers = (!setup.replays()).then(counters);
        }
        Ok(self)
    }
}

/// Selects the system calls and compiles the rules.
pub fn generation(
    setup: &Setup,
    set: RuleSet<Field>,
    origin: &AlertOrigin,
    channels: &[ChannelSettings],
) -> anyhow::Result<Arc<Generation>> {
    let mut settings = generation_settings(setup.config());
    settings.run.sources = plugins::source_infos(setup);
    // A replay shows events of another machine.
    if !setup.replays() {
        settings.run.hostname = host::name().into_bytes().into();
    }
    let settings = GenerationSettings { selected: syscalls::select(setup, &set), ..settings };
    let (content, fields) = (delivery::content(setup.config(), channels), rules::vocabulary(setup));
    let generation = Generation::new(set, origin.registry(), settings);
    let sources = plugins::event_sources(setup, fields.clone()).into_iter();
    let sources: Vec<_> = sources.map(|source| source.vocabulary).collect();
    let throttles = delivery::throttles(&setup.loaded, &sources)?;
    let generation = generation.with_alerts(origin, content, &fields)?.with_throttles(&throttles);
    delivery::renamed(&setup.loaded, &generation)?;
    Ok(Arc::new(generation))
}

/// How rules are evaluated and their fields print.
pub fn generation_settings(config: &Config) -> GenerationSettings {
    let matching = match config.rule_matching {
        RuleMatching::First => Matching::First,
        RuleMatching::All => Matching::All,
    };
    let (buffers, zone) = (delivery::buffers(config), delivery::zone());
    let run = PrintSettings { buffers, zone, ..PrintSettings::default() };
    GenerationSettings { matching, run, ..GenerationSettings::default() }
}
