//! Commands whose names are reserved. Help does not list them; typing one gives an error that names
//! what serves its purpose today. A command that gets its code moves from here into
//! [`super::subcommands`] and a file in `commands/`.

use super::usage::UsageError;

/// The words of each, and what serves its purpose today.
const PLANNED: &[(&str, &str)] = &[
    // An exception for an alert. Belongs in `authoring`.
    ("rules except", "exceptions are written into the rules file"),
    // Asks and commands a running engine. Client in `commands/ctl.rs`, the socket in `server`,
    // what it does in `runtime::control`.
    ("ctl", "signals and the web server control and show a running engine"),
    // Rules and system calls by cost, live. A client of the control socket, like `ctl`.
    ("top", "`peregrine tune` and `peregrine run --profile` measure costs"),
    // From Falco's installation to Peregrine's. Belongs here, on top of `config`.
    ("migrate", "Falco's configuration and rules files are read unchanged"),
    // Fetches rules and plugins from registries. Belongs in a crate of its own.
    ("artifact", "rules files are installed by hand"),
];

/// The error if these words (without the program's name) begin with a planned command.
pub(super) fn check(words: &[String]) -> Result<(), UsageError> {
    let begins = |name: &str| {
        let mut words = words.iter().map(String::as_str);
        name.split(' ').all(|part| words.next() == Some(part))
    };
    match PLANNED.iter().find(|(name, _)| begins(name)) {
        Some((command, instead)) => Err(UsageError::Planned { command, instead }),
        None => Ok(()),
    }
}
