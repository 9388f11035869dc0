//! Parses the YAML of a file into definitions.

use std::collections::BTreeSet;

use peregrine_alert::Priority;
use peregrine_diagnostics::closest;
use peregrine_yaml::Node;

use crate::decode::{Decoded, Reading, failed};
use crate::define::{Definitions, ListDef, MacroDef, Order, RuleChange, RuleDef, Sources};
use crate::keys::Item;
use crate::{
    Cause, ENGINE_VERSION, Finding, ItemKind, Place, PluginRequirement, Version, exception,
};

const OVERRIDE_AND_APPEND: &str = "Keys 'override' and 'append: true' cannot be used together. Add an \
                                   'append' entry (e.g. 'condition: append') under 'override' instead.";
const APPEND_DEPRECATED: &str = "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: \
                                 append') under 'override' instead.";
const ENABLED_DEPRECATED: &str = "The standalone 'enabled' key usage is deprecated. The correct \
                                  approach requires also a 'replace' entry under the 'override' key \
                                  (i.e. 'enabled: replace').";

/// Reads all documents of a file. Items with errors are reported and skipped.
pub(crate) fn read(
    documents: &[Node],
    file: &Place,
    definitions: &mut Definitions,
    sources: &dyn Sources,
    findings: &mut Vec<Finding>,
) {
    let mut reader = Reader { definitions, sources, findings, at_error: None };
    for document in documents.iter().filter(|document| !document.is_null()) {
        let Some(items) = document.as_seq() else {
            let message = match document.as_map() {
                Some(_) => "Rules content is not yaml array of objects",
                None => "Rules content is not yaml",
            };
            reader.fail(*failed(Cause::NotItems, message, file));
            continue;
        };
        for item in items.iter().filter(|item| !item.is_null()) {
            reader.item(item, file);
        }
    }
    if let Some(kept) = reader.at_error {
        *reader.definitions = kept;
    }
}

struct Reader<'a> {
    definitions: &'a mut Definitions,
    sources: &'a dyn Sources,
    findings: &'a mut Vec<Finding>,
    /// The definitions up to the first error. Later items are only checked for more errors; other
    /// files see none of them, as if reading had stopped.
    at_error: Option<Definitions>,
}

