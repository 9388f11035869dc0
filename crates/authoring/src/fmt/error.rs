//! Why a file is not formatted.

use peregrine_diagnostics::Position;
use thiserror::Error;

/// Why a file stays as it is.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// It can't be read.
    #[error("it is not valid YAML: {message}")]
    Yaml {
        /// What the parser says.
        message: String,
        /// Where.
        at: Position,
    },
    /// Another kind of file.
    #[error("it does not hold a list of rules, macros and lists")]
    NotRules,
    /// The list of items as such is not understood.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The formatted file would not mean the same. This is an error of the formatter.
    #[error("the formatted file would mean something else, please report this")]
    Changed,
}
