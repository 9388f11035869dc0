//! What can be wrong with a configuration.

use std::fmt;

use peregrine_diagnostics::{Label, Position, Problem, Severity, SourceMap, Span};
use peregrine_yaml::Node;

use crate::secrets::Expansions;

/// What kind of problem it is, for tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigCode {
    /// A file can't be read.
    FileRead,
    /// A file is not YAML.
    YamlParse,
    /// An option of the command line is not `key=value`, or its key can't be set.
    Override,
    /// A file is included where it can't be.
    Include,
    /// A value has the wrong type.
    Type,
    /// A value is not one of those that the key takes.
    Value,
    /// A key that no section declares.
    UnknownKey,
    /// A key that its section has already.
    DuplicateKey,
    /// A value that changes nothing.
    NoEffect,
}

impl ConfigCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::FileRead,
        Self::YamlParse,
        Self::Override,
        Self::Include,
        Self::Type,
        Self::Value,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::NoEffect,
    ];

    /// Name for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FileRead => "CONFIG_ERR_FILE_READ",
            Self::YamlParse => "CONFIG_ERR_YAML_PARSE",
            Self::Override => "CONFIG_ERR_OVERRIDE",
            Self::Include => "CONFIG_ERR_INCLUDE",
            Self::Type => "CONFIG_ERR_TYPE",
            Self::Value => "CONFIG_ERR_VALUE",
            Self::UnknownKey => "CONFIG_UNKNOWN_KEY",
            Self::DuplicateKey => "CONFIG_DUPLICATE_KEY",
            Self::NoEffect => "CONFIG_NO_EFFECT",
        }
    }

    /// Whether the configuration can be used all the same.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::UnknownKey | Self::DuplicateKey | Self::NoEffect => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// A few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::FileRead => "Configuration file read error",
            Self::YamlParse => "Configuration YAML parse error",
            Self::Override => "Invalid -o option",
            Self::Include => "Invalid inclusion of a configuration file",
            Self::Type => "Configuration value of the wrong type",
            Self::Value => "Invalid configuration value",
            Self::UnknownKey => "Unknown configuration key",
            Self::DuplicateKey => "Configuration key given twice",
            Self::NoEffect => "Configuration value without effect",
        }
    }

    /// When it is reported.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::FileRead => "A configuration file or a directory of them can't be read.",
            Self::YamlParse => "A configuration file is not valid YAML.",
            Self::Override => {
                "An option -o is not of the form KEY=VALUE, or its key is malformed or goes past the end of a list."
            }
            Self::Include => {
                "`config_files` names the main configuration file, or stands in an included file."
            }
            Self::Type => "A section has a single value, or an item of a list has the wrong type.",
            Self::Value => {
                "A value is not one of those that the key takes, contradicts another key, or is missing where \
                 another key needs it."
            }
            Self::UnknownKey => {
                "A key, in a file or in an option -o, is none of the configuration; it has no effect."
            }
            Self::DuplicateKey => {
                "A section of a configuration file has a key twice. The first one counts, the other has no effect."
            }
            Self::NoEffect => {
                "A value changes nothing: a path that does not exist or a directory without rules files, a rule or tag \
                 that no rule has, a variable of the environment that is not set, a value of the wrong type."
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::FileRead => {
                "Check that the path exists and that the user of the engine may read it."
            }
            Self::YamlParse => {
                "Look at the line of the error and the line above it: indentation, a missing quote or colon."
            }
            Self::Override => {
                "Join keys by dots and number the items of lists from 0, as in `append_output[0].extra_output`; `[]` adds \
                 an item, and `\\.` is a dot within a key."
            }
            Self::Include => {
                "Name all further files in `config_files` of the main file, each once and not the main file itself."
            }
            Self::Type | Self::Value => {
                "The message names the values that are right; `peregrine --config-schema --format markdown` \
                 describes every key."
            }
            Self::DuplicateKey => "Remove one of the two; the message names both lines.",
            Self::NoEffect => "Correct the value, or remove the key.",
            Self::UnknownKey => {
                "Correct the key; `peregrine --config-schema` lists all. Plugins have keys of their own in \
                 `init_config`."
            }
        }
    }
}

/// Something wrong with a value: a [`Problem`] before it is known which file the value came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigIssue {
    /// Without a label: `span` is in the offsets of all texts together.
    problem: Box<Problem>,
    span: Option<Span>,
    prefix: Prefix,
    /// The message for people, where Falco's is not plain.
    plain: Option<String>,
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

