//! Tables made by `cargo xtask codegen`; nothing here is written by hand but this line.

pub(crate) mod events;
pub mod flags;
pub(crate) mod syscalls;
