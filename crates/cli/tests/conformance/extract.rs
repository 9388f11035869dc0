//! The part of a command's output that other programs rely on. Prose is not part of the contract.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex_automata::meta::Regex;
use serde_json::{Value, json};

use crate::json::without_order;
use crate::program::Outcome;

/// Fields that the reference does not have; lists are compared without them.
const OWN: [&str; 1] = ["evt.abi"];

fn is_shared(name: &&str) -> bool {
    !OWN.contains(name)
}

/// Reduces stdout in the same way as the recorded answer.
///
/// # Panics
///
/// If the way of reducing is unknown.
pub(crate) fn extract(how: &str, outcome: &Outcome) -> Value {
    let text = outcome.stdout.as_str();
    let json = || serde_json::from_str::<Value>(text).unwrap_or_default();
    match how {
        "text" => json!(text.lines().collect::<Vec<_>>()),
        "sorted-lines" => sorted(text.split('\n').filter(is_shared)),
        "json" => json(),
        "json-unordered" => without_order(&json()),
        "keys" => sorted(json().as_object().into_iter().flatten().map(|(key, _)| key.as_str())),
        "labels" => {
            let labels = text.lines().filter_map(|line| Some(line.split_once(':')?.0));
            json!(labels.collect::<Vec<_>>())
        }
        "last-log-number" => {
            let last = outcome.log().pop().unwrap_or_default();
            json!(last.split(|c: char| !c.is_ascii_digit()).rfind(|digits| !digits.is_empty()))
        }
        "options" => options(text),
        "fields" => fields(&json()),
        "field-names-text" => distinct(text.lines().filter_map(|line| {
            let name = line.split(char::is_whitespace).next()?;
            let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.contains('.');
            let plain = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
            Some(name).filter(|name| is_name && name.chars().all(plain))
        })),
        "field-names-markdown" => distinct(
            text.lines().filter_map(|line| Some(line.strip_prefix('`')?.split_once("` |")?.0)),
        ),
        "events" => events(&json()),
        unknown => panic!("no way to extract {unknown}"),
    }
}

/// Short name, long name and value of each option in a help page.
fn options(page: &str) -> Value {
    static OPTION: LazyLock<Regex> = LazyLock::new(|| {
        let names = r"(?m)^ {2,6}(?:-(\w))?(?:, )?(?:--([a-z][\w-]*))?";
        Regex::new(&format!(r"{names}((?: ?\[?=?<[^>\n]*>\S*)?)")).unwrap()
    });
    let mut options: Vec<[&str; 3]> = OPTION
        .captures_iter(page)
        .map(|groups| [1, 2, 3].map(|at| groups.get_group(at).map_or("", |span| page[span].trim())))
        .filter(|[short, long, _]| !short.is_empty() || !long.is_empty())
        .collect();
    options.sort_unstable();
    json!(options)
}

fn fields(listing: &Value) -> Value {
    let mut fields = Vec::new();
    for class in listing["fieldclasses"].as_array().into_iter().flatten() {
        for field in class["fields"].as_array().into_iter().flatten() {
            let [name, kind] = ["name", "type"].map(|key| &field[key]);
            if !name.as_str().is_some_and(|name| is_shared(&name)) {
                continue;
            }
            let [is_list, argument] = ["is_list", "argument"].map(|key| &field[key]);
            let [class, sources] = ["name", "event_sources"].map(|key| &class[key]);
            fields.push(json!([name, kind, is_list, argument, class, sources]));
        }
    }
    fields.sort_by_cached_key(Value::to_string);
    Value::Array(fields)
}

fn events(listing: &Value) -> Value {
    let mut events = Vec::new();
    for (group, list) in listing.as_object().into_iter().flatten() {
        for event in list.as_array().into_iter().flatten() {
            let params: Vec<_> = event["params"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|param| json!([param["name"], param["type"]]))
                .collect();
            events.push(json!([group, event["dir"], event["name"], event["available"], params]));
        }
    }
    events.sort_by_cached_key(Value::to_string);
    Value::Array(events)
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    json!(texts)
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    json!(texts.filter(is_shared).collect::<BTreeSet<_>>())
}
