//! The engine: events from a source go through the state, then through the rules.
//!
//! [`Engine`] owns the state and evaluates one [`Generation`] of rules. A reload builds the next
//! generation while the engine runs and [installs](Engine::install) it between two events. The
//! engine knows sources, state, fields and rules; it knows neither the command line nor the
//! outputs. An event that changes no state and matches no rule does not allocate.
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//!
//! use peregrine_alert::RuleRegistry;
//! use peregrine_engine::{End, Engine, Generation, Match, Observer};
//! use peregrine_event::Event;
//! use peregrine_rules::RuleSet;
//! use peregrine_scap::Reader;
//!
//! struct Print;
//!
//! impl Observer for Print {
//!     fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
//!         ControlFlow::Continue(())
//!     }
//!     fn matched(&mut self, matched: &Match<'_>) {
//!         println!("{} matched event {}", matched.rule.name, matched.event.num);
//!     }
//! }
//!
//! let registry = RuleRegistry::new();
//! let generation = Generation::new(RuleSet::default(), &registry, Default::default());
//! let mut engine = Engine::new(Arc::new(generation), Default::default());
//! let mut capture = Reader::open("../../conformance/captures/demo.scap")?;
//! assert_eq!(engine.run(&mut capture, &mut Print, &mut ())?, End::Source);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alert_template;
mod compiled;
mod engine;
mod generation;
pub mod held;
pub mod meter;
mod pending_alert;
pub mod profile;
pub mod select;
mod throttle;
mod undecided;

pub use peregrine_event::source::{Next, ProcResolver, Source};
pub use peregrine_state::{EventParser, ParserError};

pub use alert_template::{AlertContent, AlertTemplate};
pub use compiled::{CompiledRules, Matching};
pub use engine::{End, Engine, Match, Observer, RuleHistory, Step};
pub use generation::{Generation, GenerationSettings};
pub use pending_alert::{MatchAlert, PendingAlert};
pub use throttle::{Throttle, ThrottleSettings, ThrottledRules, UnknownKey};
pub use undecided::{LateMatch, Undecided};
