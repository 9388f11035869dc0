//! A fast path for the common subset of YAML: block maps and sequences, flow sequences, scalars and
//! comments.
//!
//! Anchors, tags, flow maps, tabs, several documents and syntax errors are left to the complete
//! reader ([`build`](crate::build)). A text that is read here gives the same tree there, positions
//! included; tests compare the two.
//!
//! It stays because start-up needs it. Measured with callgrind on a release build that loads the 93
//! upstream rules (251 KB): this reader takes 5.4 million instructions, the complete one 51.8
//! million, of 68 and 114 million for the whole process. The CPU time of a start falls from 12 ms
//! to 9 ms.

use peregrine_diagnostics::Position;

use crate::{Map, Node, Value};

/// Nesting beyond this is not plain.
const MAX_DEPTH: usize = 50;

/// Longer keys are not plain; much longer ones are not valid keys.
const MAX_KEY: usize = 100;

/// Parses a text, if it is one document in the plain subset.
pub(crate) fn read(text: &str) -> Option<Vec<Node>> {
    // So that every line has an end.
    if !text.ends_with('\n') || has_odd(text) {
        return None;
    }
    let mut reader = Reader { text, at: 0, line: 0, start: 0 };
    reader.next_content()?;
    if reader.at_end() || reader.column() != 0 {
        return None;
    }
    let root = reader.block(0)?;
    reader.at_end().then(|| vec![root])
}

/// A position in a text. Every step returns `None` when it meets something that is not plain.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    /// Start of the line.
    start: usize,
}

