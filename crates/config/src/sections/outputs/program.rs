//! Alerts to a program.

use super::WhenFull;
use super::shared::required;
use crate::declare::{optional, section};

/// Alerts to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    /// The command, run by a shell.
    pub command: String,
    /// Whether the program is started once, not for every alert.
    pub keep_alive: bool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
}

section! {
    /// Keys of `program_output`.
    ProgramKeys "ProgramOutput" extra { "required": ["program"] } {
        /// Use it.
        enabled: bool = false;
        /// Start the program once, not for every alert; SIGUSR1 restarts it.
        keep_alive: bool = false;
        /// The command, run by a shell.
        program: String = String::new();
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
    }
}

optional!(ProgramKeys => ProgramOutput, |keys, node| {
    let ProgramKeys { enabled, keep_alive, program, when_full } = keys;
    if !enabled {
        return Ok(None);
    }
    let command =
        required(program, "program output enabled but no program in configuration block", node)?;
    Ok(Some(ProgramOutput { command, keep_alive, when_full }))
});
