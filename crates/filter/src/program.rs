#![doc = include_str!("program/README.md")]

mod build;
mod condition;
mod estimate;
mod evaluator;
mod facts;
mod feasibility;
mod graph;
mod kleene;
mod pre_filter;
mod table;
mod trie;

pub use build::ProgramBuilder;
pub use condition::Condition;
pub use evaluator::{EvalCache, Evaluator};
pub use facts::{Residual, StaticFacts};
pub use graph::{NodeId, Program, SubCondition};
pub use kleene::Dependents;
pub use pre_filter::{LayerStats, PreFilter, PreFilterBuilder};

#[cfg(test)]
mod tests;
