//! Texts of scalars with the places of their bytes in the file.

use std::ops::Range;

use peregrine_yaml::Node;

/// The text of a scalar, and where each part of it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The text, without quotes, escapes and folding.
    pub text: String,
    /// The bytes of the scalar in the file, with its quotes or the header of a block.
    pub range: Range<usize>,
    /// Parts in the order of the text; empty if the places are unknown.
    pieces: Vec<Piece>,
}

/// A part of a text and its bytes in the file. Of the same length, they are the same bytes;
/// otherwise they correspond as a whole: an escape, a folded line break.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: Range<usize>,
    file: Range<usize>,
}

impl Written {
    /// The scalar of a node of `file`; `None` for other nodes.
    pub(crate) fn of(file: &str, node: &Node) -> Option<Self> {
        let text = node.as_str()?.to_owned();
        let pieces = pieces(file, node.start.offset, &text).unwrap_or_default();
        let start = node.start.offset.min(file.len());
        let written = file.get(start..node.end.offset.min(file.len())).unwrap_or_default();
        Some(Self { text, range: start..start + written.trim_end().len(), pieces })
    }

    /// A text that is read from these bytes of a file.
    pub(crate) fn at(file: &str, range: Range<usize>, text: &str) -> Self {
        let pieces = pieces(file, range.start, text).unwrap_or_default();
        Self { text: text.to_owned(), range, pieces }
    }

    /// Where a part of the text stands in the file. `None` if it is empty or the place is unknown.
    #[must_use]
    pub fn in_file(&self, part: Range<usize>) -> Option<Range<usize>> {
        let last = part.end.checked_sub(1).filter(|last| *last >= part.start)?;
        let (first, last) = (self.piece(part.start)?, self.piece(last)?);
        let start = match first.is_exact() {
            true => first.file.start + (part.start - first.text.start),
            false => first.file.start,
        };
        let end = match last.is_exact() {
            true => last.file.start + (part.end - last.text.start),
            false => last.file.end,
        };
        Some(start..end)
    }

    /// The byte of the text for a byte of the file within the scalar, its end included.
    #[must_use]
    pub fn in_text(&self, at: usize) -> Option<usize> {
        let after = self.pieces.partition_point(|piece| piece.file.start <= at);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        let inside = at - piece.file.start;
        match piece.is_exact() {
            true if at <= piece.file.end => Some(piece.text.start + inside),
            false if at < piece.file.end => Some(piece.text.start),
            _ if after == self.pieces.len() && at <= self.range.end => Some(piece.text.end),
            _ => None,
        }
    }

    fn piece(&self, at: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.text.start <= at);
        self.pieces.get(after.checked_sub(1)?).filter(|piece| at < piece.text.end)
    }
}

impl Piece {
    fn is_exact(&self) -> bool {
        self.text.len() == self.file.len()
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// Compares the text of a scalar with its bytes in the file.
fn pieces(file: &str, start: usize, text: &str) -> Option<Vec<Piece>> {
    let start = behind_properties(file, start, text);
    let raw = file.get(start..)?;
    let (style, skipped) = match raw.chars().next()? {
        '\'' => (Style::Single, 1),
        '"' => (Style::Double, 1),
        '|' | '>' => (Style::Plain, raw.find('\n')? + 1),
        _ => (Style::Plain, 0),
    };
    let found = Aligned::new(file, text, start + skipped).run(style);
    // Texts of the format of 2016 may begin with any character.
    found.or_else(|| Aligned::new(file, text, start).run(Style::Plain))
}

/// The first byte of a scalar behind its anchor and tag, which are no part of the text.
fn behind_properties(file: &str, mut start: usize, text: &str) -> usize {
    loop {
        let raw = file.get(start..).unwrap_or_default();
        let mark =
            raw.chars().next().filter(|mark| "&!".contains(*mark) && !text.starts_with(*mark));
        let Some((word, _)) = mark.and_then(|_| raw.split_once(is_blank)) else { return start };
        start += word.len() + blanks(raw.get(word.len()..).unwrap_or_default());
    }
}

/// How far a text and a file have been compared.
struct Aligned<'a> {
    file: &'a str,
    text: &'a str,
    file_at: usize,
    text_at: usize,
    pieces: Vec<Piece>,
}

impl<'a> Aligned<'a> {
    fn new(file: &'a str, text: &'a str, file_at: usize) -> Self {
        Self { file, text, file_at, text_at: 0, pieces: Vec::new() }
    }

