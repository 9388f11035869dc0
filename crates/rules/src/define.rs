//! The definitions of all files read so far, and the effects of redefining, appending and
//! overriding.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_alert::Priority;
use peregrine_diagnostics::closest;

use crate::decode::{Decoded, failed};
use crate::exception::Exception;
use crate::keys::Item;
use crate::text_parts::Parts;
use crate::{Cause, ENGINE_VERSION, Finding, Place, PluginRequirement, Version};

/// Looks up event sources and their fields.
pub(crate) trait Sources {
    fn has(&self, source: &str) -> bool;

    /// A source whose name resembles one that does not exist.
    fn similar(&self, source: &str) -> Option<&str>;

    /// Whether events of the source have a field, or whether a transformer accepts its arguments.
    fn has_field(&self, source: &str, field: &str) -> bool;
}

/// Items by name, in the order of their first definition. An unchanged item keeps its address, also
/// in clones, so the compiler recognises it.
#[derive(Clone, Debug)]
pub(crate) struct Named<T> {
    entries: Vec<Arc<T>>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T: Clone> Named<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.shared(name).map(|entry| &**entry)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let at = self.position(name)?;
        self.entries.get_mut(at).map(Arc::make_mut)
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Arc<T>> {
        self.entries.iter()
    }

    /// Takes an entry of an earlier state that is the same, so that the compiler recognises it.
    pub(crate) fn adopt(&mut self, earlier: &Self, name: &str) {
        let found = earlier.shared(name).cloned();
        let entry = self.position(name).and_then(|at| self.entries.get_mut(at));
        if let (Some(found), Some(entry)) = (found, entry) {
            *entry = found;
        }
    }

