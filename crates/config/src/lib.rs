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
mod restart;
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
pub use sections::{Age, Spool, WhenSpoolFull};
pub use sections::{
    AlertFormat, AlertThrottling, AppName, AppendOutput, BaseSyscalls, Batch, BatchForm, Capture,
    CaptureMode, ClientCertificate, Containers, DropAction, DropActions, Encoding, Engine,
    ExtraField, Facility, FalcoLibs, FieldChanges, FileCompression, FileOutput, FileRotation,
    Files, Fsync, Headers, Hooks, HttpExtras, HttpOutput, Include, Interval, IntervalError,
    Kubernetes, LibsLogger, LibsSeverity, ListenAddress, LiveSettings, LogFormat, LogLevel,
    Matchers, Metrics, OldestReader, OutputsQueue, OwnPluginKeys, OwnStdoutKeys, OwnSyslogKeys,
    Plugin, Plugins, Presentation, ProgramOutput, Renames, Retries, RingSize, RuleMatching,
    RuleSelection, Scope, Select, Share, StdoutOutput, Strategy, SyscallEventDrops,
    SyscallEventTimeouts, SyslogAddress, SyslogForm, SyslogFraming, SyslogOutput, Tls, Trust,
    Webserver, WhenClosed, WhenFull,
};
pub use sections::{
    KafkaCompression, KafkaOutput, KafkaSasl, NatsLogin, NatsOutput, SaslMechanism,
};
pub use sections::{OtlpBatch, OtlpKeys, OtlpOutput, OtlpProtocol, TlsKeys};

/// The configuration that applies where there is no file.
pub const BUILT_IN_CONFIG: &str = include_str!("../assets/falco.yaml");

use declare::{Definitions, Setting, extend};

/// JSON schema of Falco's keys. Tools compare it with Falco's own, so Peregrine's additions are
/// left out.
pub fn json_schema() -> Json {
    let mut schema = full_schema().json().clone();
    remove_ours(&mut schema);
    share_outputs(&mut schema);
    require_libraries(&mut schema);
    let Some(Json::Object(definitions)) = schema.get_mut("definitions").map(Json::take) else {
        return schema;
    };
    // Those that only our keys refer to go with them.
    let mut used = Definitions::new();
    let mut referring = vec![schema.clone()];
    while let Some(part) = referring.pop() {
        for name in references(&part) {
            if let Some(mut definition) = definitions.get(name).cloned()
                && !used.contains_key(name)
            {
                remove_ours(&mut definition);
                used.insert(name.to_owned(), definition.clone());
                referring.push(definition);
            }
        }
    }
    extend(&mut schema, json!({ "definitions": used }));
    schema
}

/// Removes the properties that Falco does not have.
fn remove_ours(schema: &mut Json) {
    if let Some(Json::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|_, key| key.get("$comment").is_none());
    }
}

/// Without our keys, two outputs are the same to Falco.
fn share_outputs(schema: &mut Json) {
    const SAME: [&str; 2] = ["StdoutOutput", "SyslogOutput"];
    match schema {
        Json::Object(map) => {
            for name in SAME {
                if let Some(mut same) = map.remove(name) {
                    extend(&mut same, json!({ "title": "Output" }));
                    map.insert("Output".to_owned(), same);
                }
            }
            map.values_mut().for_each(share_outputs);
        }
        Json::String(text) if SAME.iter().any(|it| text.strip_prefix(DEFINITIONS) == Some(it)) => {
            *text = format!("{DEFINITIONS}Output");
        }
        _ => {}
    }
}

/// To Falco, no plugin is built in.
fn require_libraries(schema: &mut Json) {
    if let Some(required) = schema.pointer_mut("/definitions/Plugin/required") {
        *required = json!(["library_path", "name"]);
    }
}

/// What a reference to a definition begins with.
const DEFINITIONS: &str = "#/definitions/";

/// Names of the definitions that a schema refers to.
fn references(schema: &Json) -> Vec<&str> {
    match schema {
        Json::Object(map) => {
            let name = map.get("$ref").and_then(Json::as_str);
            let name = name.and_then(|name| name.strip_prefix(DEFINITIONS));
            name.into_iter().chain(map.values().flat_map(references)).collect()
        }
        Json::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// The schema of all keys; those that Falco does not have carry a `$comment`.
fn full_schema() -> Schema {
    let mut definitions = Definitions::new();
    let mut schema = Config::schema(&mut definitions);
    let draft = json!({ "$schema": "http://json-schema.org/draft-06/schema#" });
    extend(&mut schema, draft);
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
