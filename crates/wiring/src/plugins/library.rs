//! Plugins in libraries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use peregrine_alert::Priority;
use peregrine_config::{LibsSeverity, Plugin};
use peregrine_event::EventSet;
use peregrine_event::source::SourceId;
use peregrine_fields::{EventDescriber, RuntimeClass};
use peregrine_plugin::fields::{
    ClassSettings, Extractors, FieldDescription, SourceFields, class, describe,
};
use peregrine_plugin::{
    CallError, Capabilities, Host, Instance, Library, LogSink, PluginInfo, Severity,
};
use peregrine_plugin::{OpenParam, TableRegistry, checked_config, open_params};
use peregrine_rules::Version;
use peregrine_runtime::Log;
use peregrine_runtime::sources::{OpenSource, SourceError};

/// An error that the reference throws, and words in its own way: `Runtime error: …. Exiting.`
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RuntimeError(pub String);

/// What plugins are loaded with.
pub(crate) struct LoadContext<'c> {
    /// The plugins.
    pub(crate) plugins: &'c [Plugin],
    /// The log.
    pub(crate) log: &'c Log,
    /// The least severe lines of plugins that it gets. `None` for none.
    pub(crate) libs_severity: Option<LibsSeverity>,
    /// Whether events come from a file.
    pub(crate) replays: bool,
}

/// A plugin in a library.
#[derive(Debug)]
pub(super) struct LibraryPlugin {
    library: Library,
    fields: Vec<FieldDescription>,
    extractors: Arc<Extractors>,
    /// What is initialised, by event source.
    instances: Mutex<Vec<(SourceId, Instance)>>,
    /// Whether all sources share one instance, as in a replay.
    shares_instance: bool,
}

impl LibraryPlugin {
    /// Opens the library.
    ///
    /// # Errors
    /// When it is none that can be used.
    pub(super) fn open(config: &Plugin) -> anyhow::Result<Self> {
        let library = Library::load(&config.library_path);
        let library = library.map_err(|error| RuntimeError(error.to_string()))?;
        let PluginInfo { name, capabilities, .. } = library.info();
        let fields = match &capabilities.extraction {
            None => Vec::new(),
            Some(extraction) => describe(Some(&extraction.fields))
                .map_err(|error| RuntimeError(format!("error in plugin {name}: {error}")))?,
        };
        let (extractors, instances) = (Arc::default(), Mutex::default());
        Ok(Self { library, fields, extractors, instances, shares_instance: false })
    }

    fn info(&self) -> &PluginInfo {
        self.library.info()
    }

    fn can(&self) -> &Capabilities {
        &self.info().capabilities
    }

    pub(super) fn name(&self) -> &str {
        &self.info().name
    }

    pub(super) fn version(&self) -> Version {
        let peregrine_plugin::Version { major, minor, patch } = self.info().version;
        Version { major, minor, patch }
    }

    pub(super) fn source(&self) -> Option<(&str, u32)> {
        let sourcing = self.can().sourcing.as_ref()?;
        Some((sourcing.source.as_deref()?, sourcing.id))
    }

    /// Whether its source is that of system calls.
    pub(super) fn delivers_syscalls(&self) -> bool {
        self.can().sourcing.as_ref().is_some_and(|sourcing| sourcing.source.is_none())
    }

    /// Whether it has a field, which may be given with an argument.
    pub(super) fn has_field(&self, field: &str) -> bool {
        let name = field.split('[').next().unwrap_or_default();
        self.fields.iter().any(|known| known.name == name)
    }

    pub(super) fn async_names(&self) -> &[String] {
        self.can().async_events.as_ref().map_or(&[], |events| &events.names)
    }

