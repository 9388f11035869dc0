//! Questions about the program and the machine.

use std::fmt::Write;
use std::fs;
use std::ops::ControlFlow;

use anyhow::bail;
use peregrine_authoring::{Format, events, fields};
use peregrine_config::Engine;
use peregrine_engine::select;

use crate::app::{Session, Step, print};
use crate::version;
use crate::wiring::checks::SYSCALL;

/// The JSON schema of the configuration; as markdown, the page that explains its keys.
pub(crate) fn config_schema(format: Format) -> String {
    if format == Format::Markdown {
        return config_reference();
    }
    format!("{:#}", peregrine_config::json_schema())
}

/// The JSON schema of rules files.
pub(crate) fn rule_schema() -> String {
    format!("{:#}", peregrine_rules::rule_schema())
}

/// Every key of the configuration as a markdown table.
pub(crate) fn config_reference() -> String {
    let mut page = String::from("Key | Default | Meaning\n:---|:---|:---\n");
    for row in peregrine_config::reference() {
        let default =
            if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
        // Writing into a string does not fail.
        let _ = writeln!(page, "`{}` | {default} | {}", row.key, row.about);
    }
    page
}

/// `--list-events`
pub(crate) fn list_events(format: Format) -> String {
    events::listing(format, version::SCHEMA)
}

/// `--list`
pub(crate) fn list_fields(session: &Session) -> Step {
    let Some(source) = &session.options.list else { return Ok(ControlFlow::Continue(())) };
    if !source.is_empty() && source != SYSCALL {
        bail!("Value for --list must be a valid source type");
    }
    let vocabulary = crate::wiring::rules::vocabulary(session);
    print(match session.options.names_only {
        true => fields::names(&vocabulary, session.format),
        false => fields::listing(&vocabulary, session.format, session.options.verbose),
    })?;
    Ok(ControlFlow::Break(()))
}

/// What `-i` prints.
pub(crate) fn ignored_syscalls() -> String {
    let names: String = select::ignored().names().iter().map(|n| format!("- {n}\n")).collect();
    format!("Ignored syscall(s):\n{names}\n")
}

/// Which kernel this is, for the log, where it is the kernel that we watch.
pub(crate) fn tell_system(session: &Session) {
    if let Engine::Live { .. } = session.config().engine {
        match fs::read_to_string("/proc/version") {
            Ok(text) => session.log.info(format_args!("System info: {}", text.trim_end())),
            Err(error) => session.log.info(format_args!("Cannot read /proc/version: {error}")),
        }
    }
}

/// `--version`
pub(crate) fn version(session: &Session) -> Step {
    if !session.options.version {
        return Ok(ControlFlow::Continue(()));
    }
    let json = session.config().json_output;
    print(if json { format!("{}\n", version::json()) } else { version::text() })?;
    Ok(ControlFlow::Break(()))
}

/// `--page-size`
pub(crate) fn page_size(session: &Session) -> Step {
    if !session.options.page_size {
        return Ok(ControlFlow::Continue(()));
    }
    let size = rustix::param::page_size();
    session.log.info(format_args!("Your system page size is: {size} bytes"));
    Ok(ControlFlow::Break(()))
}

/// `--plugin-info`
pub(crate) fn plugin_info(session: &Session) -> Step {
    let Some(wanted) = session.options.plugin_info.as_ref().filter(|name| !name.is_empty()) else {
        return Ok(ControlFlow::Continue(()));
    };
    let mut plugins = session.loaded.plugins.iter();
    match plugins.find(|p| p.name == *wanted || p.library_path.to_str() == Some(wanted)) {
        Some(plugin) if plugin.name == "container" => {
            print(container_info())?;
            Ok(ControlFlow::Break(()))
        }
        Some(plugin) => bail!("plugins are not supported yet: {}", plugin.name),
        None => bail!("can't find plugin and print its info: {wanted}"),
    }
}

/// `--list-plugins`
pub(crate) fn list_plugins(session: &Session) -> Step {
    if !session.options.list_plugins {
        return Ok(ControlFlow::Continue(()));
    }
    let _ = crate::wiring::checks::plugins(session)?;
    let plugins = &session.loaded.plugins;
    let infos: String = plugins.iter().map(|_| container_info()).collect();
    print(format!("{} Plugins Loaded:\n\n{infos}\n", plugins.len()))?;
    Ok(ControlFlow::Break(()))
}

/// What stands for the plugin `container`, in the form that plugins are described in.
fn container_info() -> String {
    format!(
        "Name: container\nDescription: Containers and pods, built into Peregrine\nVersion: {}\n\
         Capabilities: \n  - Field Extraction\n  - Event Parsing\n  - Async Events\n\n",
        version::CONTAINER_PLUGIN
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_of_all_keys_is_current() {
        let page = std::fs::read_to_string("../../docs/configuration.md").unwrap();
        let table = super::config_reference();
        assert!(
            page.ends_with(&table),
            "write it anew: peregrine --config-schema --format markdown"
        );
    }
}
