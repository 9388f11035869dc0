//! Containers: whether runtimes are asked, and how.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::Priority;
use peregrine_config::{Config, Matchers as MatcherKeys};
use peregrine_containers::{
    EngineKind, LogLevel, LogSink, Service, Settings, SettingsError, SettingsIssue, Timing,
};
use peregrine_diagnostics::Problem;
use peregrine_event::inbox::{ContainerRequests, InboxSender};
use peregrine_event::source::ContainerEngine;
use peregrine_fields::Field;
use peregrine_rules::RuleSet;
use peregrine_runtime::Log;
use peregrine_state::Matchers;
use peregrine_telemetry::ContainerCounters;

use crate::host;
use crate::setup::Setup;

/// The plugin that is built in.
pub const PLUGIN: &str = "container";

/// Whether the plugin is loaded, or these rules need it.
pub fn are_used(setup: &Setup, set: &RuleSet<Field>) -> bool {
    if setup.containers() || !setup.allows_containers() {
        return setup.containers();
    }
    let required = set.plugins.iter().flatten().any(|plugin| plugin.name == PLUGIN);
    let used = Cell::new(required);
    if !required {
        // What each rule uses is known where rules are described.
        let _ = set.describe(&|_, fields: &BTreeSet<String>| {
            used.set(used.get() || fields.iter().any(|field| is_own(field)));
            Vec::new()
        });
    }
    used.get()
}

/// Whether the plugin has this field.
fn is_own(field: &str) -> bool {
    ["container.", "k8s.", "proc.is_container_"].iter().any(|class| field.starts_with(class))
}

/// How the runtimes are asked: the `init_config` of the plugin, and the section `containers`. Warns
/// of keys without effect.
///
/// # Errors
/// When a value of the `init_config` can't be used.
pub fn checked_settings(setup: &Setup) -> anyhow::Result<Settings> {
    let (settings, warnings) = read(setup)?;
    warnings.iter().for_each(|warning| setup.warn(warning));
    Ok(settings)
}

/// The same without warnings.
///
/// # Errors
/// When a value of the `init_config` can't be used.
pub fn settings(setup: &Setup) -> anyhow::Result<Settings> {
    read(setup).map(|(settings, _)| settings)
}

fn read(setup: &Setup) -> anyhow::Result<(Settings, Vec<Problem>)> {
    let plugin = setup.loaded.plugins.iter().find(|plugin| plugin.name == PLUGIN);
    let text = plugin.map_or("", |plugin| &plugin.init_config);
    let listed = &setup.config().plugins.0;
    let index = listed.iter().position(|plugin| plugin.name == PLUGIN).unwrap_or_default();
    let at = |key: &str| match key {
        "" => format!("plugins[{index}].init_config"),
        key => format!("plugins[{index}].init_config.{key}"),
    };
    let (mut settings, issues) = Settings::from_json(text).map_err(|error| {
        let key = match &error {
            SettingsError::Value { key, .. } => at(key),
            SettingsError::Json(_) | SettingsError::NoMap => at(""),
        };
        let message = format!("init_config of the plugin container: {error}");
        setup.loaded.error(&key, message, "docs/containers.md has all keys")
    })?;
    let warning = |issue: SettingsIssue| setup.loaded.no_effect(&at(&issue.key), issue.message);
    let warnings = issues.into_iter().map(warning).collect();
    let keys = &setup.config().containers;
    let milliseconds = |time: u32| Duration::from_millis(time.into());
    settings.timing = Timing {
        request: milliseconds(keys.request_timeout_ms),
        lookup: milliseconds(keys.lookup_time_ms),
        start: milliseconds(keys.start_wait_ms.into()),
        removal: milliseconds(keys.removal_grace_ms),
    };
    settings.host_root = host::root();
    Ok((settings, warnings))
}

/// Whether runtimes may be asked whose sockets belong to other users than root. Their directories
/// have a component for each user.
pub fn asks_users(config: &Config) -> bool {
    let plugin = config.plugins.0.iter().find(|plugin| plugin.name == PLUGIN);
    let absent =
        plugin.is_none() && (!config.plugins.0.is_empty() || config.load_plugins.is_some());
    let settings = Settings::from_json(plugin.map_or("", |plugin| &plugin.init_config));
    let Ok((settings, _)) = settings else { return false };
    let podman = settings.engine(EngineKind::Podman);
    let of_user = |socket: &String| socket.starts_with("/run/user/");
    !absent && podman.enabled && podman.sockets.iter().any(of_user)
}

/// Which control groups are those of containers.
pub fn matchers(setup: &Setup, settings: &Settings) -> Matchers {
    let keys = &setup.config().containers;
    let MatcherKeys { podman, docker, cri, containerd, lxc, libvirt_lxc, bpm } = keys.matchers;
    let is_on = |engine: &ContainerEngine| match engine {
        ContainerEngine::Podman => podman,
        ContainerEngine::Docker => docker,
        ContainerEngine::Cri => cri,
        ContainerEngine::Containerd => containerd,
        ContainerEngine::Lxc => lxc,
        ContainerEngine::LibvirtLxc => libvirt_lxc,
        ContainerEngine::Bpm => bpm,
        ContainerEngine::Static => true,
    };
    Matchers {
        engines: settings.matched().into_iter().filter(is_on).collect(),
        static_container: settings.static_container.clone(),
        host_groups: keys.cgroup_roots.clone(),
    }
}

/// Counters for the thread.
pub fn counters() -> ContainerCounters {
    ContainerCounters::new(&EngineKind::ALL.map(EngineKind::name))
}

/// What asks the runtimes, once it is started. What it learns goes into the inbox.
pub fn service(
    setup: &Setup,
    counters: &Arc<ContainerCounters>,
    inbox: InboxSender,
) -> (Service, ContainerRequests) {
    Service::new(inbox, Arc::clone(counters), sink(setup.log.clone()))
}

fn sink(log: Log) -> LogSink {
    Arc::new(move |level, message| {
        let priority = match level {
            LogLevel::Trace | LogLevel::Debug => Priority::Debug,
            LogLevel::Info => Priority::Informational,
            LogLevel::Warning => Priority::Warning,
            LogLevel::Error => Priority::Error,
        };
        log.line(priority, message);
    })
}
