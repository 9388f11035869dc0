//! The command line.

pub(crate) mod commands;
pub(crate) mod options;
