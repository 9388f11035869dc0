//! Turns an item with `for_each` into one test for each combination of values.

use std::sync::Arc;

use peregrine_diagnostics::{Problem, Source, closest};
use peregrine_limits::RULE_TESTS;
use peregrine_yaml::{Map, Node, Value};

use super::place::label;
use super::test::{self, Case, Invalid};
use crate::Cause;

/// A variable of `for_each` with the value that it has in one test.
type Binding<'n> = (&'n str, &'n Node);

/// The tests of an item, at most `room`.
pub(super) fn cases(item: &Node, source: &Arc<Source>, room: usize) -> Vec<Case> {
    let at = item.as_map().and_then(|map| map.entry("test")).map_or(item, |(key, _)| key);
    let (at, name) = (label(source, at), item.get("test"));
    let name = name.and_then(Node::as_str).unwrap_or_default().to_owned();
    let wrong = |problem| {
        vec![Case {
            name: name.clone(),
            label: at.clone(),
            test: Err(Invalid { problems: vec![problem], ..Invalid::default() }),
        }]
    };
    let combinations = match combinations(item, source) {
        Ok(combinations) => combinations,
        Err(problem) => return wrong(*problem),
    };
    if combinations.len() > room {
        RULE_TESTS.reach();
        return wrong(Cause::Limit.at(&at, format!("a file has more than {RULE_TESTS} tests")));
    }
    let case = |bindings: Vec<Binding<'_>>| {
        let mut name = name.clone();
        if !bindings.is_empty() {
            let shown = bindings.iter().map(|(name, value)| format!("{name}={}", shown(value)));
            name = format!("{name} [{}]", shown.collect::<Vec<_>>().join(", "));
        }
        let mut problems = Vec::new();
        let item = filled(item, &bindings, source, &mut problems);
        // What a missing value leads to would be told in vain.
        let test = match problems.is_empty() {
            true => test::read(&item, source),
            false => Err(Invalid { problems, ..Invalid::default() }),
        };
        Case { name, label: at.clone(), test }
    };
    combinations.into_iter().map(case).collect()
}

/// The bindings of each test.
fn combinations<'n>(
    item: &'n Node,
    source: &Arc<Source>,
) -> Result<Vec<Vec<Binding<'n>>>, Box<Problem>> {
    let mut all: Vec<Vec<Binding<'n>>> = vec![Vec::new()];
    let Some(variables) = item.get("for_each") else { return Ok(all) };
    if variables.as_map().is_none() {
        let message = "`for_each` must be a map of variables with lists of values";
        return Err(Box::new(Cause::Form.at(&label(source, variables), message)));
    }
    for (key, values) in variables.entries() {
        let name = key.as_str().unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(word) {
            let problem = Cause::Form.at(&label(source, key), "a variable must be a word");
            let help = "use letters, digits and `_`, and write `${word}` where the value belongs";
            return Err(Box::new(problem.help(help)));
        }
        let values = values.items();
        if values.is_empty() {
            let message = format!("`{name}` must have a list of values");
            return Err(Box::new(Cause::Variable.at(&label(source, key), message)));
        }
        if all.len().saturating_mul(values.len()) > RULE_TESTS.get() {
            RULE_TESTS.reach();
            let message = format!("`for_each` makes more than {RULE_TESTS} tests");
            return Err(Box::new(Cause::Limit.at(&label(source, key), message)));
        }
        let extended = all.iter().flat_map(|bindings| {
            let with = |value| bindings.iter().copied().chain([(name, value)]).collect();
            values.iter().map(with)
        });
        all = extended.collect();
    }
    Ok(all)
}

/// A value as the name of a test shows it.
fn shown(value: &Node) -> String {
    match &value.value {
        Value::Null => "~".to_owned(),
        Value::Scalar { text, .. } => text.clone(),
        Value::Seq(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Map(_) => "{…}".to_owned(),
    }
}

/// The node with the values of the variables in place of `${…}`.
fn filled(
    node: &Node,
    bindings: &[Binding<'_>],
    source: &Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Node {
    let value = match &node.value {
        Value::Scalar { text, quoted } if text.contains("${") => {
            match substituted(text, bindings) {
                // The places of values are those of their use.
                Ok(Filled::Value(value)) => value.value.clone(),
                Ok(Filled::Text(text)) => Value::Scalar { text, quoted: *quoted },
                Err(name) => {
                    problems.push(unknown(&name, node, bindings, source));
                    node.value.clone()
                }
            }
        }
        Value::Seq(items) => {
            Value::Seq(items.iter().map(|item| filled(item, bindings, source, problems)).collect())
        }
        Value::Map(Map(entries)) => {
            let mut entry = |(key, value): &(Node, Node)| {
                // The values of variables are no templates themselves.
                let inside = key.as_str() != Some("for_each");
                let key = filled(key, bindings, source, problems);
                let value = match inside {
                    true => filled(value, bindings, source, problems),
                    false => value.clone(),
                };
                (key, value)
            };
            Value::Map(Map(entries.iter().map(&mut entry).collect()))
        }
        other => other.clone(),
    };
    Node { value, start: node.start, end: node.end }
}

/// A text with its variables.
enum Filled<'n> {
    /// It is a variable and nothing else, and has a value of any form.
    Value(&'n Node),
    Text(String),
}

/// Replaces `${name}`, and `$${` by `${`. The error is the name of a variable that does not exist.
fn substituted<'n>(text: &str, bindings: &[Binding<'n>]) -> Result<Filled<'n>, String> {
    let value = |name: &str| {
        let found = bindings.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value).ok_or_else(|| name.to_owned())
    };
    if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        && !name.contains(['$', '}'])
    {
        return value(name).map(Filled::Value);
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            (out, rest) = (out + before + "${", after);
            continue;
        }
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = value(name)?;
        (out, rest) = (out + before + &shown(value), after);
    }
    Ok(Filled::Text(out + rest))
}

fn unknown(name: &str, node: &Node, bindings: &[Binding<'_>], source: &Arc<Source>) -> Problem {
    let message = format!("`for_each` has no variable `{name}`");
    let problem = Cause::Variable.at(&label(source, node), message);
    match closest(name, bindings.iter().map(|(name, _)| *name)) {
        Some(near) => problem.help(format!("did you mean `${{{near}}}`?")),
        None => problem.help("define it under `for_each`, or write `$${` for a literal `${`"),
    }
}
