//! `-L` and `-l`: what rules, macros and lists are made of.

use std::collections::BTreeSet;

use peregrine_fields::{EventTypes, Field};
use peregrine_filter::{Check, Expr, Field as FieldText, RULES_MAX_DEPTH, Right, parse};
use peregrine_rules::{List, Macro, PluginRequirement, Rule, RuleSet};
use serde_json::{Value as Json, json};

use super::checks::SYSCALL;
use crate::app::{RuntimeError, Session};

/// Columns of the table for people: where the description begins and where its lines end.
const TEXT_COLUMN: usize = 51;
const TEXT_WIDTH: usize = 110;

/// Everything, or one rule.
pub(crate) fn as_json(
    session: &Session,
    rules: &RuleSet<Field>,
    only: Option<&str>,
) -> anyhow::Result<Json> {
    let describer = Describer::new(rules, session.containers());
    if let Some(name) = only {
        let rule = rules.rule(name);
        let rule = rule.ok_or_else(|| RuntimeError(format!("Rule \"{name}\" is not loaded")))?;
        return Ok(json!({ "rules": [describer.rule(rule)] }));
    }
    Ok(json!({
        "required_engine_version": rules.engine_version.to_string(),
        "required_plugin_versions": rules.plugins.iter().map(|p| required(p)).collect::<Vec<_>>(),
        "rules": rules.rules.iter().map(|rule| describer.rule(rule)).collect::<Vec<_>>(),
        "macros": rules.macros.iter().map(|item| describer.macro_(item)).collect::<Vec<_>>(),
        "lists": rules.lists.iter().map(list).collect::<Vec<_>>(),
    }))
}

/// Names and descriptions of rules as a table.
pub(crate) fn as_text(described: &Json) -> String {
    let mut table = row("Rule", "Description") + &row("----", "-----------");
    let rules = described.get("rules").and_then(Json::as_array);
    for rule in rules.into_iter().flatten() {
        let text = |key| rule.pointer(key).and_then(Json::as_str).unwrap_or_default();
        let description = wrap(text("/info/description"));
        table += &row(text("/info/name"), &format!("{description}\n"));
    }
    table
}

fn row(left: &str, right: &str) -> String {
    format!("{left:<50} {right}\n")
}

fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut length = 0;
    for word in text.split_ascii_whitespace() {
        if length + word.len() + 1 > TEXT_WIDTH - TEXT_COLUMN {
            wrapped.push('\n');
            wrapped += &" ".repeat(TEXT_COLUMN);
            length = 0;
        }
        length += word.len() + 1;
        wrapped += word;
        wrapped.push(' ');
    }
    wrapped
}

struct Describer<'a> {
    macros: BTreeSet<&'a str>,
    lists: BTreeSet<&'a str>,
    containers: bool,
}

impl<'a> Describer<'a> {
    fn new(rules: &'a RuleSet<Field>, containers: bool) -> Self {
        let macros = rules.macros.iter().map(|item| item.name.as_str()).collect();
        let lists = rules.lists.iter().map(|list| list.name.as_str()).collect();
        Self { macros, lists, containers }
    }

    fn rule(&self, rule: &Rule<Field>) -> Json {
        let written = Parts::of_text(&rule.condition_text);
        let compiled = Parts::of(&rule.condition);
        let extra = rule.extra_fields.values().map(|field| field.format.clone());
        let output_fields: Vec<String> =
            extra.chain(rule.template.names().iter().cloned()).collect();
        let uses_containers = self.containers
            && compiled.fields.iter().chain(&output_fields).any(|field| is_of_containers(field));
        let mut details = json!({
            "macros": known(&written.macros, &self.macros),
            "lists": known(&written.items, &self.lists),
            "condition_operators": compiled.operators,
            "condition_fields": compiled.fields,
            "output_fields": output_fields,
            "exception_names": rule.exception_names,
            "exception_fields": rule.exception_fields,
            "exception_operators": rule.exception_operators,
            "events": events(&rule.source, &rule.condition),
            "condition_compiled": rule.condition.described().to_string(),
            "output_compiled": rule.output,
            "plugins": uses_containers.then_some("container").into_iter().collect::<Vec<_>>(),
        });
        let formatted = rule.extra_fields.iter().filter(|(_, field)| !field.raw);
        let formatted: serde_json::Map<_, _> = formatted
            .map(|(key, field)| (key.clone(), Json::from(field.format.as_str())))
            .collect();
        if let (Some(details), false) = (details.as_object_mut(), formatted.is_empty()) {
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
                "tags": rule.tags,
            },
            "details": details,
        })
    }

    fn macro_(&self, item: &Macro) -> Json {
        let written = Parts::of_text(&item.condition_text);
        let compiled = Parts::of(&item.condition);
        json!({
            "info": { "name": item.name, "condition": item.condition_text },
            "details": {
                "used": item.used,
                "macros": known(&written.macros, &self.macros),
                "lists": known(&written.items, &self.lists),
                "condition_operators": compiled.operators,
                "condition_fields": compiled.fields,
                "events": events(SYSCALL, &item.condition),
                "condition_compiled": item.condition.described().to_string(),
                "plugins": [],
            },
        })
    }
}

