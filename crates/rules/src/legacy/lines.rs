//! Lines of the old format, and what follows from a single line.

use std::ops::Range;

use peregrine_diagnostics::Position;
use peregrine_yaml::{Node, Value};

/// Words that connect two parts of a condition.
const JOINING: [&str; 15] = [
    "and",
    "bcontains",
    "bstartswith",
    "contains",
    "endswith",
    "glob",
    "icontains",
    "iglob",
    "in",
    "intersects",
    "or",
    "pmatch",
    "regex",
    "startswith",
    "exists",
];

/// A line and its place.
pub(super) struct Line<'t> {
    pub(super) text: &'t str,
    start: Position,
}

impl<'t> Line<'t> {
    pub(super) fn all(text: &'t str) -> impl Iterator<Item = Self> {
        let mut offset = 0;
        text.split_inclusive('\n').enumerate().map(move |(line, text)| {
            let start = Position { offset, line, column: 0 };
            offset += text.len();
            Self { text: text.trim_end_matches(['\n', '\r']), start }
        })
    }

    pub(super) fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with('#')
    }

    pub(super) fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// The place of one of its bytes.
    pub(super) fn mark(&self, at: usize) -> Position {
        Position { offset: self.start.offset + at, line: self.start.line, column: at }
    }

    /// A part of it as a scalar.
    pub(super) fn node(&self, range: Range<usize>) -> Node {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let value = Value::Scalar { text, quoted: true };
        Node { value, start: self.mark(range.start), end: self.mark(range.end) }
    }

    /// The name, if a macro begins here.
    pub(super) fn macro_name(&self) -> Option<Range<usize>> {
        let begin = self.indent();
        let text = self.text.get(begin..)?;
        let part_of_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let length = text.find(|c| !part_of_name(c))?;
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let colon = text.get(length..)?.trim_start().starts_with(':');
        (is_name && colon).then_some(begin..begin + length)
    }

    /// The byte after the colon of a macro whose name ends at `end`.
    pub(super) fn after_colon(&self, end: usize) -> usize {
        let rest = self.text.get(end..).unwrap_or_default();
        end + rest.find(':').map_or(0, |at| at + 1)
    }
}

/// Structure of a line.
pub(super) struct Piece {
    /// End of its part of the condition: at a pipe, a comment, or the end of the line.
    pub(super) condition: usize,
    /// Brackets that are opened and not closed.
    pub(super) depth: i32,
    /// Start of the text after the pipe.
    pub(super) output: Option<usize>,
}

impl Piece {
    pub(super) fn of(line: &str) -> Self {
        let mut piece = Self { condition: line.len(), depth: 0, output: None };
        let mut quote = None;
        let mut before = ' ';
        let mut chars = line.char_indices();
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (Some(_), '\\') => {
                    chars.next();
                }
                (Some(open), _) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '|') => {
                    piece.condition = at;
                    piece.output = Some(at + 1);
                    return piece;
                }
                (None, '#') if before.is_whitespace() => {
                    piece.condition = at;
                    return piece;
                }
                (None, '(') => piece.depth += 1,
                (None, ')') => piece.depth -= 1,
                // Within a word it is an apostrophe.
                (None, '"' | '\'') if before.is_whitespace() || "(,=<>".contains(before) => {
                    let closed = chars.as_str().contains(c);
                    quote = closed.then_some(c);
                }
                (None, _) => {}
            }
            before = c;
        }
        piece
    }
}

/// Whether a condition cannot end with this text.
pub(super) fn ends_open(text: &str) -> bool {
    let last = text.rsplit(|c: char| c.is_whitespace() || "()".contains(c)).next();
    // `evt.dir = >` is complete.
    text.ends_with(['=', ',', '('])
        || last.is_some_and(|word| word == "not" || (is_joining(word) && word != "exists"))
}

/// Whether no condition begins with this text.
pub(super) fn begins_joined(text: &str) -> bool {
    text.starts_with(['|', ')', '=', '!', '<', '>', ','])
        || text.split(|c: char| c.is_whitespace() || c == '(').next().is_some_and(is_joining)
}

fn is_joining(word: &str) -> bool {
    JOINING.contains(&word)
}
