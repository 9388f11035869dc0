//! A text with positions as clients count them.

use std::ops::Range;

use ls_types::{Position, PositionEncodingKind, TextDocumentContentChangeEvent};

/// Units in which columns are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// Code units of UTF-16: what every client knows.
    #[default]
    Utf16,
}

impl Encoding {
    /// The best of those that a client offers.
    pub(crate) fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        match offered.is_some_and(|kinds| kinds.contains(&PositionEncodingKind::UTF8)) {
            true => Self::Utf8,
            false => Self::Utf16,
        }
    }

    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// Length of a text.
    pub(crate) fn len(self, text: &str) -> usize {
        match self {
            Self::Utf8 => text.len(),
            Self::Utf16 if text.is_ascii() => text.len(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }

    /// The byte of a column; that of the end if the text is shorter.
    fn byte(self, text: &str, column: usize) -> usize {
        match self {
            Self::Utf8 => text.floor_char_boundary(column.min(text.len())),
            Self::Utf16 => {
                let mut units = 0;
                let found = text.char_indices().find(|(_, c)| {
                    units += c.len_utf16();
                    units > column
                });
                found.map_or(text.len(), |(at, _)| at)
            }
        }
    }
}

/// A text and where its lines begin.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    content: String,
    lines: Vec<usize>,
    encoding: Encoding,
}

impl Text {
    pub(crate) fn new(content: String, encoding: Encoding) -> Self {
        let lines = lines(&content);
        Self { content, lines, encoding }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.content
    }

    pub(crate) fn get(&self, range: Range<usize>) -> &str {
        self.content.get(range).unwrap_or_default()
    }

    /// The byte at a position; positions behind the end of a line are its end.
    pub(crate) fn offset(&self, position: Position) -> usize {
        let line = usize::try_from(position.line).unwrap_or(usize::MAX);
        let Some(start) = self.lines.get(line).copied() else { return self.content.len() };
        let column = usize::try_from(position.character).unwrap_or(usize::MAX);
        start + self.encoding.byte(self.line(line), column)
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = self.content.floor_char_boundary(offset.min(self.content.len()));
        let line = self.lines.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or_default();
        let column = self.encoding.len(self.get(start..offset));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position { line: number(line), character: number(column) }
    }

    pub(crate) fn range(&self, range: Range<usize>) -> ls_types::Range {
        ls_types::Range { start: self.position(range.start), end: self.position(range.end) }
    }

    /// Number of the line of a byte, from 0.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// Where a line begins.
    pub(crate) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.content.len())
    }

    /// A line without its line break.
    pub(crate) fn line(&self, line: usize) -> &str {
        let range = self.line_start(line)..self.line_start(line + 1);
        let text = self.get(range);
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.strip_suffix('\r').unwrap_or(text)
    }

    /// Applies a change of a client. Positions that do not exist are moved to the nearest ones, and
    /// a range that ends before it starts is empty.
    pub(crate) fn change(&mut self, change: &TextDocumentContentChangeEvent) {
        match change.range {
            None => change.text.clone_into(&mut self.content),
            Some(range) => {
                let start = self.offset(range.start);
                let end = self.offset(range.end).max(start);
                self.content.replace_range(start..end, &change.text);
            }
        }
        self.lines = lines(&self.content);
    }
}

/// Where lines begin. A carriage return alone ends a line too, as in the protocol.
fn lines(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let is_first_of_two = |at: usize| bytes.get(at..at + 2) == Some(b"\r\n");
    let ends = memchr::memchr2_iter(b'\n', b'\r', bytes).filter(|at| !is_first_of_two(*at));
    std::iter::once(0).chain(ends.map(|at| at + 1)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn columns_are_code_units() {
        let text = "a: 1\nü🦅x\r\nend";
        let utf16 = Text::new(text.to_owned(), Encoding::Utf16);
        let utf8 = Text::new(text.to_owned(), Encoding::Utf8);
        let x = text.find('x').unwrap();
        assert_eq!((utf16.position(x), utf8.position(x)), (at(1, 3), at(1, 6)));
        assert_eq!((utf16.offset(at(1, 3)), utf8.offset(at(1, 6))), (x, x));
        // Inside of a character, behind a line, behind the text.
        assert_eq!(&text[utf16.offset(at(1, 2))..][..4], "🦅");
        assert_eq!(utf16.offset(at(1, 99)), x + 1);
        assert_eq!(utf16.offset(at(9, 0)), text.len());
        assert_eq!(utf16.line(1), "ü🦅x");
    }

    #[test]
    fn changes_are_applied_in_their_encoding() {
        let mut text = Text::new("ü🦅x\ny".to_owned(), Encoding::Utf16);
        let range = Some(ls_types::Range { start: at(0, 1), end: at(0, 3) });
        let change =
            TextDocumentContentChangeEvent { range, range_length: None, text: "a\n".into() };
        text.change(&change);
        assert_eq!(text.as_str(), "üa\nx\ny");
        assert_eq!(text.position(5), at(1, 1));
    }

    proptest! {
        #[test]
        fn positions_come_back(text in "[aü🦅\r\n]{0,12}", at in 0..40_usize, utf8: bool) {
            let encoding = if utf8 { Encoding::Utf8 } else { Encoding::Utf16 };
            let text = Text::new(text, encoding);
            let offset = text.as_str().floor_char_boundary(at.min(text.as_str().len()));
            let position = text.position(offset);
            // Between the two characters of a line break there is no position of its own.
            if !text.as_str()[..offset].ends_with('\r') || !text.as_str()[offset..].starts_with('\n') {
                prop_assert_eq!(text.offset(position), offset);
            }
        }

        #[test]
        fn any_change_is_applied(
            content in "[aü🦅\n]{0,12}",
            (a, b, c, d) in (0..5_u32, 0..9_u32, 0..5_u32, 0..9_u32),
            put in "[xü\n]{0,4}",
        ) {
            let mut text = Text::new(content, Encoding::Utf16);
            let range = Some(ls_types::Range { start: at(a, b), end: at(c, d) });
            text.change(&TextDocumentContentChangeEvent { range, range_length: None, text: put });
            prop_assert_eq!(&text.lines, &lines(text.as_str()));
        }
    }
}
