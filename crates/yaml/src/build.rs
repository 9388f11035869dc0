//! Builds the tree from scanner events.

use std::borrow::Cow;
use std::collections::HashMap;

use peregrine_diagnostics::Position;
use peregrine_limits::YAML_ALIAS_BYTES;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use thiserror::Error;

use crate::lenient::Lenient;
use crate::{Map, Node, Value, plain};

/// Maximum nesting: users of the tree may recurse.
const MAX_DEPTH: usize = 500;

/// The scanner treats NUL as the end of the text, so NULs are replaced by this noncharacter.
const NUL_STAND_IN: char = '\u{10fffe}';

/// Text that is not YAML.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Error {
    /// The error.
    pub message: String,
    /// Its place.
    pub at: Position,
}

/// Parses every document of a text.
///
/// # Errors
/// If the text is not YAML, is nested too deeply, or grows too much through aliases.
pub fn parse(text: &str) -> Result<Vec<Node>, Error> {
    match plain::read(text) {
        Some(documents) => Ok(documents),
        None => parse_any(text),
    }
}

/// Parses text of any shape.
pub(crate) fn parse_any(text: &str) -> Result<Vec<Node>, Error> {
    let has_nul = text.contains('\0');
    let safe = if has_nul {
        Cow::Owned(text.replace('\0', NUL_STAND_IN.encode_utf8(&mut [0; 4])))
    } else {
        Cow::Borrowed(text)
    };
    let mut lenient = Lenient::new(safe);
    let mut first_error = None;
    loop {
        let builder = Builder::new(has_nul, Places::new(text, &lenient));
        match builder.read(&lenient.text) {
            Ok(documents) => return Ok(documents),
            Err(Failure::Yaml(error)) => return Err(first_error.unwrap_or(error)),
            Err(Failure::Indentation(error, character)) => {
                let error = first_error.get_or_insert(error);
                if !lenient.move_right(character) {
                    return Err(error.clone());
                }
            }
            Err(Failure::Tab(error, character)) => {
                let error = first_error.get_or_insert(error);
                if !lenient.untab(character) {
                    return Err(error.clone());
                }
            }
        }
    }
}

/// Why parsing stopped.
enum Failure {
    /// The text is not YAML.
    Yaml(Error),
    /// A line of a flow collection is indented too little, at this character.
    Indentation(Error, usize),
    /// A tab where the scanner requires a blank, before this character.
    Tab(Error, usize),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Yaml(error)
    }
}

/// Assembles events. A stack of open collections replaces recursion.
struct Builder<'t> {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    copied: usize,
    has_nul: bool,
    places: Places<'t>,
}

/// A collection that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    /// Key of a map whose value is not complete yet.
    key: Option<Node>,
    /// Levels below it.
    depth: usize,
}

/// The node that aliases of one name refer to.
struct Anchor {
    node: Node,
    size: usize,
    depth: usize,
}

impl<'t> Builder<'t> {
    fn new(has_nul: bool, places: Places<'t>) -> Self {
        let (documents, open, anchors) = (Vec::new(), Vec::new(), HashMap::new());
        Self { documents, open, anchors, copied: 0, has_nul, places }
    }

