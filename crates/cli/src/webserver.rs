//! The web server: whether all is well, which versions these are, and what was counted.
//!
//! It runs on threads of its own. The event loop never waits for it; it asks the loop through its [`Pulse`].

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use peregrine_config::Webserver;
use serde_json::json;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto};

use crate::pulse::Pulse;

/// What there is to see.
pub(crate) struct Pages {
    /// Path of the page about health.
    pub(crate) health: String,
    /// How long the event loop may be silent. Zero: for ever.
    pub(crate) patience: Duration,
    /// Whose health it is.
    pub(crate) pulse: Arc<Pulse>,
    /// The versions, as JSON.
    pub(crate) versions: String,
    /// Asks the event loop for the metrics, as text for Prometheus.
    pub(crate) metrics: Option<AskMetrics>,
}

/// Hands in a request for metrics; the event loop sends them, or drops the sender when it ends.
pub(crate) type AskMetrics = Box<dyn Fn() -> oneshot::Receiver<String> + Send + Sync>;

/// A web server that listens. Dropping it ends it.
pub(crate) struct WebServer {
    address: SocketAddr,
    threads: usize,
    tls: bool,
    runtime: Option<Runtime>,
}

/// Why there is no web server.
#[derive(Debug, Error)]
pub(crate) enum WebServerError {
    /// The address is taken, not here, or not allowed.
    #[error("cannot listen on {address}:{port}: {error}")]
    Listen { address: String, port: u32, error: io::Error },
    /// The file can't be read or is no PEM.
    #[error("webserver.ssl_certificate {}: {error}", .path.display())]
    Pem { path: PathBuf, error: pem::Error },
    /// Something is missing in the file.
    #[error("webserver.ssl_certificate {}: there is no {what} in it", .path.display())]
    Missing { path: PathBuf, what: &'static str },
    /// Certificate and key do not fit.
    #[error("webserver.ssl_certificate {}: {error}", .path.display())]
    Tls { path: PathBuf, error: rustls::Error },
    /// The system has no thread left.
    #[error("cannot start its threads: {0}")]
    Threads(io::Error),
}

/// Connections at a time; others wait.
const CONNECTIONS: usize = 64;
/// How long a client may take for its part of a handshake or of a request, and do nothing between two.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);
/// How long the event loop may take to count. Prometheus itself waits for ten seconds.
const METRICS_PATIENCE: Duration = Duration::from_secs(8);
/// How long the event loop may take to begin: the machine is looked at first.
const START: Duration = Duration::from_secs(120);
/// Format of the metrics, as Prometheus names it.
const PROMETHEUS: &str = "text/plain; version=0.0.4";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

impl WebServer {
    /// Listens, and answers from now on.
    pub(crate) fn start(keys: &Webserver, pages: Pages) -> Result<Self, WebServerError> {
        let tls = keys.ssl_enabled.then(|| acceptor(Path::new(&keys.ssl_certificate)));
        let tls = tls.transpose()?;
        let failed = |error| WebServerError::Listen {
            address: keys.listen_address.clone(),
            port: keys.listen_port,
            error,
        };
        let listener = listen(keys).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let threads = match keys.threadiness {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads as usize,
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("webserver")
            .enable_io()
            .enable_time()
            .build()
            .map_err(WebServerError::Threads)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let has_tls = tls.is_some();
        runtime.spawn(serve(listener, tls, Arc::new(pages)));
        Ok(Self { address, threads, tls: has_tls, runtime: Some(runtime) })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Nobody waits for clients that are slow.
            runtime.shutdown_background();
        }
    }
}

/// As Falco's log has it.
impl fmt::Display for WebServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = (self.address.ip(), self.address.port());
        let ssl = if self.tls { " (SSL)" } else { "" };
        write!(f, "threadiness {}, listening on {address}:{port}{ssl}", self.threads)
    }
}

fn listen(keys: &Webserver) -> io::Result<TcpListener> {
    let port = u16::try_from(keys.listen_port)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "ports end at 65535"))?;
    let listener = TcpListener::bind((keys.listen_address.trim(), port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// One file has the certificates and the key.
fn acceptor(path: &Path) -> Result<TlsAcceptor, WebServerError> {
    let unreadable = |error| WebServerError::Pem { path: path.to_owned(), error };
    let missing = |what| WebServerError::Missing { path: path.to_owned(), what };
    let unfit = |error| WebServerError::Tls { path: path.to_owned(), error };
    let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(missing("certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => missing("private key"),
        error => unreadable(error),
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(unfit)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: tokio::net::TcpListener, tls: Option<TlsAcceptor>, pages: Arc<Pages>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say. That takes a while to pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (tls, pages) = (tls.clone(), pages.clone());
        tokio::spawn(async move {
            connection(stream, tls, &pages).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, pages: &Pages) {
    match tls {
        None => converse(stream, pages).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(CLIENT_PATIENCE, tls.accept(stream)).await {
                converse(stream, pages).await;
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, pages: &Pages) {
    let answer = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(pages.answer(request.method(), request.uri().path()).await)
    });
    // What goes wrong with a client is the client's business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_PATIENCE)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// A page that is there.
enum Page<'a> {
    Health,
    Versions,
    Metrics(&'a AskMetrics),
}

impl Pages {
    async fn answer(&self, method: &Method, path: &str) -> Response<String> {
        let Some(page) = self.page(path) else {
            return response(StatusCode::NOT_FOUND, TEXT, "There is no such page.\n");
        };
        if ![Method::GET, Method::HEAD].contains(method) {
            let mut response =
                response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Pages can only be read.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match page {
            Page::Health => self.health(),
            Page::Versions => response(StatusCode::OK, JSON, self.versions.as_str()),
            Page::Metrics(ask) => match timeout(METRICS_PATIENCE, ask()).await {
                Ok(Ok(text)) => response(StatusCode::OK, PROMETHEUS, text),
                _ => {
                    let text = "The event loop does not answer.\n";
                    response(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
            },
        }
    }

    fn page(&self, path: &str) -> Option<Page<'_>> {
        match path {
            path if path == self.health => Some(Page::Health),
            "/versions" => Some(Page::Versions),
            "/metrics" => self.metrics.as_ref().map(Page::Metrics),
            _ => None,
        }
    }

    fn health(&self) -> Response<String> {
        let silence = self.pulse.silence();
        let patience =
            if self.pulse.has_begun() { self.patience } else { self.patience.max(START) };
        if self.patience.is_zero() || silence <= patience {
            return response(StatusCode::OK, JSON, r#"{"status": "ok"}"#);
        }
        let body = json!({ "status": "stalled", "seconds": silence.as_secs() });
        response(StatusCode::SERVICE_UNAVAILABLE, JSON, body.to_string())
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<String>,
) -> Response<String> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
