//! Rules, macros and lists described as JSON, for documentation and for tools.

use std::collections::BTreeSet;

use peregrine_fields::EventTypes;
use peregrine_filter::{Check, Comparison, Expr, RULES_MAX_DEPTH, Right, parse};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::rule_set::{List, Macro, Rule, RuleSet};

/// The requested rule does not exist.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("Rule \"{0}\" is not loaded")]
pub struct NotLoaded(pub String);

/// Returns the plugins that a rule uses, from its source and fields.
pub type UsedPlugins<'a> = &'a dyn Fn(&str, &BTreeSet<String>) -> Vec<String>;

impl<F> RuleSet<F> {
    /// Describes everything. `plugins` returns the plugins that supply a source or any of some
    /// fields.
    #[must_use]
    pub fn describe(&self, plugins: UsedPlugins<'_>) -> Value {
        let names = Names::of(self);
        let requirements: Vec<Value> = self
            .plugins
            .iter()
            .filter_map(|alternatives| alternatives.split_first())
            .map(|(first, others)| {
                let others: Vec<Value> = others
                    .iter()
                    .map(|other| json!({ "name": other.name, "version": other.version }))
                    .collect();
                json!({ "name": first.name, "version": first.version, "alternatives": others })
            })
            .collect();
        let rules: Vec<Value> = self.rules.iter().map(|r| names.rule(r, plugins)).collect();
        let macros: Vec<Value> = self.macros.iter().map(|m| names.macro_(m)).collect();
        let lists: Vec<Value> = self.lists.iter().map(list).collect();
        json!({
            "required_engine_version": self.engine_version.to_string(),
            "required_plugin_versions": requirements,
            "rules": rules,
            "macros": macros,
            "lists": lists,
        })
    }

    /// Describes one rule.
    ///
    /// # Errors
    /// If no rule has this name.
    pub fn describe_rule(&self, name: &str, plugins: UsedPlugins<'_>) -> Result<Value, NotLoaded> {
        let rule = self.rule(name).ok_or_else(|| NotLoaded(name.to_owned()))?;
        Ok(json!({ "rules": [Names::of(self).rule(rule, plugins)] }))
    }

    /// Names and descriptions in two columns, of one rule or of all.
    ///
    /// # Errors
    /// If no rule has this name.
    pub fn describe_as_text(&self, name: Option<&str>) -> Result<String, NotLoaded> {
        let one = match name {
            Some(name) => Some(self.rule(name).ok_or_else(|| NotLoaded(name.to_owned()))?),
            None => None,
        };
        let mut text = columns("Rule", "Description") + &columns("----", "-----------");
        for rule in one.into_iter().chain(self.rules.iter().filter(|_| name.is_none())) {
            text.push_str(&columns(&rule.name, &(wrap(&rule.description) + "\n")));
        }
        Ok(text)
    }
}

