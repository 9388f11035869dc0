//! Plugins: those that are built in, those in libraries, and the event sources and fields that they
//! add.

mod built_in;
mod describe;
pub(crate) mod library;
mod open;
pub(crate) mod set;

use std::sync::Arc;

use anyhow::{anyhow, bail};
use peregrine_config::Plugin;
use peregrine_event::source::SourceNames;
use peregrine_fields::{ClassError, Fields, SourceInfo};
use peregrine_k8saudit::Settings;
use peregrine_rules::{EventSource, Version};
use peregrine_runtime::sources::PluginSources;

pub use built_in::BuiltIn;
pub use describe::{info, list, missing};
pub use library::RuntimeError;
pub use open::{check_event_schema, in_place_of_kernel, open};
pub use set::{LoadedPlugin, PluginSource, Plugins};

use crate::setup::Setup;
use built_in::BUILT_IN;
use set::Kind;

/// A plugin that rules may require: one that is loaded, or whose fields are there anyway.
pub enum InForce<'p> {
    /// A plugin that is loaded.
    Loaded(&'p LoadedPlugin),
    /// What is built in, without an entry in the configuration.
    BuiltIn(&'static BuiltIn),
}

impl InForce<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Loaded(plugin) => plugin.name(),
            Self::BuiltIn(plugin) => plugin.name,
        }
    }

    /// Its version.
    pub fn version(&self) -> Version {
        match self {
            Self::Loaded(plugin) => plugin.version(),
            Self::BuiltIn(plugin) => plugin.version,
        }
    }

    /// Whether a rule of this source with these fields uses it.
    pub fn is_used<'f>(&self, source: &str, fields: impl IntoIterator<Item = &'f String>) -> bool {
        let (own, has): (_, &dyn Fn(&str) -> bool) = match self {
            Self::Loaded(plugin) => (plugin.source(), &|field| plugin.has_field(field)),
            Self::BuiltIn(plugin) => (plugin.source, &|field| plugin.has_field(field)),
        };
        own.is_some_and(|(name, _)| name == source) || fields.into_iter().any(|field| has(field))
    }
}

/// The plugins that are loaded, with those that need no entry: the fields of containers are there
/// unless the configuration says otherwise, and other keys ask the API server.
pub fn in_force(setup: &Setup) -> impl Iterator<Item = InForce<'_>> {
    let without_entry = |plugin: &&'static BuiltIn| match plugin.name {
        Plugin::CONTAINER => setup.allows_containers(),
        Plugin::K8SMETA => setup.loaded.asks_kubernetes(),
        _ => false,
    };
    let plugins = setup.plugins();
    let has_entry = |plugin: &&BuiltIn| plugins.iter().any(|it| it.name() == plugin.name);
    let others = BUILT_IN.iter().filter(without_entry).filter(move |it| !has_entry(it));
    plugins.iter().map(InForce::Loaded).chain(others.map(InForce::BuiltIn))
}

/// Loads all plugins, and checks the configuration of those that are built in.
///
/// # Errors
/// When one of them can't be used.
pub fn check(setup: &Setup) -> anyhow::Result<()> {
    for plugin in setup.loaded.plugins.iter().filter(|plugin| plugin.is_native()) {
        if plugin.name == peregrine_k8saudit::PLUGIN {
            let (name, checked) = (&plugin.name, Settings::check_init_config(&plugin.init_config));
            checked.map_err(|error| anyhow!("error in plugin {name} init config: {error}"))?;
        }
    }
    check_overlaps(setup, setup.load_plugins()?)
}

/// Two plugins must not have the same field for one source, and none a field of our own.
fn check_overlaps(setup: &Setup, plugins: &Plugins) -> anyhow::Result<()> {
    for (name, _) in plugins.all_sources() {
        let mut fields = match name {
            SourceNames::SYSCALL => own_fields(setup),
            name => Fields::of_source(name),
        };
        for (plugin, class) in plugins.classes() {
            fields = match fields.with_class(Arc::clone(class)) {
                Ok(fields) => fields,
                Err(ClassError::Duplicate(field)) => bail!(
                    "Plugin '{plugin}' supports extraction of field '{field}' that is \
                     overlapping for source '{name}'"
                ),
                Err(error) => bail!("error in plugin {plugin}: {error}"),
            };
        }
    }
    Ok(())
}

/// The fields that rules about system calls may use, without those of plugins.
pub fn own_fields(setup: &Setup) -> Fields {
    let fields = match setup.allows_containers() {
        true => Fields::syscall().with_unlisted_containers(),
        false => Fields::syscall(),
    };
    fields
        .with_containers(setup.containers())
        .with_kubernetes(setup.loaded.asks_kubernetes())
        .with_statics(setup.config().static_fields.iter())
}

/// Logs the plugins that are built in and the sources that are loaded.
pub fn log_sources(setup: &Setup) {
    let plugins = setup.plugins();
    for plugin in plugins.iter().filter(|plugin| plugin.source().is_some()) {
        if let Kind::BuiltIn(BuiltIn { name, version, .. }) = plugin.kind {
            setup.log.info(format_args!("Loaded plugin '{name}@{version}', which is built in"));
        }
    }
    if !plugins.sources().is_empty() {
        let names: Vec<_> = plugins.all_sources().map(|(name, _)| name).collect();
        setup.log.info(format_args!("Loaded event sources: {}", names.join(", ")));
    }
}

/// Adds the fields and event names of plugins to those of a source.
pub fn with_fields(setup: &Setup, fields: Fields) -> Fields {
    let plugins = setup.plugins();
    let fields = fields.with_async_names(Arc::clone(&plugins.async_names));
    plugins.classes().fold(fields, |fields, (_, class)| {
        // They do not overlap, which is checked when they are loaded.
        fields.clone().with_class(Arc::clone(class)).unwrap_or(fields)
    })
}

/// The event sources that rules may be about, with their fields.
pub fn event_sources(setup: &Setup, syscall: Fields) -> Vec<EventSource<Fields>> {
    let other = |source: &PluginSource| {
        let fields =
            Fields::of_source(&source.name).with_statics(setup.config().static_fields.iter());
        let vocabulary = with_fields(setup, fields);
        EventSource { id: source.id, name: source.name.clone(), vocabulary }
    };
    let others = setup.plugins().sources().iter().map(other);
    std::iter::once(EventSource::syscall(syscall)).chain(others).collect()
}

/// What events of each source say about it.
pub fn source_infos(setup: &Setup) -> Box<[SourceInfo]> {
    let plugins = setup.plugins();
    let other = |source: &PluginSource| {
        let plugin = plugins.of_source(source);
        let info = SourceInfo::plain(&source.name, plugin.map(LoadedPlugin::name));
        let describer = plugin.and_then(|plugin| match &plugin.kind {
            Kind::BuiltIn(_) => None,
            Kind::Library(library) => Some(library.describer()),
        });
        SourceInfo { describer, ..info }
    };
    let syscall = SourceInfo::plain(SourceNames::SYSCALL, None);
    std::iter::once(syscall).chain(plugins.sources().iter().map(other)).collect()
}

/// The sources of the events that a capture may hold.
pub fn of_captures(setup: &Setup) -> PluginSources {
    let plugins = setup.plugins();
    let source = |plugin: &LoadedPlugin| {
        let (name, plugin_id) = plugin.source()?;
        let source = plugins.sources().iter().find(|source| source.name == name)?;
        Some((plugin_id, source.id))
    };
    plugins.iter().filter_map(source).collect()
}
