//! Plugins as `--list-plugins` and `--plugin-info` print them.

use std::fmt::Write;
use std::path::Path;

use anyhow::bail;
use peregrine_config::Plugin;
use peregrine_event::plugins::UnknownPlugin;
use peregrine_plugin::OpenParam;

use super::built_in::{BuiltIn, built_in};
use super::library::LibraryPlugin;
use super::set::{Kind, LoadedPlugin, Plugins};
use crate::setup::Setup;

/// Description of a plugin, as Falco prints it.
fn description(plugin: &LoadedPlugin) -> String {
    match &plugin.kind {
        Kind::BuiltIn(plugin) => native(plugin),
        Kind::Library(library) => library.description(),
    }
}

/// What `--plugin-info` prints of the plugin with this name or path. One in a library is
/// initialised, as only then it can suggest parameters.
///
/// # Errors
/// When there is no such plugin, or it can't be used.
pub fn info(setup: &Setup, wanted: &str) -> anyhow::Result<String> {
    let is_named = |it: &&Plugin| it.name == wanted || it.library_path == Path::new(wanted);
    let mut entries = setup.loaded.plugins.iter();
    let Some(entry) = entries.find(is_named) else {
        bail!("can't find plugin and print its info: {wanted}")
    };
    if let Some(plugin) = built_in(entry) {
        let schema = plugin.init_schema.map(|it| format!("Init config schema type: JSON\n{it}\n"));
        return Ok(native(plugin) + &schema.unwrap_or_default());
    }
    let library = LibraryPlugin::open(entry)?;
    let mut text = library.description();
    // Writing to a text can't fail, here and below.
    let _ = match library.init_schema() {
        Some(schema) => writeln!(text, "Init config schema type: JSON\n{schema}\n"),
        None => writeln!(
            text,
            "Init config schema type: Not available, plugin does not implement the init config \
             schema functionality\n\n"
        ),
    };
    let Some(params) = library.suggested_params(&setup.load_context(), entry)? else {
        return Ok(text);
    };
    text += match params.is_empty() {
        true => {
            "No suggested open params available: plugin has not been configured, or it does not \
             implement the open params suggestion functionality\n"
        }
        false => "Suggested open params:\n",
    };
    for OpenParam { value, description } in params {
        let _ = match description.is_empty() {
            true => writeln!(text, "{value}"),
            false => writeln!(text, "{value}: {description}"),
        };
    }
    text.push('\n');
    Ok(text)
}

/// How a capture with events of a plugin can be replayed that is not loaded.
pub fn missing(plugin: UnknownPlugin) -> String {
    let UnknownPlugin(id) = plugin;
    match plugin.registered_name() {
        Some(name) => format!(
            "the capture has events of the plugin `{name}` (id {id}): add it to `plugins`, and to \
             `load_plugins` if that is set"
        ),
        None => format!(
            "the capture has events of a plugin with id {id}: add it to `plugins`, and to \
             `load_plugins` if that is set"
        ),
    }
}

/// The plugins, as `--list-plugins` prints them. None is initialised.
///
/// # Errors
/// When a library can't be opened, or two plugins have the same name or id.
pub fn list(setup: &Setup) -> anyhow::Result<String> {
    let plugins = Plugins::open_libraries(&setup.load_context())?;
    let infos: String = plugins.iter().map(description).collect();
    Ok(format!("{} Plugins Loaded:\n\n{infos}\n", plugins.iter().count()))
}

fn native(plugin: &BuiltIn) -> String {
    let BuiltIn { name, version, about, capabilities, .. } = plugin;
    let capabilities: String = capabilities.iter().map(|it| format!("  - {it}\n")).collect();
    format!(
        "Name: {name}\nDescription: {about}\nVersion: {version}\nCapabilities: \n{capabilities}\n"
    )
}
