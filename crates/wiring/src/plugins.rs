//! The plugins that are built in, and the event sources and fields that they add.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{anyhow, bail};
use peregrine_config::Plugin;
use peregrine_event::source::{SourceId, SourceNames};
use peregrine_fields::{Fields, RuntimeClass, SourceInfo};
use peregrine_k8saudit::{AuditSource, Handle, Options, Settings};
use peregrine_rules::{EventSource, Version};
use peregrine_runtime::control::Controls;
use peregrine_runtime::sources::{OpenSource, OtherSource, PluginSources, SourceError};
use peregrine_telemetry::AuditStats;

use crate::setup::Setup;
use crate::version::{CONTAINER_PLUGIN, PODS_PLUGIN};

/// A plugin that is built in.
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The version of the plugin whose fields and events it has.
    pub version: Version,
    /// What it is for.
    pub about: &'static str,
    /// What it can do, as `--list-plugins` prints it.
    pub capabilities: &'static [&'static str],
    /// JSON schema of `init_config`.
    pub init_schema: Option<&'static str>,
    /// The event source that it adds, and the id that events of it carry.
    pub source: Option<(&'static str, u32)>,
    /// What the names of its fields begin with.
    pub fields: &'static [&'static str],
}

/// All of them.
static BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: "container",
        version: CONTAINER_PLUGIN,
        about: "Containers and pods, built into Peregrine",
        capabilities: &["Field Extraction", "Event Parsing", "Async Events"],
        init_schema: None,
        source: None,
        fields: &["container.", "k8s."],
    },
    BuiltIn {
        name: peregrine_k8saudit::PLUGIN,
        version: Version { major: 0, minor: 18, patch: 0 },
        about: "Audit events of Kubernetes, built into Peregrine",
        capabilities: &["Event Sourcing (ID=1, source='k8s_audit')", "Field Extraction"],
        init_schema: Some(include_str!("../assets/k8saudit-init.schema.json")),
        source: Some((peregrine_k8saudit::SOURCE, peregrine_k8saudit::PLUGIN_ID)),
        fields: &["ka."],
    },
    BuiltIn {
        name: peregrine_k8saudit::JSON_PLUGIN,
        version: Version { major: 0, minor: 7, patch: 4 },
        about: "Fields of events that are JSON, built into Peregrine",
        capabilities: &["Field Extraction"],
        init_schema: Some(include_str!("../assets/json-init.schema.json")),
        source: None,
        fields: &["json.", "jevt."],
    },
    BuiltIn {
        name: Plugin::K8SMETA,
        version: PODS_PLUGIN,
        about: "Pods and their owners, from the API server, built into Peregrine",
        capabilities: &["Field Extraction", "Event Parsing", "Async Events"],
        init_schema: None,
        source: None,
        fields: &["k8smeta."],
    },
];

/// A source of events other than system calls, and its plugin.
#[derive(Clone, Debug)]
pub struct PluginSource {
    /// Id that its events carry.
    pub id: SourceId,
    /// Its name.
    pub name: &'static str,
    /// The plugin as it is configured.
    pub plugin: Plugin,
    /// Id of the plugin in captures.
    pub plugin_id: u32,
}

/// What serves for a plugin without its library.
pub fn built_in(plugin: &Plugin) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|built_in| plugin.native && built_in.name == plugin.name)
}

/// The plugins that are loaded, without those that are not built in.
pub fn loaded(setup: &Setup) -> impl Iterator<Item = &'static BuiltIn> {
    setup.loaded.plugins.iter().filter_map(built_in)
}

/// The same, with those that need no entry: the fields of containers are there unless the
/// configuration says otherwise, and other keys ask the API server.
pub fn in_force(setup: &Setup) -> impl Iterator<Item = &'static BuiltIn> {
    let without_entry = |name| match name {
        "container" => setup.allows_containers(),
        Plugin::K8SMETA => setup.loaded.asks_kubernetes(),
        _ => false,
    };
    let is_loaded = |name| loaded(setup).any(|plugin| plugin.name == name);
    BUILT_IN.iter().filter(move |plugin| without_entry(plugin.name) || is_loaded(plugin.name))
}

/// Checks that all plugins can be loaded.
///
/// # Errors
/// When one is not built in, is there twice, or has a configuration that can't be used.
pub fn check(setup: &Setup) -> anyhow::Result<()> {
    let plugins = &setup.loaded.plugins;
    for (index, plugin) in plugins.iter().enumerate() {
        let (name, path) = (&plugin.name, plugin.library_path.display());
        if built_in(plugin).is_none() {
            let help = match Plugin::BUILT_IN.contains(&name.as_str()) {
                true => "without `native: false`, what is built in serves",
                false => "leave it out of load_plugins",
            };
            bail!("plugins are not supported yet: cannot load '{name}' from {path} ({help})");
        }
        if plugins.iter().take(index).any(|other| other.name == *name) {
            bail!("found another plugin with name {name}. Aborting.");
        }
        if name == peregrine_k8saudit::PLUGIN {
            let checked = Settings::check_init_config(&plugin.init_config);
            checked.map_err(|error| anyhow!("error in plugin {name} init config: {error}"))?;
        }
    }
    Ok(())
}

