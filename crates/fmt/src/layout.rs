//! Writes an item of a rules file in the one layout.

use super::condition::Condition;
use super::fill::{WIDTH, fill};
use super::scan::{Block, Entry, Lead, Value};

/// Keys that say what an item is.
const KINDS: [&str; 5] =
    ["required_engine_version", "required_plugin_versions", "list", "macro", "rule"];

/// Other keys in the order of Falco's style guide, then those that it does not order. Unknown keys
/// follow as they are.
const ORDER: [&str; 15] = [
    "items",
    "desc",
    "condition",
    "output",
    "priority",
    "tags",
    "source",
    "exceptions",
    "enabled",
    "capture",
    "capture_duration",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "append",
    "override",
];

/// The lines of an item whose dash stands in this column. `condition` is the text of its condition.
pub(super) fn item(mut item: Block<'_>, dash: usize, condition: Option<&str>) -> Vec<String> {
    let is_kind = |entry: &Entry<'_>| entry.key.is_some_and(|key| KINDS.contains(&key));
    // Items of an unknown kind, such as tests, have keys of the same names.
    if item.entries.iter().any(is_kind) {
        let place = |entry: &Entry<'_>| ORDER.iter().position(|key| Some(*key) == entry.key);
        item.entries.sort_by_key(|entry| (!is_kind(entry), place(entry).unwrap_or(ORDER.len())));
    }
    let mut out = Vec::new();
    for (at, entry) in item.entries.iter().enumerate() {
        // Empty lines separate items, not keys.
        let column = if at == 0 { dash } else { dash + 2 };
        let comments = entry.lead.iter().filter(|lead| **lead != Lead::Blank);
        out.extend(comments.map(|comment| line(column, comment)));
        let first = out.len();
        // A comment behind something may be about its line, which silences lints there.
        let about_line = entry.comment.is_some() && matches!(entry.value, Value::Lines { .. });
        let condition = condition.filter(|_| entry.key == Some("condition") && !about_line);
        match condition.and_then(Condition::of) {
            Some(condition) => write_condition(entry, &condition, dash + 2, &mut out),
            None => write(entry, dash + 2, &mut out),
        }
        if let (0, Some(line)) = (at, out.get_mut(first)) {
            line.replace_range(dash..=dash, "-");
        }
    }
    leads(&item.tail, dash + 2, &mut out);
    out
}

/// Writes a block whose keys or dashes stand in this column.
fn block(block: &Block<'_>, column: usize, out: &mut Vec<String>) {
    for (at, entry) in block.entries.iter().enumerate() {
        let lead = match at {
            0 => entry.lead.iter().position(|lead| *lead != Lead::Blank),
            _ => Some(0),
        };
        leads(lead.and_then(|from| entry.lead.get(from..)).unwrap_or_default(), column, out);
        write(entry, column, out);
    }
    leads(&block.tail, column, out);
}

/// Comments, and one empty line for several.
fn leads(leads: &[Lead<'_>], column: usize, out: &mut Vec<String>) {
    for lead in leads {
        let line = line(column, lead);
        if !line.is_empty() || out.last().is_some_and(|last| !last.is_empty()) {
            out.push(line);
        }
    }
}

fn line(column: usize, lead: &Lead<'_>) -> String {
    match lead {
        Lead::Blank => String::new(),
        Lead::Comment(comment) => " ".repeat(column) + comment,
    }
}

/// Writes an entry whose key or dash stands in this column.
fn write(entry: &Entry<'_>, column: usize, out: &mut Vec<String>) {
    let head = head(entry, column);
    let indent = " ".repeat(column + 2);
    let comment = comment(entry);
    let fits = |text: &str| head.len() + 1 + text.chars().count() <= WIDTH;
    match &entry.value {
        Value::Empty => out.push(head + &comment),
        Value::Line { text, below } if *below && !fits(text) => {
            out.extend([head, indent + text + &comment]);
        }
        Value::Line { text, .. } => out.push(format!("{head} {text}{comment}")),
        Value::Lines { lines, below, shaped } => {
            let (first, others) = lines.split_first().unwrap_or((&"", &[]));
            match below {
                true => out.extend([head, format!("{indent}{first}")]),
                false => out.push(format!("{head} {first}")),
            }
            out.extend(others.iter().map(|line| shape(line, column, *shaped)));
            if let Some(last) = out.last_mut() {
                last.push_str(&comment);
            }
        }
        Value::Flow(items) => {
            let flat = format!("[{}]", items.join(", "));
            if fits(&flat) {
                out.push(format!("{head} {flat}{comment}"));
            } else {
                out.push(head + " [");
                out.extend(fill(items, column + 2));
                out.push(format!("{indent}]{comment}"));
            }
        }
        Value::Text { header, lines, indent: was } => {
            out.push(format!("{head} {header}{comment}"));
            out.extend(lines.iter().map(|line| match line.get(*was..).unwrap_or_default() {
                "" => String::new(),
                words => format!("{indent}{words}"),
            }));
        }
        Value::Nested(inner) => {
            let first = out.len();
            match entry.key {
                Some(_) => {
                    out.push(head + &comment);
                    block(inner, column + 2, out);
                }
                None => {
                    block(inner, column + 2, out);
                    if let Some(line) = out.get_mut(first) {
                        line.replace_range(column..=column, "-");
                    }
                }
            }
        }
    }
}

/// A condition stays on one line if it was on one and fits, or has a comment; otherwise it is
/// folded.
fn write_condition(entry: &Entry<'_>, condition: &Condition, column: usize, out: &mut Vec<String>) {
    let head = head(entry, column);
    let comment = comment(entry);
    let fits = |text: &str| head.len() + 1 + text.chars().count() <= WIDTH;
    if let Value::Line { text, .. } = entry.value {
        let fits = |text: &str| fits(text) || entry.comment.is_some();
        if text.starts_with(['"', '\'']) && fits(text) {
            out.push(format!("{head} {text}{comment}"));
            return;
        }
        let flat = condition.flat();
        if fits(&flat) && is_plain(&flat) {
            out.push(format!("{head} {flat}{comment}"));
            return;
        }
    }
    let chomping = match entry.value {
        Value::Text { header, .. } if header.ends_with('-') => "-",
        _ => "",
    };
    out.push(format!("{head} >{chomping}{comment}"));
    out.extend(condition.lines(column + 2));
}

/// Whether a condition needs no quotes.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '(')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
}

fn head(entry: &Entry<'_>, column: usize) -> String {
    let head = " ".repeat(column);
    match entry.key {
        Some(key) => head + key + ":",
        None => head + "-",
    }
}

/// Two blanks and the comment, if there is one.
fn comment(entry: &Entry<'_>) -> String {
    entry.comment.map(|comment| format!("  {comment}")).unwrap_or_default()
}

/// A line after the first one of a value, whose key stands in this column now.
fn shape(line: &str, column: usize, was: Option<usize>) -> String {
    let words = line.trim_start_matches(' ');
    if words.is_empty() {
        return String::new();
    }
    let indent = match was {
        Some(was) => (column + line.len() - words.len()).saturating_sub(was).max(column + 2),
        None => column + 2,
    };
    " ".repeat(indent) + words.trim_end()
}
