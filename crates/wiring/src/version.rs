//! Versions: Peregrine's own, and those that rules, plugins and tools require.

use std::path::PathBuf;

use peregrine_config::redact_option;
use peregrine_rules::Version;
use serde_json::{Value, json};

/// The build of Falco whose behaviour this program has, as its own version lines name it.
pub const FALCO: &str = "0.45.0-main-13074749";
/// Version of the rules language and its fields, as `required_engine_version` names it.
pub const ENGINE: &str = "0.63.0";
/// Minor part of [`ENGINE`], for old tools that read only that.
pub const ENGINE_MINOR: &str = "63";
/// Version of the interface to plugins.
pub const PLUGIN_API: &str = "3.12.0";
/// Version of the interface to the kernel side.
pub const DRIVER_API: &str = "10.1.0";
/// Version of the event tables.
pub const SCHEMA: &str = "4.5.1";
/// Version of the plugin `container` whose fields are built in, for rules that require it.
pub const CONTAINER_PLUGIN: Version = Version { major: 0, minor: 7, patch: 1 };
/// The same for the plugin `k8smeta`.
pub const PODS_PLUGIN: Version = Version { major: 0, minor: 4, patch: 1 };
/// Peregrine's version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// The name under which the program was started.
pub fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    path.file_name().map_or("peregrine".into(), |name| name.to_string_lossy()).into_owned()
}

/// The command line, as it was typed but for secrets.
pub fn command_line() -> String {
    let shown = |word: &str| match word.strip_prefix("--option=") {
        Some(option) => format!("--option={}", redact_option(option)),
        None => redact_option(word),
    };
    let words = std::env::args_os().map(|word| shown(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

/// Versions as text. Tools parse the labels; Peregrine's version follows Falco's.
pub fn text() -> String {
    format!(
        "Falco version: {FALCO} (Peregrine {OWN})\n\
         Libs version:  {OWN}\n\
         Plugin API:    {PLUGIN_API}\n\
         Engine:        {ENGINE}\n\
         Driver:\n\
         \x20 API version:    {DRIVER_API}\n\
         \x20 Schema version: {SCHEMA}\n\
         \x20 Default driver: {OWN}\n"
    )
}

/// Versions as JSON, with Falco's keys.
pub fn json() -> Value {
    json!({
        "default_driver_version": OWN,
        "driver_api_version": DRIVER_API,
        "driver_schema_version": SCHEMA,
        "engine_version": ENGINE_MINOR,
        "engine_version_semver": ENGINE,
        "falco_version": FALCO,
        "libs_version": OWN,
        "plugin_api_version": PLUGIN_API,
    })
}
