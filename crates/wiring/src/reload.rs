//! Reads configuration and rules again, exactly as at the start.

mod changes;

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use peregrine_config::{ConfigError, Engine, Loaded, Plugin};
use peregrine_containers::Settings;
use peregrine_engine::Generation;
use peregrine_output::{AlertSender, OutputsPlanner};
use peregrine_probe::bpf::KernelTypes;
use peregrine_runtime::observers::metrics::{MetricsControl, MetricsSettings};
use peregrine_runtime::reload::Versions;
use peregrine_runtime::{MetricsChange, Update};
use peregrine_server::{ServerChange, ServerSlot};
use peregrine_telemetry::LoadedFiles;
use peregrine_watch::Target;

use super::agent::{Agent, loaded_files};
use super::feed::RuntimeControl;
use super::plan::Plan;
use super::privileges::warn_of_lack;
use super::rules::{self, Texts};
use super::server::{self, ServerPlan};
use super::setup::{Setup, log_settings};
use super::{checks, containers, metrics};
use crate::print::print_error;
use peregrine_args::{RulesArgs, RunArgs};

/// Where configuration and rules of a run come from.
pub struct RunFiles {
    /// The configuration of the run.
    started: Setup,
    overrides: Vec<String>,
    rules: RulesArgs,
    run: RunArgs,
}

/// The parts of a run that a reload changes.
pub struct Running {
    /// Plans the outputs of the next configuration.
    pub outputs: OutputsPlanner,
    /// Where alerts go.
    pub alerts: AlertSender,
    /// The thread that collects metrics, if there is one.
    pub metrics: Option<MetricsControl>,
    /// The web server, if there is one.
    pub web: ServerSlot,
    /// Begins to ask container runtimes, or changes how they are asked.
    pub containers: Option<RuntimeControl>,
}

/// The versions of a run.
pub struct RunVersions {
    files: RunFiles,
    agent: Agent,
    running: Running,
    targets: Vec<Target>,
    current: Version,
    next: Option<Next>,
}

/// One reading of configuration and rules.
pub struct Version {
    /// The configuration as it was read, also keys that need a restart.
    loaded: Loaded,
    /// What metrics tell of its files.
    files: LoadedFiles,
    /// Of the content of all files.
    fingerprint: u64,
    /// Names of the rules files.
    rules_files: Vec<String>,
    /// The rules.
    generation: Arc<Generation>,
    server: Option<ServerPlan>,
    /// How container runtimes are asked, if that could be read.
    containers: Option<Settings>,
}

/// A version that was read, with what is changed once its rules are in force.
struct Next {
    version: Version,
    /// The configuration without changes that need a restart.
    effective: Setup,
    metrics: Option<MetricsControl>,
    metrics_settings: Option<MetricsSettings>,
    server: ServerChange,
}

impl RunFiles {
    /// As the command line says.
    pub fn new(setup: &Setup, overrides: &[String], rules: &RulesArgs, run: &RunArgs) -> Self {
        let started = setup.with_loaded(setup.loaded.clone());
        let (overrides, rules, run) = (overrides.to_vec(), rules.clone(), run.clone());
        Self { started, overrides, rules, run }
    }
}

impl RunVersions {
    /// Those of a run that has begun with the first of them.
    pub fn new(files: RunFiles, first: Version, agent: &Agent, running: Running) -> Self {
        let (agent, targets, next) = (agent.clone(), Vec::new(), None);
        let mut versions = Self { files, agent, running, targets, current: first, next };
        versions.targets = versions.targets_of(&versions.current.loaded);
        versions
    }

