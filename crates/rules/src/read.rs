//! Parses the YAML of a file into definitions.

use std::collections::BTreeSet;

use peregrine_alert::Priority;
use peregrine_yaml::Node;

use crate::decode::{Decoded, Reading, failed, key_name};
use crate::define::{Definitions, ListDef, MacroDef, Order, RuleChange, RuleDef, Sources};
use crate::keys::{Item, is_ascii_space, is_identifier};
use crate::overrides::{Overrides, take};
use crate::result::Explained;
use crate::{
    Cause, ENGINE_VERSION, ErrorCode, Finding, ItemKind, Place, PluginRequirement, Version,
    exception, foreign, hints, syntax,
};

/// Keys that every rule has.
const REQUIRED: [&str; 4] = ["condition", "output", "desc", "priority"];

const OVERRIDE_AND_APPEND: &str = "Keys 'override' and 'append: true' cannot be used together. Add an \
                                   'append' entry (e.g. 'condition: append') under 'override' instead.";
const APPEND_DEPRECATED: &str = "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: \
                                 append') under 'override' instead.";
const ENABLED_DEPRECATED: &str = "The standalone 'enabled' key usage is deprecated. The correct \
                                  approach requires also a 'replace' entry under the 'override' key \
                                  (i.e. 'enabled: replace').";

/// What a file holds.
pub(crate) struct Items<'a> {
    pub(crate) documents: &'a [Node],
    pub(crate) file: &'a Place,
    /// Names of items that can't be read.
    pub(crate) refused: Vec<String>,
}

/// The definitions of a file with errors, which other files don't see.
pub(crate) struct Partial {
    pub(crate) definitions: Definitions,
    pub(crate) refused: Vec<String>,
}

impl Partial {
    /// Whether an error only follows from an item with an error of its own.
    pub(crate) fn causes(&self, error: &Finding) -> bool {
        let explained = error.explained.as_ref().map(|it| it.message.as_str()).unwrap_or_default();
        let names = |name: &String| {
            [format!("'{name}'"), format!("`{name}`")]
                .iter()
                .any(|name| error.message.contains(name) || explained.contains(name))
        };
        self.refused.iter().any(names)
    }
}

/// Reads all documents of a file. Items with errors are reported and skipped.
pub(crate) fn read(
    items: Items<'_>,
    definitions: &mut Definitions,
    sources: &dyn Sources,
    findings: &mut Vec<Finding>,
) -> Option<Partial> {
    let Items { documents, file, refused } = items;
    let has_error = findings.iter().any(Finding::is_error);
    let at_error = has_error.then(|| definitions.clone());
    let mut reader = Reader { definitions, sources, findings, at_error, refused };
    let mut known = 0;
    for document in documents.iter().filter(|document| !document.is_null()) {
        let Some(items) = document.as_seq() else {
            reader.no_items(document, file);
            continue;
        };
        for item in items.iter().filter(|item| !item.is_null()) {
            known += usize::from(Item::of(item).is_some());
            reader.item(item, file);
        }
    }
    if known == 0 && !documents.is_empty() {
        reader.warn_of_foreign_items(documents, file);
    }
    let Reader { definitions, at_error, refused, .. } = reader;
    let kept = at_error?;
    let partial = std::mem::replace(definitions, kept);
    definitions.withhold(&partial);
    Some(Partial { definitions: partial, refused })
}

struct Reader<'a> {
    definitions: &'a mut Definitions,
    sources: &'a dyn Sources,
    findings: &'a mut Vec<Finding>,
    /// The definitions up to the first error. Later items are only checked for more errors; other
    /// files see none of them, as if reading had stopped.
    at_error: Option<Definitions>,
    /// Names of items with errors: errors that follow from them are not reported.
    refused: Vec<String>,
}

