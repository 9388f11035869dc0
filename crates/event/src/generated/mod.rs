//! Tables made by `cargo xtask codegen`; nothing here is written by hand but this line.

pub(crate) mod events;
#[allow(missing_docs, reason = "one doc line per table would repeat its name")]
pub mod flags;
#[allow(missing_docs, reason = "the names are the format's own")]
pub(crate) mod params;
pub(crate) mod syscalls;
