//! Versions, plugins and facts of the machine.

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
    Ok(print(plugins::info(&setup, wanted)?)?)
}
