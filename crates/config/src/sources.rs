//! The texts that a configuration came from, so that every value can say where it stands.
//!
//! Values of several files and of the command line end up in one tree. To tell them apart, each text gets a range of
//! offsets of its own, and the marks of its nodes are moved into that range.

use peregrine_yaml::{Diagnostic, Mark, Node, Value, decode, parse};

use crate::fault::Fault;

/// All texts read so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    texts: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
    base: usize,
}

impl Sources {
    /// Reads a text as YAML: its first document, or nothing.
    pub(crate) fn read(&mut self, name: &str, bytes: &[u8]) -> Result<Node, Fault> {
        let text = decode(bytes).into_owned();
        let parsed = parse(&text);
        let base = self.add(name, text);
        match parsed {
            Ok(documents) => {
                let first = documents.into_iter().next();
                let mut node = first.unwrap_or_else(|| Node::nowhere(Value::Null));
                shift(&mut node, base);
                Ok(node)
            }
            Err(error) => {
                let at = Mark { offset: error.at.offset + base, ..error.at };
                let nowhere = Node { value: Value::Null, start: at, end: at };
                let (line, column) = (at.line + 1, at.column + 1);
                Err(Fault::new(format!("{name}:{line}:{column}: {}", error.message)).at(&nowhere))
            }
        }
    }

    /// The rest of a line from a byte on, as a scalar.
    pub(crate) fn scalar(&mut self, name: &str, line: &str, from: usize) -> Node {
        let base = self.add(name, line.to_owned());
        let value = line.get(from..).unwrap_or_default();
        let before = line.get(..from).unwrap_or(line).chars().count();
        let start = Mark { offset: base + from, line: 0, column: before };
        let column = before + value.chars().count();
        let end = Mark { offset: base + line.len(), line: 0, column };
        Node { start, end, ..Node::scalar(value) }
    }

    /// Keeps a text, and gives it a range of offsets that begins with the answer.
    fn add(&mut self, name: &str, text: String) -> usize {
        let base = self.texts.last().map_or(0, |last| last.base + last.text.len() + 1);
        self.texts.push(Source { name: name.to_owned(), text, base });
        base
    }

    /// The line at a place, with a mark under it.
    pub(crate) fn picture(&self, start: Mark, end: Mark, help: Option<String>) -> Option<String> {
        let source = self.texts.iter().rev().find(|source| source.base <= start.offset)?;
        let local = |mark: Mark| Mark { offset: mark.offset.saturating_sub(source.base), ..mark };
        let picture = Diagnostic::new(&source.name, &source.text, local(start)).up_to(local(end));
        Some(match help {
            Some(help) => picture.help(help).to_string(),
            None => picture.to_string(),
        })
    }
}

fn shift(node: &mut Node, base: usize) {
    node.start.offset += base;
    node.end.offset += base;
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| shift(item, base)),
        Value::Map(map) => map.0.iter_mut().for_each(|(key, value)| {
            shift(key, base);
            shift(value, base);
        }),
        Value::Null | Value::Scalar { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_two_texts_stay_apart() {
        let mut sources = Sources::default();
        sources.read("one.yaml", b"a: 1\nb: 2\n").unwrap();
        let two = sources.read("two.yaml", b"# two\nc: 3\n").unwrap();
        let value = two.get("c").unwrap();
        let picture = sources.picture(value.start, value.end, None).unwrap();
        assert!(picture.contains("two.yaml:2:4") && picture.contains("c: 3"), "{picture}");
    }

    #[test]
    fn a_text_that_is_no_yaml_says_where() {
        let mut sources = Sources::default();
        let error = sources.read("bad.yaml", b"a: {b: 1\n").unwrap_err().tell("bad.yaml", &sources);
        assert!(error.to_string().starts_with("bad.yaml:"), "{error}");
        assert!(error.picture().is_some());
    }
}
