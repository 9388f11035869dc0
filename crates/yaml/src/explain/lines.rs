//! Lines and their shape, as far as it shows without parsing the text.

use std::ops::Range;

/// Longer words are no keys.
const MAX_KEY: usize = 100;

/// What a line is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blank,
    Comment,
    /// Text below `|` or `>`.
    Block,
    Content,
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'t> {
    /// Byte at which it starts.
    pub(super) start: usize,
    /// Without the line break.
    pub(super) text: &'t str,
    pub(super) kind: Kind,
}

/// A key at the start of a line, behind dashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'t> {
    pub(super) name: &'t str,
    /// Byte in the line.
    pub(super) column: usize,
    pub(super) value: &'t str,
    /// Byte in the line.
    pub(super) value_column: usize,
}

/// All lines of a text.
pub(super) fn read(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    // Column of the key that the current block text belongs to.
    let mut block: Option<usize> = None;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let mut line = Line { start, text: line, kind: Kind::Content };
        start += whole.len();
        let body = line.body();
        if body.is_empty() {
            line.kind = Kind::Blank;
        } else if block.is_some_and(|column| line.indent() > column) {
            line.kind = Kind::Block;
        } else if body.starts_with('#') {
            line.kind = Kind::Comment;
        } else {
            block = line.block_owner();
        }
        lines.push(line);
    }
    lines
}

impl<'t> Line<'t> {
    /// Blanks and tabs at its start.
    pub(super) fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start_matches([' ', '\t']).len()
    }

    /// Without blanks at its ends.
    pub(super) fn body(&self) -> &'t str {
        self.text.trim_matches([' ', '\t'])
    }

    /// Without blanks at its end.
    pub(super) fn trimmed(&self) -> &'t str {
        self.text.trim_end_matches([' ', '\t'])
    }

    /// Its bytes in the text.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The same without blanks at its ends.
    pub(super) fn body_range(&self) -> Range<usize> {
        let start = self.start + self.indent();
        start..start + self.body().len()
    }

    /// Column and text behind the dashes.
    pub(super) fn content(&self) -> (usize, &'t str) {
        let mut column = self.indent();
        let mut rest = self.text.get(column..).unwrap_or_default();
        while let Some(after) = rest.strip_prefix('-').filter(|after| after.starts_with(' ')) {
            rest = after.trim_start_matches(' ');
            column = self.text.len() - rest.len();
        }
        (column, rest.trim_end_matches([' ', '\t']))
    }

    /// Whether it begins with `- `.
    pub(super) fn has_dash(&self) -> bool {
        self.body() == "-" || self.body().starts_with("- ")
    }

    /// Whether an item of a list or a key of a map may start here.
    pub(super) fn begins_entry(&self) -> bool {
        self.body().starts_with('-') || self.key().is_some()
    }

    /// The key behind the dashes.
    pub(super) fn key(&self) -> Option<Key<'t>> {
        let (column, content) = self.content();
        let len = word(content)?;
        let after = content.get(len..)?.strip_prefix(':')?;
        if !after.is_empty() && !after.starts_with([' ', '\t']) {
            return None;
        }
        let value = after.trim_start_matches([' ', '\t']);
        let value_column = column + content.len() - value.len();
        Some(Key { name: content.get(..len)?, column, value, value_column })
    }

    /// The value of its key, or what stands behind its dash: column and text.
    pub(super) fn value(&self) -> Option<(usize, &'t str)> {
        match self.key() {
            Some(key) => Some((key.value_column, key.value)),
            None if self.has_dash() => Some(self.content()),
            None => None,
        }
    }

    /// The column that the text below this line must exceed if the line ends with `|` or `>`.
    fn block_owner(&self) -> Option<usize> {
        let (_, value) = self.value()?;
        is_block_header(value).then(|| self.key().map_or(self.indent(), |key| key.column))
    }
}

/// Length of the key-like word at the start of a text.
pub(super) fn word(text: &str) -> Option<usize> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c));
    let len = text.find(ends).unwrap_or(text.len());
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (begins && len <= MAX_KEY).then_some(len)
}

/// `|` or `>`, with its indicators and a comment.
pub(super) fn is_block_header(value: &str) -> bool {
    let Some(rest) = value.strip_prefix(['|', '>']) else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
    rest.is_empty() || rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')
}

/// The value without a comment behind it.
pub(super) fn without_comment(value: &str) -> &str {
    let end = value.find(" #").unwrap_or(value.len());
    value.get(..end).unwrap_or(value).trim_end()
}

/// A text in single quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_kind() {
        let text = "- rule: a\n  condition: >\n    x # y\n\n   z\n  # c\n  output: o\r\n- - b\n";
        let kinds: Vec<_> = read(text).iter().map(|line| line.kind).collect();
        use Kind::*;
        assert_eq!(kinds, [Content, Content, Block, Blank, Block, Comment, Content, Content]);
        let output = read(text)[6].key().unwrap();
        assert_eq!((output.name, output.column, output.value), ("output", 2, "o"));
        assert_eq!(read(text)[7].content(), (4, "b"));
    }
}
