//! A NATS server: JetStream, which acknowledges each alert, or core NATS.
//!
//! A connection is used until something is wrong with it. `async-nats` would send on another
//! connection what it has in memory, and an alert whose acknowledgement was lost would come after
//! later ones; so its own reconnecting is off, and [`Transport::send`] begins again with the first
//! alert that is not acknowledged. The stream drops repeats by the id of the alert.

mod connection;
mod subject;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use peregrine_diagnostics::Secret;

use self::connection::Connection;
use self::subject::WithSubject;
pub use self::subject::{SubjectError, SubjectTemplate};
use super::broker::{BATCH, Failure, arrived};
use super::error::BrokerError;
use super::network::{BatchLimits, Networked, Record, SendError, Transport};
use super::retry::RetryLimits;
use super::tls::{Tls, TlsSettings};
use crate::format::Formatter;

/// A NATS server, or a cluster of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsOutput {
    /// URLs of servers: `nats://host:port`, or `tls://host:port`.
    pub servers: Vec<String>,
    /// Subject of each alert.
    pub subject: SubjectTemplate,
    /// Whether a stream acknowledges each alert.
    pub acknowledgement: Acknowledgement,
    /// How the program authenticates.
    pub login: NatsLogin,
    /// TLS, if it is required. Without, it is used with the certificates of the machine where the
    /// server asks for it.
    pub tls: Option<TlsSettings>,
    /// Time for connecting, and for each batch with its acknowledgement.
    pub request_time: Duration,
    /// How often alerts are sent again.
    pub retries: RetryLimits,
}

/// What says that an alert has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// A stream has stored it; if a name is given, the stream of this name.
    Stream(Option<String>),
    /// The server has taken it, whether there are subscribers or not.
    Server,
}

/// How the program authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// Not at all, or by the TLS certificate.
    None,
    /// By name.
    User {
        /// The name.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// By a token.
    Token(Secret),
    /// By a file with a JWT and a seed, as `nsc` writes them.
    CredentialsFile(PathBuf),
    /// By a file with the seed of an nkey.
    NkeyFile(PathBuf),
}

pub(crate) struct Nats {
    output: NatsOutput,
    tls: Option<Tls>,
    connection: Option<Connection>,
}

/// A connection that was not used for longer is replaced. Nothing answers the server in between,
/// and it gives up a connection after two minutes or more.
const IDLE: Duration = Duration::from_secs(60);

impl NatsLogin {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or does not hold what it should.
    pub fn check(&self) -> Result<(), BrokerError> {
        connection::login(self).map(drop)
    }
}

impl NatsOutput {
    /// A channel that publishes each alert in this format.
    pub(crate) fn channel(self, format: Formatter) -> Networked {
        let encoder = WithSubject { subject: self.subject.clone(), encoder: format };
        let retries = self.retries;
        let tls = self.tls.clone().map(Tls::new);
        let nats = Nats { output: self, tls, connection: None };
        Networked::new(Box::new(encoder), Box::new(nats), retries)
    }
}

impl Nats {
    fn publish(&mut self, records: &[Record<'_>], accepted: &mut usize) -> Result<(), Failure> {
        let fresh = |connection: &Connection| connection.last_used.elapsed() < IDLE;
        let mut connection = match self.connection.take().filter(fresh) {
            Some(connection) => connection,
            None => {
                let tls = self.tls.as_mut().map(Tls::current).transpose();
                let tls = tls.map_err(|error| BrokerError::from(Box::new(error)))?;
                Connection::open(&self.output, tls)?
            }
        };
        let result = connection.publish(records, accepted);
        if result.as_ref().map_or_else(|failure| failure.connected, |()| true) {
            connection.last_used = Instant::now();
            self.connection = Some(connection);
        }
        result
    }
}

impl Transport for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn batch(&self) -> BatchLimits {
        BATCH
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        let mut accepted = 0;
        match self.publish(records, &mut accepted) {
            Ok(()) => arrived(accepted, self.tls.as_mut()),
            Err(Failure { error, fate, .. }) => {
                Err(SendError { accepted, error: error.into(), fate })
            }
        }
    }
}
