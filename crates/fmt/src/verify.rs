//! Whether two rules files mean the same.

use peregrine_diagnostics::Problem;
use peregrine_fields::Fields;
use peregrine_rules::{Cause, EventSource, Finding, Loader};
use peregrine_yaml::{Node, Value, parse};
use serde_json::Value as Json;

use super::condition::{self, condition_of};
use super::error::FormatError;

/// Compares the values of two files, and the rules that the loader makes of them. Only blanks in
/// conditions may differ, and the order of keys.
pub(super) fn same(before: &str, after: &str) -> Result<(), FormatError> {
    if before == after {
        return Ok(());
    }
    let (Ok(a), Ok(b)) = (parse(before), parse(after)) else { return Err(FormatError::Changed) };
    let documents = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_document(a, b));
    (documents && loaded(before) == loaded(after)).then_some(()).ok_or(FormatError::Changed)
}

fn same_document(a: &Node, b: &Node) -> bool {
    match (a.as_seq(), b.as_seq()) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_item(a, b)),
        _ => same_value(a, b),
    }
}

fn same_item(a: &Node, b: &Node) -> bool {
    if same_value(a, b) {
        return true;
    }
    let (Some(left), Some(right)) = (a.as_map(), b.as_map()) else { return false };
    let folded = condition_of(a);
    left.0.len() == right.0.len()
        && left.0.iter().all(|(key, a)| {
            let Some((_, b)) = right.0.iter().find(|(other, _)| same_value(key, other)) else {
                return false;
            };
            match (key.as_str(), folded, b.as_str()) {
                (Some("condition"), Some(a), Some(b)) => condition::same(a, b),
                _ => same_value(a, b),
            }
        })
}

/// Equal, wherever they stand. The tree is as deep as the parser allows.
fn same_value(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Seq(a), Value::Seq(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let same = |((k, a), (l, b)): (&(Node, Node), &(Node, Node))| {
                same_value(k, l) && same_value(a, b)
            };
            a.0.len() == b.0.len() && a.0.iter().zip(&b.0).all(same)
        }
        (a, b) => a == b,
    }
}

/// Why a text of this name can't be read as items, each reason with its place and remedy.
#[must_use]
pub fn syntax_problems(name: &str, text: &str) -> Vec<Problem> {
    let result = loader().load(name, text.as_bytes());
    let syntax = |problem: &Problem| problem.code.starts_with("E00");
    let not_items = |problem: &Problem| {
        [Cause::NotItems, Cause::ForeignItems].map(Cause::id).contains(&problem.code)
    };
    result.problems().filter(|problem| syntax(problem) || not_items(problem)).collect()
}

fn loader() -> Loader<Fields> {
    Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new())
}

/// What the loader makes of a file that is alone: its rules, or the errors.
fn loaded(text: &str) -> (Json, Vec<&'static str>) {
    let mut loader = loader();
    let result = loader.load("rules.yaml", text.as_bytes());
    let mut codes: Vec<_> = result.findings.iter().map(Finding::code).collect();
    codes.sort_unstable();
    let mut rules = loader.rules().describe(&|_, _| Vec::new());
    for list in ["rules", "macros"] {
        let Some(items) = rules.get_mut(list).and_then(Json::as_array_mut) else { continue };
        for info in items.iter_mut().filter_map(|item| item.get_mut("info")?.as_object_mut()) {
            info.remove("condition");
        }
    }
    (rules, codes)
}
