//! A thread that serves HTTP or HTTPS at one address.

use std::convert::Infallible;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peregrine_limits::WEB_REQUEST_TIME;
use peregrine_telemetry::WebStats;
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
use crate::tls::TlsFiles;

/// A response with its whole body.
pub type Answer = Response<Full<Bytes>>;

/// What answers the requests to an endpoint, on its thread.
pub trait Site: 'static {
    /// Answers a request. The head of the request has arrived; a body takes as long as the site
    /// lets it.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Answer>;
}

/// Where an endpoint listens, and how.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Port or socket.
    pub listen: Listen,
    /// Certificates and private key, for HTTPS.
    pub tls: Option<TlsFiles>,
    /// Name of its thread.
    pub thread: &'static str,
    /// Requests after which a connection is closed, so that none is kept for ever.
    pub max_requests: u32,
    /// Counts connections.
    pub stats: Arc<WebStats>,
}

/// A running endpoint. Dropping it ends its thread and closes all connections.
pub struct Endpoint {
    address: Address,
    tls: bool,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Bytes of requests that a connection buffers. A longer head is refused.
const MAX_BUFFERED: usize = 16 << 10;
/// Pause after an error of the listener that is not about a single connection.
const RETRY: Duration = Duration::from_millis(100);

impl Endpoint {
    /// Listens and starts to answer. The site is made on the thread.
    ///
    /// # Errors
    /// When the address can't be listened on, the TLS files are not usable, or the system has no
    /// thread left.
    pub fn start<S: Site>(
        settings: &EndpointSettings,
        site: impl FnOnce() -> S + Send + 'static,
    ) -> Result<Self, ServerError> {
        let tls = settings.tls.as_ref().map(TlsFiles::acceptor).transpose()?;
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
        let (stats, max_requests) = (Arc::clone(&settings.stats), settings.max_requests);
        let run = move || {
            let site = Rc::new(Served { site: site(), max_requests });
            run(&runtime, accept(listener, tls, site, stats), stopped);
        };
        let thread = thread::Builder::new().name(settings.thread.to_owned()).spawn(run);
        Ok(Self {
            address,
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

    /// Whether it is HTTPS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A site, and how long its connections last.
struct Served<S> {
    site: S,
    max_requests: u32,
}

/// Serves until the sender of `stopped` is dropped; open connections end with it.
fn run(
    runtime: &Runtime,
    accept: impl Future<Output = ()> + 'static,
    stopped: oneshot::Receiver<Infallible>,
) {
    let tasks = LocalSet::new();
    tasks.spawn_local(accept);
    runtime.block_on(tasks.run_until(async {
        let _ = stopped.await;
    }));
}

async fn accept<S: Site>(
    listener: Listener,
    tls: Option<TlsAcceptor>,
    site: Rc<Served<S>>,
    stats: Arc<WebStats>,
) {
    let connections = Rc::new(Connections::new(stats));
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

async fn connection<S: Site>(
    stream: Stream,
    tls: Option<TlsAcceptor>,
    site: Rc<Served<S>>,
    slot: Slot,
) {
    let Some(tls) = tls else { return serve(stream, &site, &slot).await };
    match timeout(WEB_REQUEST_TIME.duration(), tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, &site, &slot).await,
        Ok(Err(_)) => {}
        Err(_) => WEB_REQUEST_TIME.reach(),
    }
}

async fn serve<S: Site>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    served: &Served<S>,
    slot: &Slot,
) {
    let exchange = Rc::new(Exchange::new());
    let answer = service_fn(async |request: Request<Incoming>| {
        let number = exchange.begin_answer();
        let mut answer = served.site.answer(request).await;
        if number >= served.max_requests || slot.is_wanted() {
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
