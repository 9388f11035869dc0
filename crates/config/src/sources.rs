//! The texts that a configuration is read from, so that every value knows where it stands.
//!
//! Values of several files and of the command line end up in one tree. Each text gets a range of
//! offsets of its own, and the positions of its nodes are moved into that range. The texts are for
//! snippets, so their secrets are masked.

use std::ops::Range;

use peregrine_diagnostics::{COMMAND_LINE, Source, SourceMap, Span};
use peregrine_yaml::{Explanation, Node, Value, decode, explain, parse};

use crate::issue::{ConfigCode, ConfigIssue};
use crate::secrets::{masked, redact_option};

/// Reads a text as YAML: its first document, or nothing.
pub(crate) fn read(sources: &mut SourceMap, name: &str, bytes: &[u8]) -> Result<Node, ConfigIssue> {
    let text = decode(bytes);
    parsed(&text, |root| Source::new(name, masked(&text, root)), sources)
}

/// The value of an option, which begins at a byte, as YAML.
pub(crate) fn option(
    sources: &mut SourceMap,
    option: &str,
    from: usize,
) -> Result<Node, ConfigIssue> {
    // So that its places are those of the option.
    let value = " ".repeat(from) + option.get(from..).unwrap_or_default();
    parsed(&value, |_| Source::new(COMMAND_LINE, redact_option(option)), sources)
}

fn parsed(
    text: &str,
    shown: impl FnOnce(Option<&Node>) -> Source,
    sources: &mut SourceMap,
) -> Result<Node, ConfigIssue> {
    match parse(text) {
        Ok(documents) => {
            let first = documents.into_iter().next();
            let mut node = first.unwrap_or_else(|| Node::nowhere(Value::Null));
            let base = sources.add(shown(Some(&node)));
            shift(&mut node, base);
            Ok(node)
        }
        Err(error) => {
            let source = shown(None);
            let Explanation { message, span, help, .. } = explain(&masked(text, None), &error);
            let span = source.span(span);
            let (line, column) = (span.start.line + 1, span.start.column + 1);
            let place = format!("{}:{line}:{column}: {message}", source.name);
            let span = shifted(span, sources.add(source));
            let issue = ConfigIssue::new(ConfigCode::YamlParse, place).plain(message);
            Err(issue.at_span(span).help(help))
        }
    }
}

/// The value of an option, which begins at a byte, as a scalar.
pub(crate) fn scalar(sources: &mut SourceMap, line: &str, from: usize) -> Node {
    let source = Source::new(COMMAND_LINE, redact_option(line));
    let mut node = Node::scalar(line.get(from..).unwrap_or_default());
    (node.start, node.end) = (source.position(from), source.position(usize::MAX));
    let base = sources.add(source);
    shift(&mut node, base);
    node
}

/// A part of an option, for messages.
pub(crate) fn part(sources: &mut SourceMap, option: &str, range: Range<usize>) -> Span {
    let source = Source::new(COMMAND_LINE, redact_option(option));
    let span = source.span(range);
    shifted(span, sources.add(source))
}

fn shifted(mut span: Span, base: usize) -> Span {
    span.start.offset += base;
    span.end.offset += base;
    span
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
