//! A YAML tree that remembers where everything stood, for rules files and configuration.

mod node;

pub use node::{Error, Map, Mark, Node, Value, parse};
