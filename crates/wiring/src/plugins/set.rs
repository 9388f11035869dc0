//! The plugins of a configuration.

use std::sync::{Arc, LazyLock};

use anyhow::bail;
use peregrine_config::Plugin;
use peregrine_event::EventSet;
use peregrine_event::source::{SourceId, SourceNames};
use peregrine_fields::RuntimeClass;
use peregrine_plugin::{Instance, PluginParsers, SourcePlugins, TableRegistry, plugin_metrics};
use peregrine_rules::Version;
use peregrine_telemetry::metrics::PluginStats;

use super::built_in::{BuiltIn, built_in};
use super::library::{LibraryPlugin, LoadContext, RuntimeError};

/// The plugins of a configuration, in the order in which they are loaded.
#[derive(Debug, Default)]
pub struct Plugins {
    loaded: Vec<LoadedPlugin>,
    sources: Vec<PluginSource>,
    /// Names of asynchronous events.
    pub(super) async_names: Arc<[Box<str>]>,
}

/// A plugin that is loaded.
#[derive(Debug)]
pub struct LoadedPlugin {
    /// As it is configured.
    pub config: Plugin,
    pub(super) kind: Kind,
    /// The fields that it adds to the sources they name.
    class: Option<Arc<RuntimeClass>>,
}

/// What a plugin is.
#[derive(Debug)]
pub(super) enum Kind {
    BuiltIn(&'static BuiltIn),
    Library(LibraryPlugin),
}

/// A source of events other than system calls.
#[derive(Clone, Debug)]
pub struct PluginSource {
    /// Id that its events carry.
    pub id: SourceId,
    /// Its name.
    pub name: String,
    /// Index of the plugin that opens it.
    plugin: usize,
}

impl Plugins {
    /// Those of them that are built in. Nothing is loaded.
    pub(crate) fn built_in(plugins: &[Plugin]) -> Self {
        let plugin = |config: &Plugin| {
            let kind = Kind::BuiltIn(built_in(config)?);
            Some(LoadedPlugin { config: config.clone(), kind, class: None })
        };
        let mut plugins = Self::of(plugins.iter().filter_map(plugin).collect());
        plugins.add_native_classes();
        plugins
    }

    /// Opens the libraries of the plugins, and does nothing with them.
    ///
    /// # Errors
    /// When a library can't be opened, or two plugins have the same name or id.
    pub(super) fn open_libraries(context: &LoadContext<'_>) -> anyhow::Result<Self> {
        let mut loaded: Vec<LoadedPlugin> = Vec::new();
        for config in context.plugins {
            let kind = match built_in(config) {
                Some(plugin) => Kind::BuiltIn(plugin),
                None => Kind::Library(LibraryPlugin::open(config)?),
            };
            let plugin = LoadedPlugin { config: config.clone(), kind, class: None };
            let (name, path) = (plugin.name(), config.library_path.display());
            let taken = |what: String| {
                RuntimeError(format!(
                    "cannot register plugin {path} in inspector: found another plugin with {what}. \
                     Aborting."
                ))
            };
            if loaded.iter().any(|other| other.name() == name) {
                return Err(taken(format!("name {name}")).into());
            }
            if let Some((_, id)) = plugin.source()
                && loaded.iter().filter_map(LoadedPlugin::source).any(|(_, other)| other == id)
            {
                return Err(taken(format!("ID {id}")).into());
            }
            if let Kind::Library(_) = plugin.kind {
                let version = plugin.version();
                let line = format!("Loaded plugin '{name}@{version}' from file {path}");
                context.log.info(line);
            }
            loaded.push(plugin);
        }
        Ok(Self::of(loaded))
    }

    /// Opens and initialises the libraries, each for every event source that it can be used with.
    ///
    /// # Errors
    /// When a plugin can't be used.
    pub(crate) fn load(context: &LoadContext<'_>) -> anyhow::Result<Self> {
        let mut plugins = Self::open_libraries(context)?;
        plugins.initialise(context)?;
        plugins.add_native_classes();
        Ok(plugins)
    }

