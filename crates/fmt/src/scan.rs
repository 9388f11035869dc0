//! Reads an item of a rules file line by line, with its comments: keys, sequences, and values as
//! they are written.
//!
//! It understands the YAML that people write: block maps and sequences, texts in every style,
//! collections in brackets. Of the rest it says so; such an item stays as it is.

use super::flow;

/// Deepest nesting that is understood.
const MAX_DEPTH: usize = 50;

/// What comes before an entry, and after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead<'t> {
    /// An empty line.
    Blank,
    /// A line with nothing but a comment, which begins with `#`.
    Comment(&'t str),
}

/// A block of entries of one kind.
#[derive(Debug)]
pub(super) struct Block<'t> {
    pub(super) entries: Vec<Entry<'t>>,
    /// Comments after the last entry that are as deep as the entries.
    pub(super) tail: Vec<Lead<'t>>,
}

/// `key: value` or `- value`.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    pub(super) lead: Vec<Lead<'t>>,
    /// As written; none of an element of a sequence.
    pub(super) key: Option<&'t str>,
    pub(super) value: Value<'t>,
    /// The comment on the line that the value begins on, or on its last one.
    pub(super) comment: Option<&'t str>,
}

/// A value as it is written.
#[derive(Debug)]
pub(super) enum Value<'t> {
    /// None.
    Empty,
    /// A text or a collection in brackets on one line.
    Line {
        text: &'t str,
        /// Whether it stands on the line after its key.
        below: bool,
    },
    /// The same on several lines.
    Lines {
        lines: Vec<&'t str>,
        below: bool,
        /// Whether the indentation of lines after the first is kept, relative to the key in this
        /// column.
        shaped: Option<usize>,
    },
    /// A list of plain items in brackets.
    Flow(Vec<String>),
    /// A text after `|` or `>`, and how far it is indented.
    Text { header: &'t str, lines: Vec<&'t str>, indent: usize },
    /// A block on the lines below, or behind a dash.
    Nested(Block<'t>),
}

/// The item that a text begins with, a dash in this column of its first line. The text after the
/// item, which begins with a line, comes back too: it holds comments and empty lines only.
pub(super) fn item(text: &str, dash: usize) -> Option<(Block<'_>, &str)> {
    let mut scanner = Scanner { text, at: dash + 1, depth: 0 };
    scanner.blanks();
    if scanner.rest_of_line().is_empty() {
        scanner.next_line();
        scanner.at += indent(scanner.rest());
        if scanner.column() <= dash || scanner.rest().starts_with(['\n', '#']) {
            return None;
        }
    }
    scanner.key_len()?;
    let mut block = scanner.block(scanner.column())?;
    // Comments deeper than the dash belong to the item.
    block.tail.extend(scanner.leads(dash + 1));
    let after = scanner.rest();
    after.lines().all(|line| lead(line).is_some()).then_some((block, after))
}

/// A line that is empty or holds a comment only.
pub(super) fn lead(line: &str) -> Option<Lead<'_>> {
    let line = line.trim();
    match line.chars().next() {
        None => Some(Lead::Blank),
        Some('#') => Some(Lead::Comment(line)),
        Some(_) => None,
    }
}

