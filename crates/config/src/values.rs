//! Values of more than one word: enumerations and the entries of lists.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use peregrine_alert::Priority;
use peregrine_telemetry::DropAction;
use peregrine_yaml::{Node, Value};
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, refuse_scalar};
use crate::issue::{ConfigCode, ConfigIssue};
use crate::keys::{EngineKeys, ModernEbpf};

/// Where plugins live that are named by a relative path.
const PLUGINS_DIRECTORY: &str = "/usr/share/falco/plugins/";

/// `log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub Priority);

impl Default for LogLevel {
    fn default() -> Self {
        Self(Priority::Informational)
    }
}

/// How many rules an event may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleMatching {
    /// The first one.
    First,
    /// All.
    All,
}

/// What starts a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMode {
    /// Rules that ask for it.
    Rules,
    /// Every rule.
    AllRules,
}

/// Where system call events come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// The running kernel. `modern_ebpf` and `kmod` come to the same, up to the name in messages.
    Live {
        /// `kmod` was asked for.
        kmod: bool,
        /// Rings and what goes into them.
        settings: ModernEbpf,
    },
    /// A capture file.
    Replay {
        /// Its path; never empty.
        capture_file: PathBuf,
    },
    /// Nowhere: the program only checks things.
    NoDriver,
}

/// How system calls are hooked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooks {
    /// The best way that the kernel takes.
    #[default]
    Auto,
    /// On the functions of those selected.
    PerSyscall,
    /// At the end of all.
    SysExit,
}

/// One of `config_files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// File or directory.
    pub path: String,
    /// How its keys meet those that are there.
    pub strategy: Strategy,
}

/// How the top-level keys of an included file meet those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Lists grow, all else is replaced.
    Append,
    /// Everything is replaced.
    Override,
    /// What is there stays.
    AddOnly,
}

/// One of `rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSelection {
    /// Enable, or disable.
    pub enable: bool,
    /// Rules of this name, which may hold `*`.
    pub rule: Option<String>,
    /// Rules of this tag.
    pub tag: Option<String>,
}

/// One of `append_output`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendOutput {
    /// Only alerts of this source, where it is not empty.
    pub source: String,
    /// Only rules with all of these tags.
    pub tags: BTreeSet<String>,
    /// Only the rule of this name, where it is not empty.
    pub rule: String,
    /// Text to add to the output.
    pub extra_output: String,
    /// Fields to add to JSON.
    pub extra_fields: Vec<ExtraField>,
    /// Add the fields that the vocabulary itself suggests.
    pub suggested_output: bool,
}

/// One of `append_output[].extra_fields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraField {
    /// A field, under its own name.
    Raw(String),
    /// A text with fields in it, under a name of its own.
    Formatted {
        /// The name.
        name: String,
        /// The text.
        format: String,
    },
}

/// `plugins`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins(pub Vec<Plugin>);

/// One of `plugins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Name that `load_plugins` uses.
    pub name: String,
    /// The shared library.
    pub library_path: PathBuf,
    /// What the plugin is given at its start; maps become JSON.
    pub init_config: String,
    /// What it is given when it opens its source.
    pub open_params: String,
}

/// One enumeration: its words, and what to say to another one.
macro_rules! words {
    ($type:ty, $schema:tt, $default:literal, { $($word:literal => $value:expr),+ }, $fold:expr, $fault:expr) => {
        impl Setting for $type {
            fn schema(_: &mut Definitions) -> Json {
                json!($schema)
            }

            fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
                let Some(text) = node.as_str() else { return Ok(None) };
                let fold: fn(&str) -> String = $fold;
                match fold(text).as_str() {
                    $( $word => Ok(Some($value)), )+
                    _ => {
                        let fault: fn(&str) -> ConfigIssue = $fault;
                        Err(fault(text).at(node).help(format!("one of {}", [$($word),+].join(", "))))
                    }
                }
            }

            fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
                rows.push(Row { key: key.into(), default: $default.into(), about: about.into() });
            }
        }
    };
}

words!(
    LogLevel, { "type": "string" }, "info",
    {
        "emergency" => Self(Priority::Emergency), "alert" => Self(Priority::Alert),
        "critical" => Self(Priority::Critical), "error" => Self(Priority::Error),
        "warning" => Self(Priority::Warning), "notice" => Self(Priority::Notice),
        "info" => Self(Priority::Informational), "debug" => Self(Priority::Debug)
    },
    str::to_owned,
    |word| ConfigIssue::new(ConfigCode::Value, format!("Unknown log level {word}"))
);

