//! Alerts: what was detected, by which rule, how urgent it is, and the values that show it.
//!
//! An [`Alert`] is made on the event thread, because its text and values need the state of that
//! moment. It owns everything that channels need, so they format and deliver it on threads of their
//! own. This is a ground crate: it depends on no other crate of the workspace, and it does not know
//! how alerts come about or where they go.
//!
//! ```
//! use std::sync::Arc;
//!
//! use peregrine_alert::{AlertBuilder, AlertOrigin, Priority, RuleInfo, RuleRegistry, Value};
//!
//! let registry = Arc::new(RuleRegistry::new());
//! let origin = AlertOrigin::new(registry.clone(), "host-1");
//! let fields = vec!["proc.pid".to_owned()];
//! let rule =
//!     RuleInfo::new(&origin, "syscall", "Shell in container", Priority::Notice, vec![], fields);
//! // A reload that defines the rule again gets the same id, so its counters continue.
//! assert_eq!(registry.intern("syscall", "Shell in container"), rule.id());
//!
//! let (time, number) = (1_470_327_477_881_785_348, 42);
//! let mut alert = AlertBuilder::new(Arc::new(rule), time, number, |text| {
//!     text.extend_from_slice(b"a shell was started");
//! });
//! alert.int(20072);
//! let alert = alert.finish();
//! assert_eq!(alert.text(), b"a shell was started");
//! assert_eq!(alert.fields().next(), Some(("proc.pid", Value::Int(20072))));
//! ```

mod alert;
mod id;
mod internal;
mod pattern;
mod priority;
mod registry;
mod rule;
mod value;

pub use alert::{Alert, AlertBuilder};
pub use id::AlertId;
pub use internal::{InternalRule, Scalar};
pub use pattern::name_matches;
pub use priority::{Priority, UnknownPriority};
pub use registry::{RuleId, RuleRegistry};
pub use rule::{AlertOrigin, Digest, INTERNAL_SOURCE, RuleInfo, RuleKind};
pub use value::{Value, Values};