impl ConfigIssue {
    /// An issue that its message describes in full.
    #[must_use]
    pub fn new(code: ConfigCode, message: impl Into<String>) -> Self {
        let problem = Problem { severity: code.severity(), ..Problem::error(code.name(), message) };
        Self { problem: Box::new(problem), span: None, prefix: Prefix::Nothing, plain: None }
    }

    /// A wrong value, in a message that begins with the name of the main file.
    #[must_use]
    pub fn in_file(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::File, ..Self::new(ConfigCode::Value, message) }
    }

    /// The same, in the form of the few messages that have no blank before the parenthesis.
    #[must_use]
    pub fn in_file_without_blank(message: impl Into<String>) -> Self {
        Self { prefix: Prefix::FileWithoutBlank, ..Self::new(ConfigCode::Value, message) }
    }

    /// A value of a type that can't be used where a default would hide a mistake.
    #[must_use]
    pub fn bad_conversion(node: &Node) -> Self {
        let message = format!("{}: bad conversion", Self::place(node.start));
        let plain = format!("{} can't stand here", node.kind());
        Self::new(ConfigCode::Type, message).plain(plain).at(node)
    }

    /// `yaml-cpp: error at line 3, column 7`: how places stand in Falco's messages.
    #[must_use]
    pub fn place(position: Position) -> String {
        format!("yaml-cpp: error at line {}, column {}", position.line + 1, position.column + 1)
    }

    /// The value that it is about.
    #[must_use]
    pub fn at(self, node: &Node) -> Self {
        self.at_span(node.span())
    }

    /// The text that it is about.
    #[must_use]
    pub fn at_span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// The message for people.
    #[must_use]
    pub fn plain(mut self, message: impl Into<String>) -> Self {
        self.plain = Some(message.into());
        self
    }

    /// Whether it has a place.
    pub(crate) fn has_place(&self) -> bool {
        self.span.is_some()
    }

    /// What would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
        self
    }

    /// The same issue as part of a larger one.
    #[must_use]
    pub fn within(mut self, message: &str) -> Self {
        self.problem.message = format!("{message}: {}", self.problem.message);
        self.prefix = Prefix::FileWithoutBlank;
        self
    }

    /// The same issue with values that came from the environment as they stand in the file.
    pub(crate) fn conceal(mut self, expansions: &Expansions) -> Self {
        if let Some(span) = self.span {
            self.problem.message = expansions.conceal(&self.problem.message, span);
            self.plain = self.plain.map(|plain| expansions.conceal(&plain, span));
        }
        self
    }

    /// The problem for people, now that the texts are known.
    pub(crate) fn into_problem(self, sources: &SourceMap) -> Problem {
        let Self { mut problem, span, plain, .. } = self;
        problem.message = plain.unwrap_or(problem.message);
        match span.and_then(|span| sources.resolve(span)) {
            Some((source, span)) => problem.at(Label { source, span }),
            None => *problem,
        }
    }

    /// Falco's message.
    fn message(&self, main_file: &str) -> String {
        let message = &self.problem.message;
        match self.prefix {
            Prefix::Nothing => message.clone(),
            Prefix::File => format!("Error reading config file ({main_file}): {message}"),
            Prefix::FileWithoutBlank => {
                format!("Error reading config file({main_file}): {message}")
            }
        }
    }
}

/// A configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Falco's message.
    message: String,
    problem: Box<Problem>,
    /// Other errors of the configuration.
    others: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn new(issue: ConfigIssue, main_file: &str, sources: &SourceMap) -> Self {
        let message = issue.message(main_file);
        Self { message, problem: Box::new(issue.into_problem(sources)), others: Vec::new() }
    }

    pub(crate) fn from_problem(problem: Problem) -> Self {
        Self { message: problem.message.clone(), problem: Box::new(problem), others: Vec::new() }
    }

    /// Adds errors that were found beside this one.
    pub(crate) fn with(mut self, others: Vec<Problem>) -> Self {
        self.others = others;
        self
    }

    /// The message with its code, place and remedy.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// All errors of the configuration, in the order of their lines.
    #[must_use]
    pub fn problems(&self) -> Vec<&Problem> {
        let mut problems: Vec<_> = std::iter::once(&*self.problem).chain(&self.others).collect();
        problems.sort_by_key(|it| it.labels.first().map(|label| label.span.start.line));
        problems
    }

    /// The place, the line and what would be right; empty where none is known.
    #[must_use]
    pub fn snippet(&self) -> String {
        self.problem.snippets()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
