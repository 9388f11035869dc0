//! Source texts and places in them.

use std::ops::Range;
use std::sync::Arc;

/// Place in a text. All counted from 0, as the reference engine prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Byte from the start of the text.
    pub offset: usize,
    /// Line.
    pub line: usize,
    /// Byte from the start of the line.
    pub column: usize,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: Position,
    /// The byte behind its last one.
    pub end: Position,
}

/// Name of the source that options of the command line are: places in it have no line and column.
pub const COMMAND_LINE: &str = "command line";

/// A text and its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Name, generally the path.
    pub name: String,
    /// Content.
    pub text: String,
}

impl Source {
    /// A text of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Whether it is an option of the command line.
    pub(crate) fn is_option(&self) -> bool {
        self.name == COMMAND_LINE
    }

    /// What stands before the text of an option: `-o`, unless the text has it.
    pub(crate) fn option_prefix(&self) -> &'static str {
        if self.is_option() && !self.text.starts_with('-') { "-o " } else { "" }
    }

    /// A place in it, `file:line:column`; an option itself.
    pub(crate) fn place(&self, offset: usize) -> String {
        if self.is_option() {
            return format!("{}{}", self.option_prefix(), self.text);
        }
        let (line, column) = self.line_and_column(offset);
        format!("{}:{line}:{column}", self.name)
    }

    /// Where a byte stands. An offset behind the end, or inside of a character, is moved back.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let before = self.text.get(..offset).unwrap_or_default();
        let end = self.line_end();
        let line = memchr::memchr_iter(end, before.as_bytes()).count();
        let column = before.len() - before.rfind(char::from(end)).map_or(0, |at| at + 1);
        Position { offset, line, column }
    }

    /// The byte that ends lines: `\r` in a text that has no `\n`.
    pub(crate) fn line_end(&self) -> u8 {
        let text = self.text.as_bytes();
        let bare = memchr::memchr(b'\n', text).is_none() && memchr::memchr(b'\r', text).is_some();
        if bare { b'\r' } else { b'\n' }
    }

    /// Where a range of bytes begins and ends.
    #[must_use]
    pub fn span(&self, range: Range<usize>) -> Span {
        Span { start: self.position(range.start), end: self.position(range.end) }
    }

    /// Line and column of a byte as editors count them: from 1, in characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let at = self.position(offset);
        let line = self.text.get(at.offset - at.column..at.offset).unwrap_or_default();
        (at.line + 1, line.chars().count() + 1)
    }
}

/// Several texts, each with a range of offsets of its own, so that an offset alone says which text
/// it belongs to. For trees that are put together from several files.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    /// Texts with the offset of their first byte, in ascending order.
    sources: Vec<(usize, Arc<Source>)>,
}

impl SourceMap {
    /// Adds a text and returns the offset of its first byte.
    pub fn add(&mut self, source: Source) -> usize {
        // One offset more than bytes: the end of a text is a place too.
        let base = self.sources.last().map_or(0, |(base, last)| base + last.text.len() + 1);
        self.sources.push((base, Arc::new(source)));
        base
    }

    /// The text that an offset lies in, and the span within that text.
    #[must_use]
    pub fn resolve(&self, span: Span) -> Option<(Arc<Source>, Span)> {
        let (base, source) = self.sources.iter().rfind(|(base, _)| *base <= span.start.offset)?;
        let local = |at: Position| Position { offset: at.offset.saturating_sub(*base), ..at };
        Some((Arc::clone(source), Span { start: local(span.start), end: local(span.end) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_found_by_offset() {
        let source = Source::new("f", "aé\nbc");
        assert_eq!(source.position(0), Position { offset: 0, line: 0, column: 0 });
        assert_eq!(source.position(2), Position { offset: 1, line: 0, column: 1 });
        assert_eq!(source.position(5), Position { offset: 5, line: 1, column: 1 });
        assert_eq!(source.position(99), Position { offset: 6, line: 1, column: 2 });
        assert_eq!(source.line_and_column(3), (1, 3));
    }

    #[test]
    fn lines_may_end_in_a_carriage_return_alone() {
        let source = Source::new("f", "ab\rcd\r");
        assert_eq!(source.position(4), Position { offset: 4, line: 1, column: 1 });
        let shown = crate::Snippet::new(&source, source.span(4..5)).to_string();
        assert!(shown.starts_with(" --> f:2:2\n  |\n2 | cd\n"), "{shown}");
        assert_eq!(Source::new("f", "a\rb\nc").position(2).line, 0);
    }

    #[test]
    fn a_map_separates_its_texts() {
        let mut map = SourceMap::default();
        assert_eq!(map.add(Source::new("one", "a: 1\n")), 0);
        let base = map.add(Source::new("two", "b: 2\n"));
        let mut span = Source::new("two", "b: 2\n").span(3..4);
        span.start.offset += base;
        span.end.offset += base;
        let (source, local) = map.resolve(span).unwrap();
        assert_eq!((source.name.as_str(), local.start.offset, local.end.offset), ("two", 3, 4));
        let (source, _) = map.resolve(Span::default()).unwrap();
        assert_eq!(source.name, "one");
    }
}
