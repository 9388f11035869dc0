//! Where each value of a JSON text is, found in one pass.

use peregrine_limits::{AUDIT_JSON_DEPTH, AUDIT_JSON_VALUES};

use super::scan::{JsonError, Scanner, Start};
use super::text::{has_escapes, unescaped};

/// The places of all values of a text, as numbers: the memory is kept for the next text.
#[derive(Debug, Default)]
pub(crate) struct Index {
    nodes: Vec<Node>,
    /// The lists and maps that are open, while a text is read.
    open: Vec<u32>,
    /// Whether there are blanks between values.
    blanks: bool,
}

/// A value, or the key in front of one.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    /// The node after this value and all in it.
    next: u32,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    /// Number, `true`, `false` or `null`.
    Literal,
}

/// A value of an indexed text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'i, 'a> {
    index: &'i Index,
    text: &'a [u8],
    at: usize,
}

impl Index {
    /// Finds the values of another text.
    pub(crate) fn read(&mut self, text: &[u8]) -> Result<(), JsonError> {
        self.nodes.clear();
        self.open.clear();
        self.blanks = false;
        let result = self.fill(text);
        if result.is_err() {
            self.nodes.clear();
        }
        result
    }

    /// The whole text, which is the one that was read last.
    pub(crate) fn root<'a>(&self, text: &'a [u8]) -> Option<Value<'_, 'a>> {
        let value = Value { index: self, text, at: 0 };
        value.node().map(|_| value)
    }

    fn fill(&mut self, text: &[u8]) -> Result<(), JsonError> {
        let mut scanner = Scanner::new(text);
        self.blanks |= scanner.blanks();
        loop {
            let start = scanner.start()?;
            let opened = matches!(start, Start::Object | Start::Array);
            let (kind, begun) = (kind(start), scanner.at());
            let at = self.push(kind, begun)?;
            match start {
                Start::String => drop(scanner.string()?),
                Start::Literal => scanner.literal()?,
                Start::Object => scanner.expect(b'{')?,
                Start::Array => scanner.expect(b'[')?,
            }
            if opened {
                self.blanks |= scanner.blanks();
                let end = if kind == Kind::Object { b'}' } else { b']' };
                if !scanner.take(end) {
                    if self.open.len() >= AUDIT_JSON_DEPTH.get() {
                        AUDIT_JSON_DEPTH.reach();
                        return Err(JsonError::Depth(scanner.at()));
                    }
                    self.open.push(at);
                    self.key(&mut scanner, kind)?;
                    continue;
                }
            }
            self.close(at, scanner.at());
            // What contains the value may be complete too.
            loop {
                let Some(container) = self.open.last().copied() else {
                    self.blanks |= scanner.blanks();
                    return scanner.end();
                };
                let kind = self.nodes.get(container as usize).map_or(Kind::Array, |node| node.kind);
                self.blanks |= scanner.blanks();
                if scanner.take(b',') {
                    self.blanks |= scanner.blanks();
                    self.key(&mut scanner, kind)?;
                    break;
                }
                scanner.expect(if kind == Kind::Object { b'}' } else { b']' })?;
                self.open.pop();
                self.close(container, scanner.at());
            }
        }
    }

    /// The key in front of the next value of a map.
    fn key(&mut self, scanner: &mut Scanner<'_>, container: Kind) -> Result<(), JsonError> {
        if container != Kind::Object {
            return Ok(());
        }
        let at = self.push(Kind::String, scanner.at())?;
        scanner.string()?;
        self.close(at, scanner.at());
        self.blanks |= scanner.blanks();
        scanner.expect(b':')?;
        self.blanks |= scanner.blanks();
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize) -> Result<u32, JsonError> {
        if self.nodes.len() >= AUDIT_JSON_VALUES.get() {
            AUDIT_JSON_VALUES.reach();
            return Err(JsonError::Values);
        }
        let (Ok(at), Ok(start)) = (u32::try_from(self.nodes.len()), u32::try_from(start)) else {
            return Err(JsonError::Values);
        };
        self.nodes.push(Node { kind, start, end: start, next: at + 1 });
        Ok(at)
    }

    fn close(&mut self, at: u32, end: usize) {
        let next = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(at as usize) {
            (node.end, node.next) = (u32::try_from(end).unwrap_or(u32::MAX), next);
        }
    }
}

