//! Formats rules files: one layout for all, comments kept, nothing changed in meaning.
//!
//! - Items begin in the first column, keys are indented by two blanks, an empty line separates
//!   items.
//! - Keys have the order of Falco's style guide. A comment above a key or behind its value goes
//!   with it.
//! - A condition that does not fit on its line is folded, with `and` and `or` at the beginnings of
//!   lines and parentheses as indentation. Lists are filled up to column 100.
//! - Descriptions, outputs and quotes stay as the author wrote them.
//!
//! This crate may know rules files and the rule language; it knows no events and no state.
//!
//! An item that uses YAML in a way which the scanner does not understand (anchors, tags, `? `,
//! maps in braces) stays byte for byte. The result is read again before it is returned: if anything
//! but blanks in conditions differed, the file would be refused.
//!
//! ```
//! use peregrine_fmt::format;
//!
//! let text = "- macro: m\n  condition:   (evt.type=open  and\n     proc.name in (a,b))\n";
//! assert_eq!(format(text)?, "\
//! - macro: m
//!   condition: >
//!     (evt.type = open and proc.name in (a, b))
//! ");
//! # Ok::<(), peregrine_fmt::FormatError>(())
//! ```

mod condition;
mod error;
mod fill;
mod flow;
mod layout;
mod scan;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeSet;

pub use error::FormatError;
use peregrine_yaml::Node;
pub use verify::syntax_problems;

use condition::condition_of;
use scan::Lead;

/// A rules file in the one layout. Its byte order mark and its kind of line ends are kept.
///
/// # Errors
/// If the text is not a rules file, or is written in a way that is not understood.
pub fn format(text: &str) -> Result<String, FormatError> {
    let (mark, text) = match text.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", text),
    };
    let crlf =
        text.find('\n').is_some_and(|end| text.get(..end).unwrap_or_default().ends_with('\r'));
    let mut lines = text.replace("\r\n", "\n");
    if lines.contains(['\r', '\0', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err(FormatError::Unsupported("it holds unusual control characters"));
    }
    if !lines.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    let mut formatted = of_lines(&lines)?;
    verify::same(&lines, &formatted)?;
    if crlf {
        formatted = formatted.replace('\n', "\r\n");
    }
    Ok(format!("{mark}{formatted}"))
}

fn of_lines(text: &str) -> Result<String, FormatError> {
    let documents = peregrine_yaml::parse(text).map_err(|_| FormatError::Yaml)?;
    if documents.iter().any(|node| !node.is_null() && node.as_seq().is_none()) {
        return Err(FormatError::NotRules);
    }
    let mut nodes = documents.iter().flat_map(Node::items);
    let mut out = Output::default();
    for document in split_documents(text) {
        document_of(document, &mut nodes, &mut out)?;
    }
    match nodes.next() {
        Some(_) => {
            Err(FormatError::Unsupported("its items do not each begin on a line of their own"))
        }
        None => Ok(out.finish()),
    }
}

/// The lines of the result.
#[derive(Default)]
struct Output {
    lines: Vec<String>,
    /// Whether the last line ends an item.
    after_item: bool,
}

impl Output {
    fn blank(&mut self) {
        if self.lines.last().is_some_and(|last| !last.is_empty()) {
            self.lines.push(String::new());
        }
        self.after_item = false;
    }

    /// A line between items.
    fn between(&mut self, line: String) {
        if self.after_item {
            self.blank();
        }
        self.lines.push(line);
    }

    fn item(&mut self, lines: impl IntoIterator<Item = String>) {
        if self.after_item {
            self.blank();
        }
        self.lines.extend(lines);
        self.after_item = true;
    }

    fn finish(mut self) -> String {
        while self.lines.pop_if(|last| last.is_empty()).is_some() {}
        self.lines.into_iter().map(|line| line + "\n").collect()
    }
}

/// Documents, each with the `---` or `...` before it.
fn split_documents(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && is_marker(line) {
            starts.push(at);
        }
        at += line.len();
    }
    starts.push(text.len());
    starts.array_windows().filter_map(|[from, to]| text.get(*from..*to)).collect()
}

fn is_marker(line: &str) -> bool {
    let after = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    after.is_some_and(|after| {
        let rest = after.trim();
        rest.is_empty() || rest.starts_with('#') && after.starts_with(' ')
    })
}

/// Formats a document. Its items are the next ones of `nodes`.
fn document_of<'n>(
    text: &str,
    nodes: &mut impl Iterator<Item = &'n Node>,
    out: &mut Output,
) -> Result<(), FormatError> {
    let unsupported = |why| Err(FormatError::Unsupported(why));
    let dash = text.lines().find(|line| is_dash(line.trim_start_matches(' ')));
    let dash = dash.map_or(0, scan::indent);
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if scan::indent(line) == dash && is_dash(line.get(dash..).unwrap_or_default()) {
            starts.push(at);
        }
        at += line.len();
    }
    let before = text.get(..starts.first().copied().unwrap_or(text.len())).unwrap_or_default();
    for line in before.lines() {
        match scan::lead(line) {
            None if is_marker(line) || line.starts_with('%') => {
                out.between(line.trim_end().to_owned());
            }
            None => return unsupported("its items do not each begin on a line of their own"),
            Some(Lead::Comment(comment)) => out.between(comment.to_owned()),
            Some(Lead::Blank) => out.blank(),
        }
    }
    starts.push(text.len());
    let mut items = Vec::new();
    for [from, to] in starts.array_windows() {
        let Some(node) = nodes.next() else {
            return unsupported("its items do not each begin on a line of their own");
        };
        let text = text.get(*from..*to).unwrap_or_default();
        let understood = if has_duplicates(node) { None } else { scan::item(text, dash) };
        items.push((text, node, understood));
    }
    // Items that stay as they are determine the column of the others.
    let column = if items.iter().all(|(.., understood)| understood.is_some()) { 0 } else { dash };
    for (text, node, understood) in items {
        let rest = match understood {
            Some((item, rest)) => {
                out.item(layout::item(item, column, condition_of(node)));
                rest
            }
            None => {
                let (item, rest) = split_item(text, dash);
                out.item(item.lines().map(str::to_owned));
                rest
            }
        };
        for line in rest.lines() {
            match scan::lead(line) {
                Some(Lead::Comment(comment)) => out.between(" ".repeat(column) + comment),
                _ => out.blank(),
            }
        }
    }
    Ok(())
}

fn is_dash(line: &str) -> bool {
    line.strip_prefix('-').is_some_and(|after| after.is_empty() || after.starts_with([' ', '\n']))
}

/// Of two equal keys the first counts, so that their order must stay.
fn has_duplicates(item: &Node) -> bool {
    let mut keys = BTreeSet::new();
    item.entries().iter().any(|(key, _)| !keys.insert(key.as_str()))
}

/// An item that is not understood, and the comments and empty lines that follow it and are not
/// deeper than its dash.
fn split_item(text: &str, dash: usize) -> (&str, &str) {
    let mut end = text.len();
    for line in text.split_inclusive('\n').rev() {
        match scan::lead(line) {
            Some(Lead::Comment(_)) if scan::indent(line) > dash => break,
            None => break,
            Some(_) => end -= line.len(),
        }
    }
    text.split_at(end)
}