    /// Description of the plugin, as Falco prints it.
    pub(super) fn description(&self) -> String {
        let PluginInfo { name, description, contact, version, .. } = self.info();
        let Capabilities { sourcing, extraction, parsing, async_events, .. } = self.can();
        let sourcing = sourcing.as_ref().map(|it| match &it.source {
            Some(source) => format!("Event Sourcing (ID={}, source='{source}')", it.id),
            None => "Event Sourcing (system events)".to_owned(),
        });
        let others = [
            (extraction.is_some(), "Field Extraction"),
            (parsing.is_some(), "Event Parsing"),
            (async_events.is_some(), "Async Events"),
        ];
        let others = others.into_iter().filter(|(has, _)| *has).map(|(_, text)| text.to_owned());
        let lines: String =
            sourcing.into_iter().chain(others).map(|line| format!("  - {line}\n")).collect();
        format!(
            "Name: {name}\nDescription: {description}\nContact: {contact}\nVersion: {version}\n\
             Capabilities: \n{lines}\n"
        )
    }

    /// JSON schema of `init_config`.
    pub(super) fn init_schema(&self) -> Option<&str> {
        self.info().init_schema.as_ref().map(|schema| schema.text.as_str())
    }

    /// The parameters of its source that it suggests, with their descriptions. `None` when it has
    /// no source.
    ///
    /// # Errors
    /// When it can't be initialised, or suggests what are no parameters.
    pub(super) fn suggested_params(
        &self,
        context: &LoadContext<'_>,
        config: &Plugin,
    ) -> anyhow::Result<Option<Vec<OpenParam>>> {
        let instance = self.init(context, config, &TableRegistry::default())?;
        if self.can().sourcing.is_none() {
            return Ok(None);
        }
        let error =
            |error: String| RuntimeError(format!("error in plugin {}: {error}", self.name()));
        let params = instance
            .list_open_params()
            .map_err(|it| error(format!("list_open_params has error {it}")))?;
        let params = params.map_or_else(|| Ok(Vec::new()), |json| open_params(&json));
        Ok(Some(params.map_err(|it| error(it.to_string()))?))
    }

    fn init(
        &self,
        context: &LoadContext<'_>,
        config: &Plugin,
        tables: &TableRegistry,
    ) -> anyhow::Result<Instance> {
        let checked = checked_config(self.info(), &config.init_config);
        let checked = checked.map_err(|error| RuntimeError(error.to_string()))?;
        let host = Host { log: log_sink(context), tables: Some(tables.instance(self.info())) };
        self.library.init(&checked, host).map_err(|error| anyhow!("{error}"))
    }

    /// Initialises the plugin for an event source, if it can be used with that.
    ///
    /// # Errors
    /// When it refuses.
    pub(super) fn initialise(
        &mut self,
        context: &LoadContext<'_>,
        config: &Plugin,
        tables: &TableRegistry,
        (source, id): (&str, SourceId),
    ) -> anyhow::Result<()> {
        if !context.replays && !self.fits(source) {
            return Ok(());
        }
        self.shares_instance = context.replays;
        let instances = self.instances.get_mut().unwrap_or_else(PoisonError::into_inner);
        let shared = instances.first().filter(|_| context.replays);
        let instance = match shared.map(|(_, instance)| instance.clone()) {
            Some(instance) => instance,
            None => self.init(context, config, tables)?,
        };
        let instances = self.instances.get_mut().unwrap_or_else(PoisonError::into_inner);
        instances.push((id, instance.clone()));
        self.extractors.set(id, Arc::new(SourceFields::new(instance, source)));
        Ok(())
    }

    /// Whether it can be used with this source.
    fn fits(&self, source: &str) -> bool {
        let Capabilities { sourcing, extraction, parsing, async_events, .. } = self.can();
        sourcing.as_ref().is_some_and(|it| it.source.as_deref().unwrap_or("syscall") == source)
            || extraction.as_ref().is_some_and(|it| it.takes(source))
            || parsing.as_ref().is_some_and(|it| it.takes(source))
            || async_events.as_ref().is_some_and(|it| it.fits(source))
    }

