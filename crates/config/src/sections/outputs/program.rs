//! Alerts to a program.

use super::shared::required;
use super::{Presentation, WhenFull};
use crate::declare::{optional, section};

/// Alerts to a program.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramOutput {
    /// The command, run by a shell.
    pub command: String,
    /// Whether the program is started once, not for every alert.
    pub keep_alive: bool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets and how they look.
    pub presentation: Presentation,
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
        /// Which alerts it gets and how they look.
        peregrine: Presentation = Presentation::default(), extra { "$comment": "Peregrine" };
    }
}

optional!(ProgramKeys => ProgramOutput, |keys, node| {
    let ProgramKeys { enabled, keep_alive, program, when_full, peregrine: presentation } = keys;
    if !enabled {
        return Ok(None);
    }
    let command =
        required(program, "program output enabled but no program in configuration block", node)?;
    Ok(Some(ProgramOutput { command, keep_alive, when_full, presentation }))
});
