//! A Kafka cluster. An alert has arrived when all in-sync replicas have it (`acks=all`).
//!
//! The key of a message is the id of the alert, and decides its partition. Partitions are sent to
//! at the same time. The producer is not idempotent: the client library has no such producer, and
//! those that have are C. Instead, what has arrived is remembered until all of a batch has.

mod connection;
mod partition;

use std::collections::HashSet;
use std::time::Duration;

use peregrine_alert::AlertId;
use peregrine_diagnostics::Secret;

use self::connection::{Connection, State};
use super::broker::{BATCH, Failure, arrived};
use super::error::BrokerError;
use super::network::{BatchLimits, Fate, Networked, Record, SendError, Transport};
use super::retry::RetryLimits;
use super::tls::{Tls, TlsSettings};
use crate::format::Formatter;

/// A Kafka cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOutput {
    /// Brokers to ask for the others: `host:port`.
    pub brokers: Vec<String>,
    /// Topic of all alerts.
    pub topic: String,
    /// Name of the program in the logs and quotas of the brokers.
    pub client_id: String,
    /// How batches are compressed.
    pub compression: KafkaCompression,
    /// How the program authenticates, if not by its TLS certificate.
    pub login: Option<KafkaLogin>,
    /// TLS, if it is used.
    pub tls: Option<TlsSettings>,
    /// Time for connecting, and for each batch with its acknowledgement.
    pub request_time: Duration,
    /// How often alerts are sent again.
    pub retries: RetryLimits,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaCompression {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// Snappy
    Snappy,
}

/// Authentication by SASL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaLogin {
    /// What the brokers expect.
    pub mechanism: SaslMechanism,
    /// Name of the user.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// How a password is shown to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// As it is: only over TLS.
    Plain,
    /// SCRAM-SHA-256
    ScramSha256,
    /// SCRAM-SHA-512
    ScramSha512,
}

pub(crate) struct Kafka {
    output: KafkaOutput,
    tls: Option<Tls>,
    connection: Option<Connection>,
    /// Records that have arrived while earlier ones have not.
    arrived: HashSet<AlertId>,
}

impl KafkaOutput {
    /// A channel that sends each alert in this format.
    pub(crate) fn channel(self, format: Formatter) -> Networked {
        let retries = self.retries;
        let tls = self.tls.clone().map(Tls::new);
        let kafka = Kafka { output: self, tls, connection: None, arrived: HashSet::new() };
        Networked::new(Box::new(format), Box::new(kafka), retries)
    }
}

impl Kafka {
    fn produce(&mut self, records: &[Record<'_>], states: &mut [State]) -> Result<(), Failure> {
        let mut connection = match self.connection.take().filter(Connection::is_fresh) {
            Some(connection) => connection,
            None => {
                let tls = self.tls.as_mut().map(Tls::current).transpose();
                let tls = tls.map_err(|error| BrokerError::from(Box::new(error)))?;
                Connection::open(&self.output, tls)?
            }
        };
        let result = connection.produce(&self.output, records, states);
        if result.as_ref().map_or_else(|failure| failure.connected, |()| true) {
            self.connection = Some(connection);
        }
        result
    }
}

impl Transport for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn batch(&self) -> BatchLimits {
        BATCH
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        let known = |record: &Record<'_>| match self.arrived.contains(&record.id) {
            true => State::Arrived,
            false => State::Open,
        };
        let mut states: Vec<_> = records.iter().map(known).collect();
        let failure = self.produce(records, &mut states).err();
        self.arrived.clear();
        let Some(Failure { error, fate, .. }) = failure else {
            return arrived(records.len(), self.tls.as_mut());
        };
        let (accepted, fate) = outcome(&states, fate);
        let ids = records.iter().zip(states).skip(accepted);
        let arrived = ids.filter(|(_, state)| *state == State::Arrived);
        self.arrived.extend(arrived.map(|(record, _)| record.id));
        Err(SendError { accepted, error: error.into(), fate })
    }
}

/// How many records have arrived, from the first on, and what becomes of those behind, if `fate` is
/// that of the one that failed.
fn outcome(states: &[State], fate: Fate) -> (usize, Fate) {
    let accepted = leading(states, State::Arrived);
    let behind = states.get(accepted..).unwrap_or_default();
    let fate = match (leading(behind, State::Refused), fate) {
        // A later record is refused. Its turn comes.
        (0, Fate::Refused(_)) => Fate::Again { at_least: Duration::ZERO },
        (0, again) => again,
        (refused, _) => Fate::Refused(refused),
    };
    (accepted, fate)
}

/// How many are in this state, from the first on.
fn leading(states: &[State], wanted: State) -> usize {
    states.iter().take_while(|state| **state == wanted).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_behind_an_open_one_wait_for_it() {
        use State::{Arrived, Open, Refused};
        let again = Fate::Again { at_least: Duration::ZERO };
        let refused = Fate::Refused(1);
        for (states, fate, expected) in [
            (&[Arrived, Arrived, Open, Arrived][..], again, (2, again)),
            (&[Open, Refused, Arrived], refused, (0, again)),
            (&[Arrived, Refused, Refused, Open], again, (1, Fate::Refused(2))),
            (&[Refused, Arrived], refused, (0, refused)),
            (&[], again, (0, again)),
        ] {
            assert_eq!(outcome(states, fate), expected, "{states:?}");
        }
    }
}
