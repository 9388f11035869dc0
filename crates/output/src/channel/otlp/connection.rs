//! An HTTP/2 connection for gRPC.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::{Request, Response, Uri};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::body::Body;
use tower_service::Service;

use super::error::OtlpError;

/// A connection to a server. Tonic sends requests through it.
#[derive(Clone, Debug)]
pub(super) struct Connection(SendRequest<Body>);

/// Where a connection leads to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Scheme and authority.
    pub(super) origin: Uri,
    /// Without the brackets around an IPv6 address.
    host: String,
    port: u16,
}

impl Target {
    /// The server of a URL.
    ///
    /// # Errors
    /// It is no URL with a host.
    pub(super) fn new(url: &str) -> Result<Self, OtlpError> {
        let origin: Uri = url.parse().map_err(|_| OtlpError::Endpoint)?;
        let host = origin.host().ok_or(OtlpError::Endpoint)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let default = if origin.scheme_str() == Some("https") { 443 } else { 80 };
        let port = origin.port_u16().unwrap_or(default);
        Ok(Self { origin, host, port })
    }

    /// Connects. Encrypted, if there is a configuration for that.
    pub(super) async fn connect(
        &self,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Connection, OtlpError> {
        let failed = |source| OtlpError::Connect { source };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = tls else { return Connection::over(TokioIo::new(stream)).await };
        let mut tls = ClientConfig::clone(&tls);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(self.host.clone()).map_err(|_| OtlpError::Endpoint)?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await;
        Connection::over(TokioIo::new(stream.map_err(failed)?)).await
    }
}

impl Connection {
    async fn over(stream: impl Read + Write + Send + Unpin + 'static) -> Result<Self, OtlpError> {
        let handshake = http2::handshake(TokioExecutor::new(), stream).await;
        let (sender, connection) =
            handshake.map_err(|error| OtlpError::Transfer(error.to_string()))?;
        // It ends with the sender, or when the server closes it. Then requests fail.
        tokio::spawn(connection);
        Ok(Self(sender))
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
