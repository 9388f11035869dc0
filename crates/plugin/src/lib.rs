//! Hosts Falco's plugins: libraries that deliver events, extract fields from them, and keep a state
//! about them, over the plugin ABI 3.12.0.
//!
//! The only crate that calls code of others in this process. What is `unsafe` stays in it: it
//! checks what can be checked of what plugins return (versions, codes, lengths, counts, types, null
//! pointers, texts), copies it, and offers types that can't be wrong. What the ABI does not let a
//! host check, such as a wild pointer, ends the process with a line that names the plugin
//! ([`report_crashes`]).
//!
//! A [`Library`] says what a plugin is and can do. An [`Instance`] of it is initialised, and
//! belongs to one stream of events, as in the reference. The crate knows events; it knows neither
//! rules nor the configuration as it is written.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use peregrine_event::source::{Next, Source, SourceNames};
//! use peregrine_plugin::{Host, Library};
//!
//! let library = Library::load(Path::new("/usr/share/falco/plugins/libdummy.so"))?;
//! println!("{} {}", library.info().name, library.info().version);
//!
//! let log = Arc::new(|_, component: &str, text: &str| eprintln!("{component}: {text}"));
//! let instance = library.init("{}", Host { log, tables: None })?;
//! let id = SourceNames::default().intern("dummy").unwrap();
//! let mut source = instance.open(r#"{"start": 1, "maxEvents": 5}"#, id)?;
//! while !matches!(source.next()?, Next::End) {}
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod abi;
mod asynchronous;
mod call;
mod config;
mod crash;
mod error;
mod extract;
pub mod fields;
mod host;
mod instance;
mod library;
mod listening;
mod metrics;
mod parsing;
mod ranges;
mod source;
pub mod tables;
mod text;
mod version;

pub use asynchronous::{AsyncError, AsyncFault, AsyncQueue, AsyncSource, AsyncStream, MAX_AHEAD};
pub use config::{ConfigError, OpenParam, OpenParamsError, checked_config, open_params};
pub use crash::report_crashes;
pub use error::{CallError, InitError, LibraryFault, LoadError, PluginFault, SchemaError};
pub use extract::{FieldAnswer, FieldRequest, FieldType, FieldValue};
pub use host::{Host, LogSink, Owner, Severity};
pub use instance::{Instance, PluginEvent};
pub use library::{
    AsyncEvents, Capabilities, Extraction, InitSchema, Library, Parsing, PluginInfo, Sourcing,
};
pub use listening::RoutinePool;
pub use metrics::plugin_metrics;
pub use parsing::{PluginParsers, SourcePlugins};
pub use source::{PluginSource, SourceError};
pub use tables::{InstanceTables, TableRegistry};
pub use version::{Mismatch, Version};
