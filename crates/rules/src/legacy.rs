//! The rules format of 2016: `condition | PRIORITY output` and `macro: condition`, line by line.
//!
//! Statements become the equivalent YAML items, with the places of the old file. Everything after
//! parsing is shared by both formats.

mod convert;
mod lines;

use std::collections::BTreeSet;

use peregrine_alert::Priority;
use peregrine_diagnostics::Position;
use peregrine_yaml::{Map, Node, Value};

pub use convert::convert;
use lines::{Line, Piece};

use crate::{Cause, Finding, ItemKind, Place};

const DEPRECATED: &str = "The rules format of 2016 is deprecated. `peregrine rules convert FILE` \
                          writes this file as YAML.";
const FORM: &str = "a rule is `condition | PRIORITY output`, a macro is `name: condition`";

/// Output of rules that have none: shows the event.
const DEFAULT_OUTPUT: &str = "%proc.name (%thread.tid) %evt.type %evt.args";
const DEFAULT_PRIORITY: Priority = Priority::Warning;

/// Whether a file is in this format: by its name, or because it is not a sequence and has such
/// rules.
pub(crate) fn is_legacy(name: &str, text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.find(|line| !line.starts_with('#'));
    if first.is_none_or(|line| line.starts_with(['-', '[', '{', '%'])) {
        return false;
    }
    let is_rule = |line: &str| {
        let output = Piece::of(line).output;
        output
            .is_some_and(|at| word(line.get(at..).unwrap_or_default()).parse::<Priority>().is_ok())
    };
    name.ends_with(".conf") || text.lines().any(is_rule)
}

/// A sequence of items, like a document of a YAML file. Errors are reported.
pub(crate) fn document(file: &Place, findings: &mut Vec<Finding>) -> Option<Node> {
    let OldFile { statements, .. } = read(file, findings)?;
    let first = statements.first().map(|statement| statement.condition.start).unwrap_or_default();
    let place = file.spot(ItemKind::RulesContentItem, first);
    findings.push(Finding::new(Cause::LegacyFile, DEPRECATED, place));
    let items = statements.iter().map(Statement::item).collect();
    Some(Node::nowhere(Value::Seq(items)))
}

struct OldFile {
    statements: Vec<Statement>,
    /// Comment lines after the last statement.
    rest: Vec<String>,
}

/// A rule or a macro.
struct Statement {
    /// The lines above it: comments with their `#`, and empty ones.
    comments: Vec<String>,
    condition: Node,
    kind: Kind,
}

enum Kind {
    Macro { name: Node },
    Rule { name: String, priority: Node, output: Node },
}

/// All statements, or none if there are errors.
fn read(file: &Place, findings: &mut Vec<Finding>) -> Option<OldFile> {
    let text = file.source().text.as_str();
    let mut reader = Reader {
        file,
        statements: Vec::new(),
        findings: Vec::new(),
        rules: 0,
        names: BTreeSet::new(),
    };
    let mut comments = Vec::new();
    let mut open: Option<Open<'_>> = None;
    for line in Line::all(text) {
        if line.is_comment() || line.text.trim().is_empty() {
            comments.push(line.text.trim().to_owned());
            continue;
        }
        let continued = open.as_ref().is_some_and(|open| open.goes_on(&line, &comments));
        if !continued && let Some(done) = open.take() {
            reader.close(done);
        }
        let statement = open.get_or_insert_with(|| Open::new(&line));
        statement.comments.append(&mut comments);
        if statement.take(&line)
            && let Some(done) = open.take()
        {
            reader.close(done);
        }
    }
    if let Some(done) = open {
        reader.close(done);
    }
    let right = reader.findings.is_empty();
    findings.append(&mut reader.findings);
    right.then_some(OldFile { statements: reader.statements, rest: comments })
}

/// A statement whose end is not reached yet.
struct Open<'t> {
    comments: Vec<String>,
    indent: usize,
    /// Name of a macro.
    name: Option<Node>,
    /// The parts of the condition, line by line.
    parts: Vec<&'t str>,
    depth: i32,
    start: Position,
    end: Position,
    /// The pipe and the text after it.
    output: Option<Node>,
}

