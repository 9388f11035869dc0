//! Tests of captures through the public API.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
mod damage;
mod format;
mod real;
mod round_trip;