impl Reader<'_> {
    fn item(&mut self, node: &Node, file: &Place) {
        if let Err(error) = self.read_item(node, file) {
            self.fail(*error);
        }
    }

    fn fail(&mut self, error: Finding) {
        self.findings.push(error);
        self.at_error.get_or_insert_with(|| self.definitions.clone());
    }

    fn read_item(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let unknown = || file.inside(ItemKind::RulesContentItem, "", node);
        if node.as_map().is_none() {
            let message =
                "Unexpected element type. Each element should be a yaml associative array.";
            return Err(failed(Cause::ItemNotMapping, message, &unknown()));
        }
        match Item::ALL.into_iter().find(|item| node.get(item.key()).is_some()) {
            Some(Item::EngineVersion) => self.engine_version(node, file),
            Some(Item::PluginVersions) => self.plugin_versions(node, file),
            Some(Item::List) => self.list(node, file),
            Some(Item::Macro) => self.macro_(node, file),
            Some(Item::Rule) => self.rule(node, file),
            None => {
                let message = "Unknown top level item";
                let first = node.entries().first().and_then(|(key, _)| key.as_str());
                let names = Item::ALL.into_iter().map(Item::key);
                let help = first
                    .and_then(|word| closest(word, names))
                    .map(|name| format!("did you mean `{name}`?"));
                let warning = Finding::new(Cause::UnknownItem, message, unknown());
                self.findings.push(warning.help(help));
                Ok(())
            }
        }
    }

    fn engine_version(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let place = file.inside(ItemKind::RequiredEngineVersion, "", node);
        let item = Reading::new(node, place);
        let text: String = item.required(Item::EngineVersion.key())?;
        // A single number is the minor version.
        let minor = item.optional::<u32>(Item::EngineVersion.key()).ok().flatten();
        let version = match minor {
            Some(minor) => Version { minor, ..ENGINE_VERSION },
            None => Version::parse(&text).ok_or_else(|| {
                let message = format!(
                    "Unable to parse engine version '{text}' as a semver string. Expected \
                     \"x.y.z\" semver format."
                );
                item.error(Cause::InvalidEngineVersion, message)
            })?,
        };
        self.definitions.require_engine(version, &item.place)?;
        self.warn_of_unknown_keys(Item::EngineVersion, &item)
    }

    fn plugin_versions(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let key = Item::PluginVersions.key();
        let Some(list) = node.get(key) else { return Ok(()) };
        let place = file.inside(ItemKind::RequiredPluginVersions, "", list);
        let Some(plugins) = list.as_seq() else {
            let message = "Value of required_plugin_versions must be a sequence";
            return Err(failed(Cause::WrongType, message, &place));
        };
        for plugin in plugins {
            let kind = ItemKind::RequiredPluginVersionsEntry;
            let message = "Plugin version must be a mapping";
            let (requirement, entry) = plugin_version(plugin, kind, message, &place)?;
            let mut alternatives = vec![requirement];
            if let Some(others) = plugin.get("alternatives") {
                let Some(others) = others.as_seq() else {
                    let message = "Value of plugin version alternatives must be a sequence";
                    return Err(failed(Cause::WrongType, message, &entry));
                };
                for other in others {
                    let kind = ItemKind::RequiredPluginVersionsAlternative;
                    let message = "Plugin version alternative must be a mapping";
                    alternatives.push(plugin_version(other, kind, message, &entry)?.0);
                }
            }
            self.definitions.require_plugin(alternatives, &entry)?;
        }
        let place = file.inside(ItemKind::RequiredPluginVersions, "", node);
        self.warn_of_unknown_keys(Item::PluginVersions, &Reading::new(node, place))
    }

    fn list(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let (name, item) = named(Item::List, ItemKind::List, node, file)?;
        if name.contains(|c: char| "()\"'=,".contains(c) || c.is_ascii_whitespace()) {
            let message = "List has an invalid name. List names should match a regular expression: \
                           ([^()\"'[:space:]=,]+)";
            self.warn(Cause::InvalidListName, message, &item.place);
        }
        let items = item
            .texts("items")?
            .ok_or_else(|| item.error(Cause::MissingKey, "Item has no mapping for key 'items'"))?;
        let append = self.append_flag(&item)?;
        let overrides = Overrides::read(Item::List, &item)?;
        if append && !overrides.is_empty() {
            return Err(item.error(Cause::OverrideAndAppend, OVERRIDE_AND_APPEND));
        }
        let place = item.place.clone();
        let list = ListDef { name, items, place, order: Order::default() };
        if append || overrides.append.contains("items") {
            self.definitions.append_list(list)?;
        } else {
            self.definitions.define_list(list);
        }
        self.warn_of_unknown_keys(Item::List, &item)
    }

    fn macro_(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let (name, item) = named(Item::Macro, ItemKind::Macro, node, file)?;
        if !is_identifier(&name) {
            let message = "Macro has an invalid name. Macro names should match a regular \
                           expression: ([a-zA-Z]+[a-zA-Z0-9_]*)";
            self.warn(Cause::InvalidMacroName, message, &item.place);
        }
        let condition: String = item.required("condition")?;
        let condition_place = place_of(&item, "condition", ItemKind::MacroCondition);
        let append = self.append_flag(&item)?;
        let overrides = Overrides::read(Item::Macro, &item)?;
        if append && !overrides.is_empty() {
            return Err(item.error(Cause::OverrideAndAppend, OVERRIDE_AND_APPEND));
        }
        let place = item.place.clone();
        let def = MacroDef { name, condition, place, condition_place, order: Order::default() };
        if append || overrides.append.contains("condition") {
            self.definitions.append_macro(def)?;
        } else {
            self.definitions.define_macro(def);
        }
        self.warn_of_unknown_keys(Item::Macro, &item)
    }

    fn rule(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let (name, item) = named(Item::Rule, ItemKind::Rule, node, file)?;
        // An override or append may omit the source of the rule.
        let source = match item.get("source") {
            Some(value) if value.is_null() || value.as_str() == Some("") => String::new(),
            _ => item.optional("source")?.unwrap_or_default(),
        };
        let append = self.append_flag(&item)?;
        let overrides = Overrides::read(Item::Rule, &item)?;
        if append && !overrides.is_empty() {
            return Err(item.error(Cause::OverrideAndAppend, OVERRIDE_AND_APPEND));
        }
        if !overrides.is_empty() {
            self.override_rule(name, source, overrides, &item)?;
        } else if append {
            let condition = item.optional("condition")?;
            let exceptions = match item.get("exceptions") {
                Some(_) => Some(exception::read(&item, true, self.findings)?),
                None => None,
            };
            let change =
                RuleChange { name, source, condition, exceptions, ..RuleChange::default() };
            self.definitions.append_rule(change, &item.place, self.sources)?;
        } else if ["condition", "output", "desc", "priority"].iter().any(|key| item.has(key)) {
            self.define_rule(name, &item)?;
        } else {
            let enabled = item.required("enabled")?;
            self.warn(Cause::DeprecatedEnabled, ENABLED_DEPRECATED, &item.place);
            self.definitions.enable_rule(&name, enabled, &item.place)?;
        }
        self.warn_of_unknown_keys(Item::Rule, &item)
    }

    fn define_rule(&mut self, name: String, item: &Reading<'_>) -> Decoded<()> {
        let condition = item.required("condition")?;
        let output: String = item.required("output")?;
        let description = item.required("desc")?;
        let rule = RuleDef {
            name,
            place: item.place.clone(),
            condition,
            condition_place: place_of(item, "condition", ItemKind::RuleCondition),
            output: output.trim_matches(is_ascii_space).to_owned(),
            output_place: place_of(item, "output", ItemKind::RuleOutput),
            description,
            priority: priority(item)?,
            source: item.optional("source")?.unwrap_or_else(|| "syscall".to_owned()),
            unknown_source: false,
            enabled: item.optional("enabled")?.unwrap_or(true),
            capture: item.optional("capture")?.unwrap_or(false),
            capture_duration: item.optional("capture_duration")?.unwrap_or(0),
            warn_evttypes: item.optional("warn_evttypes")?.unwrap_or(true),
            skip_if_unknown_filter: item.optional("skip-if-unknown-filter")?.unwrap_or(false),
            tags: item.text_set("tags")?,
            exceptions: exception::read(item, false, self.findings)?,
            order: Order::default(),
        };
        self.definitions.define_rule(rule, self.sources, self.findings)
    }

    fn override_rule(
        &mut self,
        name: String,
        source: String,
        overrides: Overrides,
        item: &Reading<'_>,
    ) -> Decoded<()> {
        // Every overridable key that is present must be named exactly once.
        let mut given: BTreeSet<&str> = Item::Rule
            .keys()
            .filter(|key| (key.append || key.replace) && item.has(key.name))
            .map(|key| key.name)
            .collect();
        if !overrides.append.is_empty() {
            let mut take = |key| take(&mut given, &overrides.append, key, "append", item);
            let mut change = RuleChange { name: name.clone(), ..RuleChange::default() };
            self.change_texts(&mut change, &source, true, &mut take, item)?;
            self.definitions.append_rule(change, &item.place, self.sources)?;
        }
        if !overrides.replace.is_empty() {
            let mut take = |key| take(&mut given, &overrides.replace, key, "replace", item);
            let mut change = RuleChange { name, ..RuleChange::default() };
            self.change_texts(&mut change, &source, false, &mut take, item)?;
            if take("priority")? {
                change.priority = Some(priority(item)?);
            }
            if take("capture")? {
                change.capture = Some(item.required("capture")?);
            }
            if take("capture_duration")? {
                change.capture_duration = Some(item.required("capture_duration")?);
            }
            if take("enabled")? {
                change.enabled = Some(item.required("enabled")?);
            }
            if take("warn_evttypes")? {
                change.warn_evttypes = Some(item.required("warn_evttypes")?);
            }
            if take("skip-if-unknown-filter")? {
                change.skip_if_unknown_filter = Some(item.required("skip-if-unknown-filter")?);
            }
            self.definitions.replace_in_rule(change, &item.place, self.sources)?;
        }
        let Some(key) = given.first() else { return Ok(()) };
        let message =
            format!("Unexpected key '{key}': no corresponding entry under 'override' is defined.");
        let help = Some(format!("add `{key}: replace` or `{key}: append` under `override`"));
        let place = place_of_named(item, key);
        Err(Box::new(failed(Cause::KeyWithoutOverride, message, &place).help(help)))
    }

    /// Parses the keys that can be both appended and replaced.
    fn change_texts(
        &mut self,
        change: &mut RuleChange,
        source: &str,
        append: bool,
        take: &mut impl FnMut(&'static str) -> Decoded<bool>,
        item: &Reading<'_>,
    ) -> Decoded<()> {
        if take("condition")? {
            source.clone_into(&mut change.source);
            change.condition = Some(item.required("condition")?);
        }
        if take("exceptions")? {
            change.exceptions = Some(exception::read(item, append, self.findings)?);
        }
        if take("output")? {
            change.output = Some(item.required("output")?);
        }
        if take("desc")? {
            change.description = Some(item.required("desc")?);
        }
        if take("tags")? {
            change.tags = Some(item.text_set("tags")?);
        }
        Ok(())
    }

    fn append_flag(&mut self, item: &Reading<'_>) -> Decoded<bool> {
        let append = item.optional("append")?.unwrap_or(false);
        if append {
            self.warn(Cause::DeprecatedAppend, APPEND_DEPRECATED, &item.place);
        }
        Ok(append)
    }

    fn warn_of_unknown_keys(&mut self, kind: Item, item: &Reading<'_>) -> Decoded<()> {
        for (key, _) in item.node.entries() {
            let name = key_name(key, &item.place)?;
            if kind.find(name).is_none() {
                let message = format!("Unknown key '{name}'. The key will be ignored.");
                let help = closest(name, kind.keys().map(|key| key.name))
                    .map(|name| format!("did you mean `{name}`?"));
                let place = item.place.clone().showing(key);
                let warning = Finding::new(Cause::UnknownKey, message, place);
                self.findings.push(warning.help(help));
            }
        }
        Ok(())
    }

    fn warn(&mut self, cause: Cause, message: &str, place: &Place) {
        self.findings.push(Finding::new(cause, message, place.clone()));
    }
}

