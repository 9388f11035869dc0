//! Opening the sources of plugins.

use std::sync::Arc;
use std::time::Duration;

use peregrine_config::{Engine, Plugin};
use peregrine_event::source::{SourceId, SourceNames};
use peregrine_k8saudit::{AuditSource, Handle, Options, Settings};
use peregrine_plugin::{AsyncSource, AsyncStream, Version};
use peregrine_runtime::Log;
use peregrine_runtime::control::Controls;
use peregrine_runtime::sources::{OpenSource, OtherSource, SourceError};
use peregrine_telemetry::AuditStats;

use super::set::{Kind, LoadedPlugin};
use crate::setup::Setup;
use crate::version;

/// The sources that a run opens beside the kernel.
pub fn open(
    setup: &Setup,
    enabled: &[String],
    stats: Option<&Arc<AuditStats>>,
    controls: &Controls,
) -> Vec<OtherSource> {
    let wait = Duration::from_millis(match enabled {
        // Others wait in turn.
        [_, _, ..] if !enabled.iter().any(|source| source == SourceNames::SYSCALL) => 2,
        // It is the kernel that is waited for.
        [_, _, ..] => 0,
        _ => 50,
    });
    let handle = Handle {
        stats: stats.cloned().unwrap_or_default(),
        closing: Arc::clone(controls.stop_flag()),
    };
    let plugins = setup.plugins();
    let in_place_of_kernel = || in_place_of_kernel(setup);
    let is_enabled = |name: &str| enabled.iter().any(|enabled| enabled == name);
    let syscalls = is_enabled(SourceNames::SYSCALL).then(in_place_of_kernel).flatten();
    let enabled = plugins.sources().iter().filter(|it| is_enabled(&it.name));
    let beside = |(name, id, plugin_id): (&str, SourceId, u32)| {
        beside(setup, AsyncStream { id, source: name.to_owned(), plugin_id })
    };
    let beside_syscalls = is_enabled(SourceNames::SYSCALL)
        .then(|| beside((SourceNames::SYSCALL, SourceId::SYSCALL, 0)))
        .flatten();
    let of_plugins = enabled.flat_map(|source| {
        let (name, id) = (source.name.clone(), source.id);
        let Some(plugin) = plugins.of_source(source) else { return [None, None] };
        let plugin_id = plugin.source().map_or(0, |(_, id)| id);
        let opens = |it: &&LoadedPlugin| it.source().is_some_and(|(source, _)| source == name);
        if plugins.iter().filter(opens).count() > 1 {
            setup.log.warning(format_args!(
                "Enabled event source '{name}' can be opened with multiple loaded plugins, will \
                 use only '{}'",
                plugin.name()
            ));
        }
        let beside = beside((&name, id, plugin_id));
        [Some(source_of(plugin, (name, id), wait, &handle, &setup.log)), beside]
    });
    [syscalls, beside_syscalls].into_iter().chain(of_plugins).flatten().collect()
}

/// The events that plugins make beside a stream, if any makes some.
fn beside(setup: &Setup, stream: AsyncStream) -> Option<OtherSource> {
    let instances = setup.plugins().instances(stream.id);
    AsyncSource::is_needed(&instances).then(|| OtherSource {
        name: stream.source.clone(),
        open: Box::new(move || Ok(Box::new(AsyncSource::open(stream, &instances)?))),
    })
}

/// Checks that plugins that read system calls know the events of this version. Recordings and
/// plugins have events of any version, so that only live runs are checked, as in Falco.
///
/// # Errors
/// When one needs another version.
pub fn check_event_schema(setup: &Setup) -> anyhow::Result<()> {
    let Some(schema) = Version::parse(version::SCHEMA) else { return Ok(()) };
    for instance in setup.plugins().instances(SourceId::SYSCALL) {
        instance.check_event_schema(schema)?;
    }
    Ok(())
}

/// Without a driver, the first plugin that delivers events of the source `syscall`.
pub fn in_place_of_kernel(setup: &Setup) -> Option<OtherSource> {
    if setup.config().engine != Engine::NoDriver {
        return None;
    }
    let delivers = |plugin: &&LoadedPlugin| match &plugin.kind {
        Kind::BuiltIn(_) => false,
        Kind::Library(library) => library.delivers_syscalls(),
    };
    let plugin = setup.plugins().iter().find(delivers)?;
    let source = (SourceNames::SYSCALL.to_owned(), SourceId::SYSCALL);
    let wait = Duration::from_millis(2);
    Some(source_of(plugin, source, wait, &Handle::default(), &setup.log))
}

fn source_of(
    plugin: &LoadedPlugin,
    (name, id): (String, SourceId),
    wait: Duration,
    handle: &Handle,
    log: &Log,
) -> OtherSource {
    let (log, handle, config) = (log.clone(), handle.clone(), plugin.config.clone());
    let opening = {
        let (name, plugin) = (name.clone(), plugin.config.name.clone());
        move |log: &Log| log.info(format_args!("Opening '{name}' source with plugin '{plugin}'"))
    };
    let open: Box<dyn FnOnce() -> Result<OpenSource, SourceError> + Send> = match &plugin.kind {
        Kind::BuiltIn(_) => Box::new(move || {
            opening(&log);
            let settings =
                Settings::new(&config.init_config, &config.open_params, options(&config))?;
            let source = AuditSource::open(&settings, id, &handle, &|line| log.info(line))?;
            Ok(Box::new(source.waiting(wait)))
        }),
        Kind::Library(library) => {
            let open = library.open_source(&config, id, wait);
            Box::new(move || {
                opening(&log);
                open()
            })
        }
    };
    OtherSource { name, open }
}

fn options(plugin: &Plugin) -> Options {
    Options {
        client_ca: plugin.own.client_ca.clone(),
        token: plugin.own.bearer_token.clone(),
        token_file: plugin.own.bearer_token_file.clone(),
    }
}
