//! Connections to the brokers of a cluster.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::Record as Message;
use rskafka::{BackoffConfig, BackoffError, ConnectionError, chrono};

use tokio_rustls::rustls::ClientConfig;

use super::partition::partition;
use super::{KafkaCompression, KafkaLogin, KafkaOutput, SaslMechanism};
use crate::channel::broker::{Failure, Tasks};
use crate::channel::error::BrokerError;
use crate::channel::network::Record;

pub(super) struct Connection {
    client: Client,
    /// The partitions of the topic; each is connected to its leader when it is needed.
    partitions: Vec<(i32, Option<PartitionClient>)>,
    opened: Instant,
    /// Comes last: what is above belongs to its tasks.
    tasks: Tasks,
}

/// What has become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Arrived,
    /// The broker never takes it.
    Refused,
}

/// A connection is replaced after this time, to see partitions that were added to the topic.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Bytes of the longest answer of a broker: the list of all topics and partitions.
const MAX_ANSWER: usize = 32 << 20;

impl Connection {
    pub(super) fn open(
        output: &KafkaOutput,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Failure> {
        let tasks = Tasks::new(output.request_time).map_err(BrokerError::from)?;
        let (client, partitions) = tasks.run(async {
            let client = builder(output, tls).build().await.map_err(connect_failure)?;
            let topics = client.list_topics().await.map_err(connect_failure)?;
            let topic = topics.into_iter().find(|topic| topic.name == output.topic);
            let partitions = topic.map(|topic| topic.partitions).unwrap_or_default();
            if partitions.is_empty() {
                let missing = format!("the brokers show no topic {}", output.topic);
                return Err(BrokerError::NoPlace(missing).into());
            }
            Ok((client, partitions.into_iter().map(|partition| (partition, None)).collect()))
        })?;
        Ok(Self { client, partitions, opened: Instant::now(), tasks })
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.opened.elapsed() < MAX_AGE
    }

    /// Sends the records that are open, each to its partition, and notes what becomes of them.
    pub(super) fn produce(
        &mut self,
        output: &KafkaOutput,
        records: &[Record<'_>],
        states: &mut [State],
    ) -> Result<(), Failure> {
        let Self { client, partitions, tasks, .. } = self;
        let mut batches = vec![Vec::new(); partitions.len()];
        for (number, (record, _)) in records
            .iter()
            .zip(&*states)
            .enumerate()
            .filter(|(_, (_, state))| **state == State::Open)
        {
            let message = message(record);
            let key = message.key.as_deref().unwrap_or_default();
            if let Some(batch) = batches.get_mut(partition(key, partitions.len())) {
                batch.push((number, message));
            }
        }
        let states = RefCell::new(states);
        tasks.run(async {
            let batches =
                partitions.iter_mut().zip(&batches).filter(|(_, batch)| !batch.is_empty());
            let sent = batches.map(|((number, leader), batch)| {
                let (client, states) = (&*client, &states);
                async move {
                    let leader = match leader {
                        Some(leader) => leader,
                        None => leader.insert(
                            client
                                .partition_client(
                                    &output.topic,
                                    *number,
                                    UnknownTopicHandling::Error,
                                )
                                .await
                                .map_err(connect_failure)?,
                        ),
                    };
                    send(leader, compression(output.compression), batch, states).await
                }
            });
            join_all(sent).await.into_iter().collect()
        })
    }
}

/// Sends the records of a partition in order. Where a broker does not take them together, they are
/// sent in halves.
async fn send(
    leader: &PartitionClient,
    compression: Compression,
    batch: &[(usize, Message)],
    states: &RefCell<&mut [State]>,
) -> Result<(), Failure> {
    let settle = |batch: &[(usize, Message)], becomes| {
        for (number, _) in batch {
            if let Some(state) = states.borrow_mut().get_mut(*number) {
                *state = becomes;
            }
        }
    };
    let mut refusal = None;
    let mut left = vec![batch];
    while let Some(batch) = left.pop() {
        let messages = batch.iter().map(|(_, message)| message.clone()).collect();
        match leader.produce(messages, compression).await {
            Ok(_) => settle(batch, State::Arrived),
            Err(error) if !is_about_records(&error) => return Err(cause(error).into()),
            Err(error) if batch.len() == 1 => {
                settle(batch, State::Refused);
                refusal.get_or_insert(Failure::refused(cause(error), 1));
            }
            Err(_) => {
                let (first, second) = batch.split_at(batch.len() / 2);
                left.extend([second, first]);
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

fn builder(output: &KafkaOutput, tls: Option<Arc<ClientConfig>>) -> ClientBuilder {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
        // The records are sent again anyway.
        deadline: Some(Duration::from_millis(500)),
    };
    let builder = ClientBuilder::new(output.brokers.clone())
        .client_id(output.client_id.as_str())
        .max_message_size(MAX_ANSWER)
        .backoff_config(backoff);
    let builder = match tls {
        Some(config) => builder.tls_config(config),
        None => builder,
    };
    match &output.login {
        Some(login) => builder.sasl_config(sasl(login)),
        None => builder,
    }
}

fn sasl(login: &KafkaLogin) -> SaslConfig {
    let credentials = Credentials::new(login.user.clone(), login.password.reveal().to_owned());
    match login.mechanism {
        SaslMechanism::Plain => SaslConfig::Plain(credentials),
        SaslMechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
        SaslMechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
    }
}

fn compression(compression: KafkaCompression) -> Compression {
    match compression {
        KafkaCompression::None => Compression::NoCompression,
        KafkaCompression::Gzip => Compression::Gzip,
        KafkaCompression::Snappy => Compression::Snappy,
    }
}

fn message(record: &Record<'_>) -> Message {
    let time = i64::try_from(record.time).unwrap_or(i64::MAX);
    Message {
        key: Some(record.id.to_string().into_bytes()),
        value: Some(record.body.to_owned()),
        headers: BTreeMap::new(),
        timestamp: chrono::DateTime::from_timestamp_nanos(time),
    }
}

/// Whether the broker would take other records.
fn is_about_records(error: &Error) -> bool {
    use ProtocolError::{
        InvalidRecord, InvalidTimestamp, MessageTooLarge, PolicyViolation, RecordListTooLarge,
    };
    let Error::ServerError { protocol_error, .. } = error else { return false };
    matches!(
        protocol_error,
        MessageTooLarge | RecordListTooLarge | InvalidRecord | InvalidTimestamp | PolicyViolation
    )
}

fn connect_failure(error: Error) -> Failure {
    match cause(error) {
        BrokerError::Refused(error) => BrokerError::Connect(error).into(),
        other => other.into(),
    }
}

/// The error behind the retries of the client.
fn cause(error: Error) -> BrokerError {
    let source = match error {
        Error::RetryFailed(BackoffError::DeadlineExceded { source, .. })
        | Error::Connection(ConnectionError::RetryFailed(BackoffError::DeadlineExceded {
            source,
            ..
        })) => source,
        other => other.into(),
    };
    match source.downcast_ref::<Error>() {
        Some(Error::ServerError { protocol_error, error_message, .. }) => {
            let text = match error_message {
                Some(message) => format!("{protocol_error} ({message})"),
                None => protocol_error.to_string(),
            };
            BrokerError::Refused(text.into())
        }
        _ => BrokerError::Refused(source),
    }
}
