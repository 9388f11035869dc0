//! What people are told about conditions and outputs that do not compile: all that is wrong in
//! them, each once, where it is written.
//!
//! The first error of each has the message and the place of Falco, which tools compare. The others
//! are found by looking at each part on its own, once it is known that something is wrong.

mod conditions;
mod findings;
mod macros;
mod outputs;
mod syntax;

pub(crate) use findings::Diagnosis;
pub(crate) use macros::MacroUse;
pub(crate) use outputs::Output;
