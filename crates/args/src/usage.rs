//! Errors of the command line, worded as Falco words them.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use thiserror::Error;

use super::{options, removed};

/// A command line that is not valid.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// No option has this name.
    #[error("Option ‘{0}’ does not exist")]
    UnknownOption(String),
    /// The option needs a value.
    #[error("Option ‘{0}’ is missing an argument")]
    NoValue(String),
    /// The value has the wrong form for its option.
    #[error("Argument ‘{0}’ failed to parse")]
    BadValue(String),
    /// `--markdown` and `--format` exclude each other.
    #[error("Cannot specify both --markdown and --format options together")]
    TwoFormats,
    /// Not a format.
    #[error("Invalid format '{0}'. Valid values are: text, markdown, json")]
    UnknownFormat(String),
    /// The file of `-c` can't be opened.
    #[error("Could not find configuration file at {0}")]
    NoConfig(String),
    /// Not a command.
    #[error("there is no command `{word}`; {}", hint(.nearest.as_deref()))]
    UnknownCommand {
        /// What was typed.
        word: String,
        /// The most similar command.
        nearest: Option<String>,
    },
    /// A capture, where a command or nothing is expected.
    #[error(
        "`{0}` is a capture, and only an option replays it: \
         -o engine.kind=replay -o engine.replay.capture_file={0}"
    )]
    Capture(String),
    /// A command that options stand before.
    #[error("the command comes before the options: peregrine {0} …")]
    CommandNotFirst(String),
    /// A command that has no code yet.
    #[error("`peregrine {command}` does not exist yet; {instead}")]
    Planned {
        /// Its words.
        command: &'static str,
        /// What serves its purpose today.
        instead: &'static str,
    },
    /// Anything else, in clap's words.
    #[error("{0}")]
    Other(String),
}

fn hint(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`peregrine --help` lists all commands".to_owned(),
    }
}

impl From<&clap::Error> for UsageError {
    fn from(error: &clap::Error) -> Self {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.join(" "),
            _ => String::new(),
        };
        // clap names an argument as help shows it ("-c <path>", "--option <opt>=<val>"); users know
        // it by its name.
        let named = || {
            let argument = context(ContextKind::InvalidArg);
            let name = argument.split([' ', '=', '[']).next().unwrap_or_default();
            name.trim_start_matches('-').to_owned()
        };
        match error.kind() {
            ErrorKind::UnknownArgument => Self::UnknownOption(named()),
            ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::WrongNumberOfValues
                if context(ContextKind::InvalidValue).is_empty() =>
            {
                Self::NoValue(named())
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues => {
                Self::BadValue(context(ContextKind::InvalidValue))
            }
            _ => Self::in_words_of_clap(error),
        }
    }
}

impl UsageError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        let Self::UnknownOption(name) = self else { return None };
        match removed::replacement(name) {
            Some(instead) => {
                Some(format!("an option of earlier versions; in its place: {instead}"))
            }
            None => options::nearest(name).map(|nearest| format!("did you mean `--{nearest}`?")),
        }
    }

    /// The whole message of clap, which has hints and usage lines, without its prefix.
    pub(super) fn in_words_of_clap(error: &clap::Error) -> Self {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::Other(format!(
                "a command is missing\n\n{}",
                error.to_string().trim_end()
            ));
        }
        Self::Other(error.to_string().trim_start_matches("error: ").trim_end().to_owned())
    }
}
