//! Why there are no events.

use std::io;
use std::path::PathBuf;

use peregrine_server::ServerError;
use thiserror::Error;

/// Why there are no events, or no more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A file or directory can't be read. The text is that of the plugin.
    #[error("{what} {}: {}", .path.display(), reason(.error))]
    File {
        /// What failed: `stat`, `open`.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Cause.
        error: io::Error,
    },
    /// The file with the token can't be used.
    #[error("bearer_token_file {}: {why}", .path.display())]
    Token {
        /// Its path.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The webhook can't be served.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The system has no thread left.
    #[error("cannot start a thread for audit events: {0}")]
    Thread(io::Error),
    /// Files can't be read to their end.
    #[error("{0}")]
    Ended(String),
}

/// Prints the text of the error number alone, as the plugin does.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}
