//! Repairs text that is common in files and accepted by other parsers, but rejected by the scanner.
//!
//! - Lines of `[…]` and `{…}` that are indented less than the collection around them. They are
//!   indented, and positions are mapped back.
//! - A tab after `key:`. It becomes a blank.

use std::borrow::Cow;

/// Limit on the bytes that are parsed again because of repairs.
const MAX_WORK: usize = 64 << 20;

/// A text and its repairs.
#[derive(Debug)]
pub(crate) struct Lenient<'t> {
    pub(crate) text: Cow<'t, str>,
    /// Characters of this text at which indented lines start.
    moved: Vec<usize>,
    by: usize,
    work: usize,
}

impl<'t> Lenient<'t> {
    pub(crate) fn new(text: Cow<'t, str>) -> Self {
        // No line needs more than this.
        let widest =
            text.lines().map(|line| line.len() - line.trim_start_matches([' ', '-', '?']).len());
        let by = widest.max().unwrap_or(0) + 1;
        Self { text, moved: Vec::new(), by, work: 0 }
    }

    /// Indents the line of this character and those after it up to the end of their collection.
    /// Returns whether to try again.
    pub(crate) fn move_right(&mut self, character: usize) -> bool {
        let Some(at) = self.next_try(character) else { return false };
        let (before, after) = self.text.split_at(at);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let first = character - self.text.get(start..at).unwrap_or_default().chars().count();
        let already = self.moved.contains(&first);
        if already {
            return false;
        }
        let pad = " ".repeat(self.by);
        let end = end_of_collection(after);
        let inside = self.text.get(start..at + end).unwrap_or_default();
        // A closing bracket in the first column has no text before it.
        let lines = inside.split_inclusive('\n').chain(inside.is_empty().then_some(""));
        let mut shifted = String::with_capacity(self.text.len() + inside.len());
        shifted.push_str(self.text.get(..start).unwrap_or_default());
        let mut begins = first;
        let mut moved = Vec::new();
        for line in lines {
            moved.push(begins);
            shifted.push_str(&pad);
            shifted.push_str(line);
            begins += self.by + line.chars().count();
        }
        shifted.push_str(self.text.get(at + end..).unwrap_or_default());
        let grown = moved.len() * self.by;
        for later in self.moved.iter_mut().filter(|later| **later >= first) {
            *later += grown;
        }
        self.moved.extend(moved);
        self.moved.sort_unstable();
        self.text = Cow::Owned(shifted);
        true
    }

    /// Replaces the tabs before this character by blanks. Returns whether to try again.
    pub(crate) fn untab(&mut self, character: usize) -> bool {
        let Some(at) = self.next_try(character) else { return false };
        let (before, after) = self.text.split_at(at);
        let kept = before.trim_end_matches([' ', '\t']);
        if !before.get(kept.len()..).is_some_and(|blanks| blanks.contains('\t')) {
            return false;
        }
        let blanks = " ".repeat(before.len() - kept.len());
        let text = [kept, &blanks, after].concat();
        self.text = Cow::Owned(text);
        true
    }

    /// The byte of a character; `None` if the limit is reached.
    fn next_try(&mut self, character: usize) -> Option<usize> {
        self.work += self.text.len();
        let (at, _) = self.text.char_indices().nth(character)?;
        (self.work <= MAX_WORK).then_some(at)
    }

    /// The character of the original text.
    pub(crate) fn original(&self, character: usize) -> usize {
        let lines = self.moved.partition_point(|&begins| begins <= character);
        let Some(last) = lines.checked_sub(1).and_then(|last| self.moved.get(last)) else {
            return character;
        };
        let into = (character - last).min(self.by);
        character - (lines - 1) * self.by - into
    }
}

/// Length of the rest of a collection, up to its closing bracket.
fn end_of_collection(text: &str) -> usize {
    let mut depth = 0usize;
    let mut quote = None;
    // Whether a value may start here, so that a quote opens a string and `#` a comment.
    let (mut fresh, mut blank) = (true, true);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some('\''), '\'') if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if fresh => quote = Some(c),
            (None, '#') if blank => while chars.next_if(|(_, next)| *next != '\n').is_some() {},
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return at,
            },
            (None, _) => {}
        }
        blank = c.is_whitespace();
        fresh = matches!(c, '[' | '{' | ',' | ':') || fresh && blank;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_end_at_their_bracket() {
        for (text, rest) in [
            ("a, b]\nc", "]\nc"),
            ("[x], {y: z} ] more", "] more"),
            ("'it''s]', \"a\\\"]\" ]", "]"),
            ("it's, x] y", "] y"),
            ("a # ]\n ]", "]"),
            ("open", ""),
        ] {
            assert_eq!(text.get(end_of_collection(text)..), Some(rest), "{text}");
        }
    }

    #[test]
    fn a_closing_bracket_in_the_first_column_is_moved() {
        let mut shifted = Lenient::new(Cow::Borrowed("a:\n  b: [c\n]\n"));
        assert!(shifted.move_right(11));
        assert_eq!(shifted.text, "a:\n  b: [c\n   ]\n");
        assert_eq!((shifted.original(14), shifted.original(15)), (11, 12));
        assert!(!shifted.move_right(11));
    }

    #[test]
    fn places_are_counted_back() {
        let mut shifted = Lenient::new(Cow::Borrowed("a: [\nü,\nb]\nc: d"));
        assert!(shifted.move_right(5));
        assert_eq!(shifted.text, "a: [\n ü,\n b]\nc: d");
        let found = |what| {
            let at = shifted.text.find(what).unwrap();
            shifted.original(shifted.text[..at].chars().count())
        };
        assert_eq!(found('ü'), 5);
        assert_eq!(found('b'), 8);
        assert_eq!(found('d'), 14);
        assert_eq!(shifted.original(5), 5);
    }
}
