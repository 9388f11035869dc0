//! What is probably meant by keys and words that items don't have.

use peregrine_alert::Priority;
use peregrine_diagnostics::{Edit, Fix, Label, closest};
use peregrine_yaml::Node;

use crate::decode::Reading;
use crate::keys::Item;
use crate::result::Explained;
use crate::{Cause, Finding};

/// How `override` is written.
pub(crate) const OVERRIDE: &str =
    "name the keys that change: `override: {condition: append, priority: replace}`";

/// Names that other tools, or habit, give to keys.
const ALIASES: &[(&str, &[&str])] = &[
    ("desc", &["description", "descr", "summary", "info", "about", "details", "comment", "title"]),
    ("priority", &["severity", "prio", "level", "severity_level", "sev", "urgency", "criticality"]),
    ("output", &["message", "msg", "out", "format", "alert", "text", "outputs", "log"]),
    ("condition", &["cond", "filter", "expression", "expr", "query", "when", "if", "conditions"]),
    ("enabled", &["enable", "active"]),
    ("tags", &["tag", "labels", "label", "categories", "category", "mitre"]),
    ("exceptions", &["exception", "except", "exclude", "exclusions", "allowlist", "whitelist"]),
    ("source", &["event_source", "src", "sources", "data_source"]),
    ("items", &["values", "elements", "members", "entries", "content", "contents"]),
    ("override", &["overrides", "overwrite"]),
    ("rule", &["rules"]),
    ("macro", &["macros"]),
    ("list", &["lists"]),
];

/// The key of this item that another word probably stands for.
pub(crate) fn meant(kind: Item, word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase().replace(' ', "_");
    let names = || kind.keys().map(|key| key.name);
    let alias = ALIASES.iter().find(|(_, aliases)| aliases.contains(&lower.as_str()));
    let alias = alias.map(|(name, _)| *name).filter(|name| kind.find(name).is_some());
    let same = || names().find(|name| *name == lower);
    let near = || closest(word, names()).and_then(|near| names().find(|name| *name == near));
    alias.or_else(same).or_else(near)
}

/// What to do about a key that its item doesn't have, and the change that does it.
pub(crate) fn unknown_key(kind: Item, name: &str, key: &Node, item: &Reading<'_>) -> Unknown {
    let label = item.place.part(key.start.offset..key.end.offset);
    if let Some(meant) = meant(kind, name) {
        let help = Some(format!("did you mean `{meant}`?"));
        // A key that is there already is not meant.
        let fix = (!item.has(meant)).then(|| rename(label, name, meant));
        return Unknown { help, fix };
    }
    let other = Item::ALL.into_iter().find(|other| other.find(name).is_some());
    let help = match other {
        _ if name == "<<" => Some("rules files have no merge keys: write the keys out".to_owned()),
        Some(other) if name == "desc" => {
            Some(format!("only {} have `desc`; write it as a comment", other.plural()))
        }
        Some(other) => Some(format!("`{name}` is a key of {}", other.plural())),
        None => None,
    };
    Unknown { help, fix: None }
}

/// What to do about an unknown key.
pub(crate) struct Unknown {
    pub(crate) help: Option<String>,
    pub(crate) fix: Option<Fix>,
}

fn rename(label: Label, from: &str, to: &str) -> Fix {
    Fix::safe(format!("rename `{from}` to `{to}`"), vec![Edit { label, text: to.to_owned() }])
}

