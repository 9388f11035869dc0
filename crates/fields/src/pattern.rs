//! A regular expression as the argument of a field.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use peregrine_limits::REGEX_BYTES;
use regex_automata::meta::{BuildError, Config, Regex};

/// A regular expression, in the syntax of Perl. Two are equal if their texts are.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: Arc<str>,
    regex: Regex,
}

impl Pattern {
    /// # Errors
    /// When it is none, or takes too much memory.
    pub(crate) fn new(text: &str) -> Result<Self, Box<BuildError>> {
        let limits = Config::new().nfa_size_limit(Some(REGEX_BYTES.get()));
        let regex = Regex::builder().configure(limits).build(text)?;
        Ok(Self { text: text.into(), regex })
    }

    /// Whether any part of a text matches; never of an empty one.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        !text.is_empty() && self.regex.is_match(text)
    }
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
