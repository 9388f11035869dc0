//! Problems in texts that people write: where they are, what they are and what would be right.
//!
//! A [`Problem`] has a code, a message, the spans it is about and, where they are known, a remedy
//! and a [`Fix`]. It has three forms: text with the source line and carets
//! ([`Display`](std::fmt::Display)), JSON ([`Problem::to_json`]) and SARIF 2.1.0 ([`sarif()`]).
//! Texts that may hold secrets are shown through [`redact()`]. The crate knows spans and source
//! texts; it does not know YAML, rules or settings.
//!
//! ```
//! use std::sync::Arc;
//!
//! use peregrine_diagnostics::{Label, Problem, Source};
//!
//! let source = Arc::new(Source::new("rules.yaml", "- rule: Shell\n  prio: HIGH\n"));
//! let label = Label::bytes(source, 16..20);
//! let problem = Problem::error("UNKNOWN_KEY", "Unknown key 'prio'")
//!     .at(label)
//!     .help("did you mean `priority`?");
//! assert_eq!(
//!     problem.to_string().lines().collect::<Vec<_>>(),
//!     [
//!         "error: Unknown key 'prio' [UNKNOWN_KEY]",
//!         " --> rules.yaml:2:3",
//!         "  |",
//!         "2 |   prio: HIGH",
//!         "  |   ^^^^",
//!         "  = help: did you mean `priority`?",
//!     ]
//! );
//! assert_eq!(problem.to_json()["locations"][0]["start"]["line"], 2);
//! ```

mod excerpt;
mod fix;
mod paint;
mod problem;
mod redact;
mod sarif;
mod secret;
mod snippet;
mod source;
mod suggest;

pub use excerpt::excerpt;
pub use fix::{Edit, Fix};
pub use paint::paint;
pub use problem::{Label, Problem, Related, Severity};
pub use redact::{REDACTED, is_reference, is_secret_name, mask, mask_ranges, redact};
pub use sarif::{Tool, sarif};
pub use secret::Secret;
pub use snippet::Snippet;
pub use source::{COMMAND_LINE, Position, Source, SourceMap, Span};
pub use suggest::closest;
