//! The language server, asked by a scripted client over its standard input and output.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod client;
mod protocol;
mod rules;
