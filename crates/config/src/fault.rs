//! What can be wrong with a configuration, and how it is told.

use std::fmt;

use peregrine_yaml::{Mark, Node};

use crate::sources::Sources;

/// Something wrong with a value, as the one who read it knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    prefix: Prefix,
    message: String,
    at: Option<(Mark, Mark)>,
    help: Option<String>,
}

/// What the message begins with. The texts are those that Falco prints; tools look for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Nothing,
    /// `Error reading config file (F): `
    File,
    /// `Error reading config file(F): `
    FileWithoutBlank,
}

impl Fault {
    /// A fault that its message describes in full.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::Nothing, message: message.into(), at: None, help: None }
    }

    /// A fault whose message is to begin with the name of the main file.
    pub(crate) fn in_file(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::File, ..Self::new(message) }
    }

    /// The same, in the form of the few messages that have no blank before the parenthesis.
    pub(crate) fn in_file_without_blank(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::FileWithoutBlank, ..Self::new(message) }
    }

    /// A value of a type that can't be used where a default would hide a mistake.
    pub(crate) fn bad_conversion(node: &Node) -> Self {
        Self::new(format!("{}: bad conversion", Self::place(node.start))).at(node)
    }

    /// `yaml-cpp: error at line 3, column 7`, which is how places stand in messages.
    pub(crate) fn place(mark: Mark) -> String {
        format!("yaml-cpp: error at line {}, column {}", mark.line + 1, mark.column + 1)
    }

    /// Where it stands.
    pub(crate) fn at(mut self, node: &Node) -> Self {
        self.at = Some((node.start, node.end));
        self
    }

    /// What would be right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same fault as part of a larger one.
    pub(crate) fn within(mut self, message: &str) -> Self {
        self.message = format!("{message}: {}", self.message);
        self.prefix = Prefix::FileWithoutBlank;
        self
    }

    /// The fault, told to the user of these sources.
    pub(crate) fn tell(self, main_file: &str, sources: &Sources) -> ConfigError {
        let Self { prefix, message, at, help } = self;
        let picture = at.and_then(|(start, end)| sources.picture(start, end, help.clone()));
        let message = match prefix {
            Prefix::Nothing => message,
            Prefix::File => format!("Error reading config file ({main_file}): {message}"),
            Prefix::FileWithoutBlank => {
                format!("Error reading config file({main_file}): {message}")
            }
        };
        let picture = picture.or_else(|| help.map(|help| format!("help: {help}\n")));
        ConfigError { message, picture }
    }
}

/// A configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    picture: Option<String>,
}

impl ConfigError {
    /// The place, the line and what would be right, where there is a place.
    pub fn picture(&self) -> Option<&str> {
        self.picture.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
