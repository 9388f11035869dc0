//! See design.
