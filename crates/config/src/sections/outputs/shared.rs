//! What several outputs have.

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, words};
use crate::issue::ConfigIssue;

/// What happens when the queue of an output is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// [`Block`](Self::Block) in a replay, else [`DropNewest`](Self::DropNewest).
    Auto,
    /// The rule that has most of the queue loses its newest alert.
    DropNewest,
    /// The rule that has most of the queue loses its oldest alert.
    DropOldest,
    /// Events wait.
    Block,
}

words!(
    WhenFull,
    { "type": "string", "enum": ["auto", "drop_newest", "drop_oldest", "block"] }, "auto",
    {
        "auto" => Self::Auto, "drop_newest" => Self::DropNewest, "drop_oldest" => Self::DropOldest,
        "block" => Self::Block
    },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("when_full '{word}' is unknown."))
);

/// The text, or what is to be said where it is empty.
pub(super) fn required(text: String, message: &str, node: &Node) -> Result<String, ConfigIssue> {
    if text.is_empty() { Err(ConfigIssue::in_file(message).at(node)) } else { Ok(text) }
}
