//! What several outputs have.

use peregrine_diagnostics::redact;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, words};
use crate::issue::{ConfigCode, ConfigIssue};

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

/// The URL, without quotes around it. `http` is the scheme if it has none, as for curl. `node`
/// is its place.
pub(super) fn web_address(key: &str, url: &str, node: &Node) -> Result<String, ConfigIssue> {
    let unquoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| url.trim().strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
    let url = unquoted.unwrap_or(url).trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let wrong = |what: &str, help: &str| {
        let message = format!("{key}: {} has {what}", redact(url));
        Err(ConfigIssue::new(ConfigCode::Value, message).at(node).help(help))
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return wrong(
            "a scheme that is neither http nor https",
            "such as `https://host:port/path`",
        );
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.rsplit('@').next().is_none_or(|host| host.is_empty() || host.starts_with(':')) {
        return wrong("no host", "such as `https://host:port/path`");
    }
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("a blank in it", "write `%20` for a blank");
    }
    Ok(format!("{scheme}://{rest}"))
}
