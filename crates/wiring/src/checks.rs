//! Checks before the first event.

use anyhow::{Context, bail};
use peregrine_config::{Engine, Plugin};

use super::setup::Setup;
use peregrine_args::LoadArgs;

/// The one event source that exists without plugins.
pub const SYSCALL: &str = "syscall";

/// Plugins other than the built-in one can't be loaded.
pub fn plugins(setup: &Setup) -> anyhow::Result<()> {
    let built_in = ["container", Plugin::K8SMETA];
    let mut plugins = setup.loaded.plugins.iter();
    let foreign = plugins.find(|plugin| !built_in.contains(&plugin.name.as_str()));
    if let Some(plugin) = foreign {
        bail!(
            "plugins are not supported yet: cannot load '{}' from {} (leave it out of load_plugins)",
            plugin.name,
            plugin.library_path.display()
        );
    }
    Ok(())
}

/// `--enable-source` and `--disable-source`, which a replay ignores.
pub fn sources(setup: &Setup, args: &LoadArgs) -> anyhow::Result<()> {
    let (enable, disable) = (&args.enable_source, &args.disable_source);
    if setup.replays() {
        return Ok(());
    }
    if !enable.is_empty() && !disable.is_empty() {
        bail!("You can not mix --enable-source and --disable-source");
    }
    if let Some(unknown) = enable.iter().find(|source| *source != SYSCALL) {
        bail!("Attempted enabling an unknown event source: {unknown}");
    }
    if let Some(unknown) = disable.iter().find(|source| *source != SYSCALL) {
        bail!("Attempted disabling an unknown event source: {unknown}");
    }
    if !disable.is_empty() {
        bail!("Must enable at least one event source");
    }
    Ok(())
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
