//! Tools for authors of rules: reference pages about fields, events and error codes, explain, fix
//! and the meaning of changes; [`fmt`] and [`lint`] are crates of their own. Rule tests and the
//! language server are built on it.
//!
//! This crate may know rules, fields, events and the engine; it knows no live source, no output and
//! no configuration.
//!
//! ```
//! use peregrine_authoring::{Format, fields};
//! use peregrine_fields::Fields;
//!
//! let names = fields::names(&Fields::syscall(), Format::Text);
//! assert!(names.lines().any(|name| name == "proc.name"));
//! ```

pub mod codes;
mod columns;
mod diff;
pub mod events;
pub mod examples;
pub mod explain;
pub mod fields;
pub mod fix;
mod format;
mod paint;
pub mod query;
pub mod rule_diff;
mod search;
mod similar;
mod types;

pub use columns::two_columns;
pub use diff::unified_diff;
pub use format::{Format, UnknownFormat};
pub use paint::Paint;
pub use {peregrine_fmt as fmt, peregrine_lint as lint};
