//! Places in rules files: the chain from the file down to the word.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use peregrine_diagnostics::{Label, Position, Source, Span, excerpt};
use peregrine_yaml::Node;
use serde_json::{Value, json};

use crate::Written;

/// Kind of an item at a place.
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
    /// Its name in results.
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
    /// Kind of the item.
    pub kind: ItemKind,
    /// Its name, if it has one.
    pub item: String,
    /// The file, or for places inside a condition the beginning of its text.
    pub name: Arc<str>,
    /// The place.
    pub mark: Position,
}

/// A place in the rules.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<Source>,
    steps: Vec<Location>,
    /// The innermost node of the file.
    span: Span,
    /// The condition that the last step refers to.
    condition: Option<Condition>,
    /// The place that messages show instead of the innermost node.
    exact: Option<Label>,
}

#[derive(Clone, Debug)]
struct Condition {
    text: String,
    offset: usize,
}

impl Place {
    /// A whole file.
    #[must_use]
    pub fn file(source: Arc<Source>) -> Self {
        let mark = Position::default();
        let kind = ItemKind::RulesContent;
        let name = source.name.as_str().into();
        let steps = vec![Location { kind, item: String::new(), name, mark }];
        Self { source, steps, span: Span::default(), condition: None, exact: None }
    }

    /// A node inside this place.
    #[must_use]
    pub fn inside(&self, kind: ItemKind, item: &str, node: &Node) -> Self {
        self.step(kind, item, node.span())
    }

    /// A position inside this place.
    #[must_use]
    pub fn spot(&self, kind: ItemKind, at: Position) -> Self {
        self.step(kind, "", Span { start: at, end: at })
    }

