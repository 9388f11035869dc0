//! Where in the rules something stands: the chain from the file down to the word.

use std::fmt;
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
    pub name: String,
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
        let steps = vec![Location { kind, item: String::new(), name: source.name.clone(), mark }];
        Self { source, steps, span: (mark, mark), condition: None }
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
        let name = name.replace(['\n', '\r'], " ");
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

    /// Begin and end of the innermost node of the file.
    #[must_use]
    pub fn span(&self) -> (Mark, Mark) {
        self.span
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
                        "name": step.name,
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
        let mut place = self.clone();
        let name = self.source.name.clone();
        place.steps.push(Location { kind, item: item.to_owned(), name, mark: start });
        place.span = (start, end);
        place
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
