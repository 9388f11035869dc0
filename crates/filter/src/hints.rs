//! Remarks on conditions that compile but may not mean what their author wants.

use thiserror::Error;

use crate::ast::Span;
use crate::{Operator, Transformer, Vocabulary};

/// A remark on a comparison.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind}")]
pub struct Hint {
    /// The right side of the comparison.
    pub span: Span,
    /// What may be wrong with it.
    pub kind: HintKind,
}

/// What may be a mistake. The messages are those of Falco, which tools compare.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HintKind {
    /// A literal that reads like a field.
    #[error("'{0}' may be a valid field misused as a const string value")]
    Field(String),
    /// A number outside of the range of the field.
    #[error("'{0}' is out of the range of this field")]
    OutOfRange(String),
    /// A regular expression that a simpler operator can replace.
    #[error(
        "regex check with '{0}' may be optimized with simpler operators such as '=', 'contains', \
         'startswith', 'endswith'"
    )]
    Regex(String),
    /// A literal that reads like a transformer.
    #[error("'{0}' may be a valid field transformer misused as a const string value")]
    Transformer(String),
}

/// All hints for one literal.
pub(crate) fn of_literal<V>(op: Operator, text: &str, span: Span, vocabulary: &V) -> Vec<Hint>
where
    V: Vocabulary + ?Sized,
{
    // Most literals have no remark.
    if op != Operator::Regex && !text.contains(['.', '(']) {
        return Vec::new();
    }
    let mut kinds = Vec::new();
    if op == Operator::Regex && is_simple(text) {
        kinds.push(HintKind::Regex(text.to_owned()));
    }
    let packed: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r'))
        .collect();
    if packed.contains('.')
        && vocabulary.resolve(&packed).is_ok_and(|resolved| resolved.len == packed.len())
    {
        kinds.push(HintKind::Field(text.to_owned()));
    }
    let called = |transformer: &Transformer| {
        packed
            .strip_prefix(transformer.as_str())
            .is_some_and(|rest| rest.starts_with('(') && rest.ends_with(')'))
    };
    if Transformer::ALL.iter().any(called) {
        kinds.push(HintKind::Transformer(text.to_owned()));
    }
    kinds.into_iter().map(|kind| Hint { span, kind }).collect()
}

/// Whether a pattern has no operators but anchors and repeated dots at its ends.
fn is_simple(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let last = bytes.len().saturating_sub(1);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let repeated = bytes.get(at + 1).is_some_and(|next| b"+*?".contains(next));
        let at_end = at == 0 || at + 1 == last;
        if at == 0 && *byte == b'^' || at == last && *byte == b'$' {
            at += 1;
        } else if at_end && *byte == b'.' && repeated {
            at += 2;
        } else if b".+*?^$()[]{}|\\".contains(byte) {
            return false;
        } else {
            at += 1;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_patterns() {
        for pattern in ["plain", "^a", "b$", ".*c", "d.*", ".*e.+", "", "/a-b"] {
            assert!(is_simple(pattern), "{pattern}");
        }
        for pattern in ["a.*b", "[a]", "a|b", "a.", ".", "^.*a", "(x)"] {
            assert!(!is_simple(pattern), "{pattern}");
        }
    }
}
