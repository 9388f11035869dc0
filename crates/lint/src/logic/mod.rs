//! What conditions can be true for: tests and their values, trees of them, and a solver.

pub(crate) mod atoms;
pub(crate) mod solve;
pub(crate) mod tree;
pub(crate) mod values;
