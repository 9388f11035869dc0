//! What every crate agrees on about alerts: how urgent they are and which rule raised them.
//!
//! This is a ground crate: it depends on no other crate of the workspace. It does not know how alerts come
//! about, nor where they go.
//!
//! ```
//! use peregrine_alert::{Priority, RuleRegistry};
//!
//! let registry = RuleRegistry::new();
//! let shell = registry.intern("syscall", "Shell in container");
//! // A reload that defines the rule again gets the same id, so its counters go on.
//! assert_eq!(registry.intern("syscall", "Shell in container"), shell);
//! assert_eq!(&*registry.name(shell), "Shell in container");
//! assert_eq!("info".parse(), Ok(Priority::Informational));
//! ```

mod priority;
mod rule;

pub use priority::{Priority, UnknownPriority};
pub use rule::{RuleId, RuleRegistry};
