//! Commands whose names are reserved. Help does not list them; typing one gives an error that names
//! what serves its purpose today. A command that gets its code moves from here into
//! [`super::subcommands`] and a file in `commands/`.

use super::usage::UsageError;

/// A command that has no code yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// `rules lint`: rules that are valid but probably wrong. Belongs in `authoring`.
    RulesLint,
    /// `rules test`: rules against recorded or written events. Belongs in `authoring`, on top of
    /// `engine`.
    RulesTest,
    /// `rules fix`: applies the remedies of problems. Belongs in `authoring`, on top of
    /// `diagnostics`.
    RulesFix,
    /// `rules fmt`: rules files in one layout. Belongs in `authoring`.
    RulesFmt,
    /// `rules diff`: what changes between two sets of rules. Belongs in `authoring`.
    RulesDiff,
    /// `rules except`: an exception for an alert. Belongs in `authoring`.
    RulesExcept,
    /// `explain`: why a rule matches an event or does not. Belongs in `authoring`, on top of
    /// `engine`.
    Explain,
    /// `query`: events of a capture that satisfy a condition. Belongs in `runtime`.
    Query,
    /// `lsp`: language server for rules files. Belongs in `authoring`.
    Lsp,
    /// `ctl …`: asks and commands a running engine. Client in `commands/ctl.rs`, the socket in
    /// `server`, what it does in `runtime::control`.
    Ctl,
    /// `top`: rules and system calls by cost, live. A client of the control socket, like `ctl`.
    Top,
    /// `migrate`: from Falco's installation to Peregrine's. Belongs here, on top of `config`.
    Migrate,
    /// `artifact`: fetches rules and plugins from registries. Belongs in a crate of its own.
    Artifact,
}

const VALIDATE: &str = "`peregrine validate FILE` shows what is wrong with a rules file";
const REPLAY: &str = "`peregrine run` replays a capture with engine.kind=replay";

/// Each with its words, and with what serves its purpose today.
const ALL: [(Planned, &str, &str); 13] = [
    (Planned::RulesLint, "rules lint", VALIDATE),
    (Planned::RulesTest, "rules test", REPLAY),
    (Planned::RulesFix, "rules fix", VALIDATE),
    (Planned::RulesFmt, "rules fmt", "rules files are formatted by hand"),
    (Planned::RulesDiff, "rules diff", "`peregrine describe` prints rules to compare"),
    (Planned::RulesExcept, "rules except", "exceptions are written into the rules file"),
    (Planned::Explain, "explain", "`peregrine describe RULE` shows what a rule is made of"),
    (Planned::Query, "query", REPLAY),
    (Planned::Lsp, "lsp", VALIDATE),
    (Planned::Ctl, "ctl", "signals and the web server control and show a running engine"),
    (Planned::Top, "top", "`peregrine tune` and `peregrine run --profile` measure costs"),
    (Planned::Migrate, "migrate", "Falco's configuration and rules files are read unchanged"),
    (Planned::Artifact, "artifact", "rules files are installed by hand"),
];

impl Planned {
    /// The error if these words (without the program's name) begin with a planned command.
    pub(super) fn check(words: &[String]) -> Result<(), UsageError> {
        let begins = |name: &str| {
            let mut words = words.iter().map(String::as_str);
            name.split(' ').all(|part| words.next() == Some(part))
        };
        match ALL.into_iter().find(|(_, name, _)| begins(name)) {
            Some((_, command, instead)) => Err(UsageError::Planned { command, instead }),
            None => Ok(()),
        }
    }
}
