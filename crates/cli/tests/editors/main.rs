//! Formatting through the program, and editors.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod fmt;
