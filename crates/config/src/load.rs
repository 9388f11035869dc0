//! From files and `-o` to a configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use peregrine_diagnostics::{Label, Problem, Source, SourceMap};
use peregrine_yaml::{Map, Node, Schema, UnknownKey, Value, Violation, files_at};

use crate::config::Config;
use crate::declare::Setting;
use crate::digest::sha256;
use crate::environment::expand_tree;
use crate::issue::{ConfigCode, ConfigError, ConfigIssue};
use crate::overrides::COMMAND_LINE;
use crate::secrets::{Expansion, Expansions, printable, redact_option};
use crate::sections::{Include, Plugin, Strategy};
use crate::{full_schema, overrides, sources};

/// Where the configuration begins.
#[derive(Clone, Copy, Debug)]
pub enum Main<'a> {
    /// A file.
    File(&'a Path),
    /// A built-in text, if there is no file.
    BuiltIn(&'a str),
}

/// A configuration and everything that loading it yields.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The keys.
    pub config: Config,
    /// The tree they were read from, all files and options in it, as it may be shown: variables of
    /// the environment by their names, and without secrets.
    pub printable: Node,
    /// The same tree as it was read.
    pub(crate) tree: Node,
    /// Files that went into it, by name.
    pub files: BTreeMap<String, ReadFile>,
    /// When they were read.
    pub read_at: SystemTime,
    /// The plugins that are to be loaded, in order.
    pub plugins: Vec<Plugin>,
    /// Rules files and directories that exist, in order.
    pub rules: Vec<String>,
    /// Problems that do not prevent a start: unknown keys, doubtful entries.
    pub warnings: Vec<Problem>,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct ReadFile {
    /// The first departure from the schema, if there is one.
    pub validation: Result<(), Violation>,
    /// SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
}

/// Name of the key that includes files.
const INCLUDES: &str = "config_files";

/// Reads a configuration: the main file, those it includes, then the options, the last of which is
/// the strongest.
///
/// `deprecated` is called at once, not with the other warnings: its line also precedes an error.
pub fn load(
    main: Main<'_>,
    options: &[String],
    deprecated: &mut dyn FnMut(&str),
) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::default();
    let name = match main {
        Main::File(path) => path.display().to_string(),
        Main::BuiltIn(_) => "default".to_owned(),
    };
    let loaded = loader.load(main, &name, options, deprecated);
    loaded.map_err(|issue| {
        let issue = issue.conceal(&loader.expansions);
        ConfigError::new(issue, &name, &loader.sources)
    })
}

#[derive(Default)]
struct Loader {
    sources: SourceMap,
    files: BTreeMap<String, ReadFile>,
    warnings: Vec<Problem>,
    expansions: Expansions,
}

impl Loader {
    fn load(
        &mut self,
        main: Main<'_>,
        name: &str,
        options: &[String],
        deprecated: &mut dyn FnMut(&str),
    ) -> Result<Loaded, ConfigIssue> {
        let schema = full_schema();
        let mut root = match main {
            Main::File(path) => self.read_file(path, &schema)?,
            Main::BuiltIn(text) => sources::read(&mut self.sources, name, text.as_bytes())?,
        };
        for option in options.iter().filter(|option| option.starts_with(INCLUDES)) {
            overrides::apply(&mut root, option, &mut self.sources)?;
        }
        if let Main::File(path) = main {
            self.include_files(&mut root, path, &schema)?;
        }
        for option in options {
            overrides::apply(&mut root, option, &mut self.sources)?;
            self.warn_of_unknown_override(option, &schema);
        }

        let config = Config::read(&root, "")?.unwrap_or_default();
        let rules = rules_files(&root, &config, deprecated)?;
        let plugins = chosen_plugins(&config)?;
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(doubtful_entries(&config));
        let files = std::mem::take(&mut self.files);
        let printable = printable(&root, &self.expansions);
        let read_at = SystemTime::now();
        Ok(Loaded { config, printable, tree: root, files, read_at, plugins, rules, warnings })
    }

