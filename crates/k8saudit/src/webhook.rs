//! The webhook of API servers.

use std::cell::RefCell;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, StatusCode};
use peregrine_files::{SmallFileError, read_small};
use peregrine_limits::{
    AUDIT_BATCH_BYTES, AUDIT_BODIES_BYTES, AUDIT_BODY_TIME, AUDIT_QUEUE_BYTES, TOKEN_FILE_BYTES,
};
use peregrine_server::{Answer, Endpoint, EndpointSettings, Listen, Site, TlsFiles, response};
use peregrine_telemetry::{AuditOutcome, AuditStats};
use tokio::time::timeout;

use crate::batch::Splitter;
use crate::error::AuditError;
use crate::queue::{Filler, now};
use crate::settings::{Options, Place, Settings};

/// Requests after which a connection is closed, so that none is kept for ever.
const MAX_REQUESTS: u32 = 100_000;
/// Seconds after which an API server is to send a batch again that found the queue full.
const RETRY: &str = "1";

/// Starts to listen.
pub(crate) fn start(
    settings: &Settings,
    filler: Filler,
    stats: &Arc<AuditStats>,
    closing: &Arc<AtomicBool>,
) -> Result<Endpoint, AuditError> {
    let Place::Webhook { host, port, path, tls } = &settings.place else {
        return Err(AuditError::Ended("there is no webhook".to_owned()));
    };
    let token = token(&settings.options)?;
    let endpoint = EndpointSettings {
        listen: Listen::Tcp { address: address(host), port: (*port).into() },
        tls: tls.then(|| TlsFiles {
            identity: settings.certificate.clone(),
            client_ca: settings.options.client_ca.clone(),
        }),
        thread: "k8saudit",
        max_requests: MAX_REQUESTS,
        stats: Arc::default(),
    };
    let (path, stats, closing) = (path.clone(), Arc::clone(stats), Arc::clone(closing));
    let (max_event_bytes, max_bytes) = (settings.max_event_bytes, settings.max_batch_bytes);
    let webhook = move || Webhook {
        path,
        token,
        max_bytes,
        reading: AtomicUsize::new(0),
        splitter: Splitter::new(max_event_bytes).into(),
        filler,
        stats,
        closing,
    };
    Ok(Endpoint::start(&endpoint, webhook)?)
}

/// The address to listen on: without a host, all of them, of both families if the system has both.
fn address(host: &str) -> String {
    let all = || match TcpListener::bind(("::", 0)) {
        Ok(_) => "::",
        Err(_) => "0.0.0.0",
    };
    if host.is_empty() { all() } else { host }.to_owned()
}

/// The token that clients must send.
fn token(options: &Options) -> Result<Option<String>, AuditError> {
    let Some(path) = &options.token_file else { return Ok(options.token.clone()) };
    let wrong = |why: String| AuditError::Token { path: path.clone(), why };
    let bytes = read_small(path, &TOKEN_FILE_BYTES).map_err(|error| match error {
        SmallFileError::TooLarge(_) => wrong("it is too long".to_owned()),
        error => wrong(error.to_string()),
    })?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| wrong("stream did not contain valid UTF-8".to_owned()))?;
    match text.trim() {
        "" => Err(wrong("it is empty".to_owned())),
        token => Ok(Some(token.to_owned())),
    }
}

struct Webhook {
    path: String,
    token: Option<String>,
    max_bytes: usize,
    /// Bytes of the bodies that are being read.
    reading: AtomicUsize,
    splitter: RefCell<Splitter>,
    filler: Filler,
    stats: Arc<AuditStats>,
    closing: Arc<AtomicBool>,
}

/// Why a request is refused.
struct Refusal {
    status: StatusCode,
    outcome: AuditOutcome,
    why: String,
}

impl Refusal {
    fn new(status: StatusCode, outcome: AuditOutcome, why: impl Into<String>) -> Self {
        Self { status, outcome, why: why.into() }
    }

    fn full(why: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, AuditOutcome::Full, why)
    }
}

impl Site for Webhook {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (outcome, answer) = match self.receive(request).await {
            Ok(()) => (AuditOutcome::Queued, response(StatusCode::OK, "")),
            Err(refusal) => (refusal.outcome, refusal.answer()),
        };
        self.stats.request(outcome);
        answer
    }
}

