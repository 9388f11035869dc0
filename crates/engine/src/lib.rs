//! The pipeline: events from a source go through the state, then through the rules.
//!
//! The engine knows sources, state, fields and rules; it knows neither the command line nor what becomes of
//! a match. An event that matches no rule allocates nothing.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use peregrine_engine::{End, Engine, Hit, Matching, Observer};
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
//!     fn hit(&mut self, hit: &Hit<'_>) {
//!         println!("rule {} matched event {}", hit.rule, hit.event.num);
//!     }
//! }
//!
//! let capture = std::fs::File::open("../../conformance/captures/demo.scap")?;
//! let rules = RuleSet::default();
//! let mut engine = Engine::new(&rules, Matching::First, Default::default(), Default::default());
//! assert_eq!(engine.run(&mut Reader::new(capture), &mut Print)?, End::Source);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod allocations;
mod dispatch;
mod pipeline;
pub mod profile;
pub mod recorder;
pub mod select;

pub use peregrine_event::source::{Next, Source, Strangers};

pub use dispatch::{Dispatch, Matching};
pub use pipeline::{End, Engine, Hit, Observer};
