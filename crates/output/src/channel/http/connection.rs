//! One connection to a server.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::error::{HttpError, UrlOf};
use super::route::{Host, Proxy, Route};

/// One connection. It makes progress only inside its functions, and is closed with them if they are
/// given up: no task is left behind.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    /// What it was made with.
    tls: Option<Arc<ClientConfig>>,
}

/// Moves the bytes of a connection; `None` when it is closed.
struct Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

/// The bytes of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Time after which the kernel asks a silent peer whether it is still there, and between two such
/// questions. libcurl has the same.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

impl Connection {
    /// Connects. `tls` is needed where the route uses it.
    pub(super) async fn open(
        route: &Route,
        tls: Option<Arc<ClientConfig>>,
        keep_alive: bool,
        deadline: Instant,
    ) -> Result<Self, HttpError> {
        let stream = dial(route, route.tunnels(), tls.as_ref(), keep_alive, deadline).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Driver(Some(Box::pin(connection))), tls })
    }

    /// Whether it is open, was made with this configuration, and can take a request.
    pub(super) async fn is_usable(&mut self, tls: Option<&Arc<ClientConfig>>) -> bool {
        let same = match (&self.tls, tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        // Sees that the server has closed it.
        self.driver.run(tokio::task::yield_now()).await;
        same && self.driver.0.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.driver.run(self.sender.send_request(request)).await
    }

    /// Waits for something about a response.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.driver.run(work).await
    }
}

impl Driver {
    /// Lets the connection go on until the work is done.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Some(connection) = &mut self.0
                && connection.as_mut().poll(context).is_ready()
            {
                self.0 = None;
            }
            work.as_mut().poll(context)
        })
        .await
    }
}

/// Connects to a server, through the proxy if there is one: by a tunnel, or to the proxy itself.
/// `tls` is needed where the route uses it.
pub(crate) async fn dial(
    route: &Route,
    tunnels: bool,
    tls: Option<&Arc<ClientConfig>>,
    keep_alive: bool,
    deadline: Instant,
) -> Result<Box<dyn Stream>, HttpError> {
    let first = route.first();
    let failed = |source| HttpError::Connect { to: first.to_string(), source };
    let tcp = connect(first, deadline).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    if keep_alive {
        ask_silent_peers(&tcp).map_err(failed)?;
    }
    let mut stream: Box<dyn Stream> = Box::new(tcp);
    if let Some(proxy) = route.proxy.as_ref().filter(|_| tunnels) {
        stream = tunnel(stream, proxy, &route.server).await?;
    }
    if let (Some(name), Some(config)) = (&route.tls, tls) {
        let failed = |source| HttpError::Connect { to: route.server.to_string(), source };
        let connector = TlsConnector::from(Arc::clone(config));
        stream = Box::new(connector.connect(name.clone(), stream).await.map_err(failed)?);
    }
    Ok(stream)
}

/// Tries the addresses of a host one after the other, each for its share of the time.
async fn connect(host: &Host, deadline: Instant) -> io::Result<TcpStream> {
    let found: Vec<SocketAddr> = lookup_host((host.name.as_str(), host.port)).await?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (tried, address) in found.iter().enumerate() {
        let share = deadline.saturating_duration_since(Instant::now());
        let share = share / u32::try_from(found.len() - tried).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

fn ask_silent_peers(tcp: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
    set_socket_keepalive(tcp, true)?;
    set_tcp_keepidle(tcp, KEEP_ALIVE)?;
    Ok(set_tcp_keepintvl(tcp, KEEP_ALIVE)?)
}

/// Asks a proxy for a connection to the server.
async fn tunnel(
    stream: Box<dyn Stream>,
    proxy: &Proxy,
    server: &Host,
) -> Result<Box<dyn Stream>, HttpError> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = Driver(Some(Box::pin(connection.with_upgrades())));
    let server = server.to_string();
    let mut request = Request::connect(&server)
        .body(Empty::<Bytes>::new())
        .map_err(|_| HttpError::Url { of: UrlOf::Server, problem: "has no valid host" })?;
    if let Ok(host) = HeaderValue::from_str(&server) {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(authorization) = &proxy.authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    let response = driver.run(sender.send_request(request)).await?;
    if !response.status().is_success() {
        return Err(HttpError::Proxy(response.status().as_u16()));
    }
    let upgraded = driver.run(hyper::upgrade::on(response)).await?;
    Ok(Box::new(TokioIo::new(upgraded)))
}