    /// Reads and plans everything; `None` if it is the same as before.
    fn read_again(&mut self) -> anyhow::Result<Option<(Version, Setup, Plan)>> {
        let setup = self.files.started.read_again(&self.files.overrides)?;
        self.targets = self.targets_of(&setup.loaded);
        let named = &self.files.rules;
        let texts = rules::chosen(&setup, &named.rules)?;
        if self.current.fingerprint == fingerprint(&setup.loaded, &texts) {
            return Ok(None);
        }
        setup.log_start();
        rules::warn_of_absent(&setup, &named.rules);
        // With this configuration, a restart would begin too.
        checks::plugins(&setup)?;
        let loaded = setup.loaded.clone();
        let setup = self.effective(setup);
        warn_of_lack(self.files.started.config(), &setup, &self.files.run);
        let set = rules::compile(&setup, &named.load, &texts)?;
        let mut agent = self.agent.clone();
        if let Some(RuntimeControl { counters, .. }) = &self.running.containers
            && containers::are_used(&setup, &set)
        {
            agent.containers.get_or_insert_with(|| Arc::clone(counters));
        }
        // Once they are asked, they are asked until the end.
        let asks = agent.containers.is_some();
        let asked = asks.then(|| containers::checked_settings(&setup)).transpose()?;
        let mut plan = Plan::new(&setup, set, &agent)?;
        plan.policies.matchers =
            asked.as_ref().map(|settings| containers::matchers(&setup, settings));
        let files = loaded_files(&setup.loaded, &texts);
        let version = Version::new(loaded, &texts, files, &plan).with_containers(asked);
        Ok(Some((version, setup, plan)))
    }

    /// The configuration that is in force after a reload: keys that need a restart are as the run
    /// began.
    fn effective(&self, mut new: Setup) -> Setup {
        let Loaded { config, plugins, .. } = &self.files.started.loaded;
        new.loaded.config = config.reloaded(new.loaded.config);
        new.loaded.config.buffered_outputs &= !self.files.run.unbuffered;
        let read = std::mem::replace(&mut new.loaded.plugins, plugins.clone());
        let built_in = |plugin: &Plugin| plugin.name == containers::PLUGIN && plugin.is_native();
        // The built-in plugin takes other settings, and may be new.
        if let Some(read) = read.into_iter().find(built_in) {
            match new.loaded.plugins.iter_mut().find(|plugin| built_in(plugin)) {
                Some(plugin) => plugin.init_config = read.init_config,
                None => new.loaded.plugins.push(read),
            }
        }
        new
    }

    fn targets_of(&self, loaded: &Loaded) -> Vec<Target> {
        if !loaded.config.watch_config_files {
            return Vec::new();
        }
        let mut targets: Vec<_> = self.files.started.main.iter().map(Target::file).collect();
        let includes = loaded.config.config_files.iter();
        targets.extend(includes.map(|include| Target::files_at(&include.path, |_| true)));
        let named = &self.files.rules.rules;
        if named.is_empty() {
            // Also those that do not exist, and those of the key's old name.
            let rules = loaded.config.rules_files.iter().chain(&loaded.rules);
            targets.extend(rules.map(|path| Target::files_at(path, is_rules_file)));
        } else {
            targets.extend(named.iter().map(|path| Target::files_at(path, is_rules_file)));
        }
        targets
    }

    /// Reads everything and prepares what is to be changed.
    fn update(&mut self) -> anyhow::Result<Option<Update>> {
        let Some((version, effective, plan)) = self.read_again()? else { return Ok(None) };
        let (agent, running) = (&self.agent, &self.running);
        let Plan { generation, delivery, policies, metrics, server } = plan;
        let (control, settings, metrics) = match (running.metrics.clone(), metrics) {
            (Some(control), Some(settings)) => (Some(control), Some(settings), MetricsChange::Stay),
            (None, Some(settings)) => {
                let alerts = running.alerts.clone();
                let metrics = metrics::start(settings, &generation, agent, alerts)?;
                (Some(metrics.control()), None, MetricsChange::Begin(metrics))
            }
            (Some(_), None) => (None, None, MetricsChange::End),
            (None, None) => (None, None, MetricsChange::Stay),
        };
        let scraper = control.as_ref().map(MetricsControl::scraper);
        let old = self.current.server.as_ref();
        let server = server::change(old, server.as_ref(), agent, scraper)?;
        let outputs = running.outputs.prepare(delivery)?;
        let (metrics_settings, next) = (settings, control);
        self.next = Some(Next { version, effective, metrics: next, metrics_settings, server });
        let others = generation.settings().selected != self.current.generation.settings().selected;
        let live = matches!(self.files.started.config().engine, Engine::Live { .. });
        // Without them, the event thread reads them.
        let types = (live && others).then(|| KernelTypes::read().ok()).flatten();
        Ok(Some(Update { generation, outputs, policies, metrics, types }))
    }
}

