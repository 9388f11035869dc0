//! Where in the rules something stands: the chain from the file down to the word.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use peregrine_yaml::{Mark, Node};
use serde_json::{Value, json};

/// Widest snippet, in bytes.
const SNIPPET_WIDTH: usize = 160;

/// A rules file.
#[derive(Debug)]
pub struct RulesFile {
    /// Name, generally the path.
    pub name: String,
    /// Content.
    pub text: String,
}

/// What kind of thing stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ItemKind {
    ValueFor,
    Exceptions,
    Exception,
    ExceptionValues,
    ExceptionValue,
    RulesContent,
    RulesContentItem,
    RequiredEngineVersion,
    RequiredPluginVersions,
    RequiredPluginVersionsEntry,
    RequiredPluginVersionsAlternative,
    List,
    ListItem,
    Macro,
    MacroCondition,
    Rule,
    RuleCondition,
    ConditionExpression,
    RuleOutput,
    RulePriority,
    Override,
}

impl ItemKind {
    /// As results print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ValueFor => "value for",
            Self::Exceptions => "exceptions",
            Self::Exception => "exception",
            Self::ExceptionValues => "exception values",
            Self::ExceptionValue => "exception value",
            Self::RulesContent => "rules content",
            Self::RulesContentItem => "rules content item",
            Self::RequiredEngineVersion => "required_engine_version",
            Self::RequiredPluginVersions => "required plugin versions",
            Self::RequiredPluginVersionsEntry => "required plugin versions entry",
            Self::RequiredPluginVersionsAlternative => "required plugin versions alternative",
            Self::List => "list",
            Self::ListItem => "list item",
            Self::Macro => "macro",
            Self::MacroCondition => "macro condition",
            Self::Rule => "rule",
            Self::RuleCondition => "rule condition",
            Self::ConditionExpression => "condition expression",
            Self::RuleOutput => "rule output",
            Self::RulePriority => "rule priority",
            Self::Override => "overrides",
        }
    }
}

/// One step of the chain.
#[derive(Clone, Debug)]
pub struct Location {
    /// What stands there.
    pub kind: ItemKind,
    /// Its name, where it has one.
    pub item: String,
    /// The file, or for places inside of a condition the beginning of its text.
    pub name: Arc<str>,
    /// The place.
    pub mark: Mark,
}

/// A place in the rules.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<RulesFile>,
    steps: Vec<Location>,
    /// The innermost node of the file, for those who underline it.
    span: (Mark, Mark),
    /// The condition that the last step points into.
    condition: Option<Condition>,
    /// Where in which file people find it, when that is not the innermost node.
    found: Option<(Arc<RulesFile>, Mark, Mark)>,
}

#[derive(Clone, Debug)]
struct Condition {
    text: String,
    offset: usize,
}

impl Place {
    /// A whole file.
    #[must_use]
    pub fn file(source: Arc<RulesFile>) -> Self {
        let mark = Mark::default();
        let kind = ItemKind::RulesContent;
        let name = source.name.as_str().into();
        let steps = vec![Location { kind, item: String::new(), name, mark }];
        Self { source, steps, span: (mark, mark), condition: None, found: None }
    }

    /// A node inside of this place.
    #[must_use]
    pub fn inside(&self, kind: ItemKind, item: &str, node: &Node) -> Self {
        self.step(kind, item, node.start, node.end)
    }

    /// A spot inside of this place.
    #[must_use]
    pub fn spot(&self, kind: ItemKind, at: Mark) -> Self {
        self.step(kind, "", at, at)
    }

    /// A byte of the text of a condition, as it is compiled, inside of this place.
    ///
    /// Line and column are those within the condition, counted from 1, added to those of the place
    /// it stands in: that is what the machine-readable result has always held.
    #[must_use]
    pub fn in_condition(&self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let parent = self.steps.last().map(|step| step.mark).unwrap_or_default();
        let mark = Mark {
            offset: parent.offset + offset,
            line: parent.line + line + 1,
            column: parent.column + column + 1,
        };
        let name = match text.len() {
            0..=20 => format!("\"{text}\""),
            _ => format!("\"{}...\"", text.get(..text.floor_char_boundary(17)).unwrap_or_default()),
        };
        let mut place = self.clone();
        let kind = ItemKind::ConditionExpression;
        let name = name.replace(['\n', '\r'], " ").into();
        place.steps.push(Location { kind, item: String::new(), name, mark });
        place.condition = Some(Condition { text: text.to_owned(), offset });
        place
    }