    fn read(mut self, text: &str) -> Result<Vec<Node>, Failure> {
        for step in Parser::new_from_str(text) {
            let (event, span) = step.map_err(|e| {
                let at = self.places.mark(e.marker().index());
                let error = Error { message: e.info().to_owned(), at };
                match e.info() {
                    "invalid indentation" | "invalid indentation in flow construct" => {
                        Failure::Indentation(error, e.marker().index())
                    }
                    "':' must be followed by a valid YAML whitespace" => {
                        Failure::Tab(error, e.marker().index())
                    }
                    _ => Failure::Yaml(error),
                }
            })?;
            self.take(event, span)?;
        }
        Ok(self.documents)
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Error> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let value = self.scalar(text, style, tag.as_deref());
                let mut node = self.node(value, span);
                if block {
                    node.start = self.places.block_header(node.start);
                }
                self.finish(node, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.begin(Value::Seq(Vec::new()), anchor, span),
            Event::MappingStart(anchor, _) => self.begin(Value::Map(Map::default()), anchor, span),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(mut open) => {
                    open.node.end = self.places.mark(span.end.index());
                    self.finish(open.node, open.anchor, open.depth + 1)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
        }
    }

    fn scalar(&self, text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
        let text_by_tag = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix.is_empty());
        let quoted = style != ScalarStyle::Plain || text_by_tag;
        if !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
            return Value::Null;
        }
        let text = match self.has_nul {
            true => text.replace(NUL_STAND_IN, "\0"),
            false => text.into_owned(),
        };
        Value::Scalar { text, quoted }
    }

    fn begin(&mut self, value: Value, anchor: usize, span: Span) -> Result<(), Error> {
        let mut node = self.node(value, span);
        if span.is_empty()
            && let Value::Seq(_) = node.value
            && let Some(Open { key: Some(key), .. }) = self.open.last()
        {
            node.start = self.places.dash_below(key.start, node.start);
        }
        let block = !self.places.starts_with(node.start, ['[', '{']);
        if block && self.places.tab_before(node.start) {
            let message = "a tab can't stand between an indicator and a block, use blanks".into();
            return Err(Error { message, at: node.start });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Error { message: "nested too deep".into(), at: node.start });
        }
        self.open.push(Open { node, anchor, key: None, depth: 0 });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Error> {
        let at = self.places.mark(span.start.index());
        let Some(anchor) = self.anchors.get(&anchor) else {
            return Err(Error { message: "the alias stands inside of what it names".into(), at });
        };
        self.copied += anchor.size;
        if self.copied > YAML_ALIAS_BYTES.get() {
            YAML_ALIAS_BYTES.reach();
            return Err(Error { message: "aliases make the text too large".into(), at });
        }
        let (node, depth) = (anchor.node.clone(), anchor.depth);
        if self.open.len() + depth > MAX_DEPTH {
            return Err(Error { message: "nested too deep".into(), at });
        }
        self.put(node, depth);
        Ok(())
    }

    /// A node is complete: store it for aliases, and add it to its collection.
    fn finish(&mut self, node: Node, anchor: usize, depth: usize) -> Result<(), Error> {
        if anchor != 0 {
            let size = size(&node);
            self.copied += size;
            if self.copied > YAML_ALIAS_BYTES.get() {
                YAML_ALIAS_BYTES.reach();
                let message = "anchors make the text too large".into();
                return Err(Error { message, at: node.start });
            }
            self.anchors.insert(anchor, Anchor { node: node.clone(), size, depth });
        }
        self.put(node, depth);
        Ok(())
    }

    fn put(&mut self, node: Node, depth: usize) {
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        open.depth = open.depth.max(depth);
        match &mut open.node.value {
            Value::Seq(items) => items.push(node),
            Value::Map(map) => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => map.0.push((key, node)),
            },
            Value::Null | Value::Scalar { .. } => {}
        }
    }

    fn node(&self, value: Value, span: Span) -> Node {
        let start = self.places.mark(span.start.index());
        Node { value, start, end: self.places.mark(span.end.index()) }
    }
}

/// Approximate memory of a copy.
fn size(node: &Node) -> usize {
    let below: usize = match &node.value {
        Value::Null => 0,
        Value::Scalar { text, .. } => text.len(),
        Value::Seq(items) => items.iter().map(size).sum(),
        Value::Map(map) => map.0.iter().map(|(key, value)| size(key) + size(value)).sum(),
    };
    size_of::<Node>() + below
}

/// Converts character numbers, which is all the scanner provides, to positions.
struct Places<'t> {
    text: &'t str,
    /// Byte at which each line starts.
    lines: Vec<usize>,
    /// Number and end byte of each multi-byte character.
    wide: Vec<(usize, usize)>,
    lenient: &'t Lenient<'t>,
}

impl<'t> Places<'t> {
    fn new(text: &'t str, lenient: &'t Lenient<'t>) -> Self {
        let mut lines = vec![0];
        let mut wide = Vec::new();
        for (number, (at, c)) in text.char_indices().enumerate() {
            if c == '\n' {
                lines.push(at + 1);
            } else if !c.is_ascii() {
                wide.push((number, at + c.len_utf8()));
            }
        }
        Self { text, lines, wide, lenient }
    }

    fn mark(&self, character: usize) -> Position {
        let character = self.lenient.original(character);
        let before = self.wide.partition_point(|&(number, _)| number < character);
        let offset = match before.checked_sub(1).and_then(|i| self.wide.get(i)) {
            Some(&(number, end)) => end + (character - number - 1),
            None => character,
        }
        .min(self.text.len());
        self.mark_of_byte(offset)
    }

    /// Start of a block scalar: its `|` or `>`. The scanner reports the start of its content.
    fn block_header(&self, content: Position) -> Position {
        let before = self.text.get(..content.offset).unwrap_or_default();
        // Already there if it has no content.
        let Some(header) = before.trim_end().lines().next_back() else { return content };
        let ends_header = |tail: &str| {
            let rest = tail.get(1..).unwrap_or_default();
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
            rest.trim_start().is_empty()
                || rest.starts_with(' ') && rest.trim_start().starts_with('#')
        };
        header
            .match_indices(['|', '>'])
            .find(|&(at, _)| header.get(at..).is_some_and(ends_header))
            .map_or(content, |(at, _)| {
                self.mark_of_byte(before.trim_end().len() - header.len() + at)
            })
    }

    /// Start of a sequence that is not indented below its key: its first dash. The scanner reports
    /// the start of its first item.
    fn dash_below(&self, key: Position, item: Position) -> Position {
        let dash = item.offset.saturating_sub(item.column) + key.column;
        let below = item.line > key.line
            && item.column > key.column
            && self.text.get(dash - key.column..=dash).is_some_and(|s| s.trim_start() == "-");
        if below { self.mark_of_byte(dash) } else { item }
    }