    fn run(mut self, style: Style) -> Option<Vec<Piece>> {
        while let Some(wanted) = self.text.get(self.text_at..)?.chars().next() {
            let Some(found) = self.rest().chars().next() else {
                // The line break at the end of a block may be missing in the file.
                let blank = self.text.get(self.text_at..)?.trim().is_empty();
                return blank.then_some(self.pieces);
            };
            if style == Style::Double && found == '\\' {
                self.escape(wanted)?;
            } else if is_blank(found) {
                let (read, written) = (blanks(self.text.get(self.text_at..)?), blanks(self.rest()));
                // Without blanks in the text this is the indentation.
                self.take(read, written);
            } else if style == Style::Single && self.rest().starts_with("''") && wanted == '\'' {
                self.take(1, 2);
            } else if found == wanted {
                self.take(wanted.len_utf8(), wanted.len_utf8());
            } else {
                return None;
            }
        }
        Some(self.pieces)
    }

    /// An escape of a double-quoted scalar.
    fn escape(&mut self, wanted: char) -> Option<()> {
        let escape = self.rest().get(1..)?.chars().next()?;
        if matches!(escape, '\n' | '\r') {
            // Empty lines after it are line breaks of the text.
            self.take(0, 2);
            return Some(());
        }
        let digits = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let len = 1 + escape.len_utf8();
        let decoded = match escape {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' | 'u' | 'U' => {
                let code = u32::from_str_radix(self.rest().get(len..len + digits)?, 16).ok()?;
                char::from_u32(code)?
            }
            other => other,
        };
        if decoded == wanted {
            self.take(wanted.len_utf8(), len + digits);
        } else if is_blank(decoded) {
            // The blanks before it have been compared as a whole, and this one with them.
            self.take(0, len + digits);
        } else {
            return None;
        }
        Some(())
    }

    fn rest(&self) -> &'a str {
        self.file.get(self.file_at..).unwrap_or_default()
    }

    /// Bytes of the text correspond to bytes of the file.
    fn take(&mut self, text: usize, file: usize) {
        let text = self.text_at..self.text_at + text;
        let file = self.file_at..self.file_at + file;
        (self.text_at, self.file_at) = (text.end, file.end);
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(last)
                if last.is_exact() && text.len() == file.len() && last.file.end == file.start =>
            {
                (last.text.end, last.file.end) = (text.end, file.end);
            }
            _ => self.pieces.push(Piece { text, file }),
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_blank).len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(file: &str) -> Written {
        let node = &peregrine_yaml::parse(file).unwrap()[0];
        Written::of(file, node.get("c").unwrap()).unwrap()
    }

    #[test]
    fn words_are_found_whatever_the_style() {
        for (file, word, line, column) in [
            ("c: a = 1 and b = 2\n", "b", 0, 13),
            ("c: 'it''s b'\n", "b", 0, 10),
            ("c: \"say \\\"ü\\\" b\"\n", "b", 0, 15),
            ("c: \"a \\\n   b\"\n", "b", 1, 3),
            ("c: \"a\\n\\tb\"\n", "b", 0, 9),
            ("c: >\n  a\n\n    and\n  b\n", "b", 4, 2),
            ("c: |\n  a\n  b\n", "b", 2, 2),
            ("c: a\n   b\n", "b", 1, 3),
            ("c: a\r\n   b\r\n", "b", 1, 3),
        ] {
            let written = written(file);
            let at = written.text.find(word).unwrap();
            let range = written.in_file(at..at + 1).unwrap();
            let before = &file[..range.start];
            let place = (
                before.matches('\n').count(),
                before.len() - before.rfind('\n').map_or(0, |n| n + 1),
            );
            assert_eq!((&file[range.clone()], place), (word, (line, column)), "{file:?}");
            assert_eq!(written.in_text(range.start), Some(at), "{file:?}");
        }
    }

    #[test]
    fn ends_are_ends() {
        let file = "c: 'it''s'\nd: e\n";
        let written = written(file);
        assert_eq!(&file[written.range.clone()], "'it''s'");
        assert_eq!(&file[written.in_file(0..4).unwrap()], "it''s");
        assert_eq!(written.in_file(0..0), None);
        assert_eq!(written.in_text(3), None);
        assert_eq!(written.in_text(9), Some(4));
    }

    proptest! {
        #[test]
        fn every_visible_character_is_found(
            body in "[ab'\"\\\\ntü: \n]{0,12}",
            style in prop_oneof![Just("'"), Just("\""), Just("|\n  "), Just(">-\n  "), Just("")],
        ) {
            let close = if matches!(style, "'" | "\"") { style } else { "" };
            let file = format!("c: {style}{}{close}\n", body.replace('\n', "\n  "));
            let Ok(documents) = peregrine_yaml::parse(&file) else { return Ok(()) };
            let Some(node) = documents.first().and_then(|node| node.get("c")) else { return Ok(()) };
            let Some(written) = Written::of(&file, node) else { return Ok(()) };
            for (at, c) in written.text.char_indices().filter(|(_, c)| c.is_alphabetic()) {
                let range = written.in_file(at..at + c.len_utf8());
                prop_assert_eq!(range.map(|range| &file[range]), Some(&*c.to_string()));
            }
        }
    }
}