    fn of(loaded: Vec<LoadedPlugin>) -> Self {
        let mut names = SourceNames::default();
        let mut sources = Vec::<PluginSource>::new();
        for (plugin, (name, _)) in
            loaded.iter().enumerate().filter_map(|(index, it)| Some((index, it.source()?)))
        {
            let known = sources.iter().any(|source| source.name == name);
            if let Some(id) = names.intern(name).filter(|_| !known) {
                sources.push(PluginSource { id, name: name.to_owned(), plugin });
            }
        }
        let names = loaded.iter().flat_map(LoadedPlugin::async_names);
        let async_names = names.map(|name| name.as_str().into()).collect();
        Self { loaded, sources, async_names }
    }

    /// Names and ids of all sources, that of system calls first.
    pub(super) fn all_sources(&self) -> impl Iterator<Item = (&str, SourceId)> {
        let others = self.sources.iter().map(|source| (source.name.as_str(), source.id));
        std::iter::once((SourceNames::SYSCALL, SourceId::SYSCALL)).chain(others)
    }

    /// Initialises what is in libraries.
    fn initialise(&mut self, context: &LoadContext<'_>) -> anyhow::Result<()> {
        let sources: Vec<_> = self.all_sources().map(|(name, id)| (name.to_owned(), id)).collect();
        let tables = TableRegistry::default();
        for (source, id) in &sources {
            let first = *id == SourceId::SYSCALL || context.replays;
            let tables = if first { tables.clone() } else { tables.beside() };
            for plugin in &mut self.loaded {
                match &mut plugin.kind {
                    Kind::Library(library) => {
                        library.initialise(context, &plugin.config, &tables, (source, *id))?;
                    }
                    // Plugins that are loaded later see its field.
                    Kind::BuiltIn(built_in) if built_in.name == Plugin::CONTAINER => {
                        tables.provide_container_id();
                    }
                    Kind::BuiltIn(_) => {}
                }
            }
            tables.initialised();
        }
        for plugin in &mut self.loaded {
            if let Kind::Library(library) = &mut plugin.kind {
                if library.is_unused() {
                    let name = library.name();
                    bail!(
                        "Plugin '{name}' is loaded but unused as not compatible with any known \
                         event source"
                    );
                }
                plugin.class = library.class(sources.iter().map(|(name, _)| name.as_str()))?;
            }
        }
        Ok(())
    }

    /// Gives the plugins that are built in their fields.
    fn add_native_classes(&mut self) {
        static AUDIT: LazyLock<Option<Arc<RuntimeClass>>> =
            LazyLock::new(|| peregrine_k8saudit::audit_class().ok());
        let sources: Vec<_> = self.all_sources().map(|(name, _)| name.to_owned()).collect();
        for plugin in &mut self.loaded {
            let Kind::BuiltIn(built_in) = plugin.kind else { continue };
            plugin.class = match built_in.name {
                peregrine_k8saudit::PLUGIN => AUDIT.clone(),
                peregrine_k8saudit::JSON_PLUGIN => {
                    peregrine_k8saudit::json_class(sources.iter().map(String::as_str)).ok()
                }
                _ => None,
            };
        }
    }

    /// The classes of fields that they add, with their names.
    pub(super) fn classes(&self) -> impl Iterator<Item = (&str, &Arc<RuntimeClass>)> {
        self.loaded.iter().filter_map(|plugin| Some((plugin.name(), plugin.class.as_ref()?)))
    }

    /// The plugins, in the order in which they are loaded.
    pub fn iter(&self) -> impl Iterator<Item = &LoadedPlugin> {
        self.loaded.iter()
    }

    /// The sources that they add.
    pub fn sources(&self) -> &[PluginSource] {
        &self.sources
    }

