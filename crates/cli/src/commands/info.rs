//! Versions, plugins and facts of the machine.

use anyhow::bail;

use peregrine_args::ConfigArgs;
use peregrine_config::Plugin;
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
    let mut plugins = setup.loaded.plugins.iter();
    match plugins.find(|p| p.name == wanted || p.library_path.to_str() == Some(wanted)) {
        Some(plugin) => match built_in_plugin(&plugin.name) {
            Some(text) => Ok(print(text)?),
            None => bail!("plugins are not supported yet: {}", plugin.name),
        },
        None => bail!("can't find plugin and print its info: {wanted}"),
    }
}

/// Description of the built-in replacement of a plugin, in the form of plugin descriptions.
pub(crate) fn built_in_plugin(name: &str) -> Option<String> {
    let (what, version) = match name {
        "container" => ("Containers and pods", version::CONTAINER_PLUGIN),
        Plugin::K8SMETA => ("Pods and their owners, from the API server", version::PODS_PLUGIN),
        _ => return None,
    };
    Some(format!(
        "Name: {name}\nDescription: {what}, built into Peregrine\nVersion: {version}\n\
         Capabilities: \n  - Field Extraction\n  - Event Parsing\n  - Async Events\n\n"
    ))
}