impl Refusal {
    fn answer(&self) -> Answer {
        let mut answer = response(self.status, format!("{}\n", self.why));
        let header = match self.status {
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "POST")),
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, RETRY)),
            // What is left of the body is not read.
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::SERVICE_UNAVAILABLE => Some((CONNECTION, "close")),
            _ => None,
        };
        if let Some((name, value)) = header {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

impl Webhook {
    /// Queues the events of a request, all or none.
    async fn receive(&self, request: Request<Incoming>) -> Result<(), Refusal> {
        self.check(&request)?;
        let read = timeout(AUDIT_BODY_TIME.duration(), self.body(request.into_body())).await;
        let body = read.unwrap_or_else(|_| {
            AUDIT_BODY_TIME.reach();
            let why = "the body took too long";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, AuditOutcome::Bad, why))
        })?;
        let split = self.splitter.borrow_mut().split(&body.bytes);
        let (batch, split) = split.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, AuditOutcome::Bad, error.to_string())
        })?;
        self.filler.offer(batch, now()).map_err(|_| {
            AUDIT_QUEUE_BYTES.reach();
            Refusal::full("the queue of events is full")
        })?;
        self.stats.add(split.events, split.invalid, split.too_large);
        Ok(())
    }

    /// Checks the head of a request.
    fn check(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let refuse = |status, why: &str| Err(Refusal::new(status, AuditOutcome::Bad, why));
        if self.closing.load(SeqCst) {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                AuditOutcome::Full,
                "events are no longer received",
            ));
        }
        if request.uri().path() != self.path {
            return refuse(StatusCode::NOT_FOUND, "there is no such page");
        }
        if request.method() != Method::POST {
            let why = format!("{} method not allowed", request.method());
            return refuse(StatusCode::METHOD_NOT_ALLOWED, &why);
        }
        if !self.is_authorized(request.headers().get(AUTHORIZATION)) {
            let (status, why) = (StatusCode::UNAUTHORIZED, "a bearer token is needed");
            return Err(Refusal::new(status, AuditOutcome::Unauthorized, why));
        }
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_json = |kind: &[u8]| {
            let kind = kind.to_ascii_lowercase();
            memchr::memmem::find(&kind, b"application/json").is_some()
        };
        if !kind.is_some_and(is_json) {
            return refuse(StatusCode::BAD_REQUEST, "wrong Content Type");
        }
        Ok(())
    }

    /// Whether the token is right. How long that takes does not tell how much of it is.
    fn is_authorized(&self, header: Option<&HeaderValue>) -> bool {
        let Some(token) = &self.token else { return true };
        let given = header.map(HeaderValue::as_bytes).unwrap_or_default();
        let given = match given.split_at_checked(7) {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"Bearer ") => given,
            _ => return false,
        };
        let digest = |text: &[u8]| ring::digest::digest(&ring::digest::SHA256, text);
        digest(given.trim_ascii()).as_ref() == digest(token.as_bytes()).as_ref()
    }

    /// Reads the body of a request.
    async fn body(&self, mut body: Incoming) -> Result<Reading<'_>, Refusal> {
        let too_large = || {
            AUDIT_BATCH_BYTES.reach();
            let why = "the body is larger than webhookMaxBatchSize";
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, AuditOutcome::TooLarge, why)
        };
        let announced = body.size_hint().lower();
        if announced > self.max_bytes as u64 {
            return Err(too_large());
        }
        // What is announced holds no memory, so that nothing but bytes keeps others out.
        let mut reading = Reading { bytes: Vec::new(), held: 0, all: &self.reading };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    AuditOutcome::Bad,
                    format!("bad request: {error}"),
                )
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let length = reading.bytes.len() + data.len();
            if length > self.max_bytes {
                return Err(too_large());
            }
            reading.hold(length)?;
            reading.bytes.extend_from_slice(&data);
        }
        Ok(reading)
    }
}

/// A body that is read, and its share of the memory for all of them.
struct Reading<'w> {
    bytes: Vec<u8>,
    held: usize,
    all: &'w AtomicUsize,
}

impl Reading<'_> {
    /// Takes memory for this many bytes. One body alone always has its memory.
    fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Some(more) = bytes.checked_sub(self.held).filter(|more| *more > 0) else {
            return Ok(());
        };
        let others = self.all.load(SeqCst) - self.held;
        if others > 0 && others + bytes > AUDIT_BODIES_BYTES.get() {
            AUDIT_BODIES_BYTES.reach();
            return Err(Refusal::full("too many requests are being read"));
        }
        self.all.fetch_add(more, SeqCst);
        self.held = bytes;
        Ok(())
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.held, SeqCst);
    }
}