    fn starts_with(&self, at: Position, first: [char; 2]) -> bool {
        self.text.get(at.offset..).is_some_and(|text| text.starts_with(first))
    }

    /// Whether there is a tab between a `-`, `?` or `:` and this place.
    fn tab_before(&self, at: Position) -> bool {
        let line = self.text.get(at.offset - at.column..at.offset).unwrap_or_default();
        let indicators = line.trim_end_matches([' ', '\t']);
        line.len() > indicators.len()
            && indicators.ends_with(['-', '?', ':'])
            && line.get(indicators.len()..).is_some_and(|blanks| blanks.contains('\t'))
    }

    fn mark_of_byte(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|&start| start <= offset).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        Position { offset, line, column: offset - start }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Node {
        parse(text).unwrap().remove(0)
    }

    fn at(mark: Position) -> (usize, usize, usize) {
        (mark.offset, mark.line, mark.column)
    }

    #[test]
    fn places_are_those_of_the_text() {
        let root = one("- rule: ü\n  desc: \"x\"\n  cond: |\n    a\n  tags:\n  - t\n");
        let item = &root.items()[0];
        assert_eq!(at(root.start), (0, 0, 0));
        assert_eq!(at(item.start), (2, 0, 2));
        assert_eq!(at(item.get("rule").unwrap().start), (8, 0, 8));
        // After the two bytes of "ü".
        assert_eq!(at(item.get("desc").unwrap().start), (19, 1, 8));
        assert_eq!(at(item.get("cond").unwrap().start), (31, 2, 8));
        assert_eq!(at(item.get("tags").unwrap().start), (49, 5, 2));
    }

    #[test]
    fn documents_and_nothing() {
        let all = parse("---\na: 1\n---\n---\n- ~\n").unwrap();
        assert_eq!(all.len(), 3);
        assert!(all[1].is_null());
        assert!(all[2].items()[0].is_null());
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("# only words\n").unwrap(), []);
    }

    #[test]
    fn quotes_and_tags_make_text() {
        assert_eq!(one("'~'").as_str(), Some("~"));
        assert_eq!(one("!!str null").as_str(), Some("null"));
        assert_eq!(one("!!int 5").as_i64(), Some(5));
        assert!(one("null").is_null());
    }

    #[test]
    fn first_of_two_equal_keys_counts() {
        assert_eq!(one("{a: 1, a: 2}").get("a").unwrap().as_i64(), Some(1));
    }

    #[test]
    fn aliases_are_copies_that_stand_where_the_anchor_stands() {
        let root = one("a: &x [1, 2]\nb: *x\n");
        assert_eq!(root.get("a"), root.get("b"));
    }

    #[test]
    fn nul_is_a_character() {
        assert_eq!(one("a\0b: c").entries()[0].0.as_str(), Some("a\0b"));
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            let items = [before.as_str(); 10].join(", ");
            text.push_str(&format!("b{level}: &a{level} [{items}]\n"));
        }
        assert_eq!(parse(&text).unwrap_err().message, "aliases make the text too large");
        assert!(parse("&a [*a]").is_err());
        assert!(parse("[*a]").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse(&"- ".repeat(400)).is_ok());
        assert_eq!(parse(&"- ".repeat(501)).unwrap_err().message, "nested too deep");
        assert!(parse(&"[".repeat(100_000)).is_err());
        let mut text = String::from("a: &a0 [x]\n");
        for level in 1..600 {
            text.push_str(&format!("b{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(parse(&text).unwrap_err().message, "nested too deep");
    }

    #[test]
    fn brackets_may_stand_left_of_what_holds_them() {
        let text = "- list: x\n  items: [\n\"a\", # ü\nb,\n  [c],\n ]\n- {list: y,\nitems: []}\n";
        let root = one(text);
        let items = root.items()[0].get("items").unwrap();
        assert_eq!(items.items().len(), 3);
        assert_eq!(at(items.items()[0].start), (21, 2, 0));
        assert_eq!(at(items.items()[2].start), (36, 4, 2));
        assert_eq!(root.items()[1].get("list").and_then(Node::as_str), Some("y"));
        assert!(parse("a: [\nb\nc: d\n").is_err());
    }

    #[test]
    fn tabs_do_not_indent() {
        assert!(parse("-\trule: x\n  desc: d\n").is_err());
        assert!(parse("a:\tb\n").is_ok());
        assert!(parse("-\tword\n\t\n- other\n").is_ok());
    }

    #[test]
    fn errors_say_where() {
        let error = parse("a:\n  b: c: d\n").unwrap_err();
        assert_eq!(error.at.line, 1);
    }

    proptest! {
        #[test]
        fn never_panics(text in r"([-a:&*#\[\]{},|>%!?'\x22 \n\r\t\x00ü~]|- |: ){0,60}") {
            if let Ok(documents) = parse(&text) {
                for node in documents {
                    prop_assert!(node.start.offset <= text.len());
                    prop_assert!(text.is_char_boundary(node.start.offset));
                }
            }
        }
    }
}
