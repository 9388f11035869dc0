//! Checks before the first event.

use anyhow::{Context, bail};
use peregrine_config::Engine;

use super::plugins;
use super::setup::Setup;
use peregrine_args::LoadArgs;

/// The event source that exists without plugins.
pub const SYSCALL: &str = "syscall";

/// Loads the plugins, and initialises those that are in libraries.
pub fn plugins(setup: &Setup) -> anyhow::Result<()> {
    plugins::check(setup)
}

/// `--enable-source` and `--disable-source`, which a replay ignores.
pub fn sources(setup: &Setup, args: &LoadArgs) -> anyhow::Result<()> {
    enabled_sources(setup, args).map(drop)
}

/// The names of the sources that are opened.
pub fn enabled_sources(setup: &Setup, args: &LoadArgs) -> anyhow::Result<Vec<String>> {
    let (enable, disable) = (&args.enable_source, &args.disable_source);
    let others = setup.plugins().sources().iter().map(|source| source.name.as_str());
    let known: Vec<_> = std::iter::once(SYSCALL).chain(others).collect();
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    if setup.replays() {
        return Ok(owned(known));
    }
    if !enable.is_empty() && !disable.is_empty() {
        bail!("You can not mix --enable-source and --disable-source");
    }
    let is_unknown = |name: &&String| !known.contains(&name.as_str());
    if let Some(unknown) = enable.iter().find(is_unknown) {
        bail!("Attempted enabling an unknown event source: {unknown}");
    }
    if let Some(unknown) = disable.iter().find(is_unknown) {
        bail!("Attempted disabling an unknown event source: {unknown}");
    }
    let is_enabled = |name: &&str| match enable.is_empty() {
        true => !disable.iter().any(|disabled| disabled == name),
        false => enable.iter().any(|enabled| enabled == name),
    };
    let enabled: Vec<_> = known.into_iter().filter(is_enabled).collect();
    if enabled.is_empty() {
        bail!("Must enable at least one event source");
    }
    Ok(owned(enabled))
}

/// Size and number of the kernel's ring buffers.
pub fn buffers(setup: &Setup) -> anyhow::Result<()> {
    let Engine::Live { kmod, settings } = &setup.config().engine else { return Ok(()) };
    let size = settings.ring_size.bytes();
    let megabytes = size >> 20;
    setup.log.info(format_args!(
        "The chosen syscall buffer dimension is: {size} bytes ({megabytes} MBs)"
    ));
    let cpus = peregrine_probe::bpf::online_cpus().context("CPUs of this machine")?;
    let wanted = settings.cpus_for_each_buffer;
    if !kmod && u32::from(wanted) > cpus {
        setup.log.warning(format_args!(
            "you required a buffer every '{wanted}' CPUs but there are only '{cpus}' online CPUs. Falco changed the config to: one buffer every '{cpus}' CPUs"
        ));
    }
    Ok(())
}