/// Logs the plugins and the sources that are loaded.
pub fn log_sources(setup: &Setup) {
    for plugin in loaded(setup).filter(|plugin| plugin.source.is_some()) {
        let BuiltIn { name, version, .. } = plugin;
        setup.log.info(format_args!("Loaded plugin '{name}@{version}', which is built in"));
    }
    let others: Vec<_> = sources(setup).iter().map(|source| source.name).collect();
    if !others.is_empty() {
        let (syscall, others) = (SourceNames::SYSCALL, others.join(", "));
        setup.log.info(format_args!("Loaded event sources: {syscall}, {others}"));
    }
}

/// The sources that plugins add.
pub fn sources(setup: &Setup) -> Vec<PluginSource> {
    let mut names = SourceNames::default();
    let source = |plugin: &Plugin| {
        let (name, plugin_id) = built_in(plugin)?.source?;
        let id = names.intern(name)?;
        Some(PluginSource { id, name, plugin: plugin.clone(), plugin_id })
    };
    setup.loaded.plugins.iter().filter_map(source).collect()
}

/// Adds the fields of plugins to those of a source.
pub fn with_fields(setup: &Setup, fields: Fields) -> Fields {
    static AUDIT: LazyLock<Option<Arc<RuntimeClass>>> =
        LazyLock::new(|| peregrine_k8saudit::audit_class().ok());
    static JSON: LazyLock<Option<Arc<RuntimeClass>>> = LazyLock::new(|| {
        let sources = [SourceNames::SYSCALL, peregrine_k8saudit::SOURCE];
        peregrine_k8saudit::json_class(sources).ok()
    });
    loaded(setup).fold(fields, |fields, plugin| {
        let class = match plugin.name {
            peregrine_k8saudit::PLUGIN => &*AUDIT,
            peregrine_k8saudit::JSON_PLUGIN => &*JSON,
            _ => return fields,
        };
        let Some(class) = class else { return fields };
        // Names of built-in fields differ.
        fields.clone().with_class(Arc::clone(class)).unwrap_or(fields)
    })
}

/// The event sources that rules may be about, with their fields.
pub fn event_sources(setup: &Setup, syscall: Fields) -> Vec<EventSource<Fields>> {
    let other = |source: PluginSource| {
        let fields =
            Fields::of_source(source.name).with_statics(setup.config().static_fields.iter());
        let vocabulary = with_fields(setup, fields);
        EventSource { id: source.id, name: source.name.to_owned(), vocabulary }
    };
    let others = sources(setup).into_iter().map(other);
    std::iter::once(EventSource::syscall(syscall)).chain(others).collect()
}

/// What events of each source say about it.
pub fn source_infos(setup: &Setup) -> Box<[SourceInfo]> {
    let info = |name: &str, plugin: Option<&str>| SourceInfo {
        name: name.as_bytes().into(),
        plugin: plugin.map(|plugin| plugin.as_bytes().into()),
    };
    let others = sources(setup).into_iter().map(|it| info(it.name, Some(&it.plugin.name)));
    std::iter::once(info(SourceNames::SYSCALL, None)).chain(others).collect()
}

/// The sources of the events that a capture may hold.
pub fn of_captures(setup: &Setup) -> PluginSources {
    sources(setup).iter().map(|source| (source.plugin_id, source.id)).collect()
}

/// The sources that a run opens beside the kernel.
pub fn open(
    setup: &Setup,
    enabled: &[&'static str],
    stats: Option<&Arc<AuditStats>>,
    controls: &Controls,
) -> Vec<OtherSource> {
    let alone = enabled.len() == 1;
    let handle = Handle {
        stats: stats.cloned().unwrap_or_default(),
        closing: Arc::clone(controls.stop_flag()),
    };
    let enabled = sources(setup).into_iter().filter(|it| enabled.contains(&it.name));
    let other = |source: PluginSource| {
        let (name, log, handle) = (source.name.to_owned(), setup.log.clone(), handle.clone());
        let open = move || -> Result<OpenSource, SourceError> {
            let PluginSource { id, name, plugin, .. } = source;
            log.info(format_args!("Opening '{name}' source with plugin '{}'", plugin.name));
            let Plugin { init_config, open_params, .. } = &plugin;
            let settings = Settings::new(init_config, open_params, options(&plugin))?;
            let source = AuditSource::open(&settings, id, &handle, &|line| log.info(line))?;
            // Beside others, it is the kernel that is waited for.
            Ok(Box::new(if alone { source } else { source.waiting(Duration::ZERO) }))
        };
        OtherSource { name, open: Box::new(open) }
    };
    enabled.map(other).collect()
}

fn options(plugin: &Plugin) -> Options {
    Options {
        client_ca: plugin.own.client_ca.clone(),
        token: plugin.own.bearer_token.clone(),
        token_file: plugin.own.bearer_token_file.clone(),
    }
}

/// Description of a plugin, as Falco prints it.
pub fn description(plugin: &BuiltIn) -> String {
    let BuiltIn { name, version, about, capabilities, .. } = plugin;
    let capabilities: String = capabilities.iter().map(|it| format!("  - {it}\n")).collect();
    format!(
        "Name: {name}\nDescription: {about}\nVersion: {version}\nCapabilities: \n{capabilities}\n"
    )
}

/// Whether an entry of `plugins` is what `--plugin-info` names.
pub fn is_named(plugin: &Plugin, wanted: &str) -> bool {
    plugin.name == wanted || plugin.library_path == Path::new(wanted)
}
