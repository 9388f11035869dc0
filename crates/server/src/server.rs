//! The thread of the server, and its connections.

use std::convert::Infallible;
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use peregrine_limits::WEB_REQUEST_TIME;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::connections::{Connections, Slot};
use crate::deadlines::{Exchange, Timed};
use crate::error::ServerError;
use crate::listener::{Address, Listen, Listener, Stream};
use crate::pages::{Answer, Pages, Site};
use crate::tls;

/// Where the server listens, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Port or socket.
    pub listen: Listen,
    /// PEM file with certificates and private key, for HTTPS.
    pub tls_file: Option<PathBuf>,
    /// Falco's number of threads; 0 is one for each CPU. Shown by [`Server`]'s display only: one
    /// thread serves all.
    pub threadiness: usize,
}

impl ServerSettings {
    /// Whether certificate and key are usable.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self) -> Result<(), ServerError> {
        self.acceptor().map(drop)
    }

    fn acceptor(&self) -> Result<Option<TlsAcceptor>, ServerError> {
        let Some(path) = &self.tls_file else { return Ok(None) };
        let failed = |error| ServerError::Certificate { path: path.clone(), error };
        tls::acceptor(path).map(Some).map_err(failed)
    }
}

/// A running server. Dropping it ends its thread and closes all connections.
pub struct Server {
    address: Address,
    threadiness: usize,
    tls: bool,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Bytes of requests that a connection buffers. A longer head is refused.
const MAX_BUFFERED: usize = 16 << 10;
/// Requests after which a connection is closed, so that none is kept for ever.
const MAX_REQUESTS: u32 = 100;
/// Pause after an error of the listener that is not about a single connection.
const RETRY: Duration = Duration::from_millis(100);

impl Server {
    /// Listens and starts to answer.
    ///
    /// # Errors
    /// When the address can't be listened on, the TLS file is not usable, or the system has no
    /// thread left.
    pub fn start(settings: &ServerSettings, pages: Pages) -> Result<Self, ServerError> {
        let tls = settings.acceptor()?;
        let failed = |error| ServerError::Listen { listen: settings.listen.clone(), error };
        let bound = settings.listen.bind().map_err(failed)?;
        let address = bound.address().map_err(failed)?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServerError::Thread)?;
        let listener = {
            let _context = runtime.enter();
            bound.register().map_err(failed)?
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
    pub fn address(&self) -> &Address {
        &self.address
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
        let Self { threadiness, address, .. } = self;
        let ssl = if self.tls { " (SSL)" } else { "" };
        write!(f, "threadiness {threadiness}, listening on {address}{ssl}")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves until the sender of `stopped` is dropped; open connections end with it.
fn run(
    runtime: &Runtime,
    listener: Listener,
    tls: Option<TlsAcceptor>,
    pages: Pages,
    stopped: oneshot::Receiver<Infallible>,
) {
    let tasks = LocalSet::new();
    tasks.spawn_local(accept(listener, tls, pages));
    runtime.block_on(tasks.run_until(async {
        let _ = stopped.await;
    }));
}

async fn accept(listener: Listener, tls: Option<TlsAcceptor>, pages: Pages) {
    let connections = Rc::new(Connections::new(pages.stats.clone()));
    let site = Rc::new(Site::new(pages));
    let mut spare = spare_descriptor();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (tls, site) = (tls.clone(), Rc::clone(&site));
                connections.admit(peer, |slot| {
                    spawn_local(connection(stream, tls, site, slot)).abort_handle()
                });
                spare = spare.or_else(spare_descriptor);
                // A flood of connections must not keep those that are open from being served.
                yield_now().await;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => yield_now().await,
            // A connection makes room for the next one: the oldest, or else the spare descriptor.
            Err(error) if is_exhausted(&error) && connections.drop_one() => yield_now().await,
            Err(error) if is_exhausted(&error) && spare.take().is_some() => {}
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// A descriptor that is closed to accept a connection when the process has no other left.
fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whether the process or the system has no descriptor or no memory left.
fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| exhausted.contains(&error))
}

async fn connection(stream: Stream, tls: Option<TlsAcceptor>, site: Rc<Site>, slot: Slot) {
    let Some(tls) = tls else { return serve(stream, &site, &slot).await };
    match timeout(WEB_REQUEST_TIME.duration(), tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, &site, &slot).await,
        Ok(Err(_)) => {}
        Err(_) => WEB_REQUEST_TIME.reach(),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, site: &Site, slot: &Slot) {
    let exchange = Rc::new(Exchange::new());
    let answer = service_fn(async |request: Request<Incoming>| {
        let number = exchange.begin_answer();
        let mut answer = site.answer(request.method(), request.uri().path()).await;
        if number >= MAX_REQUESTS || slot.is_wanted() {
            close_after(&mut answer);
        }
        exchange.end_answer();
        Ok::<_, Infallible>(answer)
    });
    // Deadlines are those of the stream. Errors of a connection concern its client only.
    let _ = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFERED)
        .serve_connection(TokioIo::new(Timed::new(stream, Rc::clone(&exchange))), answer)
        .await;
}

fn close_after(answer: &mut Answer) {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}