    /// The plugin that opens a source.
    pub(super) fn of_source(&self, source: &PluginSource) -> Option<&LoadedPlugin> {
        self.loaded.get(source.plugin)
    }

    /// The instances of plugins for a source, in the order in which they are loaded.
    pub(super) fn instances(&self, source: SourceId) -> Vec<Instance> {
        self.libraries().filter_map(|library| library.instance(source)).collect()
    }

    /// All instances of plugins.
    fn all_instances(&self) -> Vec<Instance> {
        self.libraries().flat_map(LibraryPlugin::all_instances).collect()
    }

    fn libraries(&self) -> impl Iterator<Item = &LibraryPlugin> {
        self.loaded.iter().filter_map(|plugin| match &plugin.kind {
            Kind::BuiltIn(_) => None,
            Kind::Library(library) => Some(library),
        })
    }

    /// What the plugins count. Nothing after they are shut down.
    pub(crate) fn stats(&self) -> Vec<PluginStats> {
        (plugin_metrics(self.all_instances()).0)()
    }

    /// Whether there are plugins in libraries.
    pub(crate) fn has_libraries(&self) -> bool {
        self.libraries().next().is_some()
    }

    /// What changes the state after events of these sources.
    pub fn parsers(&self, sources: &[String]) -> Option<PluginParsers> {
        let is_enabled = |name: &str| sources.iter().any(|source| source == name);
        let of_source = |(name, id): (&str, SourceId)| SourcePlugins {
            id,
            name: name.to_owned(),
            instances: self.instances(id),
        };
        let sources = self.all_sources().filter(|(name, _)| is_enabled(name));
        PluginParsers::new(sources.map(of_source).collect())
    }

    /// Types of events of system calls that plugins parse.
    pub(crate) fn parsed_types(&self) -> EventSet {
        let name = SourceNames::SYSCALL;
        let parses = |it: &Instance| {
            it.info().capabilities.parsing.as_ref().is_some_and(|parsing| parsing.takes(name))
        };
        let instances = self.instances(SourceId::SYSCALL).into_iter().filter(parses);
        instances.flat_map(|it| it.parses().iter().collect::<Vec<_>>()).collect()
    }

    /// Whether a webhook or a file of audit events may be opened.
    pub fn has_audit_source(&self) -> bool {
        self.loaded.iter().any(|plugin| match plugin.kind {
            Kind::BuiltIn(built_in) => built_in.name == peregrine_k8saudit::PLUGIN,
            Kind::Library(_) => false,
        })
    }

    /// Destroys what was initialised: fields of plugins have no values any more.
    pub fn shut_down(&self) {
        for plugin in &self.loaded {
            if let Kind::Library(library) = &plugin.kind {
                library.shut_down();
            }
        }
    }
}

impl Drop for Plugins {
    // Rules that are never freed hold classes of fields, which hold what was initialised.
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl LoadedPlugin {
    /// Its name, as it says itself.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::BuiltIn(built_in) => built_in.name,
            Kind::Library(library) => library.name(),
        }
    }

    /// Its version.
    pub fn version(&self) -> Version {
        match &self.kind {
            Kind::BuiltIn(built_in) => built_in.version,
            Kind::Library(library) => library.version(),
        }
    }

    /// Name of its event source, and the id that its events carry. `None` for events of the source
    /// `syscall` too.
    pub fn source(&self) -> Option<(&str, u32)> {
        match &self.kind {
            Kind::BuiltIn(built_in) => built_in.source,
            Kind::Library(library) => library.source(),
        }
    }

    /// Whether it has a field.
    pub fn has_field(&self, field: &str) -> bool {
        match &self.kind {
            Kind::BuiltIn(built_in) => built_in.has_field(field),
            Kind::Library(library) => library.has_field(field),
        }
    }

    fn async_names(&self) -> &[String] {
        match &self.kind {
            Kind::BuiltIn(_) => &[],
            Kind::Library(library) => library.async_names(),
        }
    }
}
