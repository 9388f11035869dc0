//! What goes wrong with OTLP.

use std::io;
use std::time::Duration;

use peregrine_diagnostics::redact;
use thiserror::Error;

use crate::channel::tls::TlsError;

/// Why log records have not arrived.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// The endpoint is no URL with a host.
    #[error("the endpoint is no URL of a host")]
    Endpoint,
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no connection.
    #[error("failed to connect: {source}")]
    Connect {
        /// Why.
        source: io::Error,
    },
    /// No answer came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection failed.
    #[error("failed to export: {}", shown(.0))]
    Transfer(String),
    /// The receiver refused the request.
    #[error("the receiver answered: {status}{}", explained(message))]
    Refused {
        /// The name of the gRPC status, or the HTTP status.
        status: String,
        /// What it says about that.
        message: String,
    },
    /// The receiver refused some of the records.
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

impl From<OtlpError> for Failure {
    fn from(error: OtlpError) -> Self {
        let passes = match error {
            OtlpError::Connect { .. } | OtlpError::Timeout(_) | OtlpError::Transfer(_) => true,
            // Certificates and keys are read again when they change.
            OtlpError::Tls(_) => true,
            OtlpError::Endpoint | OtlpError::Refused { .. } | OtlpError::Rejected { .. } => false,
        };
        Self { error, again: passes.then_some(Duration::ZERO) }
    }
}

/// Characters of a receiver's message that are shown.
const MAX_MESSAGE: usize = 300;

/// What a receiver says: one line, not endless, without secrets.
fn shown(message: &str) -> String {
    let line = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    redact(&line.take(MAX_MESSAGE).collect::<String>())
}

fn explained(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {}", shown(message)) }
}
