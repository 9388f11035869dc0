//! HTTP/1.1 over a unix socket, as docker and podman speak it.

use std::path::PathBuf;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peregrine_limits::{Limit, RUNTIME_ANSWER_BYTES};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, spawn_local};

use crate::client::ClientError;

/// Asks a server at a unix socket, each question through a connection of its own: a runtime that
/// was restarted is found again, and an answer that hangs delays no other.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    socket: PathBuf,
}

/// The lines of an answer that does not end.
pub(crate) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    /// Up to where the buffer has no end of a line.
    searched: usize,
    _driver: Driver,
}

/// Moves the bytes of a connection until it is dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Http {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The JSON at this path; `None` where there is none.
    pub(crate) async fn json(
        &self,
        path: &str,
        limit: &Limit,
    ) -> Result<Option<Value>, ClientError> {
        let (response, _driver) = self.get(path).await?;
        let status = response.status();
        let body = read(response.into_body(), limit).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(ClientError::Refused(refusal(status, &body)));
        }
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    /// The headers of the answer at this path. The body is not read.
    pub(crate) async fn headers(&self, path: &str) -> Result<HeaderMap, ClientError> {
        let (response, _driver) = self.get(path).await?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let body = read(body, &RUNTIME_ANSWER_BYTES).await?;
            return Err(ClientError::Refused(refusal(head.status, &body)));
        }
        Ok(head.headers)
    }

    /// The lines at this path.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, ClientError> {
        let (response, driver) = self.get(path).await?;
        let status = response.status();
        if !status.is_success() {
            let body = read(response.into_body(), &RUNTIME_ANSWER_BYTES).await?;
            return Err(ClientError::Refused(refusal(status, &body)));
        }
        let body = response.into_body();
        Ok(Lines { body, buffer: Vec::new(), searched: 0, _driver: driver })
    }

    async fn get(&self, path: &str) -> Result<(Response<Incoming>, Driver), ClientError> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unreadable)?;
        let driver = Driver(spawn_local(async {
            // The answer tells of errors.
            let _ = connection.await;
        }));
        let request = Request::get(path).header(HOST, "localhost").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| ClientError::Unreadable(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(unreadable)?;
        Ok((response, driver))
    }
}

/// Bytes that hyper buffers of a head.
const MAX_HEAD: usize = 64 << 10;

async fn read(mut body: Incoming, limit: &Limit) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
        if bytes.len() + data.len() > limit.get() {
            limit.reach();
            return Err(ClientError::TooLong(limit.get()));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

impl Lines {
    /// The next line that is not empty; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > RUNTIME_ANSWER_BYTES.get() {
                RUNTIME_ANSWER_BYTES.reach();
                return Err(ClientError::TooLong(RUNTIME_ANSWER_BYTES.get()));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(unreadable)?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

fn unreadable(error: hyper::Error) -> ClientError {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    ClientError::Unreadable(format!("{error}{}", cause.unwrap_or_default()))
}

/// The message of an error, which docker and podman send as JSON.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    /// Letters of it that are logged.
    const MOST: usize = 200;
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
    let message: String = message.unwrap_or_default().chars().take(MOST).collect();
    format!("{status} {message}").trim_end().to_owned()
}