/// The content of `override`.
#[derive(Debug, Default)]
struct Overrides {
    append: BTreeSet<String>,
    replace: BTreeSet<String>,
}

impl Overrides {
    fn read(kind: Item, item: &Reading<'_>) -> Decoded<Self> {
        let mut overrides = Self::default();
        let Some(node) = item.get("override") else { return Ok(overrides) };
        if node.as_seq().is_some_and(|items| !items.is_empty()) {
            let message = "the value of 'override' must be a mapping";
            return Err(failed(Cause::OverrideNotMapping, message, &item.place));
        }
        let all = item.place.inside(ItemKind::Override, "", item.node);
        for (key, operation) in node.entries() {
            let name = key_name(key, &all)?;
            let allowed = kind.find(name);
            let place = all.inside(ItemKind::Override, name, key);
            match key_name(operation, &all)? {
                "append" if allowed.is_some_and(|key| key.append) => {
                    overrides.append.insert(name.to_owned());
                }
                "append" => {
                    let message =
                        format!("Key '{name}' cannot be appended to, use 'replace' instead");
                    return Err(failed(Cause::InvalidOverride, message, &place));
                }
                "replace" if allowed.is_some_and(|key| key.replace) => {
                    overrides.replace.insert(name.to_owned());
                }
                "replace" => {
                    let message = format!("Key '{name}' cannot be replaced");
                    let names = kind.keys().filter(|key| key.replace).map(|key| key.name);
                    let help = closest(name, names).map(|name| format!("did you mean `{name}`?"));
                    return Err(Box::new(
                        failed(Cause::InvalidOverride, message, &place).help(help),
                    ));
                }
                other => {
                    let (append, replace) =
                        allowed.map_or((false, false), |key| (key.append, key.replace));
                    let message = format!(
                        "Invalid override operation for key '{name}': '{other}'. Allowed values \
                         are: {}{}",
                        if append { "append " } else { "" },
                        if replace { "replace " } else { "" },
                    );
                    let place = all.inside(ItemKind::ValueFor, name, operation);
                    return Err(failed(Cause::InvalidOverride, message, &place));
                }
            }
        }
        Ok(overrides)
    }

