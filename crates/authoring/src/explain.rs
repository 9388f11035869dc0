//! How a condition got its value for an event.
//!
//! A [`ConditionTree`] is the condition of a rule as it is written: macros are nodes with their
//! names and places, lists keep their names, exceptions are marked. It is evaluated by itself, node
//! by node, without the compiled [`Program`](peregrine_filter::Program) of the engine; tests hold
//! both against each other. A [`Trace`] has the value of each node, also of those that the engine
//! skips because an earlier part has decided, and says which part decided first. A trace
//! and the view of the event make an [`Explanation`], which owns its values and prints as text and
//! as JSON.
//!
//! The [`View`](peregrine_fields::View) of an event comes from an engine: an observer with
//! [`EVERY_VIEW`](peregrine_engine::Observer::EVERY_VIEW) gets that of each. Coverage is counted
//! by [`ConditionTree::len`] and [`Trace::value`]: the index of a node is its place in the order of
//! the text.
//!
//! ```
//! use peregrine_authoring::explain::ConditionTree;
//! use peregrine_event::{Builder, Event, EventType};
//! use peregrine_fields::{Fields, Run, Scratch, View};
//! use peregrine_rules::{EventSource, Loader};
//! use peregrine_state::{Config, State};
//!
//! let fields = Fields::syscall();
//! let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
//! loader.load("rules.yaml", b"
//! - macro: closing
//!   condition: evt.type = close
//! - {rule: Closed, desc: d, condition: closing and evt.arg.fd = 4, output: o, priority: INFO}
//! ");
//! let tree = ConditionTree::of_rule(&loader.written_conditions(), "Closed", &fields).unwrap();
//!
//! let mut bytes = Vec::new();
//! Builder::new(EventType::SyscallCloseX, 5_000, 7).i64(0).i64(3).finish(&mut bytes)?;
//! let event = Event::parse(&bytes, 0).unwrap();
//! let mut state = State::new(Config::default());
//! let context = state.apply(&event);
//! let (run, scratch) = (Run::default(), Scratch::default());
//! let view = View::new(&event, &state, context, &run, &scratch);
//! let trace = tree.evaluate(&view);
//! assert!(!trace.holds());
//! let decisive = tree.node(trace.decisive(&tree)).unwrap();
//! assert_eq!(decisive.text(), "evt.arg.fd = 4");
//! # Ok::<(), peregrine_event::BuildError>(())
//! ```

mod event;
mod explanation;
mod misses;
mod report;
mod run;
mod text;
mod trace;
mod tree;
mod value;
mod why_not;
mod why_not_text;

pub(crate) use value::printable;

pub use event::{EventFields, EventSummary};
pub use explanation::{Explanation, Part, PartKind, Place, Reading};
pub use misses::{Miss, Nearest, concerns, nearest};
pub use report::{EventReport, MissReport, RuleReport};
pub use run::{Explained, Explainer, RuleHead, Wanted, WhyNotRun};
pub use trace::{Flips, Trace};
pub use tree::{ConditionTree, Node, NodeKind, TreeError};
pub use why_not::{Blocker, Close, Failing, WhyNot};
