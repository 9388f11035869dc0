//! The texts that a configuration is read from, so that every value knows where it stands.
//!
//! Values of several files and of the command line end up in one tree. Each text gets a range of
//! offsets of its own, and the positions of its nodes are moved into that range. The texts are for
//! snippets, so their secrets are masked.

use peregrine_diagnostics::{Position, Source, SourceMap, Span};
use peregrine_yaml::{Node, Value, decode, parse};

use crate::issue::{ConfigCode, ConfigIssue};
use crate::secrets::{masked, redact_option};

/// Reads a text as YAML: its first document, or nothing.
pub(crate) fn read(sources: &mut SourceMap, name: &str, bytes: &[u8]) -> Result<Node, ConfigIssue> {
    let text = decode(bytes);
    match parse(&text) {
        Ok(documents) => {
            let first = documents.into_iter().next();
            let mut node = first.unwrap_or_else(|| Node::nowhere(Value::Null));
            let base = sources.add(Source::new(name, masked(&text, Some(&node))));
            shift(&mut node, base);
            Ok(node)
        }
        Err(error) => {
            let base = sources.add(Source::new(name, masked(&text, None)));
            let at = Position { offset: error.at.offset + base, ..error.at };
            let (line, column) = (at.line + 1, at.column + 1);
            let message = format!("{name}:{line}:{column}: {}", error.message);
            let span = Span { start: at, end: at };
            Err(ConfigIssue::new(ConfigCode::YamlParse, message).at_span(span))
        }
    }
}

/// The value of an option, which begins at a byte, as a scalar.
pub(crate) fn scalar(sources: &mut SourceMap, name: &str, line: &str, from: usize) -> Node {
    let source = Source::new(name, redact_option(line));
    let mut node = Node::scalar(line.get(from..).unwrap_or_default());
    (node.start, node.end) = (source.position(from), source.position(usize::MAX));
    let base = sources.add(source);
    shift(&mut node, base);
    node
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
    use crate::ConfigError;

    #[test]
    fn places_of_two_texts_stay_apart() {
        let mut sources = SourceMap::default();
        read(&mut sources, "one.yaml", b"a: 1\nb: 2\n").unwrap();
        let two = read(&mut sources, "two.yaml", b"# two\nc: 3\n").unwrap();
        let issue = ConfigIssue::bad_conversion(two.get("c").unwrap());
        let snippet = ConfigError::new(issue, "one.yaml", &sources).snippet();
        assert!(snippet.contains("two.yaml:2:4") && snippet.contains("c: 3"), "{snippet}");
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let mut sources = SourceMap::default();
        let issue = read(&mut sources, "bad.yaml", b"a: {b: 1\n").unwrap_err();
        let error = ConfigError::new(issue, "bad.yaml", &sources);
        assert!(error.to_string().starts_with("bad.yaml:"), "{error}");
        assert!(!error.snippet().is_empty());
    }
}