    /// Whether no source needs it.
    pub(super) fn is_unused(&self) -> bool {
        self.instances().is_empty()
    }

    fn instances(&self) -> MutexGuard<'_, Vec<(SourceId, Instance)>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its instance for a source.
    pub(super) fn instance(&self, source: SourceId) -> Option<Instance> {
        self.instances().iter().find(|(id, _)| *id == source).map(|(_, it)| it.clone())
    }

    /// Its fields, for those of these sources that it extracts from.
    ///
    /// # Errors
    /// When it has too many.
    pub(super) fn class<'s>(
        &self,
        sources: impl Iterator<Item = &'s str>,
    ) -> anyhow::Result<Option<Arc<RuntimeClass>>> {
        let Some(extraction) = &self.can().extraction else { return Ok(None) };
        let instances = self.instances();
        let types = instances.iter().flat_map(|(_, instance)| instance.extracts().iter());
        let settings = ClassSettings {
            plugin: self.name(),
            description: &self.info().description,
            sources: sources.filter(|source| extraction.takes(source)).map(Into::into).collect(),
            events: types.collect::<EventSet>(),
            extractors: Arc::clone(&self.extractors),
        };
        let class = class(settings, &self.fields);
        class.map(Some).map_err(|error| anyhow!("error in plugin {}: {error}", self.name()))
    }

    /// What describes its events.
    pub(super) fn describer(&self) -> Arc<dyn EventDescriber> {
        self.extractors.clone()
    }

    /// What opens its source, once the run begins.
    pub(super) fn open_source(
        &self,
        config: &Plugin,
        id: SourceId,
        wait: Duration,
    ) -> Box<dyn FnOnce() -> Result<OpenSource, SourceError> + Send> {
        let (instance, params) = (self.instance(id), config.open_params.clone());
        // The reference looks the plugin up by its name in the configuration.
        let known = Some(&config.name).filter(|name| **name == self.name());
        let instance = known.and(instance).ok_or_else(|| config.name.clone());
        Box::new(move || {
            let instance = instance.map_err(|name| format!("plugin {name} does not exist"))?;
            let source = instance.open(&params, id).map_err(|error| match error {
                CallError::Failed { error, .. } => error,
                error => error.to_string(),
            })?;
            Ok(Box::new(source.waiting(wait)))
        })
    }

    /// All of its instances, each once.
    pub(super) fn all_instances(&self) -> Vec<Instance> {
        let instances = self.instances();
        match self.shares_instance {
            true => instances.first().map(|(_, it)| it.clone()).into_iter().collect(),
            false => instances.iter().map(|(_, it)| it.clone()).collect(),
        }
    }

    /// Destroys all instances.
    pub(super) fn shut_down(&self) {
        self.extractors.clear();
        self.instances().clear();
    }
}

/// Where lines go that plugins log: into the log, as Falco marks them.
fn log_sink(context: &LoadContext<'_>) -> LogSink {
    let Some(least) = context.libs_severity else { return Arc::new(|_, _, _| ()) };
    let log = context.log.clone();
    Arc::new(move |severity, component, text| {
        let (libs, level) = match severity {
            Severity::Fatal => (LibsSeverity::Fatal, Priority::Emergency),
            Severity::Critical => (LibsSeverity::Critical, Priority::Critical),
            Severity::Error => (LibsSeverity::Error, Priority::Error),
            Severity::Warning => (LibsSeverity::Warning, Priority::Warning),
            Severity::Notice => (LibsSeverity::Notice, Priority::Notice),
            Severity::Info => (LibsSeverity::Info, Priority::Informational),
            Severity::Debug => (LibsSeverity::Debug, Priority::Debug),
            Severity::Trace => (LibsSeverity::Trace, Priority::Debug),
        };
        if libs >= least {
            log.line(level, format_args!("[libs]: {component}: {text}"));
        }
    })
}
