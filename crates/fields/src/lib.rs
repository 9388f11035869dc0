//! The fields that rules may use: what they are called, what they mean and what they say of an event.
//!
//! [`table`] lists them all. [`Fields`] understands their names for the rule language.
//! This crate knows events, the state of the machine and the contract of the language, and nothing
//! of files, threads or rules.

mod params;
mod similar;
pub mod table;
mod vocabulary;

pub use vocabulary::{Field, Fields};