impl Reader<'_> {
    fn item(&mut self, node: &Node, file: &Place) {
        if let Err(error) = self.read_item(node, file) {
            self.fail(*error, node);
        }
    }

    fn fail(&mut self, error: Finding, node: &Node) {
        let name = Item::of(node).and_then(|item| node.get(item.key())?.as_str());
        let follows =
            matches!(error.cause, Cause::NoSuchList | Cause::NoSuchMacro | Cause::NoSuchRule)
                && name.is_some_and(|name| self.refused.iter().any(|refused| refused == name));
        if follows {
            return;
        }
        self.refused.extend(name.map(str::to_owned));
        self.findings.push(error);
        self.at_error.get_or_insert_with(|| self.definitions.clone());
    }

    /// A document that is no list of items.
    fn no_items(&mut self, document: &Node, file: &Place) {
        // What a syntax error leaves of a file may be anything.
        if self.findings.iter().any(|finding| finding.wider() == Some(ErrorCode::YamlParse.name()))
        {
            return;
        }
        let message = match document.as_map() {
            Some(_) => "Rules content is not yaml array of objects",
            None => "Rules content is not yaml",
        };
        let text = file.source().text.as_str();
        let error = match foreign::recognise(text, Some(document)) {
            Some(foreign) => {
                syntax::foreign_file(file, Cause::ForeignItems, message, file.clone(), foreign)
            }
            None => syntax::not_items(file, message, document),
        };
        self.fail(error, document);
    }

    /// A list whose items are neither rules, macros nor lists is probably of another program.
    fn warn_of_foreign_items(&mut self, documents: &[Node], file: &Place) {
        let text = file.source().text.as_str();
        let foreign = documents.first().and_then(|it| foreign::recognise(text, Some(it)));
        if let Some(foreign) = foreign.filter(|_| self.at_error.is_none()) {
            let place = file.clone();
            let warning = syntax::foreign_file(file, Cause::NoItems, "", place, foreign);
            self.findings.push(warning);
        }
    }

    fn read_item(&mut self, node: &Node, file: &Place) -> Decoded<()> {
        let unknown = || file.inside(ItemKind::RulesContentItem, "", node);
        if node.as_map().is_none() {
            let message =
                "Unexpected element type. Each element should be a yaml associative array.";
            let help = "an item is a rule, a macro or a list: `- rule: NAME`";
            let error = failed(Cause::ItemNotMapping, message, &unknown());
            return Err(Box::new(error.help(Some(help.to_owned()))));
        }
        match Item::of(node) {
            Some(Item::EngineVersion) => self.engine_version(node, file),
            Some(Item::PluginVersions) => self.plugin_versions(node, file),
            Some(Item::List) => self.list(node, file),
            Some(Item::Macro) => self.macro_(node, file),
            Some(Item::Rule) => self.rule(node, file),
            None => {
                let message = "Unknown top level item";
                let item = Reading::new(node, unknown());
                let (help, fix) = hints::unknown_item(node, &item);
                let first = node.entries().first().map_or(node, |(key, _)| key);
                let place = unknown().showing(first);
                let warning = Finding::new(Cause::UnknownItem, message, place).help(help);
                let word = first.as_str().unwrap_or_default();
                let message =
                    format!("`{word}` begins no rule, macro or list: the item is ignored");
                let explained = Explained { message, fix, ..Explained::default() };
                self.findings.push(warning.explained(explained));
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
                let expected = "Expected \"x.y.z\" semver format.";
                let message = format!(
                    "Unable to parse engine version '{text}' as a semver string. {expected}"
                );
                let error = item.error(Cause::InvalidEngineVersion, message);
                Box::new(error.help(Some(Version::wanted(&text))))
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
            let help = Some("write a list: `[{name: PLUGIN, version: 0.1.0}]`".to_owned());
            return Err(Box::new(failed(Cause::WrongType, message, &place).help(help)));
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
        let Some(items) = item.texts("items")? else {
            let error = item.error(Cause::MissingKey, "Item has no mapping for key 'items'");
            return self.fail_all(Item::List, &item, &["items"], vec![*error]);
        };
        let append = self.append_flag(&item)?;
        let overrides = Overrides::read(Item::List, &item)?;
        if append && !overrides.is_empty() {
            return Err(item.error(Cause::OverrideAndAppend, OVERRIDE_AND_APPEND));
        }
        let place = item.place.clone();
        let list = ListDef { name, items, place, appended: Vec::new(), order: Order::default() };
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
        let condition: String = match item.required("condition") {
            Ok(condition) => condition,
            Err(error) => return self.fail_all(Item::Macro, &item, &["condition"], vec![*error]),
        };
        let condition_place = place_of(&item, "condition", ItemKind::MacroCondition);
        let append = self.append_flag(&item)?;
        let overrides = Overrides::read(Item::Macro, &item)?;
        if append && !overrides.is_empty() {
            return Err(item.error(Cause::OverrideAndAppend, OVERRIDE_AND_APPEND));
        }
        let place = item.place.clone();
        let (condition_parts, order) = Default::default();
        let def = MacroDef { name, condition, place, condition_place, condition_parts, order };
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
            let condition_place = Some(place_of(&item, "condition", ItemKind::RuleCondition));
            let change = RuleChange {
                name,
                source,
                condition,
                condition_place,
                exceptions,
                ..RuleChange::default()
            };
            self.definitions.append_rule(change, &item.place, self.sources)?;
        } else if REQUIRED.iter().any(|key| item.has(key)) {
            return self.define_rule(name, &item);
        } else {
            let enabled = match item.required("enabled") {
                Ok(enabled) => enabled,
                Err(error) => return self.fail_all(Item::Rule, &item, &REQUIRED, vec![*error]),
            };
            self.warn(Cause::DeprecatedEnabled, ENABLED_DEPRECATED, &item.place);
            self.definitions.enable_rule(&name, enabled, &item.place)?;
        }
        self.warn_of_unknown_keys(Item::Rule, &item)
    }

    fn define_rule(&mut self, name: String, item: &Reading<'_>) -> Decoded<()> {
        let mut errors = Vec::new();
        let condition = keep(item.required("condition"), &mut errors);
        let output: Option<String> = keep(item.required("output"), &mut errors);
        let description = keep(item.required("desc"), &mut errors);
        let priority = keep(priority(item), &mut errors);
        let source = keep(item.optional("source"), &mut errors).flatten();
        let enabled = keep(item.optional("enabled"), &mut errors).flatten();
        let capture = keep(item.optional("capture"), &mut errors).flatten();
        let capture_duration = keep(item.optional("capture_duration"), &mut errors).flatten();
        let warn_evttypes = keep(item.optional("warn_evttypes"), &mut errors).flatten();
        let skipped = keep(item.optional("skip-if-unknown-filter"), &mut errors).flatten();
        let tags = keep(item.text_set("tags"), &mut errors);
        let mut warnings = Vec::new();
        let exceptions = match exception::read(item, false, &mut warnings) {
            Ok(exceptions) => exceptions,
            Err(error) => {
                errors.append(&mut warnings);
                errors.push(*error);
                Vec::new()
            }
        };
        let refused = !errors.is_empty();
        if refused {
            self.fail_all(Item::Rule, item, &REQUIRED, errors)?;
        }
        // What a refused rule has is checked all the same, unless it is meant as a change of an
        // earlier rule. Only this file sees it.
        let change = refused && self.definitions.has(Item::Rule, &name);
        let Some(condition) = condition.filter(|_| !change) else { return Ok(()) };
        let output = output.unwrap_or_else(|| "*".to_owned());
        let (description, priority) =
            (description.unwrap_or_default(), priority.unwrap_or(Priority::Debug));
        self.findings.append(&mut warnings);
        let rule = RuleDef {
            name,
            place: item.place.clone(),
            condition,
            condition_place: place_of(item, "condition", ItemKind::RuleCondition),
            condition_parts: Default::default(),
            output: output.trim_matches(is_ascii_space).to_owned(),
            output_place: place_of(item, "output", ItemKind::RuleOutput),
            output_parts: Default::default(),
            description,
            priority,
            source: source.unwrap_or_else(|| "syscall".to_owned()),
            unknown_source: false,
            enabled: enabled.unwrap_or(true),
            capture: capture.unwrap_or(false),
            capture_duration: capture_duration.unwrap_or(0),
            warn_evttypes: warn_evttypes.unwrap_or(true),
            skip_if_unknown_filter: skipped.unwrap_or(false),
            tags: tags.unwrap_or_default(),
            exceptions,
        };
        if refused {
            let _ = self.definitions.define_rule(rule, self.sources, &mut Vec::new());
            return Ok(());
        }
        self.definitions.define_rule(rule, self.sources, self.findings)?;
        self.warn_of_unknown_keys(Item::Rule, item)
    }

    /// Reports all errors of an item, those of missing keys together.
    fn fail_all(
        &mut self,
        kind: Item,
        item: &Reading<'_>,
        required: &[&'static str],
        errors: Vec<Finding>,
    ) -> Decoded<()> {
        let name = item.get(kind.key()).and_then(Node::as_str).unwrap_or_default();
        let exists = self.definitions.has(kind, name);
        let mut first = true;
        for error in errors {
            // Exceptions have keys of their own.
            let own = error.place.steps().len() == item.place.steps().len();
            if error.cause != Cause::MissingKey || !own {
                self.fail(error, item.node);
            } else if std::mem::take(&mut first) {
                for error in hints::missing(kind, item, required, exists, error) {
                    self.fail(error, item.node);
                }
            }
        }
        self.warn_of_unknown_keys(kind, item)
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
            change.condition_place = Some(place_of(item, "condition", ItemKind::RuleCondition));
        }
        if take("exceptions")? {
            change.exceptions = Some(exception::read(item, append, self.findings)?);
        }
        if take("output")? {
            change.output = Some(item.required("output")?);
            change.output_place = Some(place_of(item, "output", ItemKind::RuleOutput));
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
            // A key that is missing under its right name has been reported.
            let reported = |finding: &Finding| {
                let labels = finding.explained.as_ref().map(|it| it.labels.as_slice());
                finding.cause == Cause::MisnamedKey
                    && labels.unwrap_or_default().iter().any(|label| label.span == key.span())
            };
            if kind.find(name).is_none() && !self.findings.iter().any(reported) {
                let message = format!("Unknown key '{name}'. The key will be ignored.");
                let hints::Unknown { help, fix } = hints::unknown_key(kind, name, key, item);
                let place = item.place.clone().showing(key);
                let warning = Finding::new(Cause::UnknownKey, message, place).help(help);
                self.findings.push(warning.explained(Explained { fix, ..Explained::default() }));
            }
        }
        Ok(())
    }

    fn warn(&mut self, cause: Cause, message: &str, place: &Place) {
        self.findings.push(Finding::new(cause, message, place.clone()));
    }
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
        let error = failed(Cause::InvalidPriority, "Invalid priority", &place);
        let value = item.get("priority").unwrap_or(item.node);
        Box::new(hints::priority(*error, &word, value, item))
    })
}

/// The value, or its error among the others.
fn keep<T>(decoded: Decoded<T>, errors: &mut Vec<Finding>) -> Option<T> {
    decoded.map_err(|error| errors.push(*error)).ok()
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
