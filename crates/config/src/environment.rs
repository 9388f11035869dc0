//! Variables of the environment in configuration files: `${NAME}`.

use peregrine_yaml::{Node, Value};

/// Replacements in one value before expansion stops: a variable may contain itself.
const MOST_REPLACEMENTS: usize = 1000;

/// Replaces variables in every value (not in keys) of a tree. `expanded` is called for each value
/// in which there was one, with its text before; the node has the new one.
pub(crate) fn expand_tree(
    node: &mut Node,
    variable: &dyn Fn(&str) -> Option<String>,
    expanded: &mut dyn FnMut(&Node, String),
) {
    match &mut node.value {
        Value::Scalar { text, .. } => {
            if let Some(value) = expand(text, variable) {
                let written = std::mem::replace(text, value);
                expanded(node, written);
            }
        }
        Value::Seq(items) => {
            items.iter_mut().for_each(|item| expand_tree(item, variable, expanded));
        }
        Value::Map(map) => {
            map.0.iter_mut().for_each(|(_, value)| expand_tree(value, variable, expanded));
        }
        Value::Null => {}
    }
}

/// `${NAME}` is the variable or nothing, and its value is expanded in turn; `$${x}` is the text
/// `${x}`. A dollar that begins neither ends the search, and so does an unclosed brace. `None` if
/// the text stays as it is.
#[must_use]
pub fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut new: Option<String> = None;
    let mut from = 0;
    for _ in 0..MOST_REPLACEMENTS {
        let current = new.as_deref().unwrap_or(text);
        let Some(rest) = current.get(from..) else { break };
        let Some(dollar) = rest.find('$').map(|at| from + at) else { break };
        let rest = current.get(dollar..).unwrap_or_default();
        let Some(close) = rest.find('}') else { break };
        if rest.starts_with("${") {
            let name = rest.get(2..close).unwrap_or_default();
            let value = variable(name).unwrap_or_default();
            let text = new.get_or_insert_with(|| text.to_owned());
            text.replace_range(dollar..=dollar + close, &value);
            from = dollar;
        } else if rest.starts_with("$${") {
            new.get_or_insert_with(|| text.to_owned()).remove(dollar);
            from = dollar + 1;
        } else {
            break;
        }
    }
    new
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
        .unwrap_or_else(|| text.to_owned())
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