impl Setting for Priority {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(word) = node.as_str() else { return Ok(None) };
        word.parse().map(Some).map_err(|_| {
            ConfigIssue::new(ConfigCode::Value, format!(
                "Unknown priority \"{word}\"--must be one of emergency, alert, critical, error, warning, notice, informational, debug"
            ))
            .at(node)
        })
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        let default = self.name().to_ascii_lowercase();
        rows.push(Row { key: key.into(), default, about: about.into() });
    }
}

words!(
    DropAction, { "type": "string" }, "ignore",
    { "ignore" => Self::Ignore, "log" => Self::Log, "alert" => Self::Alert, "exit" => Self::Exit },
    str::to_owned,
    |_| ConfigIssue::in_file(
        "available actions for syscall event drops are \"ignore\", \"log\", \"alert\", and \"exit\""
    )
);

words!(
    RuleMatching, { "type": "string" }, "first",
    { "first" => Self::First, "all" => Self::All },
    str::to_ascii_lowercase,
    |word| ConfigIssue::new(ConfigCode::Value, format!(
        "Unknown rule matching strategy \"{word}\"--must be one of first, all"
    ))
);

words!(
    CaptureMode, { "type": "string", "enum": ["rules", "all_rules"] }, "rules",
    { "rules" => Self::Rules, "all_rules" => Self::AllRules },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("capture.mode '{word}' is not a valid mode."))
);

words!(
    Hooks, { "type": "string", "enum": ["auto", "per_syscall", "sys_exit"] }, "auto",
    { "auto" => Self::Auto, "per_syscall" => Self::PerSyscall, "sys_exit" => Self::SysExit },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("engine.modern_ebpf.hooks '{word}' is not a way to hook system calls."))
);

impl Default for Engine {
    fn default() -> Self {
        Self::Live { kmod: true, settings: ModernEbpf::default() }
    }
}

impl Setting for Engine {
    fn schema(definitions: &mut Definitions) -> Json {
        EngineKeys::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(keys) = EngineKeys::read(node, key)? else { return Ok(None) };
        let at = |name: &str| node.get(name).unwrap_or(node);
        Ok(Some(match keys.kind.as_str() {
            "kmod" => {
                let buf_size_preset = keys.kmod.buf_size_preset;
                let drop_failed_exit = keys.kmod.drop_failed_exit;
                let settings =
                    ModernEbpf { buf_size_preset, drop_failed_exit, ..ModernEbpf::default() };
                Self::Live { kmod: true, settings }
            }
            "modern_ebpf" => Self::Live { kmod: false, settings: keys.modern_ebpf },
            "replay" if keys.replay.capture_file.is_empty() => {
                let message =
                    "engine.kind is 'replay' but no engine.replay.capture_file specified.";
                return Err(ConfigIssue::in_file(message).at(at("kind")).help(
                    "name the file: -o engine.replay.capture_file=PATH, or in the configuration",
                ));
            }
            "replay" => Self::Replay { capture_file: keys.replay.capture_file.into() },
            "nodriver" => Self::NoDriver,
            other => {
                return Err(ConfigIssue::in_file(format!(
                    "engine.kind '{other}' is not a valid kind."
                ))
                .at(at("kind"))
                .help("one of modern_ebpf, kmod, replay, nodriver"));
            }
        }))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        EngineKeys::default().rows(key, about, rows);
    }
}

/// Text of a key of a list entry; absent is none.
fn text(node: &Node, key: &str) -> Result<Option<String>, ConfigIssue> {
    match node.get(key) {
        None => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(ConfigIssue::bad_conversion(value).help(format!("`{key}` is a text"))),
        },
    }
}

/// Entries of lists have no row of their own on the reference page: their list describes them.
macro_rules! no_rows {
    () => {
        fn rows(&self, _: &str, _: &str, _: &mut Vec<Row>) {}
    };
}