    fn is_empty(&self) -> bool {
        self.append.is_empty() && self.replace.is_empty()
    }
}

/// Whether a key has this override; removes it from the keys that must be named.
fn take(
    given: &mut BTreeSet<&str>,
    overridden: &BTreeSet<String>,
    key: &str,
    how: &str,
    item: &Reading<'_>,
) -> Decoded<bool> {
    if !overridden.contains(key) {
        return Ok(false);
    }
    if !given.remove(key) {
        let message =
            format!("An {how} override for '{key}' was specified but '{key}' is not defined");
        return Err(item.error(Cause::OverrideWithoutKey, message));
    }
    Ok(true)
}

/// The name of an item, and the item with its name as its place.
fn named<'n>(
    item: Item,
    kind: ItemKind,
    node: &'n Node,
    file: &Place,
) -> Decoded<(String, Reading<'n>)> {
    // Without a name the item's own place is used, for errors only.
    let name = match node.get(item.key()).and_then(Node::as_str) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => Reading::new(node, file.inside(kind, "", node)).required(item.key())?,
    };
    let place = file.inside(kind, &name, node);
    Ok((name, Reading::new(node, place)))
}

fn plugin_version(
    node: &Node,
    kind: ItemKind,
    message: &str,
    parent: &Place,
) -> Decoded<(PluginRequirement, Place)> {
    let item = Reading::new(node, parent.inside(kind, "", node));
    if node.as_map().is_none() {
        return Err(item.error(Cause::WrongType, message));
    }
    let name: String = item.required("name")?;
    let item = Reading::new(node, parent.inside(kind, &name, node));
    let version = item.required("version")?;
    Ok((PluginRequirement { name, version }, item.place))
}

