//! The thread of the server, and its connections.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::error::ServerError;
use crate::pages::Pages;
use crate::tls;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// IPv4 or IPv6 address; blanks around it are ignored.
    pub address: String,
    /// Port; 0 lets the system choose one.
    pub port: u32,
    /// PEM file with certificates and private key, for HTTPS.
    pub tls_file: Option<PathBuf>,
    /// Falco's number of threads; 0 is one for each CPU. Shown by [`Server`]'s display only: one
    /// thread serves all.
    pub threadiness: usize,
}

/// A running server. Dropping it ends its thread and closes all connections.
pub struct Server {
    address: SocketAddr,
    threadiness: usize,
    tls: bool,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Largest number of open connections; others wait.
const CONNECTIONS: usize = 64;
/// Longest time for a client to finish a handshake or to send the head of a request.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

impl Server {
    /// Listens and starts to answer.
    ///
    /// # Errors
    /// When the address can't be listened on, the TLS file is not usable, or the system has no
    /// thread left.
    pub fn start(settings: &ServerSettings, pages: Pages) -> Result<Self, ServerError> {
        let tls = settings.tls_file.as_ref().map(|path| {
            tls::acceptor(path)
                .map_err(|error| ServerError::Certificate { path: path.clone(), error })
        });
        let tls = tls.transpose()?;
        let failed = |error| ServerError::Listen {
            address: settings.address.clone(),
            port: settings.port,
            error,
        };
        let listener = listen(settings).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServerError::Thread)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let has_tls = tls.is_some();
        let (stop, stopped) = oneshot::channel();
        let run = move || run(&runtime, listener, tls, pages, stopped);
        let thread = thread::Builder::new().name("webserver".to_owned()).spawn(run);
        Ok(Self {
            address,
            threadiness: match settings.threadiness {
                0 => thread::available_parallelism().map_or(1, usize::from),
                threads => threads,
            },
            tls: has_tls,
            stop: Some(stop),
            thread: Some(thread.map_err(ServerError::Thread)?),
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As Falco's log has it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = (self.address.ip(), self.address.port());
        let ssl = if self.tls { " (SSL)" } else { "" };
        write!(f, "threadiness {}, listening on {address}:{port}{ssl}", self.threadiness)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

fn listen(settings: &ServerSettings) -> io::Result<TcpListener> {
    let port = u16::try_from(settings.port)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "ports end at 65535"))?;
    let listener = TcpListener::bind((settings.address.trim(), port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until the sender of `stopped` is dropped; open connections end with it.
fn run(
    runtime: &Runtime,
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    pages: Pages,
    stopped: oneshot::Receiver<Infallible>,
) {
    let connections = LocalSet::new();
    connections.spawn_local(accept(listener, tls, Rc::new(pages)));
    runtime.block_on(connections.run_until(async {
        let _ = stopped.await;
    }));
}

async fn accept(listener: tokio::net::TcpListener, tls: Option<TlsAcceptor>, pages: Rc<Pages>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, for example: retry later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (tls, pages) = (tls.clone(), pages.clone());
        tokio::task::spawn_local(async move {
            connection(stream, tls, &pages).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, pages: &Pages) {
    match tls {
        None => serve(stream, pages).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(CLIENT_TIMEOUT, tls.accept(stream)).await {
                serve(stream, pages).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, pages: &Pages) {
    let answer = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(pages.answer(request.method(), request.uri().path()).await)
    });
    // Errors of a connection concern its client only.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_TIMEOUT)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}
