//! An HTTP/2 connection for gRPC.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;
use tonic::body::Body;
use tower_service::Service;

use crate::channel::http::{HttpError, Route, dial};

/// A connection to a server. Tonic sends requests through it.
#[derive(Clone, Debug)]
pub(super) struct Connection(SendRequest<Body>);

impl Connection {
    /// Connects. `tls` is needed where the route uses it.
    pub(super) async fn open(
        route: &Route,
        tls: Option<&Arc<ClientConfig>>,
        deadline: Instant,
    ) -> Result<Self, HttpError> {
        let tls = tls.map(|tls| {
            let mut tls = ClientConfig::clone(tls);
            tls.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(tls)
        });
        // Proxies do not hand on single requests of HTTP/2.
        let stream = dial(route, true, tls.as_ref(), true, deadline).await?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
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
