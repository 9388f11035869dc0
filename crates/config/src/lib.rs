//! falco.yaml: one declaration of every key, and the way from files and `-o` options to a
//! [`Config`].
//!
//! The crate reads configuration files and nothing else: it does not know what the settings are
//! used for.
//!
//! ```
//! use peregrine_config::{BUILT_IN_CONFIG, Main, load};
//!
//! let options = ["json_output=true".to_owned()];
//! let loaded = load(Main::BuiltIn(BUILT_IN_CONFIG), &options, &mut |_| ())?;
//! assert!(loaded.config.json_output);
//! # Ok::<(), peregrine_config::ConfigError>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod changes;
mod config;
mod declare;
mod digest;
mod environment;
mod issue;
mod load;
mod outputs_check;
mod overrides;
mod secrets;
mod sections;
mod sources;
mod without_effect;

use peregrine_yaml::{Node, Schema, Value};
use serde_json::{Value as Json, json};

pub use changes::KeyChange;
pub use config::Config;
pub use declare::Row;
pub use digest::sha256;
pub use environment::expand;
pub use issue::{ConfigCode, ConfigError, ConfigIssue};
pub use load::{Loaded, Main, ReadFile, load};
pub use secrets::redact_option;
pub use sections::{
    AppendOutput, BaseSyscalls, Capture, CaptureMode, ClientCertificate, Containers, DropAction,
    DropActions, Engine, ExtraField, FalcoLibs, FileOutput, Files, Hooks, HttpOutput, Include,
    Interval, IntervalError, LibsLogger, LibsSeverity, ListenAddress, LiveSettings, LogFormat,
    LogLevel, Metrics, OtlpCompression, OtlpOutput, OtlpProtocol, OutputsQueue, Plugin, Plugins,
    ProgramOutput, RingSize, RuleMatching, RuleSelection, Scope, Share, Strategy, Switch,
    SyscallEventDrops, SyscallEventTimeouts, Tls, Trust, Webserver, WhenFull,
};

/// The configuration that applies where there is no file.
pub const BUILT_IN_CONFIG: &str = include_str!("../assets/falco.yaml");

use declare::{Definitions, Setting};

/// JSON schema of Falco's keys. Tools compare it with Falco's own, so Peregrine's additions are
/// left out.
pub fn json_schema() -> Json {
    let mut schema = full_schema().json().clone();
    if let Some(definitions) = schema.get_mut("definitions").and_then(Json::as_object_mut) {
        let mut gone = Vec::new();
        for definition in definitions.values_mut() {
            let properties = definition.get_mut("properties").and_then(Json::as_object_mut);
            if let Some(properties) = properties {
                properties.retain(|_, key| {
                    let ours = key.get("$comment").is_some();
                    gone.extend(
                        key.get("$ref").filter(|_| ours).and_then(Json::as_str).map(str::to_owned),
                    );
                    !ours
                });
            }
        }
        definitions.retain(|name, _| !gone.contains(&format!("#/definitions/{name}")));
    }
    schema
}

/// The schema of all keys; those that Falco does not have carry a `$comment`.
fn full_schema() -> Schema {
    let mut definitions = Definitions::new();
    let mut schema = Config::schema(&mut definitions);
    let draft = json!({ "$schema": "http://json-schema.org/draft-06/schema#" });
    declare::extend(&mut schema, draft);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("definitions".to_owned(), definitions.into());
    }
    Schema::new(schema)
}

/// Every key with its default and what it is for.
pub fn reference() -> Vec<Row> {
    let mut rows = Vec::new();
    Config::default().rows("", "", &mut rows);
    rows
}

/// The same as a markdown table.
pub fn reference_page() -> String {
    let mut page = String::from("Key | Default | Meaning\n:---|:---|:---\n");
    for row in reference() {
        let default =
            if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
        page += &format!("`{}` | {default} | {}\n", row.key, row.about);
    }
    page
}

/// A tree on one line, every scalar in double quotes; JSON that is YAML as well.
pub fn dump(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar { text, .. } => Json::from(text.as_str()).to_string(),
        Value::Seq(items) => {
            format!("[{}]", items.iter().map(dump).collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entry = |(key, value): &(Node, Node)| format!("{}: {}", dump(key), dump(value));
            format!("{{{}}}", map.0.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
