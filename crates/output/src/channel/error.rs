//! What goes wrong in channels.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use peregrine_diagnostics::redact;
use peregrine_files::FileError;
use peregrine_spool::SpoolError;
use thiserror::Error;

use super::http::HttpError;
#[cfg(feature = "otlp")]
use super::otlp::OtlpError;
use super::tls::TlsError;

/// What went wrong in a channel.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// An alert could not be posted.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Log records could not be exported.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// A message broker has not taken an alert.
    #[cfg(any(feature = "kafka", feature = "nats"))]
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(Box<TlsError>),
    /// A file could not be opened.
    #[error("failed to open output file {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// A file could not be renamed, or files renamed before could not be compressed or removed.
    #[error("failed to rotate {path}: {source}")]
    Rotate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The reader of standard output has closed it.
    #[error(
        "standard output is closed: {}",
        if *ends_run { "the run ends" } else { "alerts for it are lost from now on" }
    )]
    Closed {
        /// The run should end.
        ends_run: bool,
    },
    /// A program could not be started.
    #[error("Failed to open program output: {} (error: {source})", redact(command))]
    Spawn {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A program has ended without being asked to, or not as it should.
    #[error(
        "program output {} ({status}): {}",
        if *overdue { "did not end in time" } else { "has ended" },
        redact(command)
    )]
    Ended {
        /// The command.
        command: String,
        /// Its exit code, or the signal that ended it.
        status: ExitStatus,
        /// It took too long, so it was told to end by signals.
        overdue: bool,
    },
    /// Something is wrong with the spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// An alert could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl From<TlsError> for ChannelError {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}

/// Why a message broker has not taken an alert.
#[cfg(any(feature = "kafka", feature = "nats"))]
#[derive(Debug, Error)]
pub enum BrokerError {
    /// No connection could be established.
    #[error("cannot connect: {0}")]
    Connect(Box<dyn std::error::Error + Send + Sync>),
    /// A file with credentials could not be read.
    #[error("{path}: {source}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] Box<TlsError>),
    /// The connection ended before the alert was acknowledged.
    #[error("the connection has ended")]
    Disconnected,
    /// The broker has not answered.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(std::time::Duration),
    /// There is no stream, topic or partition for the alert.
    #[error("{0}")]
    NoPlace(String),
    /// The broker does not take the alert.
    #[error("the broker answered: {0}")]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// The operating system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}
