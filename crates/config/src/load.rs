//! From files and `-o` to a configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use peregrine_diagnostics::{COMMAND_LINE, Label, Problem, Source, SourceMap};
use peregrine_yaml::{
    DuplicateKey, Map, Node, Schema, UnknownKey, Value, Violation, duplicate_keys, files_at,
    read_file,
};

use crate::config::Config;
use crate::declare::Setting;
use crate::digest::sha256;
use crate::environment::expand_tree;
use crate::issue::{ConfigCode, ConfigError, ConfigIssue};
use crate::secrets::{Expansion, Expansions, printable, redact_option};
use crate::sections::{Include, Plugin, Strategy};
use crate::{full_schema, overrides, sources, without_effect};

/// Where the configuration begins.
#[derive(Clone, Copy, Debug)]
pub enum Main<'a> {
    /// A file.
    File(&'a Path),
    /// A file with the text that an editor has, and perhaps has not saved.
    Edited(&'a Path, &'a str),
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
    /// Entries of `rules_files` that do not exist: warnings for a run that takes its rules from
    /// there.
    pub absent_rules: Vec<Problem>,
    /// Problems that do not prevent a start: unknown keys, values without effect, doubtful entries.
    pub warnings: Vec<Problem>,
    /// The texts, for [`label`](Self::label).
    sources: SourceMap,
}

impl Loaded {
    /// The place of the value of a key, such as `http_output.url` or `rules[0].disable.tag`. `None`
    /// if it is not set, or not written anywhere.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<Label> {
        let node = overrides::find(&self.printable, key)?;
        // Sections that `-o` made have no place.
        let span = Some(node.span()).filter(|span| span.end.offset > 0)?;
        let (source, span) = self.sources.resolve(span)?;
        Some(Label { source, span })
    }

    /// The plugin `k8smeta`, if it is to be loaded and what is built in serves for it.
    #[must_use]
    pub fn k8smeta(&self) -> Option<&Plugin> {
        self.plugins.iter().find(|plugin| plugin.name == Plugin::K8SMETA && plugin.is_native())
    }

    /// Whether the API server of Kubernetes is asked: by the section of that name, or because the
    /// plugin `k8smeta` would.
    #[must_use]
    pub fn asks_kubernetes(&self) -> bool {
        self.config.kubernetes.enabled || self.k8smeta().is_some()
    }

    /// A warning about a value that changes nothing, with the place of its key.
    #[must_use]
    pub fn no_effect(&self, key: &str, message: impl Into<String>) -> Problem {
        self.at(key, Problem::warning(ConfigCode::NoEffect.name(), message))
    }

    /// A warning about a value that is likely to be wrong, with the place of its key.
    #[must_use]
    pub fn doubtful(&self, key: &str, message: impl Into<String>) -> Problem {
        self.at(key, Problem::warning(ConfigCode::Value.name(), message))
    }

    /// An error about a value, with the place of its key.
    #[must_use]
    pub fn error(&self, key: &str, message: impl Into<String>, help: &str) -> ConfigError {
        let problem = Problem::error(ConfigCode::Value.name(), message).help(help);
        ConfigError::from_problem(self.at(key, problem))
    }

    fn at(&self, key: &str, problem: Problem) -> Problem {
        match self.label(key) {
            Some(label) => problem.at(label),
            None => problem,
        }
    }
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
        Main::File(path) | Main::Edited(path, _) => path.display().to_string(),
        Main::BuiltIn(_) => "default".to_owned(),
    };
    let loaded = loader.load(main, &name, options, deprecated);
    loaded.map_err(|issue| {
        let others = std::mem::take(&mut loader.others);
        let others = others.into_iter().map(|issue| loader.problem(issue)).collect();
        let issue = issue.conceal(&loader.expansions);
        ConfigError::new(issue, &name, &loader.sources).with(others)
    })
}