    /// A condition as a whole, inside of this place.
    #[must_use]
    pub fn of_condition(&self, text: &str) -> Self {
        let mut place = self.in_condition(text, 0);
        let parent = self.steps.last().map(|step| step.mark).unwrap_or_default();
        if let Some(step) = place.steps.last_mut() {
            step.mark = parent;
        }
        place
    }

    /// The file.
    #[must_use]
    pub fn rules_file(&self) -> &RulesFile {
        &self.source
    }

    /// The chain, from the file inwards.
    #[must_use]
    pub fn steps(&self) -> &[Location] {
        &self.steps
    }

    /// What people should look at: the file, and begin and end of what is meant.
    #[must_use]
    pub fn shown(&self) -> (&RulesFile, Mark, Mark) {
        match &self.found {
            Some((file, start, end)) => (file, *start, *end),
            None => (&self.source, self.span.0, self.span.1),
        }
    }

    /// Whether people are shown the very word, and not only what it stands in.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.found.is_some()
    }

    /// The same place for machines; people are shown this node.
    #[must_use]
    pub fn showing(mut self, node: &Node) -> Self {
        self.found = Some((Arc::clone(&self.source), node.start, node.end));
        self
    }

    /// The same place for machines; people are shown a part of a condition that stands at `condition`,
    /// if it can be found there.
    #[must_use]
    pub fn showing_part(mut self, condition: &Self, text: &str, part: Range<usize>) -> Self {
        let start = condition.find(text, part.start);
        // The end lies behind the last byte, which may be followed by blanks.
        let last = part.end.saturating_sub(1).max(part.start);
        let end = condition.find(text, last).map(|mark| Mark { offset: mark.offset + 1, ..mark });
        if let (Some(start), Some(end)) = (start, end) {
            self.found = Some((Arc::clone(&condition.source), start, end));
        }
        self
    }

    /// Where a byte of a scalar stands in the file. Blanks are taken for equal, because folding changes
    /// them; other differences, such as escapes or what was appended elsewhere, make it unknown.
    fn find(&self, text: &str, offset: usize) -> Option<Mark> {
        let file = self.source.text.as_str();
        let begin = self.span.0.offset;
        let scalar = file.get(begin..)?;
        let skipped = match scalar.chars().next()? {
            '"' | '\'' => 1,
            '|' | '>' => scalar.find('\n')? + 1,
            _ => 0,
        };
        let mut written = scalar.get(skipped..)?.trim_start();
        let mut read = text.get(..offset)?.trim_start();
        while let Some(c) = read.chars().next() {
            if c.is_whitespace() {
                read = read.trim_start();
                let rest = written.trim_start();
                if rest.len() == written.len() {
                    return None;
                }
                written = rest;
            } else {
                read = read.get(c.len_utf8()..)?;
                written = written.strip_prefix(c)?;
            }
        }
        let at = file.len() - written.len();
        let before = file.get(begin..at)?;
        Some(match before.rfind('\n') {
            Some(newline) => Mark {
                offset: at,
                line: self.span.0.line + before.matches('\n').count(),
                column: before.len() - newline - 1,
            },
            None => Mark {
                offset: at,
                line: self.span.0.line,
                column: self.span.0.column + before.len(),
            },
        })
    }

    /// Text of the condition that this place points into, and the byte it points to.
    #[must_use]
    pub fn condition(&self) -> Option<(&str, usize)> {
        self.condition.as_ref().map(|condition| (condition.text.as_str(), condition.offset))
    }

    /// For the machine-readable result.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let locations: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                json!({
                    "item_type": step.kind.name(),
                    "item_name": step.item,
                    "position": {
                        "name": &*step.name,
                        "line": step.mark.line,
                        "column": step.mark.column,
                        "offset": step.mark.offset,
                    },
                })
            })
            .collect();
        json!({ "locations": locations, "snippet": self.snippet() })
    }

    /// The line of the place and a mark under it, as results have always shown them.
    #[must_use]
    pub fn snippet(&self) -> String {
        let text = match &self.condition {
            Some(condition) if !condition.text.is_empty() => &condition.text,
            _ => &self.source.text,
        };
        let offset = self.steps.last().map_or(0, |step| step.mark.offset);
        snippet(text.as_bytes(), offset)
    }

    fn step(&self, kind: ItemKind, item: &str, start: Mark, end: Mark) -> Self {
        let file = self.steps.first();
        let name = file.map_or_else(|| self.source.name.as_str().into(), |file| file.name.clone());
        let mut steps = Vec::with_capacity(self.steps.len() + 1);
        steps.extend_from_slice(&self.steps);
        steps.push(Location { kind, item: item.to_owned(), name, mark: start });
        let source = Arc::clone(&self.source);
        let condition = self.condition.clone();
        Self { source, steps, span: (start, end), condition, found: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            f.write_str(if i == 0 { "In " } else { "    " })?;
            f.write_str(step.kind.name())?;
            if !step.item.is_empty() {
                write!(f, " '{}'", step.item)?;
            }
            writeln!(f, ": ({}:{}:{})", step.name, step.mark.line, step.mark.column)?;
        }
        Ok(())
    }
}

