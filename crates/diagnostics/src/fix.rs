//! Changes of a text that would mend a problem.

use serde_json::{Value, json};

use crate::Label;

/// A change that would mend a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, as an order: `replace && by and`.
    pub title: String,
    /// The edits, which belong together. They do not overlap.
    pub edits: Vec<Edit>,
    /// Whether it keeps what the author means. Such a fix is applied without a question; others are
    /// only offered.
    pub safe: bool,
}

/// A part of a text and what replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The part; an empty one is a place to insert at.
    pub label: Label,
    /// What replaces it.
    pub text: String,
}

impl Fix {
    /// A fix that keeps what the author means.
    #[must_use]
    pub fn safe(title: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self { title: title.into(), edits, safe: true }
    }

    /// A fix that is only offered.
    #[must_use]
    pub fn offered(title: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self { title: title.into(), edits, safe: false }
    }

    /// `title`, `safe` and `edits` (`file`, `start`, `end`, `text`).
    pub(crate) fn to_json(&self) -> Value {
        let edits: Value = self
            .edits
            .iter()
            .map(|edit| {
                let mut json = edit.label.to_json();
                if let Some(members) = json.as_object_mut() {
                    members.insert("text".to_owned(), edit.text.as_str().into());
                }
                json
            })
            .collect();
        json!({ "title": self.title, "safe": self.safe, "edits": edits })
    }
}

impl Edit {
    /// Replaces a part.
    #[must_use]
    pub fn new(label: Label, text: impl Into<String>) -> Self {
        Self { label, text: text.into() }
    }
}
