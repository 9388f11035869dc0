//! `plugins`: shared libraries to load.

use std::path::{Component, Path, PathBuf};

use peregrine_yaml::{Node, Value};
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, IgnoredValue, Row, Setting, text};
use crate::issue::{ConfigCode, ConfigIssue};

/// Where plugins live that are named by a relative path.
const PLUGINS_DIRECTORY: &str = "/usr/share/falco/plugins/";

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
    /// Whether what is built in serves in place of the library, where there is such a thing: see
    /// [`is_native`](Self::is_native).
    pub native: Option<bool>,
    /// Settings that only what is built in has.
    pub own: OwnPluginKeys,
}

/// `peregrine` of one of `plugins`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPluginKeys {
    /// Authorities of the clients of a webhook.
    pub client_ca: Option<PathBuf>,
    /// Token that the clients of a webhook send.
    pub bearer_token: Option<String>,
    /// File with that token.
    pub bearer_token_file: Option<PathBuf>,
}

impl Plugin {
    /// Names of the plugins that are built in.
    pub const BUILT_IN: [&str; 4] = [Self::CONTAINER, "json", "k8saudit", Self::K8SMETA];

    /// Name of the plugin whose fields container runtimes supply.
    pub const CONTAINER: &str = "container";

    /// Name of the plugin whose fields the API server of Kubernetes supplies.
    pub const K8SMETA: &str = "k8smeta";

    /// Whether what is built in serves in place of the library. Unless the configuration says so,
    /// that is the case for `container`, and for the others if there is no library at their path.
    #[must_use]
    pub fn is_native(&self) -> bool {
        let default = || self.name == Self::CONTAINER || !self.library_path.is_file();
        Self::BUILT_IN.contains(&self.name.as_str()) && self.native.unwrap_or_else(default)
    }
}

impl Setting for Plugins {
    fn schema(definitions: &mut Definitions) -> Json {
        definitions.insert(
            "Plugin".to_owned(),
            json!({
                "type": "object", "title": "Plugin", "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": { "type": "string" },
                    "library_path": { "type": "string" },
                    "init_config": { "anyOf": [
                        { "type": "object" }, { "type": "string" }, { "type": "null" },
                    ] },
                    "open_params": { "type": "string" },
                    "native": { "type": "boolean", "$comment": "Peregrine" },
                    "peregrine": {
                        "type": "object", "$comment": "Peregrine", "additionalProperties": false,
                        "properties": {
                            "client_ca": { "type": "string" },
                            "bearer_token": { "type": "string" },
                            "bearer_token_file": { "type": "string" },
                        },
                    },
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
            .map_err(|issue| issue.within("could not load plugins config"))
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        if !node.entries().is_empty() {
            found.push(IgnoredValue::new(node, key));
        }
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        Vec::<String>::new().rows(key, about, rows);
    }
}

fn plugin(node: &Node) -> Result<Plugin, ConfigIssue> {
    let lacks = || ConfigIssue::bad_conversion(node).help("a map with `name` and `library_path`");
    let name = text(node, "name")?.ok_or_else(lacks)?;
    let native = match node.get("native") {
        Some(value) => Some(value.as_bool().ok_or_else(|| ConfigIssue::bad_conversion(value))?),
        None => None,
    };
    let built_in = native != Some(false) && Plugin::BUILT_IN.contains(&name.as_str());
    let path = match text(node, "library_path")? {
        Some(path) => path,
        None if built_in => String::new(),
        None => return Err(lacks()),
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
    let init_config = optional("init_config")?;
    let own = node.get("peregrine").map_or_else(|| Ok(OwnPluginKeys::default()), own_keys)?;
    Ok(Plugin { name, library_path, init_config, open_params, native, own })
}

fn own_keys(node: &Node) -> Result<OwnPluginKeys, ConfigIssue> {
    Ok(OwnPluginKeys {
        client_ca: text(node, "client_ca")?.map(PathBuf::from),
        bearer_token: text(node, "bearer_token")?,
        bearer_token_file: text(node, "bearer_token_file")?.map(PathBuf::from),
    })
}

/// Absolute paths as they are, relative ones inside the directory of plugins; `None` where they
/// leave it.
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
