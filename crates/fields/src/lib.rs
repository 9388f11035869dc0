//! The fields that rules may use: what they are called, what they mean and what they say of an event.
//!
//! [`table`] lists them all. [`Fields`] understands their names for the rule language, and a [`View`] of
//! an event gives their values. [`EventTypes`] tells which events a condition can be true for.
//! This crate knows events, the state of the machine and the contract of the language, and nothing
//! of files, threads or rules.

mod evttypes;
mod extract;
mod params;
mod runtime_class;
mod similar;
mod static_facts;
mod supplier;
pub mod table;
mod view;
mod vocabulary;

pub use evttypes::{EventTypeError, EventTypes};
pub use runtime_class::{ClassError, FieldArgument, FieldExtractor, RuntimeClass, RuntimeField};
pub use static_facts::EventTypeFacts;
pub use view::{Run, Scratch, View};
pub use vocabulary::{Field, Fields};