fn priority(item: &Reading<'_>) -> Decoded<Priority> {
    let word: String = item.required("priority")?;
    word.parse().map_err(|_| {
        let place = place_of(item, "priority", ItemKind::RulePriority);
        let names = Priority::ALL.map(|priority| priority.name().to_ascii_uppercase());
        let help = closest(&word, names.iter().map(String::as_str)).map_or_else(
            || format!("one of {}", names.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        let error = failed(Cause::InvalidPriority, "Invalid priority", &place);
        Box::new(error.help(Some(help)))
    })
}

/// The place of a value.
fn place_of(item: &Reading<'_>, key: &str, kind: ItemKind) -> Place {
    item.get(key).map_or_else(|| item.place.clone(), |node| item.place.inside(kind, "", node))
}

fn place_of_named(item: &Reading<'_>, key: &str) -> Place {
    match item.get(key) {
        Some(node) => item.place.inside(ItemKind::Override, key, node),
        None => item.place.clone(),
    }
}

/// The text of a key, or of another required scalar.
fn key_name<'n>(node: &'n Node, place: &Place) -> Decoded<&'n str> {
    match node.as_str() {
        Some(name) => Ok(name),
        None if node.is_null() => Ok("null"),
        None => Err(failed(Cause::NotAWord, "bad conversion: a word must stand here", place)),
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_ascii_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}
