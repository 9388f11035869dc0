//! A regular expression as the argument of a field.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use peregrine_limits::REGEX_BYTES;
use regex_automata::meta::{BuildError, Config, Regex};

/// A regular expression, in the syntax of Perl. Two are equal if their texts are.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: Arc<str>,
    /// None if each character stands for itself.
    regex: Option<Regex>,
}

impl Pattern {
    /// # Errors
    /// When it is none, or takes too much memory.
    pub(crate) fn new(text: &str) -> Result<Self, Box<BuildError>> {
        // Automata that match faster are dear to build, and few events ask for this.
        let limits =
            Config::new().nfa_size_limit(Some(REGEX_BYTES.get())).onepass(false).dfa(false);
        let build = || Regex::builder().configure(limits).build(text).map_err(Box::new);
        // Most are plain paths, and building is dear.
        let regex = (!is_plain(text)).then(build).transpose()?;
        Ok(Self { text: text.into(), regex })
    }

    /// Whether any part of a text matches; never of an empty one.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        !text.is_empty()
            && match &self.regex {
                Some(regex) => regex.is_match(text),
                None => text.contains(&*self.text),
            }
    }
}

/// Whether no character has a meaning in regular expressions.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_:,".contains(&byte))
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_texts_are_found_as_the_regular_expression_finds_them(
            pattern in "[a-b/_:,-]{0,3}", text in "[a-b/_:,-]{0,6}",
        ) {
            let plain = Pattern::new(&pattern).unwrap();
            prop_assert!(plain.regex.is_none());
            let regex = Pattern { regex: Some(Regex::new(&pattern).unwrap()), ..plain.clone() };
            prop_assert_eq!(plain.is_in(&text), regex.is_in(&text));
        }
    }
}
