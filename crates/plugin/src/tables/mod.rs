//! Tables: those of the host that plugins use, and those of plugins that other plugins use.
//!
//! All plugins of one stream of events share a [`TableRegistry`]. It has the table `threads`,
//! which is [the state of the machine](peregrine_state::tables), and those that plugins add. What
//! one instance of a plugin holds of them (tables, entries, texts) is in its [`InstanceTables`]
//! until the call ends: the host frees it then, whether the plugin has released it or not.
//!
//! Entries and fields of the host's tables are numbers in the clothes of pointers, so that one that
//! a plugin makes up, or uses after its call, is an error. The state can be used only by the thread
//! that has it, during the calls that the interface names: a plugin that uses a table of the host
//! from a thread of its own gets an error, since neither may wait for the other.
//!
//! ```
//! use peregrine_plugin::TableRegistry;
//!
//! let registry = TableRegistry::default();
//! registry.provide_container_id();
//! assert_eq!(registry.names(), ["threads"]);
//! ```

pub(crate) mod access;
mod builtin;
mod columns;
mod dispatch;
mod errors;
mod foreign;
mod foreign_calls;
mod handles;
mod init;
mod instance;
mod lock;
mod owner;
mod registry;
mod shared;

pub use access::{reading, writing};
pub use instance::InstanceTables;
pub use registry::TableRegistry;