    pub(crate) fn shared(&self, name: &str) -> Option<&Arc<T>> {
        self.position(name).and_then(|at| self.entries.get(at))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Replaces an earlier definition in its place, or appends at the end.
    pub(crate) fn put(&mut self, name: &str, entry: impl Into<Arc<T>>) {
        let entry = entry.into();
        match self.position(name).and_then(|at| self.entries.get_mut(at)) {
            Some(earlier) => *earlier = entry,
            None => {
                self.by_name.insert(name.to_owned(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }
}

/// When an item was defined, and which definitions it can see.
///
/// A redefinition keeps the position of the first definition, but sees everything defined before
/// itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    pub(crate) index: u32,
    pub(crate) visibility: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct ListDef {
    pub(crate) name: String,
    pub(crate) items: Vec<String>,
    pub(crate) place: Place,
    /// Index of the first item that each append brought, and where it stands.
    pub(crate) appended: Appended,
    pub(crate) order: Order,
}

impl ListDef {
    /// The definition or append that an item came with.
    pub(crate) fn place_of(&self, item: usize) -> &Place {
        place_in(&self.appended, item).unwrap_or(&self.place)
    }
}

/// What appends brought: the index of the first value, and the place of the append.
pub(crate) type Appended = Vec<(usize, Place)>;

/// The place of the append that brought a value.
pub(crate) fn place_in(appended: &Appended, value: usize) -> Option<&Place> {
    let after = appended.partition_point(|(from, _)| *from <= value);
    appended.get(after.checked_sub(1)?).map(|(_, place)| place)
}

#[derive(Clone, Debug)]
pub(crate) struct MacroDef {
    pub(crate) name: String,
    pub(crate) condition: String,
    pub(crate) place: Place,
    pub(crate) condition_place: Place,
    pub(crate) condition_parts: Parts,
    pub(crate) order: Order,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleDef {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) condition: String,
    pub(crate) condition_place: Place,
    pub(crate) condition_parts: Parts,
    pub(crate) output: String,
    pub(crate) output_place: Place,
    pub(crate) output_parts: Parts,
    pub(crate) description: String,
    pub(crate) priority: Priority,
    pub(crate) source: String,
    /// No loaded source supplies such events, so the rule is skipped.
    pub(crate) unknown_source: bool,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) enabled: bool,
    pub(crate) capture: bool,
    pub(crate) capture_duration: u32,
    pub(crate) warn_evttypes: bool,
    pub(crate) skip_if_unknown_filter: bool,
}

/// The changes that an override makes to a rule: every key that is present.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleChange {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) condition: Option<String>,
    pub(crate) condition_place: Option<Place>,
    pub(crate) output: Option<String>,
    pub(crate) output_place: Option<Place>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Option<BTreeSet<String>>,
    pub(crate) exceptions: Option<Vec<Exception>>,
    pub(crate) priority: Option<Priority>,
    pub(crate) capture: Option<bool>,
    pub(crate) capture_duration: Option<u32>,
    pub(crate) enabled: Option<bool>,
    pub(crate) warn_evttypes: Option<bool>,
    pub(crate) skip_if_unknown_filter: Option<bool>,
}

/// All definitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) lists: Named<ListDef>,
    pub(crate) macros: Named<MacroDef>,
    pub(crate) rules: Named<RuleDef>,
    /// For each rule the index of the item that has changed it last. Not in the rules: the same
    /// rule may be defined again behind other items.
    changed: Vec<u32>,
    pub(crate) engine_version: Version,
    /// For each requirement its alternatives, the preferred one first.
    pub(crate) plugins: Vec<Vec<PluginRequirement>>,
    /// Items of files that were refused: those with errors, and all after the first one.
    withheld: Vec<(Item, String, Place)>,
    next: u32,
}

impl Definitions {
    /// Whether there is an item of this kind and name.
    pub(crate) fn has(&self, kind: Item, name: &str) -> bool {
        match kind {
            Item::List => self.lists.get(name).is_some(),
            Item::Macro => self.macros.get(name).is_some(),
            Item::Rule => self.rules.get(name).is_some(),
            Item::EngineVersion | Item::PluginVersions => false,
        }
    }

    pub(crate) fn require_engine(&mut self, version: Version, place: &Place) -> Decoded<()> {
        if !ENGINE_VERSION.satisfies(version) {
            let message = format!(
                "Rules require engine version {version}, but engine version is {ENGINE_VERSION}"
            );
            return Err(failed(Cause::EngineVersionTooNew, message, place));
        }
        self.engine_version = self.engine_version.max(version);
        Ok(())
    }

    pub(crate) fn require_plugin(
        &mut self,
        alternatives: Vec<PluginRequirement>,
        place: &Place,
    ) -> Decoded<()> {
        let mut names = BTreeSet::new();
        for PluginRequirement { name, version } in &alternatives {
            if Version::parse(version).is_none() {
                let message = format!("Invalid required version '{version}' for plugin '{name}'");
                return Err(failed(Cause::InvalidPluginVersion, message, place));
            }
            if !names.insert(name.as_str()) {
                let message = format!(
                    "Defined multiple alternative version requirements for plugin '{name}'"
                );
                return Err(failed(Cause::PluginTwice, message, place));
            }
        }
        self.plugins.push(alternatives);
        Ok(())
    }

    pub(crate) fn define_list(&mut self, mut list: ListDef) {
        list.order = self.order(self.lists.get(&list.name).map(|earlier| earlier.order));
        let name = list.name.clone();
        self.lists.put(&name, list);
    }

    pub(crate) fn append_list(&mut self, list: ListDef) -> Decoded<()> {
        let message = "List uses 'append' or 'override.items: append' but no list by that name already exists";
        let visibility = self.tick();
        let help = self.instead(Item::List, &list.name);
        let Some(earlier) = self.lists.get_mut(&list.name) else {
            return Err(unknown(Cause::NoSuchList, message, &list.place, help));
        };
        earlier.appended.push((earlier.items.len(), list.place));
        earlier.items.extend(list.items);
        earlier.order.visibility = visibility;
        Ok(())
    }

    pub(crate) fn define_macro(&mut self, mut def: MacroDef) {
        def.order = self.order(self.macros.get(&def.name).map(|earlier| earlier.order));
        let name = def.name.clone();
        self.macros.put(&name, def);
    }

    pub(crate) fn append_macro(&mut self, def: MacroDef) -> Decoded<()> {
        let message = "Macro uses 'append' or 'override.condition: append' but no macro by that \
                       name already exists";
        let visibility = self.tick();
        let help = self.instead(Item::Macro, &def.name);
        let Some(earlier) = self.macros.get_mut(&def.name) else {
            return Err(unknown(Cause::NoSuchMacro, message, &def.place, help));
        };
        let place = Some(def.condition_place);
        append_text(&mut earlier.condition, &def.condition, &mut earlier.condition_parts, place);
        earlier.order.visibility = visibility;
        Ok(())
    }

    pub(crate) fn define_rule(
        &mut self,
        mut rule: RuleDef,
        sources: &dyn Sources,
        findings: &mut Vec<Finding>,
    ) -> Decoded<()> {
        check_source(self.rules.get(&rule.name), &rule.source, &rule.place)?;
        rule.unknown_source = !sources.has(&rule.source);
        if rule.unknown_source {
            let message = format!("Unknown source {}, skipping", rule.source);
            let place = rule.place.clone();
            let near = sources.similar(&rule.source);
            let help = near.map(|near| format!("did you mean `{near}`?"));
            findings.push(Finding::new(Cause::UnknownSource, message, place).help(help));
        }
        let source = (!rule.unknown_source).then_some(rule.source.as_str());
        for exception in &mut rule.exceptions {
            if !exception.fields.is_given() {
                let message = "Rule exception item must have fields property with a list of fields";
                return Err(failed(Cause::InvalidException, message, &exception.place));
            }
            exception.complete(source, sources)?;
        }
        self.put_rule(&Arc::new(rule));
        Ok(())
    }

    /// Defines a rule that was accepted before, behind other items; false if these don't allow it.
    pub(crate) fn define_again(&mut self, rule: &Arc<RuleDef>) -> bool {
        let allowed = check_source(self.rules.get(&rule.name), &rule.source, &rule.place).is_ok();
        if allowed {
            self.put_rule(rule);
        }
        allowed
    }

    fn put_rule(&mut self, rule: &Arc<RuleDef>) {
        let now = self.tick();
        self.rules.put(&rule.name, Arc::clone(rule));
        self.mark_changed(&rule.name, now);
    }

    fn mark_changed(&mut self, rule: &str, now: u32) {
        let at = self.rules.position(rule);
        match at.and_then(|at| self.changed.get_mut(at)) {
            Some(changed) => *changed = now,
            None => self.changed.push(now),
        }
    }

    /// The rules, each with the index of the item that has changed it last.
    pub(crate) fn rules_changed(&self) -> impl Iterator<Item = (&RuleDef, u32)> {
        self.rules.iter().zip(&self.changed).map(|(rule, changed)| (&**rule, *changed))
    }

    pub(crate) fn append_rule(
        &mut self,
        change: RuleChange,
        place: &Place,
        sources: &dyn Sources,
    ) -> Decoded<()> {
        let message = "Rule uses 'append' or 'override.<key>: append' but no rule by that name already exists";
        let now = self.tick();
        let rule = self.changed_rule(&change, message, place)?;
        if change.is_empty() {
            let message = "Appended rule must have exceptions or condition property";
            return Err(failed(Cause::EmptyChange, message, place));
        }
        let source = (!rule.unknown_source).then(|| rule.source.clone());
        if let Some(more) = change.condition {
            let (text, parts) = (&mut rule.condition, &mut rule.condition_parts);
            append_text(text, &more, parts, change.condition_place);
        }
        if let Some(more) = change.output {
            let (text, parts) = (&mut rule.output, &mut rule.output_parts);
            append_text(text, &more, parts, change.output_place);
        }
        if let Some(more) = change.description {
            append_text(&mut rule.description, &more, &mut Parts::default(), None);
        }
        rule.tags.extend(change.tags.unwrap_or_default());
        for exception in change.exceptions.unwrap_or_default() {
            rule.append_exception(exception, source.as_deref(), sources)?;
        }
        self.mark_changed(&change.name, now);
        Ok(())
    }

    pub(crate) fn replace_in_rule(
        &mut self,
        change: RuleChange,
        place: &Place,
        sources: &dyn Sources,
    ) -> Decoded<()> {
        let message = "An 'override.<key>: replace' to a rule was requested but no rule by that \
                       name already exists";
        let now = self.tick();
        let rule = self.changed_rule(&change, message, place)?;
        if change.is_empty() {
            let message = "The rule must have at least one field that can be replaced";
            return Err(failed(Cause::EmptyChange, message, place));
        }
        let source = (!rule.unknown_source).then(|| rule.source.clone());
        if let Some(mut exceptions) = change.exceptions {
            for exception in &mut exceptions {
                exception.complete(source.as_deref(), sources)?;
            }
            rule.exceptions = exceptions;
        }
        if let Some(condition) = change.condition {
            rule.condition = condition;
            rule.condition_parts.replace(change.condition_place);
        }
        if let Some(output) = change.output {
            rule.output = output;
            rule.output_parts.replace(change.output_place);
        }
        replace(&mut rule.description, change.description);
        replace(&mut rule.tags, change.tags);
        replace(&mut rule.priority, change.priority);
        replace(&mut rule.capture, change.capture);
        replace(&mut rule.capture_duration, change.capture_duration);
        replace(&mut rule.enabled, change.enabled);
        replace(&mut rule.warn_evttypes, change.warn_evttypes);
        replace(&mut rule.skip_if_unknown_filter, change.skip_if_unknown_filter);
        self.mark_changed(&change.name, now);
        Ok(())
    }

    pub(crate) fn enable_rule(&mut self, name: &str, enabled: bool, place: &Place) -> Decoded<()> {
        let help = self.instead(Item::Rule, name);
        let Some(rule) = self.rules.get_mut(name) else {
            let message = "Rule has 'enabled' key but no rule by that name already exists";
            return Err(unknown(Cause::NoSuchRule, message, place, help));
        };
        rule.enabled = enabled;
        Ok(())
    }

    fn changed_rule(
        &mut self,
        change: &RuleChange,
        message: &str,
        place: &Place,
    ) -> Decoded<&mut RuleDef> {
        check_source(self.rules.get(&change.name), &change.source, place)?;
        let help = self.instead(Item::Rule, &change.name);
        self.rules
            .get_mut(&change.name)
            .ok_or_else(|| unknown(Cause::NoSuchRule, message, place, help))
    }

    /// Remembers what only a refused file defines.
    pub(crate) fn withhold(&mut self, refused: &Self) {
        let lists = refused.lists.iter().map(|def| (Item::List, &def.name, &def.place));
        let macros = refused.macros.iter().map(|def| (Item::Macro, &def.name, &def.place));
        let rules = refused.rules.iter().map(|def| (Item::Rule, &def.name, &def.place));
        let withheld = lists.chain(macros).chain(rules);
        let withheld = withheld.filter(|(item, name, _)| !self.has(*item, name));
        self.withheld = withheld.map(|(item, name, at)| (item, name.clone(), at.clone())).collect();
    }

    /// What is said to a change of an item that does not exist: `None` if it does.
    fn instead(&self, item: Item, name: &str) -> Option<String> {
        if self.has(item, name) {
            return None;
        }
        let nearest = match item {
            Item::List => closest(name, self.lists.names()),
            Item::Macro => closest(name, self.macros.names()),
            _ => closest(name, self.rules.names()),
        };
        let similar = || nearest.map(|name| format!("did you mean `{name}`?"));
        self.withheld(item, name).or_else(similar)
    }

    /// What to say about a name that only a refused file has.
    pub(crate) fn withheld(&self, item: Item, name: &str) -> Option<String> {
        let (.., place) =
            self.withheld.iter().rfind(|(of, known, _)| *of == item && known == name)?;
        let label = place.labels().into_iter().next()?;
        let (file, line) = (&label.source.name, label.span.start.line + 1);
        Some(format!("`{name}` is in {file}, line {line}, and was refused with that file"))
    }

    /// Items defined from here on have this index or a later one.
    pub(crate) fn now(&self) -> u32 {
        self.next
    }

    fn order(&mut self, earlier: Option<Order>) -> Order {
        let visibility = self.tick();
        Order { index: earlier.map_or(visibility, |earlier| earlier.index), visibility }
    }

    fn tick(&mut self) -> u32 {
        let now = self.next;
        self.next += 1;
        now
    }
}

impl RuleDef {
    fn append_exception(
        &mut self,
        mut exception: Exception,
        source: Option<&str>,
        sources: &dyn Sources,
    ) -> Decoded<()> {
        let earlier = self.exceptions.iter_mut().find(|earlier| earlier.name == exception.name);
        let wrong = |message: &str| Err(failed(Cause::InvalidException, message, &exception.place));
        match earlier {
            None if !exception.fields.is_given() => {
                wrong("Rule exception must have fields property with a list of fields")
            }
            None if exception.values.is_empty() => {
                wrong("Rule exception must have values property with a list of values")
            }
            None => {
                exception.complete(source, sources)?;
                self.exceptions.push(exception);
                Ok(())
            }
            Some(_) if exception.fields.is_given() => {
                wrong("Can not append exception fields to existing exception, only values")
            }
            Some(_) if exception.comps.is_given() => {
                wrong("Can not append exception comps to existing exception, only values")
            }
            Some(earlier) => {
                earlier.appended.push((earlier.values.len(), exception.place));
                earlier.values.extend(exception.values);
                Ok(())
            }
        }
    }
}

impl RuleChange {
    fn is_empty(&self) -> bool {
        self.condition.is_none()
            && self.output.is_none()
            && self.description.is_none()
            && self.tags.is_none()
            && self.exceptions.is_none()
            && self.priority.is_none()
            && self.capture.is_none()
            && self.capture_duration.is_none()
            && self.enabled.is_none()
            && self.warn_evttypes.is_none()
            && self.skip_if_unknown_filter.is_none()
    }
}

fn unknown(cause: Cause, message: &str, place: &Place, help: Option<String>) -> Box<Finding> {
    Box::new(failed(cause, message, place).help(help))
}

fn check_source(earlier: Option<&RuleDef>, source: &str, place: &Place) -> Decoded<()> {
    match earlier {
        Some(earlier) if !source.is_empty() && earlier.source != source => {
            let message = "Rule has been re-defined with a different source";
            Err(failed(Cause::SourceChanged, message, place))
        }
        _ => Ok(()),
    }
}

fn append_text(text: &mut String, more: &str, parts: &mut Parts, place: Option<Place>) {
    if !more.is_empty() {
        text.push(' ');
        parts.append(text.len(), place);
        text.push_str(more);
    }
}

fn replace<T>(value: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *value = new;
    }
}
