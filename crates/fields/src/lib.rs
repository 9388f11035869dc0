//! The fields that rules may use: their names, their types and their values for an event.
//!
//! [`table`] lists them. [`Fields`] resolves their names for the rule language, and a [`View`] of
//! an event and the state after it gives their values. Plugins add classes of fields at run time
//! ([`RuntimeClass`]). [`EventTypes`] are the event types for which a condition can hold, and
//! [`EventTypeFacts`] what an event type determines about fields.
//!
//! The crate knows events, the state of the machine and the interfaces of the rule language; it
//! knows neither rules nor sources of events, and does no I/O.
//!
//! ```
//! use peregrine_event::EventType;
//! use peregrine_fields::{EventTypes, Fields};
//! use peregrine_filter::{DEFAULT_MAX_DEPTH, compile, parse};
//!
//! let condition = parse("evt.type = unlink and fs.path.name startswith /etc/", DEFAULT_MAX_DEPTH)?;
//! assert!(compile(&condition, &Fields::syscall()).is_ok());
//! let types = EventTypes::of(&condition)?.events;
//! assert!(types.contains(EventType::SyscallUnlink_2X));
//! assert!(!types.contains(EventType::SyscallOpenX));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod argument;
mod argument_errors;
mod evttypes;
mod extract;
mod frozen;
mod never;
mod params;
mod pattern;
mod runtime_class;
mod similar;
mod static_facts;
mod supplier;
pub mod table;
mod view;
mod vocabulary;
mod words;

pub use evttypes::{EventTypeError, EventTypes};
pub use extract::{CAPABILITIES, path_params};
pub use frozen::{Completed, Frozen, PartialView, Recording};
pub use runtime_class::{ClassError, FieldArgument, FieldExtractor, RuntimeClass, RuntimeField};
pub use static_facts::EventTypeFacts;
pub use view::{EventDescriber, Run, Scratch, SourceInfo, View};
pub use vocabulary::{Field, Fields};
pub use words::words;
