//! Formatting through the program, and the editors that `editors/` is for.
//!
//! An editor that is not installed is reported as skipped, or fails the test where `PEREGRINE_CI`
//! is set to 1.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod fmt;
mod neovim;
mod vscode;

/// Reports that a test needs a program that is not installed.
fn missing(program: &str) {
    let in_ci = std::env::var("PEREGRINE_CI").is_ok_and(|value| value == "1");
    assert!(!in_ci, "{program} is not installed");
    eprintln!("SKIPPED: {program} is not installed");
}