impl<'t> Reader<'t> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn after(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn column(&self) -> usize {
        self.at - self.start
    }

    fn mark(&self) -> Position {
        Position { offset: self.at, line: self.line, column: self.column() }
    }

    fn since(&self, start: usize) -> Option<&'t str> {
        self.text.get(start..self.at)
    }

    fn node(&self, value: Value, start: Position) -> Option<Node> {
        Some(Node { value, start, end: self.mark() })
    }

    fn blanks(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    fn line_end(&mut self) {
        self.at += 1;
        self.line += 1;
        self.start = self.at;
    }

    /// Skips blanks and a comment after them.
    fn blanks_and_comment(&mut self) -> Option<()> {
        self.blanks();
        let before = self.at.checked_sub(1).and_then(|at| self.text.as_bytes().get(at));
        if self.byte() == Some(b'#') && before.is_none_or(|byte| matches!(byte, b' ' | b'\n')) {
            self.at += self.text.get(self.at..)?.find('\n')?;
        }
        Some(())
    }

    /// Skips blanks and comments up to the next content, on this line or another.
    fn next_content(&mut self) -> Option<()> {
        self.blanks_and_comment()?;
        while self.byte() == Some(b'\n') {
            self.line_end();
            self.blanks_and_comment()?;
        }
        Some(())
    }

    /// Advances from the end of a value to the next line with content.
    fn next_line(&mut self) -> Option<()> {
        let line = self.line;
        self.next_content()?;
        (self.line > line || self.at_end()).then_some(())
    }

    fn is_dash(&self) -> bool {
        self.byte() == Some(b'-') && matches!(self.after(), Some(b' ' | b'\n'))
    }

    /// Length of the key at this position.
    fn key(&self) -> Option<usize> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let len = rest
            .iter()
            .position(|b| !matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'))?;
        let named = rest.first()?.is_ascii_alphabetic() && len <= MAX_KEY;
        let ends = matches!(rest.get(len..len + 2)?, b": " | b":\n");
        (named && ends).then_some(len)
    }

    /// The sequence or map that starts here.
    fn block(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (start, column) = (self.mark(), self.column());
        let value = match self.is_dash() {
            true => Value::Seq(self.sequence(column, depth)?),
            false => Value::Map(self.map(column, depth)?),
        };
        let deeper = !self.at_end() && self.column() > column;
        if deeper { None } else { self.node(value, start) }
    }

    fn sequence(&mut self, column: usize, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        while self.column() == column && self.is_dash() {
            self.at += 1;
            self.blanks();
            items.push(match self.key() {
                Some(_) => self.block(depth + 1)?,
                None => self.value(column, false, depth)?,
            });
        }
        Some(items)
    }

    fn map(&mut self, column: usize, depth: usize) -> Option<Map> {
        let mut entries = Vec::new();
        while self.column() == column && !self.at_end() {
            let start = self.mark();
            self.at += self.key()?;
            let key = self.node(plain_value(self.since(start.offset)?.to_owned()), start)?;
            self.at += 1;
            self.blanks();
            entries.push((key, self.value(column, true, depth)?));
        }
        Some(Map(entries))
    }

    /// A value of a collection in this column, and everything up to the next content.
    fn value(&mut self, column: usize, of_map: bool, depth: usize) -> Option<Node> {
        if matches!(self.byte()?, b'\n' | b'#') {
            self.next_line()?;
            let deeper = self.column() > column;
            if self.is_dash() && (deeper || of_map && self.column() == column)
                || self.key().is_some() && deeper
            {
                return self.block(depth + 1);
            }
            if !deeper {
                return None;
            }
        }
        let node = match self.byte()? {
            b'|' | b'>' => return self.block_scalar(column),
            b'[' => self.flow(column, depth)?,
            b'"' | b'\'' => self.quoted()?,
            _ => return self.plain(column),
        };
        self.next_line()?;
        Some(node)
    }

    /// `[a, b]`
    fn flow(&mut self, column: usize, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        let start = self.mark();
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.flow_content(column)?;
            items.push(match self.byte()? {
                b']' => break,
                b'[' => self.flow(column, depth + 1)?,
                b'"' | b'\'' => self.quoted()?,
                _ => self.flow_plain()?,
            });
            self.flow_content(column)?;
            match self.byte()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        // The complete parser ends it here too, as it does quoted texts.
        self.blanks_and_comment()?;
        self.node(Value::Seq(items), start)
    }

    /// Skips to the next content of a flow collection, which must be indented more than the
    /// collection around it, or close it.
    fn flow_content(&mut self, column: usize) -> Option<()> {
        self.next_content()?;
        let closes = self.byte()? == b']';
        (self.column() > column || closes && self.column() == column).then_some(())
    }

    fn flow_plain(&mut self) -> Option<Node> {
        self.begins_plain()?;
        let start = self.mark();
        let mut end = self.at;
        let ends = |byte| matches!(byte, b',' | b'[' | b']' | b'{' | b'}');
        loop {
            match self.byte()? {
                b'\n' | b',' | b']' => break,
                b' ' if self.after() == Some(b'#') => break,
                b' ' => {
                    self.at += 1;
                    continue;
                }
                b':' if matches!(self.after()?, b' ' | b'\n') || ends(self.after()?) => {
                    return None;
                }
                // At the start of a word.
                b'-' if end < self.at && ends(self.after()?) => return None,
                byte if ends(byte) => return None,
                _ => {}
            }
            self.at += 1;
            end = self.at;
        }
        let value = plain_value(self.text.get(start.offset..end)?.to_owned());
        let end = Position { offset: end, column: end - self.start, ..start };
        Some(Node { value, start, end })
    }

    /// Whether a plain scalar can start here.
    fn begins_plain(&self) -> Option<()> {
        let plain = match self.byte()? {
            b'-' => self.after()?.is_ascii_alphanumeric(),
            byte => !b"?:,[]{}#&*!|>'\"%@`".contains(&byte),
        };
        plain.then_some(())
    }

    /// A plain scalar in a block, and everything up to the next content.
    fn plain(&mut self, column: usize) -> Option<Node> {
        self.begins_plain()?;
        let start = self.mark();
        let mut text = String::new();
        loop {
            let from = self.at;
            let mut end = self.mark();
            loop {
                match self.byte()? {
                    b'\n' => break,
                    b' ' if self.after() == Some(b'#') => break,
                    b' ' => {
                        self.at += 1;
                        continue;
                    }
                    b':' if matches!(self.after()?, b' ' | b'\n') => return None,
                    _ => {}
                }
                self.at += 1;
                end.offset = self.at;
            }
            text.push_str(self.text.get(from..end.offset)?);
            end.column = end.offset - self.start;
            let mut lines = 0;
            while self.byte() == Some(b'\n') {
                self.line_end();
                self.blanks();
                lines += 1;
            }
            let goes_on = lines > 0 && self.column() > column && self.byte() != Some(b'#');
            if self.at_end() || !goes_on {
                // Text after a comment does not belong to the scalar.
                self.next_content()?;
                let over = self.at_end() || self.column() <= column;
                return over.then(|| Node { value: plain_value(text), start, end });
            }
            push_breaks(&mut text, lines - 1, " ");
        }
    }

    fn quoted(&mut self) -> Option<Node> {
        let start = self.mark();
        let quote = self.byte()?;
        self.at += 1;
        let mut text = String::new();
        loop {
            let from = self.at;
            let byte = loop {
                match self.byte()? {
                    byte if byte == quote || byte == b'\\' && quote == b'"' => break byte,
                    b'\n' => return None,
                    _ => self.at += 1,
                }
            };
            text.push_str(self.since(from)?);
            self.at += 1;
            match (byte, self.byte()?) {
                (b'\'', b'\'') => text.push('\''),
                (b'\\', next @ (b'"' | b'\\')) => text.push(next.into()),
                (b'\\', b'n') => text.push('\n'),
                (b'\\', _) => return None,
                _ => {
                    self.blanks_and_comment()?;
                    return self.node(Value::Scalar { text, quoted: true }, start);
                }
            }
            self.at += 1;
        }
    }

    /// A literal (`|`) or folded (`>`) scalar, and everything up to the next content.
    fn block_scalar(&mut self, column: usize) -> Option<Node> {
        let start = self.mark();
        let folded = self.byte()? == b'>';
        self.at += 1;
        let chomping = self.byte()?;
        self.at += usize::from(matches!(chomping, b'-' | b'+'));
        self.blanks();
        // An explicit indentation is not plain, nor is a comment here.
        if self.byte()? != b'\n' {
            return None;
        }
        let (mut breaks, mut widest) = (0, 0);
        self.line_end();
        self.blanks();
        while self.byte()? == b'\n' {
            widest = widest.max(self.column());
            breaks += 1;
            self.line_end();
            self.blanks();
        }
        let indent = self.column();
        if indent <= column || indent < widest {
            return None;
        }
        let mut text = "\n".repeat(breaks);
        let mut indented = self.line_of_block(&mut text)?;
        loop {
            breaks = 0;
            while self.skip_indent(indent) {
                breaks += 1;
            }
            if self.at_end() || self.column() < indent {
                break;
            }
            let more = self.byte()? == b' ';
            push_breaks(&mut text, breaks, if folded && !indented && !more { " " } else { "\n" });
            indented = self.line_of_block(&mut text)?;
        }
        match chomping {
            b'-' => {}
            b'+' => text.push_str(&"\n".repeat(1 + breaks)),
            _ => text.push('\n'),
        }
        let node = self.node(Value::Scalar { text, quoted: true }, start)?;
        self.next_content()?;
        Some(node)
    }

    /// Appends a line; returns whether it is indented more than the others.
    fn line_of_block(&mut self, text: &mut String) -> Option<bool> {
        let rest = self.text.get(self.at..)?;
        let line = rest.get(..rest.find('\n')?)?;
        text.push_str(line);
        self.at += line.len();
        self.line_end();
        Some(line.starts_with(' '))
    }

    /// Skips the indentation of a line of a block scalar, and the line itself if it is empty.
    fn skip_indent(&mut self, indent: usize) -> bool {
        while self.byte() == Some(b' ') && self.column() < indent {
            self.at += 1;
        }
        let empty = self.byte() == Some(b'\n');
        if empty {
            self.line_end();
        }
        empty
    }
}