    /// A byte of the text of a condition, as it is compiled, inside this place.
    ///
    /// Line and column are those within the condition, counted from 1, added to those of the
    /// enclosing place: the machine-readable result has this form.
    #[must_use]
    pub fn in_condition(&self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let parent = self.steps.last().map(|step| step.mark).unwrap_or_default();
        let mark = Position {
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

    /// A whole condition inside this place.
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
    pub fn rules_file(&self) -> &Source {
        &self.source
    }

    /// Whether it is in this file.
    pub(crate) fn is_in(&self, file: &Self) -> bool {
        Arc::ptr_eq(&self.source, &file.source)
    }

    /// A part of the file, in bytes.
    pub(crate) fn part(&self, range: Range<usize>) -> Label {
        Label::bytes(Arc::clone(&self.source), range)
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The chain, from the file inwards.
    #[must_use]
    pub fn steps(&self) -> &[Location] {
        &self.steps
    }

    /// The part that messages show: the word itself if it occurs in the file. Otherwise the node
    /// that contains it, followed by the text of the condition, which may include appended parts or
    /// escapes.
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        if let Some(exact) = &self.exact {
            return vec![exact.clone()];
        }
        let node = Label { source: Arc::clone(&self.source), span: self.span };
        match &self.condition {
            Some(Condition { text, offset }) if !text.is_empty() => {
                let source = Arc::new(Source::new("condition", text.as_str()));
                vec![node, Label::bytes(source, *offset..*offset)]
            }
            _ => vec![node],
        }
    }

    /// The same place in machine-readable results; messages show this node.
    #[must_use]
    pub fn showing(mut self, node: &Node) -> Self {
        self.exact = Some(Label { source: Arc::clone(&self.source), span: node.span() });
        self
    }

    /// The same place in machine-readable results; messages show the part of a condition at
    /// `condition`, if it occurs in the file.
    #[must_use]
    pub fn showing_part(mut self, condition: &Self, text: &str, part: Range<usize>) -> Self {
        // A part that ends with the text may be empty.
        let end = part.end.max(part.start + 1);
        self.exact = condition.part_of(text, part.start..end).or(self.exact);
        self
    }

    /// Where a part of the scalar at this place, whose text is `text`, stands in the file: also an
    /// empty one. `None` if that is not known, such as for text that comes from elsewhere.
    #[must_use]
    pub fn part_of(&self, text: &str, part: Range<usize>) -> Option<Label> {
        let range = self.span.start.offset..self.span.end.offset;
        let written = Written::at(&self.source.text, range, text);
        let end = text.trim_end().len();
        let range = if part.start < part.end {
            let start = part.start.min(end.saturating_sub(1));
            written.in_file(start..part.end.min(end).max(start + 1))?
        } else if let Some(at) = written.in_file(part.start..part.start + 1) {
            at.start..at.start
        } else {
            let last = written.in_file(part.start.checked_sub(1)?..part.start)?;
            last.end..last.end
        };
        Some(Label::bytes(Arc::clone(&self.source), range))
    }

    /// Where a word stands in the node at this place: the first occurrence between delimiters.
    pub(crate) fn word(&self, word: &str) -> Option<Label> {
        let Span { start, end } = self.span;
        let text = self.source.text.get(start.offset..end.offset)?;
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        let (at, _) = text.match_indices(word).find(|(at, _)| {
            let after = text.get(at + word.len()..).unwrap_or_default();
            let before = text.get(..*at).unwrap_or_default();
            !before.ends_with(is_part) && !after.starts_with(is_part)
        })?;
        let start = start.offset + at;
        Some(self.part(start..start + word.len()))
    }

    /// A new part of the scalar at this place, from a byte of the file on, as it must be written
    /// there. `None` if the style of the scalar can't hold it.
    pub(crate) fn as_written(&self, at: usize, new: &str) -> Option<String> {
        let start = self.span.start.offset;
        match self.source.text.get(start..)?.chars().next()? {
            '\'' => Some(new.replace('\'', "''")),
            '"' => Some(new.replace('\\', "\\\\").replace('"', "\\\"")),
            '|' | '>' => Some(new.to_owned()),
            _ => {
                let is_comment = [": ", " #"].iter().any(|sign| new.contains(sign));
                let is_special =
                    at == start && new.starts_with(|c| "!&*-?:,[]{}#|>@`%\"'".contains(c));
                (!is_comment && !is_special).then(|| new.to_owned())
            }
        }
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

    /// The line of the place with a mark below it, in the form of machine-readable results.
    #[must_use]
    pub fn snippet(&self) -> String {
        let text = match &self.condition {
            Some(condition) if !condition.text.is_empty() => &condition.text,
            _ => &self.source.text,
        };
        let offset = self.steps.last().map_or(0, |step| step.mark.offset);
        excerpt(text.as_bytes(), offset)
    }

    fn step(&self, kind: ItemKind, item: &str, span: Span) -> Self {
        let file = self.steps.first();
        let name = file.map_or_else(|| self.source.name.as_str().into(), |file| file.name.clone());
        let mut steps = Vec::with_capacity(self.steps.len() + 1);
        steps.extend_from_slice(&self.steps);
        steps.push(Location { kind, item: item.to_owned(), name, mark: span.start });
        let source = Arc::clone(&self.source);
        let condition = self.condition.clone();
        Self { source, steps, span, condition, exact: None }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_conditions_are_found_in_the_file() {
        let file = |text: &str| Place::file(Arc::new(Source::new("f", text)));
        let find = |text: &str, offset: usize| {
            let node = &peregrine_yaml::parse(text).unwrap()[0];
            let condition = node.get("c").unwrap();
            let place = file(text).inside(ItemKind::RuleCondition, "", condition);
            let label = place.part_of(condition.as_str().unwrap(), offset..offset + 1)?;
            Some((label.span.start.line, label.span.start.column))
        };
        assert_eq!(find("c: a.b = 1 and c.d = 2", 12), Some((0, 15)));
        assert_eq!(find("c: 'a.b = 1 and c.d = 2'", 12), Some((0, 16)));
        assert_eq!(find("c: >\n  a.b = 1\n  and\n    c.d = 2\n", 14), Some((3, 4)));
        assert_eq!(find("c: a.b = 1 and\n  c.d = 2", 12), Some((1, 2)));
        assert_eq!(find("c: \"a.b = '\\t' or c.d = 1\"", 13), Some((0, 18)));
    }
}
