//! Requests to the API server.
//!
//! Watches are many and live long, so they share connections of HTTP/2. A server that has only
//! HTTP/1.1 gets a connection for each request.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use peregrine_limits::{
    KUBERNETES_CONNECT_TIME, KUBERNETES_LINE_BYTES, KUBERNETES_LIST_BYTES, KUBERNETES_REQUEST_TIME,
};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::access::{Access, AccessError, Cluster};
use crate::api::{Failure, Page};

/// Why a request failed.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum ApiError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no answer in time")]
    Timeout,
    #[error("{0}")]
    Http(String),
    #[error("the server answers {code}{}", because(.message))]
    Status { code: u16, message: String },
    #[error("the server sends no valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the server sends more than {0} at once")]
    TooLarge(String),
    #[error("the watch has ended")]
    Ended,
}

/// A client of one API server. Clones of the handle share connections.
pub(crate) struct Client {
    cluster: Cluster,
    access: Mutex<Option<(Instant, Arc<Access>)>>,
    /// Open connections of HTTP/2.
    pool: Mutex<Vec<Shared>>,
}

/// A connection of HTTP/2.
struct Shared {
    sender: http2::SendRequest<Empty<Bytes>>,
    /// A reference for each response that is still read.
    streams: Arc<()>,
}

/// The body of a response that has begun well.
pub(crate) struct Answer {
    body: Incoming,
    /// What was received and not yet taken.
    buffer: Vec<u8>,
    /// How much of it has no end of line.
    searched: usize,
    /// Keeps the place in the connection.
    _stream: Option<Arc<()>>,
}

/// How long files with tokens and certificates are taken as they were read. The kubelet replaces
/// them long before they lose their validity.
const ACCESS_AGE: Duration = Duration::from_secs(60);
/// Requests that share a connection. API servers allow at least 100.
const STREAMS: usize = 80;
/// Time between two questions whether the other side is still there.
const PING: Duration = Duration::from_secs(30);
/// Time for the answer to such a question.
const PONG: Duration = Duration::from_secs(20);
/// Most characters of a message of the server that are shown.
const MESSAGE: usize = 300;

impl Client {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster, access: Mutex::default(), pool: Mutex::default() }
    }

    /// The address of the server, as the configuration has it now.
    pub(crate) async fn server(&self) -> Result<String, ApiError> {
        Ok(self.access().await?.server.clone())
    }

    /// Asks for a page of a list.
    pub(crate) async fn page(&self, path: &str, accept: &str) -> Result<Page, ApiError> {
        let body = self.get(path, accept, &KUBERNETES_LIST_BYTES).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// The version of the server.
    pub(crate) async fn version(&self) -> Result<String, ApiError> {
        let body = self.get("/version", "application/json", &KUBERNETES_LINE_BYTES).await?;
        let version: serde_json::Value = serde_json::from_slice(&body)?;
        let version = version.get("gitVersion").and_then(serde_json::Value::as_str);
        Ok(printable(version.unwrap_or("unknown version")))
    }

    /// A whole body of limited size.
    async fn get(
        &self,
        path: &str,
        accept: &str,
        limit: &peregrine_limits::Limit,
    ) -> Result<Vec<u8>, ApiError> {
        let deadline = Instant::now() + time(&KUBERNETES_REQUEST_TIME);
        let mut answer = self.open(path, accept).await?;
        let rest = timeout_at(deadline, answer.rest(limit)).await;
        rest.unwrap_or_else(|_| {
            KUBERNETES_REQUEST_TIME.reach();
            Err(ApiError::Timeout)
        })
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn open(&self, path: &str, accept: &str) -> Result<Answer, ApiError> {
        let access = self.access().await?;
        let deadline = Instant::now() + time(&KUBERNETES_REQUEST_TIME);
        let sent = timeout_at(deadline, self.send(&access, path, accept)).await;
        let (response, stream) = match sent {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                // The files may have changed with the server.
                *self.access.lock().await = None;
                return Err(error);
            }
            Err(_) => {
                KUBERNETES_REQUEST_TIME.reach();
                return Err(ApiError::Timeout);
            }
        };
        let (head, body) = response.into_parts();
        let mut answer = Answer { body, buffer: Vec::new(), searched: 0, _stream: stream };
        if head.status == StatusCode::OK {
            return Ok(answer);
        }
        if head.status == StatusCode::UNAUTHORIZED {
            *self.access.lock().await = None;
        }
        let failure = timeout_at(deadline, answer.rest(&KUBERNETES_LINE_BYTES)).await;
        let failure = failure.ok().and_then(Result::ok);
        let failure = failure.and_then(|body| serde_json::from_slice::<Failure>(&body).ok());
        let message = printable(&failure.unwrap_or_default().message);
        Err(ApiError::Status { code: head.status.as_u16(), message })
    }

    async fn access(&self) -> Result<Arc<Access>, ApiError> {
        let mut known = self.access.lock().await;
        if let Some((read, access)) = &*known
            && read.elapsed() < ACCESS_AGE
        {
            return Ok(Arc::clone(access));
        }
        let access = Arc::new(Access::load(&self.cluster)?);
        *known = Some((Instant::now(), Arc::clone(&access)));
        Ok(access)
    }

    async fn send(
        &self,
        access: &Access,
        path: &str,
        accept: &str,
    ) -> Result<(Response<Incoming>, Option<Arc<()>>), ApiError> {
        let failed = |error| ApiError::Http(whole(&error));
        // Held while a connection is made, so that many requests at once make one.
        let mut pool = self.pool.lock().await;
        pool.retain(|shared| !shared.sender.is_closed());
        let free = pool.iter().find(|shared| Arc::strong_count(&shared.streams) <= STREAMS);
        let shared = free.map(|shared| (shared.sender.clone(), Arc::clone(&shared.streams)));
        let (mut sender, stream) = match shared {
            Some(shared) => shared,
            None => match connect(access).await? {
                Connection::Http2(sender) => {
                    let streams = Arc::new(());
                    pool.push(Shared { sender: sender.clone(), streams: Arc::clone(&streams) });
                    (sender, streams)
                }
                Connection::Http1(mut sender) => {
                    drop(pool);
                    let request = request(access, path, accept, false)?;
                    return Ok((sender.send_request(request).await.map_err(failed)?, None));
                }
            },
        };
        drop(pool);
        let request = request(access, path, accept, true)?;
        Ok((sender.send_request(request).await.map_err(failed)?, Some(stream)))
    }
}