impl<'t> Open<'t> {
    fn new(line: &Line<'t>) -> Self {
        let name = line.macro_name().map(|range| line.node(range));
        let start = line.mark(line.indent());
        Self {
            comments: Vec::new(),
            indent: line.indent(),
            name,
            parts: Vec::new(),
            depth: 0,
            start,
            end: start,
            output: None,
        }
    }

    /// Whether this line continues the statement. A blank line or comment ends a complete one.
    fn goes_on(&self, line: &Line<'t>, between: &[String]) -> bool {
        let last = self.parts.last().copied().unwrap_or_default();
        let incomplete = self.depth > 0 || last.is_empty() || lines::ends_open(last);
        let indented = line.indent() > self.indent && between.is_empty();
        line.macro_name().is_none()
            && (incomplete || indented || lines::begins_joined(line.text.trim_start()))
    }

    /// Adds a line; returns whether it was the last one.
    fn take(&mut self, line: &Line<'t>) -> bool {
        let begin = match (&self.name, self.parts.is_empty()) {
            (Some(_), true) => line.macro_name().map_or(0, |name| line.after_colon(name.end)),
            _ => 0,
        };
        let rest = line.text.get(begin..).unwrap_or_default();
        let piece = Piece::of(rest);
        let written = rest.get(..piece.condition).unwrap_or_default();
        let part = written.trim();
        let at = begin + written.len() - written.trim_start().len();
        if !part.is_empty() {
            if self.parts.iter().all(|part| part.is_empty()) {
                self.start = line.mark(at);
            }
            self.end = line.mark(at + part.len());
        }
        self.parts.push(part);
        self.depth += piece.depth;
        if let Some(pipe) = piece.output {
            let behind = line.text.get(begin + pipe..).unwrap_or_default();
            let blanks = behind.len() - behind.trim_start().len();
            let end = line.text.trim_end().len();
            self.output = Some(line.node((begin + pipe + blanks).min(end)..end));
        }
        self.output.is_some()
    }
}

/// Converts parsed lines into statements.
struct Reader<'f> {
    file: &'f Place,
    statements: Vec<Statement>,
    findings: Vec<Finding>,
    /// Number of rules.
    rules: usize,
    /// Their names.
    names: BTreeSet<String>,
}

impl Reader<'_> {
    fn close(&mut self, open: Open<'_>) {
        let parts: Vec<&str> = open.parts.into_iter().filter(|part| !part.is_empty()).collect();
        let condition = node(parts.join(" "), open.start, open.end);
        if parts.is_empty() {
            return self.wrong("The condition is missing", FORM.to_owned(), &condition);
        }
        let comments = open.comments;
        if let Some(name) = open.name {
            if let Some(output) = open.output {
                return self.wrong("A macro has no output", FORM.to_owned(), &output);
            }
            self.statements.push(Statement { comments, condition, kind: Kind::Macro { name } });
            return;
        }
        self.rules += 1;
        let (priority, output) = match open.output {
            None => {
                let at = condition.end;
                let word = DEFAULT_PRIORITY.name().to_ascii_uppercase();
                (node(word, at, at), node(DEFAULT_OUTPUT.to_owned(), at, at))
            }
            Some(behind) => match output(&behind) {
                Ok(output) => output,
                Err(message) => {
                    let names = Priority::ALL.map(|level| level.name().to_ascii_uppercase());
                    let help = format!("{FORM}; priorities are {}", names.join(", "));
                    return self.wrong(message, help, &behind);
                }
            },
        };
        let wanted = name_of(output.as_str().unwrap_or_default());
        let wanted = wanted.unwrap_or_else(|| format!("Rule {}", self.rules));
        let name = unused(wanted, &mut self.names);
        let kind = Kind::Rule { name, priority, output };
        self.statements.push(Statement { comments, condition, kind });
    }

    fn wrong(&mut self, message: &str, help: String, at: &Node) {
        let place = self.file.inside(ItemKind::RulesContentItem, "", at);
        let error = Finding::new(Cause::InvalidLegacyFile, message, place);
        self.findings.push(error.help(Some(help)));
    }
}

