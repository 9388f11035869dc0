//! Versions, plugins and facts of the machine.

use anyhow::bail;

use peregrine_args::ConfigArgs;
use peregrine_wiring::plugins;
use peregrine_wiring::print::print;
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;

/// `--version`
pub(crate) fn version(args: &ConfigArgs) -> anyhow::Result<()> {
    let setup = Setup::load(args)?;
    let json = setup.config().json_output;
    Ok(print(if json { format!("{}\n", version::json()) } else { version::text() })?)
}

/// `--page-size`
pub(crate) fn page_size(args: &ConfigArgs) -> anyhow::Result<()> {
    let setup = Setup::load(args)?;
    let size = rustix::param::page_size();
    setup.log.info(format_args!("Your system page size is: {size} bytes"));
    Ok(())
}

/// `--plugin-info`
pub(crate) fn plugin(args: &ConfigArgs, wanted: &str) -> anyhow::Result<()> {
    let setup = Setup::load(args)?;
    let mut entries = setup.loaded.plugins.iter();
    let Some(entry) = entries.find(|entry| plugins::is_named(entry, wanted)) else {
        bail!("can't find plugin and print its info: {wanted}")
    };
    let Some(plugin) = plugins::built_in(entry) else {
        bail!("plugins are not supported yet: {}", entry.name)
    };
    let schema = match plugin.init_schema {
        Some(schema) => {
            format!("Init config schema type: JSON\n{schema}\n")
        }
        None => String::new(),
    };
    Ok(print(plugins::description(plugin) + &schema)?)
}
