//! A connection to a server.

use std::error::Error as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{
    ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Error as ApiError, ErrorCode};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, ServerAddr, Subscriber};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio_rustls::rustls::ClientConfig;

use super::subject;
use super::{Acknowledgement, NatsLogin, NatsOutput};
use crate::channel::broker::{Failure, Tasks};
use crate::channel::error::BrokerError;
use crate::channel::network::Record;

pub(super) struct Connection {
    receiver: Receiver,
    /// What the server says about no particular alert, and the end of the connection.
    problems: mpsc::UnboundedReceiver<BrokerError>,
    pub(super) last_used: Instant,
    /// Comes last: what is above belongs to its tasks.
    tasks: Tasks,
}

enum Receiver {
    /// A stream, with its name if it is to be a certain one.
    Stream(Context, Option<String>),
    Server(Server),
}

struct Server {
    client: Client,
    /// What is sent here comes back.
    inbox: String,
    echo: Subscriber,
}

/// Pause before the client connects again by itself: see the module above.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Characters of a seed.
const SEED_LENGTH: usize = 58;

/// Header by which a stream drops repeats.
const MESSAGE_ID: &str = "Nats-Msg-Id";

impl Connection {
    pub(super) fn open(
        output: &NatsOutput,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Failure> {
        let tasks = Tasks::new(output.request_time).map_err(BrokerError::from)?;
        let (tell, problems) = mpsc::unbounded_channel();
        let receiver = tasks.run(async {
            let client = connect(output, tls, tell).await?;
            Ok(match &output.acknowledgement {
                Acknowledgement::Stream(name) => {
                    let context = ContextBuilder::new().timeout(output.request_time).build(client);
                    Receiver::Stream(context, name.clone())
                }
                Acknowledgement::Server => Receiver::Server(Server::new(client).await?),
            })
        })?;
        Ok(Self { receiver, problems, last_used: Instant::now(), tasks })
    }

    /// Publishes all records, then waits for the acknowledgements.
    pub(super) fn publish(
        &mut self,
        records: &[Record<'_>],
        accepted: &mut usize,
    ) -> Result<(), Failure> {
        let Self { receiver, problems, tasks, .. } = self;
        tasks.run(async {
            tokio::select! {
                // What is acknowledged counts, whatever comes after it.
                biased;
                result = receiver.publish(records, accepted) => result?,
                Some(problem) = problems.recv() => return Err(problem.into()),
            }
            // Refusals of a server without stream come before the echo, through another task.
            yield_now().await;
            match problems.try_recv() {
                Ok(problem) if matches!(receiver, Receiver::Server(_)) => {
                    *accepted = 0;
                    Err(problem.into())
                }
                _ => Ok(()),
            }
        })
    }
}

impl Receiver {
    async fn publish(
        &mut self,
        records: &[Record<'_>],
        accepted: &mut usize,
    ) -> Result<(), Failure> {
        match self {
            Self::Stream(context, name) => {
                let mut acknowledgements = Vec::with_capacity(records.len());
                let mut refused = None;
                for record in records {
                    match store(context, name.as_deref(), record).await {
                        Ok(acknowledgement) => acknowledgements.push((record, acknowledgement)),
                        Err(failure) => {
                            refused = Some(failure);
                            break;
                        }
                    }
                }
                for (record, acknowledgement) in acknowledgements {
                    acknowledgement.await.map_err(|error| failure(error, record))?;
                    *accepted += 1;
                }
                refused.map_or(Ok(()), Err)
            }
            Self::Server(server) => server.publish(records, accepted).await,
        }
    }
}

impl Server {
    async fn new(client: Client) -> Result<Self, Failure> {
        let inbox = client.new_inbox();
        let echo = client.subscribe(inbox.clone()).await;
        let echo = echo.map_err(|error| BrokerError::Refused(Box::new(error)))?;
        Ok(Self { client, inbox, echo })
    }

    /// A server takes messages of a connection in order, so after the echo it has taken all.
    async fn publish(
        &mut self,
        records: &[Record<'_>],
        accepted: &mut usize,
    ) -> Result<(), Failure> {
        let mut sent = 0;
        let mut refused = None;
        for record in records {
            match self.send(record).await {
                Ok(()) => sent += 1,
                Err(failure) => {
                    refused = Some(failure);
                    break;
                }
            }
        }
        let asked = self.client.publish(self.inbox.clone(), Vec::new().into()).await;
        asked.map_err(|_| BrokerError::Disconnected)?;
        self.echo.next().await.ok_or(BrokerError::Disconnected)?;
        *accepted = sent;
        refused.map_or(Ok(()), Err)
    }

    async fn send(&self, record: &Record<'_>) -> Result<(), Failure> {
        let (subject, payload) = split(record)?;
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, record.id.to_string());
        let sent = self.client.publish_with_headers(subject.to_owned(), headers, payload.into());
        sent.await.map_err(|error| {
            let too_long = error.kind() == async_nats::PublishErrorKind::MaxPayloadExceeded;
            let error = BrokerError::Refused(Box::new(error));
            if too_long { Failure::refused(error, 1) } else { Failure::reconnect(error) }
        })
    }
}

async fn connect(
    output: &NatsOutput,
    tls: Option<Arc<ClientConfig>>,
    tell: mpsc::UnboundedSender<BrokerError>,
) -> Result<Client, BrokerError> {
    let servers = output.servers.iter().map(|server| server.parse::<ServerAddr>());
    let servers: Vec<_> =
        servers.collect::<Result<_, _>>().map_err(|error| BrokerError::Connect(error.into()))?;
    let connected = Arc::new(AtomicBool::new(false));
    let again = connected.clone();
    // Time for more than one server.
    let timeout = output.request_time / servers.len().clamp(2, 5) as u32;
    let options = login(&output.login)?;
    let options = match tls {
        Some(config) => options.require_tls(true).tls_client_config((*config).clone()),
        None => options,
    };
    let options = options
        .name("peregrine")
        .connection_timeout(timeout)
        .reconnect_delay_callback(move |_| if again.load(Relaxed) { NEVER } else { Duration::ZERO })
        .event_callback(move |event| {
            // Without a receiver, the connection is given up already.
            let _ = problem(event).is_some_and(|problem| tell.send(problem).is_ok());
            async {}
        });
    let client = options.connect(servers).await;
    connected.store(true, Relaxed);
    client.map_err(|error| BrokerError::Connect(error.into()))
}

/// Reads the file of credentials, if there is one.
pub(super) fn login(login: &NatsLogin) -> Result<ConnectOptions, BrokerError> {
    let options = ConnectOptions::new();
    let failed = |path: &Path, source| BrokerError::Credentials { path: path.to_owned(), source };
    let read = |path| fs::read_to_string(path).map_err(|error| failed(path, error));
    Ok(match login {
        NatsLogin::None => options,
        NatsLogin::User { user, password } => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        NatsLogin::Token(token) => options.token(token.reveal().to_owned()),
        NatsLogin::CredentialsFile(path) => {
            options.credentials(&read(path)?).map_err(|error| failed(path, error))?
        }
        NatsLogin::NkeyFile(path) => {
            let text = read(path)?;
            let seed = text.trim();
            // The rest is checked where it is used.
            if !seed.starts_with("SU") || seed.len() != SEED_LENGTH {
                return Err(failed(path, io::Error::other("no seed of the nkey of a user")));
            }
            options.nkey(seed.to_owned())
        }
    })
}

/// What an event means for alerts that are not acknowledged.
fn problem(event: Event) -> Option<BrokerError> {
    match event {
        Event::Disconnected | Event::Closed => Some(BrokerError::Disconnected),
        Event::ServerError(error) => Some(BrokerError::Refused(error.to_string().into())),
        _ => None,
    }
}

async fn store(
    context: &Context,
    stream: Option<&str>,
    record: &Record<'_>,
) -> Result<PublishAckFuture, Failure> {
    let (subject, payload) = split(record)?;
    let message = PublishMessage::build().payload(payload.into());
    let mut message = message.header(MESSAGE_ID, record.id.to_string());
    if let Some(stream) = stream {
        message = message.expected_stream(stream);
    }
    let sent = context.send_publish(subject.to_owned(), message).await;
    sent.map_err(|error| failure(error, record))
}

/// Subject and payload. A record without, which a spool of another output may have, is refused.
fn split<'a>(record: &'a Record<'a>) -> Result<(&'a str, Vec<u8>), Failure> {
    let (subject, payload) = subject::split(record.body).ok_or_else(|| {
        Failure::refused(BrokerError::NoPlace("the record has no subject".to_owned()), 1)
    })?;
    Ok((subject, payload.to_owned()))
}

/// Why a stream has not stored a record.
fn failure(error: PublishError, record: &Record<'_>) -> Failure {
    let code = error.source().and_then(|error| error.downcast_ref::<ApiError>());
    let code = code.map(ApiError::error_code);
    let too_long =
        [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    match error.kind() {
        PublishErrorKind::StreamNotFound => {
            let (subject, _) = subject::split(record.body).unwrap_or_default();
            Failure::again(BrokerError::NoPlace(format!("no stream has the subject {subject}")))
        }
        PublishErrorKind::TimedOut => BrokerError::Disconnected.into(),
        PublishErrorKind::BrokenPipe => BrokerError::Disconnected.into(),
        PublishErrorKind::MaxPayloadExceeded => {
            Failure::refused(BrokerError::Refused(error.into()), 1)
        }
        _ if code.is_some_and(|code| too_long.contains(&code)) => {
            Failure::refused(BrokerError::Refused(error.into()), 1)
        }
        _ => Failure::again(BrokerError::Refused(error.into())),
    }
}