/// The names that conditions may refer to.
struct Names<'a> {
    macros: BTreeSet<&'a str>,
    lists: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of<F>(rules: &'a RuleSet<F>) -> Self {
        Self {
            macros: rules.macros.iter().map(|m| m.name.as_str()).collect(),
            lists: rules.lists.iter().map(|list| list.name.as_str()).collect(),
        }
    }

    fn rule<F>(&self, rule: &Rule<F>, plugins: UsedPlugins<'_>) -> Value {
        let mut details = self.condition(&rule.condition_text, &rule.condition);
        let output_fields: Vec<&str> = rule
            .extra_fields
            .values()
            .map(|field| field.format.as_str())
            .chain(rule.template.names().iter().map(String::as_str))
            .collect();
        let mut fields = fields(&rule.condition);
        fields.extend(output_fields.iter().map(|field| (*field).to_owned()));
        let names: BTreeSet<&str> = rule.exception_names.iter().map(String::as_str).collect();
        let events = match &rule.event_types {
            Some(types) => events(types),
            None => json!(["asyncevent", "pluginevent"]),
        };
        details.extend(entries([
            ("plugins", plugins(&rule.source, &fields).into()),
            ("output_fields", output_fields.into()),
            ("output_compiled", rule.output.as_str().into()),
            ("exception_names", set(names)),
            ("exception_fields", set(&rule.exception_fields)),
            ("exception_operators", set(&rule.exception_operators)),
            ("events", events),
        ]));
        let formatted = rule.extra_fields.iter().filter(|(_, field)| !field.raw);
        let formatted: Map<String, Value> =
            formatted.map(|(key, field)| (key.clone(), field.format.as_str().into())).collect();
        if !formatted.is_empty() {
            details.insert("extra_output_formatted_fields".to_owned(), formatted.into());
        }
        json!({
            "info": {
                "name": rule.name,
                "condition": rule.condition_text,
                "priority": rule.priority.name(),
                "output": rule.output_text,
                "description": rule.description,
                "enabled": rule.enabled,
                "source": rule.source,
                "capture": rule.capture,
                "capture_duration": rule.capture_duration,
                "tags": set(&rule.tags),
            },
            "details": details,
        })
    }

    fn macro_(&self, this: &Macro) -> Value {
        let mut details = self.condition(&this.condition_text, &this.condition);
        let events = match EventTypes::of(&this.condition) {
            Ok(types) => events(&types),
            // An unused macro; a used one would have made loading fail.
            Err(_) => json!([]),
        };
        // The plugins that a macro needs depend on the source of the rule that uses it.
        let plugins = json!([]);
        details.extend(entries([
            ("used", this.used.into()),
            ("events", events),
            ("plugins", plugins),
        ]));
        json!({
            "info": { "name": this.name, "condition": this.condition_text },
            "details": details,
        })
    }

    /// The part of the description that rules and macros share: names in the condition as written,
    /// and tests in the expanded condition.
    fn condition(&self, written: &str, compiled: &Expr) -> Map<String, Value> {
        let (mut macros, mut lists) = (BTreeSet::<&str>::new(), BTreeSet::<&str>::new());
        if let Ok(written) = parse(written, RULES_MAX_DEPTH) {
            macros.extend(self.macros.iter().filter(|name| written.macros().contains(name)));
            for check in written.checks() {
                if let Check::Compare(Comparison { right: Right::List(list), .. }) = check {
                    let items: Vec<_> = list.node.iter().map(|item| item.to_str()).collect();
                    lists.extend(self.lists.iter().filter(|name| items.iter().any(|i| i == *name)));
                }
            }
        }
        Map::from_iter(entries([
            ("macros", set(macros)),
            ("lists", set(lists)),
            ("condition_operators", set(operators(compiled))),
            ("condition_fields", set(fields(compiled))),
            ("condition_compiled", compiled.described().to_string().into()),
        ]))
    }
}

fn entries<const N: usize>(entries: [(&str, Value); N]) -> [(String, Value); N] {
    entries.map(|(key, value)| (key.to_owned(), value))
}

fn list(list: &List) -> Value {
    // An entry of the definition that is not among the resolved items is the name of a list.
    let items: BTreeSet<&str> = list.items.iter().map(|item| &**item).collect();
    let (written, names): (Vec<&str>, Vec<&str>) =
        list.written.iter().map(String::as_str).partition(|item| items.contains(item));
    json!({
        "info": { "name": list.name, "items": written },
        "details": {
            "used": list.used,
            "lists": set(names.into_iter().collect::<BTreeSet<_>>()),
            "items_compiled": list.items.iter().map(|item| &**item).collect::<Vec<_>>(),
            "plugins": [],
        },
    })
}

fn events(types: &EventTypes) -> Value {
    let mut names = types.names();
    names.insert("asyncevent");
    set(names)
}

fn operators(condition: &Expr) -> BTreeSet<String> {
    let operator = |check: &Check| match check {
        Check::Exists(_) => "exists".to_owned(),
        Check::Compare(Comparison { op, quantifier: Some(quantifier), .. }) => {
            format!("{op} {quantifier}")
        }
        Check::Compare(Comparison { op, quantifier: None, .. }) => op.to_string(),
    };
    condition.checks().into_iter().map(operator).collect()
}

fn fields(condition: &Expr) -> BTreeSet<String> {
    let text = |field: &peregrine_filter::FieldRef| match &field.arg {
        Some(arg) if arg.is_empty() => field.name.clone(),
        _ => field.text(),
    };
    condition.fields().into_iter().map(text).collect()
}

fn set<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> Value {
    items.into_iter().map(|item| json!(item)).collect()
}

fn columns(left: &str, right: &str) -> String {
    format!("{left:<50} {right}\n")
}

/// Wraps text to the width of the second column.
fn wrap(text: &str) -> String {
    const INDENT: usize = 51;
    const WIDTH: usize = 110 - INDENT;
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split_ascii_whitespace() {
        if used + word.len() + 1 > WIDTH {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(INDENT));
            used = 0;
        }
        used += word.len() + 1;
        wrapped.push_str(word);
        wrapped.push(' ');
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_wrapped_in_their_column() {
        assert_eq!(wrap("first line\nsecond line"), "first line second line ");
        let wrapped = wrap(&"word ".repeat(30));
        let lines: Vec<&str> = wrapped.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].len() <= 59);
        assert!(lines[1].starts_with(&" ".repeat(51)));
    }
}