impl Answer {
    /// The next line of a body that grows, without its end; empty lines are skipped.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, ApiError> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                line.truncate(line.trim_ascii_end().len());
                if line.is_empty() {
                    continue;
                }
                return Ok(line);
            }
            self.searched = self.buffer.len();
            if !self.more(&KUBERNETES_LINE_BYTES).await? {
                return Err(ApiError::Ended);
            }
        }
    }

    /// All up to the end of the body.
    async fn rest(&mut self, limit: &peregrine_limits::Limit) -> Result<Vec<u8>, ApiError> {
        while self.more(limit).await? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Waits for more of the body. False at its end.
    async fn more(&mut self, limit: &peregrine_limits::Limit) -> Result<bool, ApiError> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        let frame = frame.map_err(|error| ApiError::Http(whole(&error)))?;
        self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if self.buffer.len() > limit.get() {
            limit.reach();
            return Err(ApiError::TooLarge(limit.to_string()));
        }
        Ok(true)
    }
}

enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn connect(access: &Access) -> Result<Connection, ApiError> {
    let dialled = timeout(time(&KUBERNETES_CONNECT_TIME), dial(access)).await;
    let (stream, http2) = dialled.unwrap_or_else(|_| {
        KUBERNETES_CONNECT_TIME.reach();
        Err(ApiError::Connect("no answer in time".to_owned()))
    })?;
    let failed = |error| ApiError::Connect(whole(&error));
    let stream = TokioIo::new(stream);
    // A connection ends with its last sender and response.
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
        let (sender, connection) = builder.handshake(stream).await.map_err(failed)?;
        tokio::spawn(connection);
        return Ok(Connection::Http2(sender));
    }
    let (sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    tokio::spawn(connection);
    Ok(Connection::Http1(sender))
}

/// Connects. The flag says whether the server speaks HTTP/2.
async fn dial(access: &Access) -> Result<(Box<dyn Stream>, bool), ApiError> {
    let failed = |error: std::io::Error| ApiError::Connect(error.to_string());
    let tcp = TcpStream::connect((access.host.as_str(), access.port)).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    let Some((config, name)) = &access.tls else { return Ok((Box::new(tcp), false)) };
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name.clone(), tcp).await.map_err(failed)?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Box::new(stream), http2))
}

fn request(
    access: &Access,
    path: &str,
    accept: &str,
    http2: bool,
) -> Result<Request<Empty<Bytes>>, ApiError> {
    let path = format!("{}{path}", access.prefix);
    // HTTP/2 carries scheme and host with the path.
    let uri = if http2 { format!("{}{path}", access.server) } else { path };
    let mut request = Request::get(uri).header(ACCEPT, accept).header(USER_AGENT, "peregrine");
    if !http2 {
        let host = access.server.split_once("://").map_or("", |(_, host)| host);
        request = request.header(HOST, host);
    }
    if let Some(authorization) = &access.authorization {
        request = request.header(AUTHORIZATION, authorization.clone());
    }
    request.body(Empty::new()).map_err(|error| ApiError::Http(error.to_string()))
}

/// An error of HTTP with its cause.
fn whole(error: &hyper::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn time(limit: &peregrine_limits::Limit) -> Duration {
    Duration::from_millis(limit.get() as u64)
}

fn because(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// The beginning of a text of the server, fit for a log.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