fn kind(start: Start) -> Kind {
    match start {
        Start::Object => Kind::Object,
        Start::Array => Kind::Array,
        Start::String => Kind::String,
        Start::Literal => Kind::Literal,
    }
}

impl<'i, 'a> Value<'i, 'a> {
    fn node(self) -> Option<Node> {
        self.index.nodes.get(self.at).copied()
    }

    pub(crate) fn kind(self) -> Kind {
        self.node().map_or(Kind::Literal, |node| node.kind)
    }

    /// Its text, with the quotes of a string.
    pub(crate) fn raw(self) -> &'a [u8] {
        let range = self.node().map(|node| node.start as usize..node.end as usize);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// The text between the quotes of a string, escapes as they are.
    pub(crate) fn between_quotes(self) -> Option<&'a [u8]> {
        if self.kind() != Kind::String {
            return None;
        }
        self.raw().strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// Whether the text has blanks between values, here or elsewhere.
    pub(crate) fn has_blanks(self) -> bool {
        self.index.blanks
    }

    /// The first value of a map with this key, or the value of a list with this number.
    pub(crate) fn get(self, key: &[u8]) -> Option<Self> {
        match self.kind() {
            Kind::Object => {
                self.entries().find(|(name, _)| is_key(name, key)).map(|(_, value)| value)
            }
            Kind::Array => {
                let number = std::str::from_utf8(key).ok()?.parse::<usize>().ok()?;
                self.elements().nth(number)
            }
            Kind::String | Kind::Literal => None,
        }
    }

    /// The same for one key after the other.
    pub(crate) fn at(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |value, key| value.get(key.as_bytes()))
    }

    /// The values of a list; of anything else there are none.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> + use<'i, 'a> {
        let node = self.node().filter(|node| node.kind == Kind::Array);
        let (mut at, end) = self.inside(node);
        std::iter::from_fn(move || {
            let value = Self { at, ..self };
            let node = value.node().filter(|_| at < end)?;
            at = node.next as usize;
            Some(value)
        })
    }

    /// The keys of a map with their quotes, and its values; of anything else there are none.
    pub(crate) fn entries(self) -> impl Iterator<Item = (&'a [u8], Self)> + use<'i, 'a> {
        let node = self.node().filter(|node| node.kind == Kind::Object);
        let (mut at, end) = self.inside(node);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let key = Self { at, ..self };
            let value = Self { at: at + 1, ..self };
            at = value.node()?.next as usize;
            Some((key.raw(), value))
        })
    }

    fn inside(self, node: Option<Node>) -> (usize, usize) {
        node.map_or((0, 0), |node| (self.at + 1, node.next as usize))
    }
}

/// Whether a key in the text, with its quotes, is this one.
fn is_key(written: &[u8], key: &[u8]) -> bool {
    let written = written.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(written) = written else { return false };
    if has_escapes(written) { unescaped(written) == key } else { written == key }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        br#" {"a": {"b": [1, "x", {"c": null}], "b": 2}, "q\"": "\u00fc", "e": {} } "#;

    fn index(text: &[u8]) -> Index {
        let mut index = Index::default();
        index.read(text).unwrap();
        index
    }

    #[test]
    fn values_are_found_by_keys_and_numbers() {
        let index = index(TEXT);
        let root = index.root(TEXT).unwrap();
        let raw = |keys: &[&str]| root.at(keys).map(Value::raw);
        assert_eq!(raw(&["a", "b", "1"]), Some(&b"\"x\""[..]));
        assert_eq!(raw(&["a", "b", "2", "c"]), Some(&b"null"[..]));
        assert_eq!(raw(&["q\""]), Some(&br#""\u00fc""#[..]));
        assert_eq!(raw(&["e"]), Some(&b"{}"[..]));
        assert_eq!(raw(&["a", "b", "3"]), None);
        assert_eq!(raw(&["a", "b", "x"]), None);
        assert_eq!(raw(&["a", "c"]), None);
        assert_eq!(raw(&["q\"", "x"]), None);
        assert_eq!(root.get(b"a").unwrap().entries().count(), 2);
        assert_eq!(root.at(&["a", "b"]).unwrap().elements().count(), 3);
        assert!(root.has_blanks());
        assert_eq!(root.at(&["a"]).unwrap().elements().count(), 0);
    }

    #[test]
    fn a_text_that_is_no_json_has_no_values() {
        let mut index = index(TEXT);
        assert!(index.read(b"{\"a\":").is_err());
        assert!(index.root(b"{\"a\":").is_none());
    }
}