/// Joins two lines: empty lines between them are kept; without any, the separator is `one`.
fn push_breaks(text: &mut String, empty: usize, one: &str) {
    if empty == 0 || one == "\n" {
        text.push_str(one);
    }
    (0..empty).for_each(|_| text.push('\n'));
}

/// Bytes that are not plain: tabs and other controls, and the first byte of a byte order mark.
fn is_odd(byte: u8) -> bool {
    byte < b' ' && byte != b'\n' || byte == 0xef
}

/// Whether there is such a byte; checks many at once, because they are rare.
fn has_odd(text: &str) -> bool {
    let odd = |bytes: &[u8]| bytes.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    text.as_bytes().chunks(256).any(odd)
}

fn plain_value(text: String) -> Value {
    match text.as_str() {
        "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => Value::Scalar { text, quoted: false },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::build::parse_any;

    const PLAIN: &str = "\
# Words.

- required_engine_version: 0.57.0   # more words
- list: l
  items: [a, 'it''s', \"say \\\"so\\\"\", -x,
    b c , # why
    # and

    [d, e:f], ]
- macro: m
  condition: (a.b = 1 and
     a#c in (d))

     or e
    # over
- rule: ~
  desc: >

    folded
    text

      more
      of it
    #no
    end

  # yes
  output: |-
    a
      b
   # odd
  tags:
  - x
  - y z
  empty: ''
  override:
      condition:

        append
        it
      below: [
        a, \"b\"
      ]
      list:
        - 'q'
        - >+
          last

";

    #[test]
    fn plain_texts_are_read() {
        let read = read(PLAIN).unwrap();
        assert_eq!(Ok(read), parse_any(PLAIN));
    }

    #[test]
    fn the_rest_is_left_to_others() {
        for text in [
            "",
            "a: b",
            "a:\n",
            "a: &x b\n",
            "a: {b: c}\n",
            "a: b: c\n",
            "a: \"b\n  c\"\n",
            "a: b\n  # c\n  d\n",
            "a: b # c\n  d\n",
            "- a: [b\n ]\n",
            "a: [b\n c]\n",
            "a: [b, , c]\n",
            "a:\tb\n",
            "a: b\r\n",
            "a: b\u{feff}\n",
            "--- \na: b\n",
            "- a\nb: c\n",
            "a: b\n  c: d\n",
            "a: |2\n    b\n",
            "a: 'b' c\n",
            "a: 'b'#c\n",
            "- - a\n",
            "a:\n  b: c\n d: e\n",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_built_in_files_are_plain() {
        let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../wiring/assets/");
        let text = std::fs::read_to_string(format!("{assets}rules.yaml")).unwrap();
        assert_eq!(Ok(read(&text).unwrap()), parse_any(&text));
    }

    /// Lines as files have them, in any order.
    fn lines() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            4 => "[a-c]{1,3}( [a-c#:'-]{1,3}){0,2} ?",
            2 => "\\[[a-c, \"'\\]#:-]{0,8}\\]",
            1 => "[|>][+-]? ?",
            1 => "'[a-c' ]{0,4}'( #x)?|\"[a-c\\\\n\" ]{0,4}\"",
            1 => "",
            1 => "~|null|ü.|#x|\\[",
        ];
        let start =
            prop_oneof![3 => "(- )?[ab]: ?", 1 => "- ", 1 => "", 1 => "# ?", 1 => "[a-c],|\\]"];
        let line = ("( {0,3}|  |    )", start, value).prop_map(|(a, b, c)| a + &b + &c + "\n");
        proptest::collection::vec(line, 1..8).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_plain_comes_out_the_same(text in lines()) {
            if let Some(documents) = read(&text) {
                prop_assert_eq!(Ok(documents), parse_any(&text));
            }
        }

        #[test]
        fn changed_texts_come_out_the_same(at in 0..PLAIN.len(), len in 0..4_usize, put in "[ab:#\\[\\],'\" \n>|-]{0,3}") {
            let end = (at + len).min(PLAIN.len());
            let text = [&PLAIN[..at], &put, &PLAIN[end..]].concat();
            if let Some(documents) = read(&text) {
                prop_assert_eq!(Ok(documents), parse_any(&text));
            }
        }
    }
}
