//! Why a file is not formatted.

use thiserror::Error;

/// Why a file stays as it is.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// It can't be read. [`syntax_problems`](super::syntax_problems) has the reasons.
    #[error("it is not valid YAML")]
    Yaml,
    /// Another kind of file.
    #[error("it is not a list of rules, macros and lists")]
    NotRules,
    /// The list of items as such is not understood.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The formatted file would not mean the same. This is an error of the formatter.
    #[error("the formatted file would mean something else, please report this")]
    Changed,
}