#[derive(Default)]
struct Loader {
    sources: SourceMap,
    files: BTreeMap<String, ReadFile>,
    warnings: Vec<Problem>,
    /// Departures from the schema, by file: warnings where nothing else is said about the file.
    departures: Vec<(String, ConfigIssue)>,
    /// Errors beside the first one.
    others: Vec<ConfigIssue>,
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
            Main::Edited(path, text) => self.read_bytes(path, text.as_bytes(), &schema)?,
            Main::BuiltIn(text) => sources::read(&mut self.sources, name, text.as_bytes())?,
        };
        for option in options.iter().filter(|option| option.starts_with(INCLUDES)) {
            overrides::apply(&mut root, option, &mut self.sources)?;
        }
        if let Main::File(path) | Main::Edited(path, _) = main {
            self.include_files(&mut root, path, &schema)?;
        }
        if !root.items().is_empty() {
            return Err(rules_file(&root));
        }
        let mut failed = Vec::new();
        for option in options {
            match overrides::apply(&mut root, option, &mut self.sources) {
                Ok(()) => self.warn_of_unknown_override(option, &schema),
                Err(issue) => failed.push(issue),
            }
        }
        let mut failed = failed.into_iter();
        if let Some(first) = failed.next() {
            self.others.extend(failed);
            return Err(first);
        }

        let config = Config::read(&root, "")
            .inspect_err(|first| self.others.extend(other_errors(&root, first)))?;
        let config = config.unwrap_or_default();
        let mut rules = rules_files(&root, &config, deprecated)?;
        let absent: Vec<_> = rules.extract_if(.., |(file, _)| !Path::new(file).exists()).collect();
        let rules = rules.into_iter().map(|(file, _)| file).collect();
        let absent = absent.into_iter().map(|(_, issue)| self.problem(issue)).collect();
        let plugins = chosen_plugins(&config)?;
        for issue in without_effect::find(&root, &config) {
            let warning = self.problem(issue);
            self.warnings.push(warning);
        }
        for (file, issue) in std::mem::take(&mut self.departures) {
            let told =
                |warning: &Problem| warning.labels.iter().any(|label| label.source.name == file);
            if !self.warnings.iter().any(told) {
                let warning = self.problem(issue);
                self.warnings.push(warning);
            }
        }
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(doubtful_entries(&config));
        let files = std::mem::take(&mut self.files);
        let printable = printable(&root, &self.expansions);
        let read_at = SystemTime::now();
        let sources = std::mem::take(&mut self.sources);
        Ok(Loaded {
            config,
            printable,
            tree: root,
            files,
            read_at,
            plugins,
            rules,
            absent_rules: absent,
            warnings,
            sources,
        })
    }

    /// A problem in which values from the environment stand as in the file.
    fn problem(&self, issue: ConfigIssue) -> Problem {
        issue.conceal(&self.expansions).into_problem(&self.sources)
    }

    fn read_file(&mut self, path: &Path, schema: &Schema) -> Result<Node, ConfigIssue> {
        let name = path.display().to_string();
        let bytes = read_file(path).map_err(|error| {
            ConfigIssue::new(
                ConfigCode::FileRead,
                format!("Cannot read config file ({name}): {error}"),
            )
        })?;
        self.read_bytes(path, &bytes, schema)
    }

    fn read_bytes(
        &mut self,
        path: &Path,
        bytes: &[u8],
        schema: &Schema,
    ) -> Result<Node, ConfigIssue> {
        let name = path.display().to_string();
        let mut node = sources::read(&mut self.sources, &name, bytes)?;
        let unset = RefCell::new(Vec::new());
        let variable = |name: &str| {
            let value = std::env::var_os(name);
            if value.is_none() {
                unset.borrow_mut().push(name.to_owned());
            }
            value.map(|value| value.to_string_lossy().into_owned())
        };
        let mut issues: Vec<_> = duplicate_keys(&node).iter().map(duplicate_key).collect();
        expand_tree(&mut node, &variable, &mut |node, written| {
            let value = node.as_str().unwrap_or_default().to_owned();
            self.expansions.record(node.start.offset, Expansion { written, value });
            issues.extend(unset.take().iter().map(|name| unset_variable(name).at(node)));
        });
        let validation = schema.check(&node).into_iter().next().map_or(Ok(()), Err);
        if let Err(violation) = &validation {
            self.departures.push((name.clone(), departure(&node, violation)));
        }
        for key in schema.unknown_keys(&node) {
            issues.extend(unknown_key(&key).map(|issue| issue.at_span(key.span)));
        }
        let warnings: Vec<_> = issues.into_iter().map(|issue| self.problem(issue)).collect();
        self.warnings.extend(warnings);
        self.files.insert(name, ReadFile { validation, sha256: sha256(bytes) });
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
                let problem = issue.into_problem(&self.sources);
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
        let places: Vec<_> = match includes.items() {
            [] => vec![includes.span()],
            items => items.iter().map(Node::span).collect(),
        };
        let includes = Vec::<Include>::read(includes, INCLUDES)?.unwrap_or_default();
        for (Include { path, strategy }, place) in includes.into_iter().zip(places) {
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
            if !path.exists() {
                let issue = without_effect::absent(INCLUDES, path).at_span(place);
                let warning = self.problem(issue);
                self.warnings.push(warning);
            }
            let files = files_at(path, Path::exists)
                .map_err(|error| ConfigIssue::new(ConfigCode::FileRead, error.to_string()))?;
            for file in files {
                let node = self.read_file(&file, schema)?;
                merge(root, node, strategy, &file)?;
            }
        }
        Ok(())
    }
}

