//! A client of one HTTP server. It keeps a connection open, and is the only one in the program.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use peregrine_diagnostics::Secret;
use peregrine_limits::{HTTP_CONNECT_TIME, HTTP_REQUEST_TIME, HTTP_RESPONSE_BYTES};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::ClientConfig;

use super::connection::Connection;
use super::error::{HttpError, Step};
use super::route::Route;
use crate::channel::tls::{Tls, TlsError, TlsSettings};

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// URL of the requests.
    pub(crate) url: Secret,
    /// Certificates of server and client.
    pub(crate) tls: TlsSettings,
    /// URL of a proxy; none if empty. Without, variables of the environment name one, as for curl.
    pub(crate) proxy: Option<Secret>,
    /// Whether the kernel asks a silent server if it is still there.
    pub(crate) keep_alive: bool,
    /// Time for making a connection.
    pub(crate) connect_time: Duration,
    /// Time for a request with its response, the connection included.
    pub(crate) request_time: Duration,
}

impl ClientSettings {
    /// Where connections lead to.
    pub(crate) fn route(&self) -> Result<Route, HttpError> {
        Route::new(self.url.reveal(), self.proxy.as_ref().map(Secret::reveal))
    }
}

/// A client of one server. It blocks the thread that uses it.
pub(crate) struct Client {
    settings: ClientSettings,
    route: Route,
    tls: Tls,
    /// Made by the first request.
    runtime: Option<Runtime>,
    connection: Option<Connection>,
}

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// As much of it as has come.
    pub(crate) body: Vec<u8>,
}

/// Time for the rest of a response whose head has come: the request has arrived by then.
const REST_OF_RESPONSE: Duration = Duration::from_secs(2);

impl Client {
    /// Checks the URLs; reads and connects nothing yet.
    pub(crate) fn new(settings: ClientSettings) -> Result<Self, HttpError> {
        let route = settings.route()?;
        let tls = Tls::new(settings.tls.clone());
        Ok(Self { settings, route, tls, runtime: None, connection: None })
    }

    /// Sends a POST request. The connection stays open for the next one.
    ///
    /// # Errors
    /// There is no response, in the time that the settings give.
    pub(crate) fn post(&mut self, headers: &HeaderMap, body: Bytes) -> Result<Answer, HttpError> {
        let tls = match self.route.tls {
            Some(_) => Some(self.tls.current()?),
            None => None,
        };
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => {
                let runtime = Builder::new_current_thread().enable_io().enable_time().build();
                runtime.map_err(HttpError::System)?
            }
        };
        let answer = runtime.block_on(self.exchange(tls, headers, body));
        self.runtime = Some(runtime);
        answer
    }

    /// Why changed certificates or keys are not used; once for each change.
    pub(crate) fn take_refused(&mut self) -> Option<TlsError> {
        self.tls.take_refused()
    }

    async fn exchange(
        &mut self,
        tls: Option<Arc<ClientConfig>>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let deadline = Instant::now() + self.settings.request_time;
        let timeout = |_| {
            HTTP_REQUEST_TIME.reach();
            HttpError::Timeout(Step::Response)
        };
        if let Some(mut connection) = self.connection.take()
            && connection.is_usable(tls.as_ref()).await
        {
            let request = self.request(headers, body.clone());
            // A server closes idle connections when it wants to, so another attempt is made at once
            // on a new one.
            if let Ok(response) =
                timeout_at(deadline, connection.send(request)).await.map_err(timeout)?
            {
                return Ok(self.answer(connection, response, deadline).await);
            }
        }
        let mut connection = self.connect(tls, deadline).await?;
        let request = self.request(headers, body);
        let response = timeout_at(deadline, connection.send(request)).await.map_err(timeout)??;
        Ok(self.answer(connection, response, deadline).await)
    }

    async fn connect(
        &self,
        tls: Option<Arc<ClientConfig>>,
        deadline: Instant,
    ) -> Result<Connection, HttpError> {
        let deadline = deadline.min(Instant::now() + self.settings.connect_time);
        let connection = Connection::open(&self.route, tls, self.settings.keep_alive, deadline);
        timeout_at(deadline, connection).await.unwrap_or_else(|_| {
            HTTP_CONNECT_TIME.reach();
            Err(HttpError::Timeout(Step::Connection))
        })
    }

    fn request(&self, headers: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let Route { url, authorization, proxy, .. } = &self.route;
        let mut request = Request::post(url.clone()).body(Full::new(body)).unwrap_or_default();
        // A proxy needs the whole URL, a server its path only.
        let whole = proxy.is_some() && !self.route.tunnels();
        if let Some(path) = url.path_and_query().filter(|_| !whole) {
            *request.uri_mut() = path.clone().into();
        }
        let into = request.headers_mut();
        if let Some(authorization) = authorization {
            into.insert(AUTHORIZATION, authorization.clone());
        }
        let authority = url.authority().map(|it| HeaderValue::from_str(it.as_str()));
        if let Some(Ok(host)) = authority {
            into.insert(HOST, host);
        }
        if let Some(authorization) =
            proxy.as_ref().filter(|_| whole).and_then(|it| it.authorization.clone())
        {
            into.insert(PROXY_AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            into.insert(name, value.clone());
        }
        request
    }

    /// Reads the response, and keeps the connection if it can be used again.
    async fn answer(
        &mut self,
        mut connection: Connection,
        response: hyper::Response<Incoming>,
        deadline: Instant,
    ) -> Answer {
        let (head, mut rest) = response.into_parts();
        let mut answer =
            Answer { status: head.status.as_u16(), headers: head.headers, body: Vec::new() };
        let read = async {
            while let Some(frame) = connection.wait(rest.frame()).await {
                let Ok(frame) = frame else { return false };
                answer.body.extend_from_slice(frame.data_ref().map_or(&[], |it| it));
                if answer.body.len() > HTTP_RESPONSE_BYTES.get() {
                    HTTP_RESPONSE_BYTES.reach();
                    answer.body.truncate(HTTP_RESPONSE_BYTES.get());
                    return false;
                }
            }
            true
        };
        let time = REST_OF_RESPONSE.min(deadline.saturating_duration_since(Instant::now()));
        let complete = timeout(time, read).await.unwrap_or(false);
        self.connection = complete.then_some(connection);
        answer
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A name that is being resolved would be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("route", &self.route).finish_non_exhaustive()
    }
}