impl Setting for Include {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "oneOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": {
                    "path": { "type": "string" },
                    "strategy": { "type": "string", "enum": ["append", "override", "add-only"] },
                },
                "required": ["path"],
            },
        ] })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        if let Some(path) = node.as_str() {
            return Ok(Some(Self { path: path.to_owned(), strategy: Strategy::Append }));
        }
        let Some(path) = text(node, "path")? else { return Ok(None) };
        let strategy = match text(node, "strategy")?.as_deref() {
            Some("override") => Strategy::Override,
            Some("add-only") => Strategy::AddOnly,
            _ => Strategy::Append,
        };
        Ok(Some(Self { path, strategy }))
    }

    no_rows!();
}

impl Setting for RuleSelection {
    fn schema(definitions: &mut Definitions) -> Json {
        definitions.insert(
            "Able".to_owned(),
            json!({
                "type": "object", "title": "Able", "additionalProperties": false,
                "minProperties": 1,
                "properties": { "rule": { "type": "string" }, "tag": { "type": "string" } },
            }),
        );
        let able = json!({ "$ref": "#/definitions/Able" });
        definitions.insert(
            "Rule".to_owned(),
            json!({
                "type": "object", "title": "Rule", "additionalProperties": false,
                "minProperties": 1,
                "properties": { "enable": able, "disable": able },
            }),
        );
        json!({ "$ref": "#/definitions/Rule" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        let (enable, what) = match (node.get("enable"), node.get("disable")) {
            (Some(what), _) => (true, what),
            (None, Some(what)) => (false, what),
            (None, None) => return Ok(None),
        };
        let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
        let rule = non_empty(text(what, "rule")?);
        let tag = non_empty(text(what, "tag")?);
        Ok((rule.is_some() || tag.is_some()).then_some(Self { enable, rule, tag }))
    }

    no_rows!();
}

impl Setting for AppendOutput {
    fn schema(definitions: &mut Definitions) -> Json {
        definitions.insert(
            "AppendOutput".to_owned(),
            json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "match": {
                        "type": "object", "additionalProperties": false,
                        "properties": {
                            "source": { "type": "string" },
                            "tags": { "type": "array", "items": { "type": "string" } },
                            "rule": { "type": "string" },
                        },
                    },
                    "extra_output": { "type": "string" },
                    "extra_fields": {
                        "type": "array",
                        "items": { "anyOf": [
                            { "type": "object", "additionalProperties": { "type": "string" } },
                            { "type": "string" },
                        ] },
                    },
                    "suggested_output": { "type": "boolean" },
                },
            }),
        );
        json!({ "$ref": "#/definitions/AppendOutput" })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        if node.as_map().is_none() {
            return Ok(None);
        }
        let mut entry = Self::default();
        if let Some(wanted) = node.get("match") {
            refuse_scalar(wanted, &format!("{key}.match"), "source")?;
            entry.source = text(wanted, "source")?.unwrap_or_default();
            entry.rule = text(wanted, "rule")?.unwrap_or_default();
            for tag in wanted.get("tags").map(Node::items).unwrap_or_default() {
                let Some(tag) = tag.as_str() else { return Ok(None) };
                entry.tags.insert(tag.to_owned());
            }
        }
        entry.extra_output = text(node, "extra_output")?.unwrap_or_default();
        if let Some(fields) = node.get("extra_fields") {
            let Value::Seq(fields) = &fields.value else { return Ok(None) };
            for field in fields {
                match extra_field(field, &entry.extra_fields)? {
                    Some(field) => entry.extra_fields.push(field),
                    None => return Ok(None),
                }
            }
        }
        if let Some(suggested) = node.get("suggested_output") {
            let word = suggested.as_bool();
            entry.suggested_output = word.ok_or_else(|| ConfigIssue::bad_conversion(suggested))?;
        }
        Ok(Some(entry))
    }

    no_rows!();
}

/// A name may be given once, except that a plain field may be repeated.
fn extra_field(node: &Node, before: &[ExtraField]) -> Result<Option<ExtraField>, ConfigIssue> {
    let is_formatted = |known: &ExtraField, new| matches!(known, ExtraField::Formatted { name, .. } if name == new);
    let is_raw = |known: &ExtraField, new| matches!(known, ExtraField::Raw(name) if name == new);
    match (&node.value, node.entries()) {
        (Value::Scalar { text, .. }, _) => {
            let taken = before.iter().any(|known| is_formatted(known, text));
            Ok((!taken).then(|| ExtraField::Raw(text.clone())))
        }
        (_, [(name, format)]) => {
            let text = |node: &Node| node.as_str().map(str::to_owned);
            let name = text(name).ok_or_else(|| ConfigIssue::bad_conversion(name))?;
            let format = text(format).ok_or_else(|| ConfigIssue::bad_conversion(format))?;
            let taken = before.iter().any(|old| is_formatted(old, &name) || is_raw(old, &name));
            Ok((!taken).then_some(ExtraField::Formatted { name, format }))
        }
        _ => Ok(None),
    }
}

