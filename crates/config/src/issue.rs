//! What can be wrong with a configuration.

use std::fmt;

use peregrine_diagnostics::{Label, Position, Problem, Severity, SourceMap, Span};
use peregrine_yaml::Node;

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
}

impl ConfigCode {
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
        }
    }
}

/// Something wrong with a value, before it is known which file the value came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigIssue {
    code: ConfigCode,
    prefix: Prefix,
    message: String,
    span: Option<Span>,
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

impl ConfigIssue {
    /// An issue that its message describes in full.
    #[must_use]
    pub fn new(code: ConfigCode, message: impl Into<String>) -> Self {
        Self { code, prefix: Prefix::Nothing, message: message.into(), span: None, help: None }
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
        Self::new(ConfigCode::Type, message).at(node)
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

    /// What would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same issue as part of a larger one.
    #[must_use]
    pub fn within(mut self, message: &str) -> Self {
        self.message = format!("{message}: {}", self.message);
        self.prefix = Prefix::FileWithoutBlank;
        self
    }

    /// The problem, now that the texts are known.
    pub(crate) fn into_problem(
        self,
        severity: Severity,
        main_file: &str,
        sources: &SourceMap,
    ) -> Problem {
        let message = match self.prefix {
            Prefix::Nothing => self.message,
            Prefix::File => format!("Error reading config file ({main_file}): {}", self.message),
            Prefix::FileWithoutBlank => {
                format!("Error reading config file({main_file}): {}", self.message)
            }
        };
        let resolved = self.span.and_then(|span| sources.resolve(span));
        let labels = resolved.into_iter().map(|(source, span)| Label { source, span }).collect();
        Problem { severity, code: self.code.name(), message, labels, help: self.help }
    }
}

/// A configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Problem);

impl ConfigError {
    pub(crate) fn new(issue: ConfigIssue, main_file: &str, sources: &SourceMap) -> Self {
        Self(issue.into_problem(Severity::Error, main_file, sources))
    }

    /// The message with its code, place and remedy.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// The place, the line and what would be right; empty where none is known.
    #[must_use]
    pub fn snippet(&self) -> String {
        self.0.snippets()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ConfigError {}
