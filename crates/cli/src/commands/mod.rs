//! One file for each command.

pub(crate) mod about;
pub(crate) mod demo;
pub(crate) mod describe;
pub(crate) mod support;
pub(crate) mod tune;
