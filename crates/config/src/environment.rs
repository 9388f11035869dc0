//! Variables of the environment in configuration files: `${NAME}`.

use peregrine_yaml::{Node, Value};

/// Replacements in one value before expansion stops: a variable may contain itself.
const MOST_REPLACEMENTS: usize = 1000;

/// Replaces variables in every value (not in keys) of a tree.
pub(crate) fn expand_tree(node: &mut Node, variable: &dyn Fn(&str) -> Option<String>) {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains('$') => *text = expand(text, variable),
        Value::Seq(items) => items.iter_mut().for_each(|item| expand_tree(item, variable)),
        Value::Map(map) => map.0.iter_mut().for_each(|(_, value)| expand_tree(value, variable)),
        Value::Null | Value::Scalar { .. } => {}
    }
}

/// `${NAME}` is the variable or nothing, and its value is expanded in turn; `$${x}` is the text
/// `${x}`. A dollar that begins neither ends the search, and so does an unclosed brace.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    for _ in 0..MOST_REPLACEMENTS {
        let Some(rest) = text.get(from..) else { break };
        let Some(dollar) = rest.find('$').map(|at| from + at) else { break };
        let rest = &text[dollar..];
        let Some(close) = rest.find('}') else { break };
        if rest.starts_with("${") {
            let value = variable(&rest[2..close]).unwrap_or_default();
            text.replace_range(dollar..=dollar + close, &value);
            from = dollar;
        } else if rest.starts_with("$${") {
            text.remove(dollar);
            from = dollar + 1;
        } else {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text, &|name| match name {
            "WORD" => Some("hello".to_owned()),
            "INNER" => Some("${WORD}".to_owned()),
            "SELF" => Some("${SELF}".to_owned()),
            "DOLLAR" => Some("$".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables() {
        assert_eq!(expanded("${WORD} ${WORD}!"), "hello hello!");
        assert_eq!(expanded("[${UNSET}${}]"), "[]");
        assert_eq!(expanded("${INNER}"), "hello");
        assert_eq!(expanded("${DOLLAR}{WORD}"), "hello");
        assert_eq!(expanded("${SELF}"), "${SELF}");
    }

    #[test]
    fn escapes_and_dollars_that_mean_nothing() {
        assert_eq!(expanded("$${WORD} ${WORD}"), "${WORD} hello");
        assert_eq!(expanded("cost $5 ${WORD}"), "cost $5 ${WORD}");
        assert_eq!(expanded("${WORD} ${WORD"), "hello ${WORD");
        assert_eq!(expanded("$"), "$");
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends_and_texts_without_dollars_stay(text in "[a-z${}é]{0,40}") {
            let result = expanded(&text);
            if !text.contains('$') {
                proptest::prop_assert_eq!(result, text);
            }
        }
    }
}