impl Versions for RunVersions {
    fn read(&mut self) -> Result<Option<Update>, String> {
        self.next = None;
        self.update().map_err(|error| {
            if let Some(snippet) = error.downcast_ref().map(ConfigError::snippet) {
                print_error(snippet);
            }
            format!("{error:#}")
        })
    }

    fn install(&mut self) -> LoadedFiles {
        if let Some(next) = self.next.take() {
            let Next { version, effective, metrics, metrics_settings, server } = next;
            let log = &self.agent.log;
            changes::log(&self.files.started, &self.current, &version);
            let configure = |(metrics, settings): (&MetricsControl, _)| metrics.configure(settings);
            let configured = metrics.as_ref().zip(metrics_settings).map(configure);
            if let Some(Err(error)) = configured {
                log.error(format_args!("metrics: {error}"));
            }
            if let Err(error) = server::apply(server, &self.running.web, &self.agent) {
                log.error(format_args!("There is no webserver: {error:#}"));
            }
            if let (Some(runtimes), Some(settings)) =
                (&self.running.containers, &version.containers)
                && self.current.containers.as_ref() != Some(settings)
            {
                self.agent.containers.get_or_insert_with(|| Arc::clone(&runtimes.counters));
                if let Err(error) = runtimes.control.configure(settings.clone()) {
                    log.error(format_args!("Container runtimes are not asked: {error}"));
                }
            }
            log.reopen(log_settings(effective.config()));
            (self.running.metrics, self.current) = (metrics, version);
        }
        self.current.files.clone()
    }

    fn misses_files(&self) -> bool {
        !self.current.paths().all(Path::exists)
    }

    fn targets(&self) -> &[Target] {
        &self.targets
    }
}

impl Version {
    /// What runs now: the configuration, the rules and their files.
    pub fn new(loaded: Loaded, texts: &Texts, files: LoadedFiles, plan: &Plan) -> Self {
        let rules_files = texts.iter().map(|(name, _)| name.clone()).collect();
        let fingerprint = fingerprint(&loaded, texts);
        let (generation, server) = (Arc::clone(&plan.generation), plan.server.clone());
        let containers = None;
        Self { loaded, files, fingerprint, rules_files, generation, server, containers }
    }

    /// With how container runtimes are asked.
    pub fn with_containers(self, containers: Option<Settings>) -> Self {
        Self { containers, ..self }
    }

    /// The files that it was read from.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let rules = self.rules_files.iter().filter(|name| *name != rules::BUILT_IN);
        self.loaded.files.keys().chain(rules).map(Path::new)
    }
}

/// Tells two contents of the files apart, at a small part of the cost of a digest.
fn fingerprint(loaded: &Loaded, rules: &Texts) -> u64 {
    let mut hasher = DefaultHasher::new();
    rules.hash(&mut hasher);
    loaded.files.iter().for_each(|(name, file)| (name, &file.sha256).hash(&mut hasher));
    hasher.finish()
}

/// Files that a directory of rules gives, and what Kubernetes replaces such files by.
fn is_rules_file(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".yaml") || name.ends_with(b".yml") || name.starts_with(b"..")
}
