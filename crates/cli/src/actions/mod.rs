//! What the program can be asked to do, apart from running.

pub(crate) mod about;
pub(crate) mod checks;
pub(crate) mod describe;
pub(crate) mod rules;
pub(crate) mod support;
pub(crate) mod syscalls;