/// Errors about required keys that an item lacks: all of them. `first` is what the reference engine
/// reports.
pub(crate) fn missing(
    kind: Item,
    item: &Reading<'_>,
    required: &[&'static str],
    exists: bool,
    first: Finding,
) -> Vec<Finding> {
    let absent: Vec<_> = required.iter().copied().filter(|key| !item.has(key)).collect();
    let misnamed = |wanted: &str| {
        let entries = item.node.entries().iter();
        let names = entries.filter_map(|(key, _)| Some((key, key.as_str()?)));
        let mut unknown = names.filter(|(_, name)| kind.find(name).is_none());
        unknown.find(|(_, name)| meant(kind, name) == Some(wanted))
    };
    let mut findings = Vec::new();
    let mut others = Vec::new();
    for wanted in absent {
        let Some((key, name)) = misnamed(wanted) else {
            others.push(wanted);
            continue;
        };
        let message = format!("`{name}` is no key of {}: it is called `{wanted}`", kind.plural());
        let label = item.place.part(key.start.offset..key.end.offset);
        let fix = Some(rename(label.clone(), name, wanted));
        let explained = Explained { message, labels: vec![label], fix, ..Explained::default() };
        let finding = Finding { cause: Cause::MisnamedKey, ..first.clone() };
        let help = Some(format!("write `{wanted}`"));
        findings.push(finding.help(help).explained(explained));
    }
    if !others.is_empty() {
        let quoted: Vec<_> = others.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("this {} lacks {}", kind.singular(), listed(&quoted));
        let mut help = match others.as_slice() {
            [only] => format!("add `{only}: …`"),
            _ => format!("add these keys: {}", others.join(", ")),
        };
        let scalar = item.get("override").is_some_and(|it| it.as_str().is_some());
        if scalar {
            OVERRIDE.clone_into(&mut help);
        } else if exists {
            help += &format!(
                ", or, to change the {} that is defined before, name the changed keys below `override`",
                kind.singular()
            );
        }
        let name = item.get(kind.key()).unwrap_or(item.node);
        let labels = vec![item.place.part(name.start.offset..name.end.offset)];
        let explained = Explained { message, labels, ..Explained::default() };
        let finding = Finding { cause: Cause::MissingKey, ..first };
        findings.insert(0, finding.help(Some(help)).explained(explained));
    }
    findings
}

/// `a`, `a and b`, `a, b and c`
fn listed(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

/// Words of other tools for priorities. What the second half means there is a guess.
const SURE: &[(Priority, &[&str])] = &[
    (Priority::Emergency, &["emerg", "panic"]),
    (Priority::Critical, &["crit"]),
    (Priority::Error, &["err", "errors"]),
    (Priority::Warning, &["warn", "warnings"]),
    (Priority::Notice, &["note"]),
    (Priority::Informational, &["information", "informative", "infos"]),
    (Priority::Debug, &["trace", "verbose", "dbg"]),
];
const GUESSED: &[(Priority, &[&str])] = &[
    (Priority::Emergency, &["fatal", "blocker", "0"]),
    (Priority::Alert, &["urgent", "1"]),
    (Priority::Critical, &["severe", "very high", "very_high", "2"]),
    (Priority::Error, &["high", "major", "3"]),
    (Priority::Warning, &["medium", "moderate", "4"]),
    (Priority::Notice, &["low", "minor", "normal", "5"]),
    (Priority::Informational, &["none", "info.", "6"]),
    (Priority::Debug, &["7"]),
];

/// The error of a word that is no priority.
pub(crate) fn priority(error: Finding, word: &str, value: &Node, item: &Reading<'_>) -> Finding {
    let lower = word.to_ascii_lowercase();
    let find = |table: &[(Priority, &[&str])]| {
        let row = table.iter().find(|(_, words)| words.contains(&lower.as_str()));
        row.map(|(priority, _)| priority.name().to_ascii_uppercase())
    };
    let names = Priority::ALL.map(|priority| priority.name().to_ascii_uppercase());
    let near = || closest(&word.to_ascii_uppercase(), names.iter().map(String::as_str));
    let sure = find(SURE).or_else(|| near().map(str::to_owned));
    let guessed = find(GUESSED);
    let all = names.join(", ");
    let help = match (&sure, &guessed) {
        (_, Some(guess)) => format!("`{guess}` is about the same; the priorities are {all}"),
        (Some(name), None) => format!("did you mean `{name}`?"),
        (None, None) => format!("the priorities are {all}"),
    };
    let label = item.place.part(value.start.offset..value.end.offset);
    let replacement = guessed.clone().or(sure);
    let fix = replacement.map(|name| Fix {
        title: format!("write `{name}`"),
        edits: vec![Edit { label: label.clone(), text: name }],
        safe: guessed.is_none(),
    });
    let message = format!("`{word}` is no priority");
    let explained = Explained { message, labels: vec![label], fix, ..Explained::default() };
    error.help(Some(help)).explained(explained)
}

/// An item that is neither rule, macro nor list: what it probably should be.
pub(crate) fn unknown_item(node: &Node, item: &Reading<'_>) -> (Option<String>, Option<Fix>) {
    let key = |(key, _): &(Node, Node)| Some((key.as_str()?.to_owned(), key.span()));
    let Some((word, span)) = node.entries().first().and_then(key) else { return (None, None) };
    let lower = word.to_ascii_lowercase();
    let singular = lower.trim_end_matches('s');
    let names = || Item::ALL.into_iter().map(Item::key);
    let by_name = names().find(|name| *name == lower || *name == singular);
    let near = by_name.or_else(|| {
        let near = closest(&word, names())?;
        names().find(|name| *name == near)
    });
    let has = |name: &str| node.get(name).is_some();
    let by_keys = match () {
        () if near.is_some() || !["name", "id", "title"].contains(&lower.as_str()) => None,
        () if has("condition") && (has("output") || has("priority")) => Some("rule"),
        () if has("condition") => Some("macro"),
        () if has("items") => Some("list"),
        () => None,
    };
    let Some(meant) = near.or(by_keys) else {
        return (Some("items are rules, macros and lists: `- rule: NAME`".to_owned()), None);
    };
    let label = item.place.part(span.start.offset..span.end.offset);
    (Some(format!("did you mean `{meant}`?")), Some(rename(label, &word, meant)))
}