    fn read_file(&mut self, path: &Path, schema: &Schema) -> Result<Node, ConfigIssue> {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| {
            ConfigIssue::new(
                ConfigCode::FileRead,
                format!("Cannot read config file ({name}): {error}"),
            )
        })?;
        let mut node = sources::read(&mut self.sources, &name, &bytes)?;
        let variable =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        expand_tree(&mut node, &variable, &mut |node, written| {
            let value = node.as_str().unwrap_or_default().to_owned();
            self.expansions.record(node.start.offset, Expansion { written, value });
        });
        let validation = schema.check(&node).into_iter().next().map_or(Ok(()), Err);
        for key in schema.unknown_keys(&node) {
            if let Some(issue) = unknown_key(&key) {
                let issue = issue.at_span(key.span);
                self.warnings.push(issue.into_problem(&name, &self.sources));
            }
        }
        self.files.insert(name, ReadFile { validation, sha256: sha256(&bytes) });
        Ok(node)
    }

    /// Options are not validated against the schema, but their keys are looked up in it.
    fn warn_of_unknown_override(&mut self, option: &str, schema: &Schema) {
        let mut alone = Node::nowhere(Value::Null);
        // An index into a list fails here: the item it needs is in the tree. Then the key is known.
        let _ = overrides::apply(&mut alone, option, &mut SourceMap::default());
        let written = option.split_once('=').map_or(option.len(), |(key, _)| key.len());
        for key in schema.unknown_keys(&alone) {
            if let Some(issue) = unknown_key(&key) {
                let problem = issue.into_problem(COMMAND_LINE, &self.sources);
                let source = Arc::new(Source::new(COMMAND_LINE, redact_option(option)));
                self.warnings.push(problem.at(Label::bytes(source, 0..written)));
            }
        }
    }

    fn include_files(
        &mut self,
        root: &mut Node,
        main: &Path,
        schema: &Schema,
    ) -> Result<(), ConfigIssue> {
        crate::declare::refuse_scalar(root, "", INCLUDES)?;
        let Some(includes) = root.get(INCLUDES) else { return Ok(()) };
        let includes = Vec::<Include>::read(includes, INCLUDES)?.unwrap_or_default();
        for Include { path, strategy } in includes {
            let path = Path::new(&path);
            if path == main {
                return Err(ConfigIssue::new(
                    ConfigCode::Include,
                    format!(
                        "Config error: '{INCLUDES}' directive tried to recursively include main config file: {}.",
                        main.display()
                    ),
                ));
            }
            // A path that does not exist yet includes nothing.
            let files = files_at(path, Path::is_file)
                .map_err(|error| ConfigIssue::new(ConfigCode::FileRead, error.to_string()))?;
            for file in files {
                let node = self.read_file(&file, schema)?;
                merge(root, node, strategy, &file)?;
            }
        }
        Ok(())
    }
}

/// The warning of a key that no section declares. `rules_file` has a warning of its own.
fn unknown_key(key: &UnknownKey) -> Option<ConfigIssue> {
    if key.path == "rules_file" {
        return None;
    }
    let message = format!("unknown key '{}'", key.path);
    let issue = ConfigIssue::new(ConfigCode::UnknownKey, message);
    Some(match &key.nearest {
        Some(nearest) => issue.help(format!("did you mean `{nearest}`?")),
        None => issue,
    })
}

/// Merges the top-level keys of a file. Sections are replaced as a whole.
fn merge(
    root: &mut Node,
    included: Node,
    strategy: Strategy,
    file: &Path,
) -> Result<(), ConfigIssue> {
    let Value::Map(included) = included.value else { return Ok(()) };
    let mut map = match std::mem::replace(&mut root.value, Value::Null) {
        Value::Map(map) => map,
        _ => Map::default(),
    };
    for (key, value) in included.0 {
        if key.as_str() == Some(INCLUDES) {
            let message = format!(
                "Config error: '{INCLUDES}' directive in included config file {}.",
                file.display()
            );
            return Err(ConfigIssue::new(ConfigCode::Include, message).at(&key));
        }
        let known = map.0.iter_mut().find(|(known, _)| known.value == key.value);
        match (known, strategy) {
            (None, _) => map.0.push((key, value)),
            (Some(_), Strategy::AddOnly) => {}
            (Some((_, known)), Strategy::Override) => *known = value,
            (Some((_, known)), Strategy::Append) => match (&mut known.value, value) {
                (Value::Seq(items), Node { value: Value::Seq(more), .. }) => items.extend(more),
                (_, value) => *known = value,
            },
        }
    }
    root.value = Value::Map(map);
    Ok(())
}

/// The rules files that exist, also by the key's old name.
fn rules_files(
    root: &Node,
    config: &Config,
    deprecated: &mut dyn FnMut(&str),
) -> Result<Vec<String>, ConfigIssue> {
    let mut files = config.rules_files.clone();
    if let Some(old) = root.get("rules_file") {
        files.extend(Vec::<String>::read(old, "rules_file")?.unwrap_or_default());
        deprecated(
            "Using deprecated config key 'rules_file' (singular form). Please use new 'rules_files' config key (plural form).",
        );
        if root.get("rules_files").is_some() {
            return Err(ConfigIssue::in_file("both 'rules_files' and 'rules_file' keys set")
                .at(old)
                .help("`rules_files` alone will do"));
        }
    }
    files.retain(|file| Path::new(file).exists());
    Ok(files)
}

fn chosen_plugins(config: &Config) -> Result<Vec<Plugin>, ConfigIssue> {
    let configured = &config.plugins.0;
    let Some(names) = &config.load_plugins else { return Ok(configured.clone()) };
    let find = |name: &String| {
        let plugin = configured.iter().find(|plugin| plugin.name == *name);
        plugin.cloned().ok_or_else(|| {
            ConfigIssue::new(
                ConfigCode::Value,
                format!("Cannot load plugin '{name}': plugin config not found for given name"),
            )
        })
    };
    names.iter().map(find).collect()
}

fn doubtful_entries(config: &Config) -> Vec<Problem> {
    let doubtful = config
        .append_output
        .iter()
        .filter(|entry| !entry.rule.is_empty() && !entry.tags.is_empty());
    doubtful
        .map(|entry| {
            let rule = &entry.rule;
            let tags = entry.tags.iter().cloned().collect::<Vec<_>>().join(", ") + ",";
            // The misspelt word is part of the line that people search their logs for.
            let message = format!(
                "An append_ouptut entry specifies both a rule ({rule}) and a list of tags ({tags}). This means that output will be appended only to the {rule} rule and only if it has all the tags: {tags}."
            );
            Problem::warning(ConfigCode::Value.name(), message)
        })
        .collect()
}
