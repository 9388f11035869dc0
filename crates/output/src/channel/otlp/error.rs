//! What goes wrong with OTLP.

use std::time::Duration;

use peregrine_diagnostics::redact;
use thiserror::Error;

use crate::channel::http::HttpError;

/// Why log records have not arrived.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The exchange was interrupted.
    #[error("failed to export: {}", shown(.0))]
    Transfer(String),
    /// The receiver refuses the request.
    #[error("the receiver answered: {status}{}", explained(message))]
    Refused {
        /// The name of the gRPC status, or the HTTP status.
        status: String,
        /// What it says about that.
        message: String,
    },
    /// The receiver does not take requests of this size.
    #[error("the receiver does not take a request of {0} bytes")]
    TooLarge(usize),
    /// The receiver refuses some of the records.
    #[error("the receiver rejected {rejected} of {records} records{}", explained(message))]
    Rejected {
        /// How many.
        rejected: usize,
        /// Of how many.
        records: usize,
        /// What it says about that.
        message: String,
    },
}

/// Why a request has failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: OtlpError,
    /// The pause that the receiver wants before another try; `None` if another try cannot succeed.
    pub(super) again: Option<Duration>,
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let again = error.may_pass().then_some(Duration::ZERO);
        Self { error: error.into(), again }
    }
}

/// Characters of a receiver's message that are shown.
const MAX_MESSAGE: usize = 300;

/// What a receiver says: one line, not endless, without secrets.
fn shown(message: &str) -> String {
    let line = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    redact(&line.take(MAX_MESSAGE).collect::<String>())
}

fn explained(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {}", shown(message)) }
}