/// How many blanks a line begins with.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Without blanks at its end.
    fn rest_of_line(&self) -> &'t str {
        self.rest().lines().next().unwrap_or_default().trim_end()
    }

    /// Bytes from the start of the line.
    fn column(&self) -> usize {
        let before = self.text.get(..self.at).unwrap_or_default();
        before.len() - before.rfind('\n').map_or(0, |end| end + 1)
    }

    fn blanks(&mut self) {
        self.at += indent(self.rest());
    }

    fn next_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
    }

    /// Moves behind lines without content as long as their comments are in this column or deeper.
    /// Empty lines before something else stay where they are.
    fn leads(&mut self, column: usize) -> Vec<Lead<'t>> {
        let mut leads = Vec::new();
        let (mut kept, mut end) = (0, self.at);
        while !self.rest().is_empty() {
            let line = self.rest_of_line();
            match lead(line) {
                Some(Lead::Comment(_)) if indent(line) < column => break,
                Some(found) => leads.push(found),
                None => break,
            }
            self.next_line();
            if matches!(leads.last(), Some(Lead::Comment(_))) {
                (kept, end) = (leads.len(), self.at);
            }
        }
        if self.next_content().is_none_or(|at| at < column) {
            leads.truncate(kept);
            self.at = end;
        }
        leads
    }

    /// The column of the next line with content.
    fn next_content(&self) -> Option<usize> {
        let content = self.rest().lines().find(|line| lead(line).is_none())?;
        Some(indent(content))
    }

    fn is_dash(&self) -> bool {
        self.rest().strip_prefix('-').is_some_and(|after| after.starts_with([' ', '\n']))
    }

    /// Length of the key that stands here, without its colon.
    fn key_len(&self) -> Option<usize> {
        let line = self.rest_of_line();
        let len = match line.chars().next()? {
            '"' | '\'' => flow::quoted_end(line)?,
            first if first.is_ascii_alphabetic() => {
                line.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))?
            }
            _ => return None,
        };
        let after = line.get(len..)?.strip_prefix(':')?;
        (after.is_empty() || after.starts_with(' ')).then_some(len)
    }

    /// The map or sequence that begins here, in this column.
    fn block(&mut self, column: usize) -> Option<Block<'t>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let sequence = self.is_dash();
        let mut entries = Vec::new();
        let mut lead = Vec::new();
        loop {
            let key = if sequence {
                self.is_dash().then_some(())?;
                self.at += 1;
                None
            } else {
                let len = self.key_len()?;
                let key = self.rest().get(..len)?;
                self.at += len + 1;
                Some(key)
            };
            let (value, comment) = self.value(column, sequence)?;
            entries.push(Entry { lead: std::mem::take(&mut lead), key, value, comment });
            let before = self.at;
            lead = self.leads(column);
            match self.next_content() {
                Some(next) if next > column => return None,
                Some(next) if next == column && self.leads_to(column, sequence) => {
                    // Comments to the left do not end a block.
                    lead.extend(self.leads(0));
                    self.blanks();
                }
                // What comes after the elements belongs to the key that follows in their column.
                Some(next) if next == column && sequence => {
                    self.at = before;
                    lead.clear();
                    break;
                }
                _ => break,
            }
        }
        self.depth -= 1;
        Some(Block { entries, tail: lead })
    }

    /// Whether the next line with content, which is in this column, goes on with a block.
    fn leads_to(&self, column: usize, sequence: bool) -> bool {
        let content = self.rest().lines().find(|line| lead(line).is_none()).unwrap_or_default();
        let content = content.get(column..).unwrap_or_default();
        let dash = content == "-" || content.starts_with("- ");
        dash == sequence
    }

    /// The value of an entry of a block in this column, up to the next line, and its comment.
    fn value(&mut self, column: usize, of_sequence: bool) -> Option<(Value<'t>, Option<&'t str>)> {
        self.blanks();
        let rest = self.rest_of_line();
        if !rest.is_empty() && !rest.starts_with('#') {
            return match of_sequence && (self.key_len().is_some() || self.is_dash()) {
                true => Some((Value::Nested(self.block(self.column())?), None)),
                false => self.text(column, false),
            };
        }
        let comment = (!rest.is_empty()).then_some(rest);
        self.next_line();
        let Some(next) = self.next_content() else { return Some((Value::Empty, comment)) };
        let dash = self.leads_to(next, true);
        if !(next > column || !of_sequence && next == column && dash) {
            return Some((Value::Empty, comment));
        }
        let lead = self.leads(0);
        self.blanks();
        if dash || self.key_len().is_some() {
            let mut block = self.block(next)?;
            block.entries.first_mut()?.lead = lead;
            return Some((Value::Nested(block), comment));
        }
        if lead.iter().any(|lead| *lead != Lead::Blank) || comment.is_some() {
            return None;
        }
        self.text(column, true)
    }

    /// A text or a collection in brackets that begins here.
    fn text(&mut self, column: usize, below: bool) -> Option<(Value<'t>, Option<&'t str>)> {
        let rest = self.rest();
        match rest.chars().next()? {
            '|' | '>' if !below => self.block_text(column),
            '[' | '{' => {
                let written = rest.get(..flow::end(rest)?)?;
                let items = flow::items(written);
                let (value, comment) = self.written(written, below, Some(column))?;
                Some((items.map_or(value, Value::Flow), comment))
            }
            '"' | '\'' => {
                let written = rest.get(..flow::quoted_end(rest)?)?;
                self.written(written, below, None)
            }
            '-' if self.is_dash() => None,
            '|' | '>' | '&' | '*' | '!' | '%' | '@' | '`' | '?' | ',' | ']' | '}' | '\t' => None,
            _ => self.plain(column, below),
        }
    }

    /// A value that ends after this text, and the comment after it.
    fn written(
        &mut self,
        written: &'t str,
        below: bool,
        shaped: Option<usize>,
    ) -> Option<(Value<'t>, Option<&'t str>)> {
        self.at += written.len();
        let after = self.rest_of_line();
        let comment = match after.trim_start_matches(' ') {
            "" => None,
            comment if comment.starts_with('#') && after.starts_with(' ') => Some(comment),
            _ => return None,
        };
        self.next_line();
        let value = match written.contains('\n') {
            false => Value::Line { text: written, below },
            true => Value::Lines { lines: written.lines().collect(), below, shaped },
        };
        Some((value, comment))
    }

    /// A text without quotes. Lines that are deeper than its key belong to it up to a comment.
    fn plain(&mut self, column: usize, below: bool) -> Option<(Value<'t>, Option<&'t str>)> {
        let start = self.at;
        let mut end;
        let comment = loop {
            let line = self.rest_of_line();
            let comment = line.find(" #").map(|at| at + 1);
            let words = line.get(..comment.unwrap_or(line.len()))?.trim_end();
            end = self.at + words.len();
            if words.contains(": ") || words.ends_with(':') {
                return None;
            }
            self.next_line();
            if let Some(comment) = comment {
                break line.get(comment..);
            }
            let after = self.rest();
            let blank: usize = after
                .split_inclusive('\n')
                .take_while(|line| line.trim().is_empty())
                .map(str::len)
                .sum();
            let next = after.get(blank..)?;
            let goes_on = indent(next) > column && !next.trim_start_matches(' ').starts_with('#');
            if next.is_empty() || !goes_on {
                break None;
            }
            self.at += blank + indent(next);
        };
        let written = self.text.get(start..end)?;
        let value = match written.contains('\n') {
            false => Value::Line { text: written, below },
            true => Value::Lines { lines: written.lines().collect(), below, shaped: None },
        };
        Some((value, comment))
    }

    /// A text after `|` or `>`.
    fn block_text(&mut self, column: usize) -> Option<(Value<'t>, Option<&'t str>)> {
        let line = self.rest_of_line();
        let (header, comment) = match line.split_once(" #") {
            Some((header, _)) => (header.trim_end(), line.get(line.find(" #")? + 1..)),
            None => (line, None),
        };
        // With `+`, empty lines after the text count; a number says where the text begins.
        if !matches!(header, "|" | ">" | "|-" | ">-") {
            return None;
        }
        self.next_line();
        let first = self.rest().lines().find(|line| !line.trim().is_empty())?;
        let indented = indent(first);
        if indented <= column {
            return None;
        }
        let (mut lines, mut kept, mut end) = (Vec::new(), 0, self.at);
        while !self.rest().is_empty() {
            let line = self.rest().split('\n').next().unwrap_or_default();
            let blank = line.trim_matches(' ').is_empty();
            if !blank && indent(line) < indented {
                break;
            }
            lines.push(line);
            self.next_line();
            if !blank {
                (kept, end) = (lines.len(), self.at);
            }
        }
        lines.truncate(kept);
        self.at = end;
        Some((Value::Text { header, lines, indent: indented }, comment))
    }
}
