//! Tools for authors of rules: reference listings of fields and events. Lint, rule tests, explain, format and the
//! language server belong here too.
//!
//! This crate may know rules, fields, events and the engine; it knows no live source, no output and no configuration.
//!
//! ```
//! use peregrine_authoring::{Format, fields};
//! use peregrine_fields::Fields;
//!
//! let names = fields::names(&Fields::syscall(), Format::Text);
//! assert!(names.lines().any(|name| name == "proc.name"));
//! ```

mod columns;
pub mod events;
pub mod fields;
mod format;
mod types;

pub use format::{Format, UnknownFormat};