/// Errors of other sections than the first one.
fn other_errors(root: &Node, first: &ConfigIssue) -> Vec<ConfigIssue> {
    let section = |(key, value): &(Node, Node)| {
        let entry = vec![(key.clone(), value.clone())];
        let alone = Node { value: Value::Map(Map(entry)), ..root.clone() };
        Config::read(&alone, "").err().filter(|issue| issue != first && issue.has_place())
    };
    root.entries().iter().filter_map(section).collect()
}

/// A list is given as configuration.
fn rules_file(root: &Node) -> ConfigIssue {
    let message = "this is a list, not a map of keys: it seems to be a rules file";
    let first = root.items().first().unwrap_or(root);
    let issue = ConfigIssue::new(ConfigCode::Type, message).at(first);
    issue.help("name it with `-r`, or in `rules_files` of the configuration")
}

/// A departure from the schema, at its place.
fn departure(root: &Node, violation: &Violation) -> ConfigIssue {
    let names = violation.path.split(['[', ']']).filter(|name| !name.is_empty()).skip(1);
    let place = names.fold(root, |node, name| {
        let item = || node.items().get(name.parse::<usize>().ok()?);
        node.get(name).or_else(item).unwrap_or(node)
    });
    let issue = ConfigIssue::new(ConfigCode::NoEffect, violation.message.clone()).at(place);
    issue.help("`peregrine --config-schema --format markdown` describes every key")
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

fn duplicate_key(key: &DuplicateKey) -> ConfigIssue {
    let DuplicateKey { path, first, again } = key;
    let (one, two) = (first.start.line + 1, again.start.line + 1);
    let message = format!(
        "key '{path}' is given twice, in lines {one} and {two}: the one in line {one} counts"
    );
    ConfigIssue::new(ConfigCode::DuplicateKey, message).at_span(*again)
}

fn unset_variable(name: &str) -> ConfigIssue {
    let message = format!("environment variable '{name}' is not set: nothing stands in its place");
    ConfigIssue::new(ConfigCode::NoEffect, message).help("`$${…}` is the text `${…}`")
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

/// The rules files, also by the key's old name, each with what is to be said if it does not exist.
fn rules_files(
    root: &Node,
    config: &Config,
    deprecated: &mut dyn FnMut(&str),
) -> Result<Vec<(String, ConfigIssue)>, ConfigIssue> {
    let mut files = Vec::new();
    let mut add = |key: &str, names: Vec<String>| {
        for (index, name) in names.into_iter().enumerate() {
            let issue = without_effect::absent(key, Path::new(&name));
            let node = overrides::find(root, &format!("{key}[{index}]"));
            files.push((name, node.map_or(issue.clone(), |node| issue.at(node))));
        }
    };
    add("rules_files", config.rules_files.clone());
    if let Some(old) = root.get("rules_file") {
        add("rules_file", Vec::<String>::read(old, "rules_file")?.unwrap_or_default());
        deprecated(
            "Using deprecated config key 'rules_file' (singular form). Please use new 'rules_files' config key (plural form).",
        );
        if root.get("rules_files").is_some() {
            return Err(ConfigIssue::in_file("both 'rules_files' and 'rules_file' keys set")
                .at(old)
                .help("`rules_files` alone will do"));
        }
    }
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