/// Priority and output, from the text after the pipe.
fn output(behind: &Node) -> Result<(Node, Node), &'static str> {
    let text = behind.as_str().unwrap_or_default();
    // Before priorities existed, an output began with its first field.
    let word = if text.starts_with('%') { "" } else { word(text) };
    // An abbreviation is enough: INFO, WARN.
    let meant = |priority: &Priority| {
        let start = priority.name().get(..word.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(word)
    };
    let priority = match (text.is_empty(), word.is_empty()) {
        (false, true) => Some(DEFAULT_PRIORITY),
        (false, false) => Priority::ALL.into_iter().find(meant),
        (true, _) => None,
    };
    let Some(priority) = priority else { return Err("A priority must stand behind the pipe") };
    let rest = text.get(word.len()..).unwrap_or_default();
    let output = rest.trim();
    if output.is_empty() {
        return Err("The output is missing");
    }
    let mark = |at: usize| Position {
        offset: behind.start.offset + at,
        line: behind.start.line,
        column: behind.start.column + at,
    };
    let at = text.len() - rest.trim_start().len();
    let level = priority.name().to_ascii_uppercase();
    Ok((
        node(level, mark(0), mark(word.len())),
        node(output.to_owned(), mark(at), mark(at + output.len())),
    ))
}

/// The text of an output up to its first field.
fn name_of(output: &str) -> Option<String> {
    let end = output.find(['%', '(']).unwrap_or(output.len());
    let text = output.get(..end)?;
    let name = text.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
    // "on %container.id" is not a name.
    (name.chars().filter(|c| c.is_alphabetic()).count() >= 4).then(|| name.to_owned())
}

/// The name, with a number if another rule has it.
fn unused(wanted: String, names: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{wanted} {number}"));
    let name = std::iter::once(wanted.clone()).chain(numbered).find(|name| !names.contains(name));
    let name = name.unwrap_or(wanted);
    names.insert(name.clone());
    name
}

impl Statement {
    fn item(&self) -> Node {
        let condition = &self.condition;
        let text = |text: &str| node(text.to_owned(), condition.start, condition.end);
        let (start, end, entries) = match &self.kind {
            Kind::Macro { name } => {
                let entries = vec![("macro", name.clone()), ("condition", condition.clone())];
                (name.start, condition.end, entries)
            }
            Kind::Rule { name, priority, output } => {
                let entries = vec![
                    ("rule", text(name)),
                    ("desc", text(&self.description(name))),
                    ("condition", condition.clone()),
                    ("output", output.clone()),
                    ("priority", priority.clone()),
                ];
                (condition.start, output.end, entries)
            }
        };
        let key = |name: &str| node(name.to_owned(), start, start);
        let entries = entries.into_iter().map(|(name, value)| (key(name), value)).collect();
        Node { value: Value::Map(Map(entries)), start, end }
    }

    /// The comment directly above a rule, or its name.
    fn description(&self, name: &str) -> String {
        let above: Vec<&str> = self
            .described()
            .iter()
            .map(|line| line.trim_start_matches('#').trim())
            .filter(|line| line.contains(char::is_alphabetic))
            .collect();
        if above.is_empty() { name.to_owned() } else { above.join(" ") }
    }

    /// The comment lines directly above.
    fn described(&self) -> &[String] {
        let begin = self.comments.iter().rposition(String::is_empty).map_or(0, |at| at + 1);
        self.comments.get(begin..).unwrap_or_default()
    }
}

/// The first word after a pipe.
fn word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn node(text: String, start: Position, end: Position) -> Node {
    Node { value: Value::Scalar { text, quoted: true }, start, end }
}

#[cfg(test)]
mod tests;
