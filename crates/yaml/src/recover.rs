//! Reading what can be read of a text with syntax errors.

use std::ops::Range;

use crate::explain::{SyntaxCause, explain, sections};
use crate::{Error, Explanation, Node, parse};

/// Limit on the errors of one text.
const MAX_ERRORS: usize = 20;

/// A text with syntax errors.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// What could be read: the items of the outermost list, or keys of the outermost map, without
    /// errors.
    pub documents: Vec<Node>,
    /// All errors with the mistakes behind them, in the order of reading.
    pub errors: Vec<(Error, Explanation)>,
    /// The parts that were left out, in bytes.
    pub dropped: Vec<Range<usize>>,
}

/// Reads a text that is not YAML: items with an error are left out, so that all errors are found at
/// once. Places are those of the text.
#[must_use]
pub fn recover(text: &str) -> Recovered {
    if !has_bare_returns(text) {
        return recover_lines(text);
    }
    // Mistakes are found by lines. With another line end, all bytes keep their places.
    let mut recovered = recover_lines(&text.replace('\r', "\n"));
    if let (Some((first, _)), Err(error)) = (recovered.errors.first_mut(), parse(text)) {
        *first = error;
    }
    recovered
}

/// Whether all lines of a text end in a carriage return alone. YAML allows it.
#[must_use]
pub fn has_bare_returns(text: &str) -> bool {
    let has = |byte| memchr::memchr(byte, text.as_bytes()).is_some();
    has(b'\r') && !has(b'\n')
}

fn recover_lines(text: &str) -> Recovered {
    let mut rest = text.to_owned();
    let mut recovered = Recovered::default();
    while let Err(error) = parse(&rest) {
        let explanation = explain(&rest, &error);
        let whole_text = matches!(
            explanation.cause,
            SyntaxCause::Limit | SyntaxCause::Conflict | SyntaxCause::Template | SyntaxCause::Fence
        );
        let last =
            if explanation.edits.is_empty() { error.at.offset } else { explanation.span.start };
        let parts = sections(&rest);
        let hit = |part: &&Range<usize>| part.start <= last && explanation.span.start < part.end;
        let hit: Vec<_> = parts.iter().filter(hit).cloned().collect();
        // Tabs are mostly in all items.
        let again = explanation.cause == SyntaxCause::Tab
            && recovered.errors.iter().any(|(_, known)| known.cause == SyntaxCause::Tab);
        if !again {
            recovered.errors.push((error, explanation));
        }
        if whole_text || hit.is_empty() || recovered.errors.len() >= MAX_ERRORS {
            return recovered;
        }
        for part in hit {
            rest = blank(&rest, &part);
            recovered.dropped.push(part);
        }
    }
    recovered.documents = parse(&rest).unwrap_or_default();
    recovered
}

/// The text with blanks in the place of a part; lines and bytes keep their places.
fn blank(text: &str, part: &Range<usize>) -> String {
    let keep = |byte: u8| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' };
    let inside = text.get(part.clone()).unwrap_or_default();
    let mut blanked = String::with_capacity(text.len());
    blanked += text.get(..part.start).unwrap_or_default();
    blanked.extend(inside.bytes().map(keep));
    blanked += text.get(part.end..).unwrap_or_default();
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_without_errors_are_read_and_keep_their_places() {
        let text = "- rule: a\n  desc d\n- rule: ü\n  desc: 'don't'\n- rule: c\n- macro: d\n  condition: a: b\n";
        let recovered = recover(text);
        let lines: Vec<_> = recovered.errors.iter().map(|(error, _)| error.at.line).collect();
        assert_eq!(lines.len(), 3);
        let items = recovered.documents[0].items();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].get("rule").unwrap().start.line, 4);
        assert_eq!(recovered.dropped.len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_recovered(text in r"([-a:&*#\[\]{},|>%!?'\x22 \n\r\t\x00ü~]|- |: |\n- ){0,60}") {
            let recovered = recover(&text);
            for (_, explanation) in &recovered.errors {
                proptest::prop_assert!(text.get(explanation.span.clone()).is_some());
            }
            for node in recovered.documents {
                proptest::prop_assert!(text.is_char_boundary(node.start.offset));
            }
        }
    }
}
