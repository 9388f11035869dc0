//! What the clients of message brokers have in common.

use std::future::Future;
use std::io;
use std::time::Duration;

use peregrine_limits::BROKER_REQUEST_TIME;
use tokio::runtime::{Builder, Runtime};

use super::error::BrokerError;
use super::network::{BatchLimits, Fate, SendError};
use super::tls::Tls;

/// What happened to the records of a call that did not all arrive.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: BrokerError,
    pub(super) fate: Fate,
    /// Whether the connection can be used again.
    pub(super) connected: bool,
}

/// The tasks of a connection. They run during [`run`](Self::run), and end with this.
#[derive(Debug)]
pub(super) struct Tasks {
    runtime: Option<Runtime>,
    /// Time for each of them.
    limit: Duration,
}

/// What is sent at once.
pub(super) const BATCH: BatchLimits = BatchLimits { records: 256, bytes: 512 << 10 };

impl Failure {
    /// The records are sent again through another connection.
    pub(super) fn reconnect(error: BrokerError) -> Self {
        Self { error, fate: AGAIN, connected: false }
    }

    /// The records are sent again.
    pub(super) fn again(error: BrokerError) -> Self {
        Self { error, fate: AGAIN, connected: true }
    }

    /// So many records are lost.
    pub(super) fn refused(error: BrokerError, records: usize) -> Self {
        Self { error, fate: Fate::Refused(records), connected: true }
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        Self::reconnect(error)
    }
}

/// All records have arrived. Says, once, that changed files for TLS cannot be used.
pub(super) fn arrived(records: usize, tls: Option<&mut Tls>) -> Result<(), SendError> {
    match tls.and_then(Tls::take_refused) {
        None => Ok(()),
        Some(error) => {
            let error = BrokerError::from(Box::new(error)).into();
            Err(SendError { accepted: records, error, fate: Fate::Refused(0) })
        }
    }
}

const AGAIN: Fate = Fate::Again { at_least: Duration::ZERO };

impl Tasks {
    /// Each call of [`run`](Self::run) takes up to this time.
    pub(super) fn new(limit: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime: Some(runtime), limit })
    }

    /// Waits for the end of an operation, for a bounded time.
    pub(super) fn run<T>(
        &self,
        operation: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.limit;
        let Some(runtime) = &self.runtime else { return Err(BrokerError::Disconnected.into()) };
        let in_time = runtime.block_on(async { tokio::time::timeout(limit, operation).await });
        in_time.unwrap_or_else(|_| {
            BROKER_REQUEST_TIME.reach();
            Err(BrokerError::Timeout(limit).into())
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // Dropping a runtime would wait for a name server that does not answer.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