/// What a condition is made of.
#[derive(Default)]
struct Parts {
    fields: BTreeSet<String>,
    operators: BTreeSet<String>,
    macros: BTreeSet<String>,
    /// Items of lists in it, which may be names of lists.
    items: BTreeSet<String>,
}

impl Parts {
    /// Of a condition as written. It has been read before, so it can be read again.
    fn of_text(text: &str) -> Self {
        parse(text, RULES_MAX_DEPTH).map(|condition| Self::of(&condition)).unwrap_or_default()
    }

    fn of(condition: &Expr) -> Self {
        let mut parts = Self {
            fields: condition.fields().into_iter().map(FieldText::text).collect(),
            macros: condition.macros().into_iter().map(str::to_owned).collect(),
            ..Self::default()
        };
        for check in condition.checks() {
            match check {
                Check::Exists(_) => {
                    parts.operators.insert("exists".to_owned());
                }
                Check::Compare(comparison) => {
                    let quantifier = comparison.quantifier.map(|word| format!(" {word}"));
                    let quantifier = quantifier.unwrap_or_default();
                    parts.operators.insert(format!("{}{quantifier}", comparison.op));
                    if let Right::List(list) = &comparison.right {
                        let items = list.node.iter().map(|item| item.to_str().into_owned());
                        parts.items.extend(items);
                    }
                }
            }
        }
        parts
    }
}

fn known<'a>(names: &'a BTreeSet<String>, known: &BTreeSet<&str>) -> Vec<&'a str> {
    names.iter().map(String::as_str).filter(|name| known.contains(name)).collect()
}

fn is_of_containers(field: &str) -> bool {
    field.starts_with("container.") || field.starts_with("k8s.")
}

/// Names of the events that a condition can be true for.
fn events(source: &str, condition: &Expr) -> BTreeSet<&'static str> {
    if source != SYSCALL {
        return BTreeSet::from(["pluginevent", "asyncevent"]);
    }
    let types = EventTypes::of(condition).unwrap_or_else(|_| EventTypes::all());
    let mut names = types.names();
    names.insert("asyncevent");
    names
}

fn list(list: &List) -> Json {
    let (items, lists): (Vec<_>, Vec<_>) =
        list.written.iter().partition(|item| list.items.contains(item));
    let lists: BTreeSet<_> = lists.into_iter().collect();
    json!({
        "info": { "name": list.name, "items": items },
        "details": {
            "used": list.used,
            "lists": lists,
            "items_compiled": list.items,
            "plugins": [],
        },
    })
}

/// A plugin that is needed: the first way to meet the need, and the others.
fn required(ways: &[PluginRequirement]) -> Json {
    let way = |way: &PluginRequirement| json!({ "name": way.name, "version": way.version });
    let Some((first, others)) = ways.split_first() else { return Json::Null };
    json!({
        "name": first.name,
        "version": first.version,
        "alternatives": others.iter().map(way).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_descriptions_are_wrapped_under_their_column() {
        let text = wrap(&"word ".repeat(20));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), 55);
        assert_eq!(lines[1], format!("{}{}", " ".repeat(51), "word ".repeat(9)));
    }

    #[test]
    fn parts_of_a_condition() {
        let parts =
            Parts::of_text("spawned and proc.aname[2] in (shells, x) and not fd.name exists");
        assert_eq!(parts.macros, BTreeSet::from(["spawned".to_owned()]));
        assert!(parts.fields.contains("proc.aname[2]") && parts.items.contains("shells"));
        assert_eq!(parts.operators, BTreeSet::from(["exists".to_owned(), "in".to_owned()]));
    }
}
