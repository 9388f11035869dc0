//! An error with the lines around it, and what is said about it.

use std::ops::Range;

use super::lines::{Kind, Line};
use crate::Error;

/// Limit on the lines before an error that are looked at.
const MAX_LINES: usize = 1000;

/// What kind of mistake a syntax error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxCause {
    /// None of those below.
    Other,
    /// The text is nested too deeply, or grows too much through aliases.
    Limit,
    /// Lines of an unresolved merge conflict.
    Conflict,
    /// Expressions of a template that has not been rendered.
    Template,
    /// The fence of a code block in Markdown.
    Fence,
    /// A tab where only blanks may stand.
    Tab,
    /// A character that looks like a blank, a dash or a colon, or like nothing.
    Lookalike,
    /// A key without `:`, or a `:` without a blank after it.
    MissingColon,
    /// A list item without its `- `, or a `-` without a blank after it.
    MissingDash,
    /// A key or a list item in another column than those beside it.
    Indentation,
    /// A line of a text that is not indented below its key.
    UnindentedText,
    /// A quote that ends a text too early, or text after the closing quote.
    Quote,
    /// A quote that is never closed.
    UnclosedQuote,
    /// An escape that double quotes don't know.
    Escape,
    /// A bracket that is never closed, or never opened.
    Bracket,
    /// A comma too many, or one that is missing.
    Comma,
    /// An unquoted value that begins with a character that means something to YAML.
    Indicator,
    /// A `: ` within an unquoted value.
    ColonInValue,
    /// A comment within an unquoted value.
    Comment,
}

/// A change of a text: these bytes are replaced by this.
pub type TextEdit = (Range<usize>, String);

/// The mistake behind a syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its kind.
    pub cause: SyntaxCause,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, in bytes.
    pub span: Range<usize>,
    /// What would be right.
    pub help: String,
    /// What to call the repair.
    pub title: &'static str,
    /// The repair, which has been tried; empty where there is none.
    pub edits: Vec<TextEdit>,
}

/// An error and the lines around it.
pub(super) struct Context<'t> {
    pub(super) text: &'t str,
    pub(super) lines: &'t [Line<'t>],
    pub(super) error: &'t Error,
    /// The line that the error is in, or the last one with content before it.
    pub(super) at: usize,
    /// The lines that may hold the mistake.
    pub(super) near: Range<usize>,
    /// The lines that repairs are tried on: whole items of the outermost list, or keys of the
    /// outermost map.
    pub(super) tried: Range<usize>,
}

impl<'t> Context<'t> {
    pub(super) fn new(text: &'t str, lines: &'t [Line<'t>], error: &'t Error) -> Self {
        let has_content = |at: &usize| lines.get(*at).is_some_and(|line| line.kind != Kind::Blank);
        let last = error.at.line.min(lines.len().saturating_sub(1));
        let at = (0..=last).rev().find(has_content).unwrap_or(0);
        let base = base(lines);
        let begins = |at: &usize| lines.get(*at).is_some_and(|line| starts_section(line, base));
        let oldest = at.saturating_sub(MAX_LINES);
        let mut before = (oldest..=at).rev().filter(begins);
        // The item before may lack something that is missed only at the start of this one.
        let start = before.next().map_or(oldest, |own| before.next().unwrap_or(own));
        let start = before.next().filter(|_| start == at).unwrap_or(start);
        let end = (at + 1..lines.len()).filter(begins).nth(1).unwrap_or(lines.len());
        let near = start..(at + 4).min(lines.len());
        Self { text, lines, error, at, near, tried: start..end }
    }

    pub(super) fn line(&self, at: usize) -> Option<&Line<'t>> {
        self.lines.get(at)
    }

    /// Lines with content near the error: its own, then those before it, the nearest first, then
    /// those behind it.
    pub(super) fn nearest(&self) -> impl Iterator<Item = (usize, &Line<'t>)> {
        let before = (self.near.start..=self.at).rev();
        let order = before.chain(self.at + 1..self.near.end);
        let line = |at: usize| self.line(at).map(|line| (at, line));
        order.filter_map(line).filter(|(_, line)| line.kind == Kind::Content)
    }

    /// The line with content before this one.
    pub(super) fn previous(&self, at: usize) -> Option<(usize, &Line<'t>)> {
        let line = |at: usize| self.line(at).map(|line| (at, line));
        let mut rest = (self.near.start..at).rev().filter_map(line);
        rest.find(|(_, line)| !matches!(line.kind, Kind::Blank | Kind::Comment))
    }
}

/// Indentation of the outermost list or map.
pub(super) fn base(lines: &[Line<'_>]) -> usize {
    lines.iter().find(|line| line.kind == Kind::Content).map_or(0, Line::indent)
}

pub(super) fn starts_section(line: &Line<'_>, base: usize) -> bool {
    line.kind == Kind::Content && line.indent() <= base && line.begins_entry()
}
