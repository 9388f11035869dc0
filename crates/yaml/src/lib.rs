//! A YAML tree that remembers where everything stood, for rules files and configuration.
//!
//! Knows YAML, text and the files it comes from, nothing of rules or settings. Reads hostile text:
//! nesting and the growth through aliases are bounded, and no text makes it panic.
//!
//! ```
//! use peregrine_yaml::{decode, parse};
//!
//! let text = decode(b"- rule: Shell\n  enabled: no\n");
//! let documents = parse(&text)?;
//! let item = &documents[0].items()[0];
//! assert_eq!(item.get("rule").and_then(|name| name.as_str()), Some("Shell"));
//! assert_eq!(item.get("enabled").and_then(|word| word.as_bool()), Some(false));
//! assert_eq!(item.get("enabled").map(|word| (word.start.line, word.start.column)), Some((1, 11)));
//! # Ok::<(), peregrine_yaml::Error>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod build;
mod decode;
mod duplicates;
mod explain;
mod files;
mod lenient;
mod node;
mod plain;
mod recover;
mod schema;

pub use build::{Error, parse};
pub use decode::decode;
pub use duplicates::{DuplicateKey, duplicate_keys};
pub use explain::{Explanation, SyntaxCause, TextEdit, explain};
pub use files::{DirectoryError, files_at, is_pipe, read_file};
pub use node::{Map, Node, Value};
pub use recover::{Recovered, has_bare_returns, recover};
pub use schema::{Schema, UnknownKey, Violation};