/// The line around `offset`, at most half a width to both sides, and a caret below.
fn snippet(text: &[u8], offset: usize) -> String {
    const HALF: usize = SNIPPET_WIDTH / 2;
    let Some(last) = text.len().checked_sub(1) else {
        return "<No context available>\n".to_owned();
    };
    let newline = |at: usize| text.get(at) == Some(&b'\n');

    // A place may lie past the end, or on the end of its line: show what stands before.
    let mut at = offset.min(last);
    if offset <= last || last > 0 {
        while at > 0 && newline(at) {
            at -= 1;
        }
    }
    let mut from = at;
    while from > 0 && !newline(from) && at - from < HALF {
        from -= 1;
    }
    let mut to = at;
    while to < last && !newline(to) && to - at < HALF {
        to += 1;
    }
    let (cut_before, cut_after) = (at - from >= HALF, to - at >= HALF);
    if newline(from) {
        from += 1;
    }
    if newline(to) {
        to = to.saturating_sub(1);
    }
    let mut line = text.get(from..=to).unwrap_or_default().to_vec();
    if line.is_empty() {
        return "<No context available>\n".to_owned();
    }
    if cut_before {
        line.splice(..3.min(line.len()), *b"...");
    }
    if cut_after {
        line.splice(line.len().saturating_sub(3).., *b"...");
    }
    let width = line.len();
    let mut shown = String::from_utf8_lossy(&line).into_owned();
    shown.push('\n');
    let caret = at.saturating_sub(from);
    if caret <= width {
        shown.push_str(&" ".repeat(caret));
        shown.push_str("^\n");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_conditions_are_found_in_the_file() {
        let file =
            |text: &str| Place::file(Arc::new(RulesFile { name: "f".into(), text: text.into() }));
        let find = |text: &str, offset: usize| {
            let node = &peregrine_yaml::parse(text).unwrap()[0];
            let condition = node.get("c").unwrap();
            let place = file(text).inside(ItemKind::RuleCondition, "", condition);
            place.find(condition.as_str().unwrap(), offset).map(|mark| (mark.line, mark.column))
        };
        assert_eq!(find("c: a.b = 1 and c.d = 2", 12), Some((0, 15)));
        assert_eq!(find("c: 'a.b = 1 and c.d = 2'", 12), Some((0, 16)));
        assert_eq!(find("c: >\n  a.b = 1\n  and\n    c.d = 2\n", 14), Some((3, 4)));
        assert_eq!(find("c: a.b = 1 and\n  c.d = 2", 12), Some((1, 2)));
        assert_eq!(find("c: \"a.b = '\\t' or c.d = 1\"", 13), None);
    }

    #[test]
    fn snippets_show_one_line() {
        assert_eq!(snippet(b"one\ntwo three\nfour", 8), "two three\n    ^\n");
        assert_eq!(snippet(b"one\ntags:\n", 10), "tags:\n    ^\n");
        assert_eq!(snippet(b"one", 99), "one\n  ^\n");
        assert_eq!(snippet(b"", 0), "<No context available>\n");
        assert_eq!(snippet(b"\n", 0), "<No context available>\n");
    }

    #[test]
    fn snippets_of_long_lines_are_cut() {
        let text = "x".repeat(500);
        let shown = snippet(text.as_bytes(), 250);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("...x") && lines[0].ends_with("x..."));
        assert_eq!(lines[0].len(), 161);
        assert_eq!(lines[1].len(), 81);
    }
}