impl Setting for Plugins {
    fn schema(definitions: &mut Definitions) -> Json {
        definitions.insert(
            "Plugin".to_owned(),
            json!({
                "type": "object", "title": "Plugin", "additionalProperties": false,
                "required": ["library_path", "name"],
                "properties": {
                    "name": { "type": "string" },
                    "library_path": { "type": "string" },
                    "init_config": { "anyOf": [
                        { "type": "object" }, { "type": "string" }, { "type": "null" },
                    ] },
                    "open_params": { "type": "string" },
                },
            }),
        );
        json!({ "type": "array", "items": { "$ref": "#/definitions/Plugin" } })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        let plugins = match &node.value {
            Value::Seq(items) => items.as_slice(),
            Value::Scalar { .. } => std::slice::from_ref(node),
            Value::Null | Value::Map(_) => &[],
        };
        let plugins = plugins.iter().map(plugin).collect::<Result<_, _>>();
        plugins
            .map(|plugins| Some(Self(plugins)))
            .map_err(|fault| fault.within("could not load plugins config"))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        Vec::<String>::new().rows(key, about, rows);
    }
}

fn plugin(node: &Node) -> Result<Plugin, ConfigIssue> {
    let (Some(name), Some(path)) = (text(node, "name")?, text(node, "library_path")?) else {
        return Err(ConfigIssue::bad_conversion(node).help("a map with `name` and `library_path`"));
    };
    let path_node = node.get("library_path").unwrap_or(node);
    let library_path = plugin_path(&path).ok_or_else(|| {
        ConfigIssue::new(ConfigCode::Value, format!(
            "{}: plugin library_path '{path}' resolves outside the plugins directory ({PLUGINS_DIRECTORY})",
            ConfigIssue::place(path_node.start)
        ))
        .at(path_node)
        .help("a relative path stays inside the directory of plugins; an absolute one is free")
    })?;
    let optional = |key| match node.get(key) {
        Some(value) if value.is_null() => Ok(String::new()),
        Some(value) if value.as_map().is_some() => Ok(to_json(value).to_string()),
        _ => text(node, key).map(Option::unwrap_or_default),
    };
    let open_params = optional("open_params")?.trim().to_owned();
    Ok(Plugin { name, library_path, init_config: optional("init_config")?, open_params })
}

/// Absolute paths as they are, relative ones inside the directory of plugins; `None` where they leave it.
fn plugin_path(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    if path.as_os_str().is_empty() || path.has_root() {
        return Some(path.to_owned());
    }
    let mut whole = PathBuf::new();
    for part in Path::new(PLUGINS_DIRECTORY).join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole.starts_with(PLUGINS_DIRECTORY).then_some(whole)
}

/// A value as plugins get it: what looks like a number or a boolean is one.
fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Seq(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => {
            let entry = |(key, value): &(Node, Node)| {
                (key.as_str().unwrap_or_default().to_owned(), to_json(value))
            };
            Json::Object(map.0.iter().map(entry).collect())
        }
        Value::Scalar { text, .. } => {
            let integer = node.as_i64().map(Json::from);
            let number = || node.as_f64().map(Json::from);
            let boolean = || node.as_bool().map(Json::from);
            integer.or_else(number).or_else(boolean).unwrap_or_else(|| text.clone().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_paths_stay_inside() {
        let inside = |path| plugin_path(path).map(|path| path.display().to_string());
        assert_eq!(inside("libk.so").as_deref(), Some("/usr/share/falco/plugins/libk.so"));
        assert_eq!(inside("a/../b/./c.so").as_deref(), Some("/usr/share/falco/plugins/b/c.so"));
        assert_eq!(inside("/opt/x.so").as_deref(), Some("/opt/x.so"));
        assert_eq!(inside("../plugins/x.so").as_deref(), Some("/usr/share/falco/plugins/x.so"));
        assert_eq!(inside("a/../../x.so"), None);
    }
}
