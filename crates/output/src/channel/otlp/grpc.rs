//! OTLP over gRPC.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::Uri;
use hyper::http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use peregrine_limits::{HTTP_CONNECT_TIME, HTTP_REQUEST_TIME};
use prost::Message;
use prost::bytes::BufMut;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::ClientConfig;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt;

use super::connection::Connection;
use super::error::{Failure, OtlpError};
use crate::channel::http::{ClientSettings, HttpError, Route, Step};
use crate::channel::tls::Tls;

/// A server that takes log records by gRPC.
#[derive(Debug)]
pub(super) struct GrpcReceiver {
    settings: ClientSettings,
    route: Route,
    pub(super) tls: Tls,
    gzip: bool,
    /// Made by the first request, and runs only during requests. A connection that is closed in
    /// between is seen by the next one.
    runtime: Option<Runtime>,
    connection: Option<Open>,
}

/// A connection, and the configuration that it was made with.
#[derive(Clone, Debug)]
struct Open {
    connection: Connection,
    tls: Option<Arc<ClientConfig>>,
}

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

impl GrpcReceiver {
    /// Connects at the first request.
    pub(super) fn new(settings: ClientSettings, gzip: bool) -> Result<Self, HttpError> {
        let route = settings.route()?;
        let tls = Tls::new(settings.tls.clone());
        Ok(Self { settings, route, tls, gzip, runtime: None, connection: None })
    }

    /// Sends an encoded request with these headers and waits for the answer.
    pub(super) fn export(
        &mut self,
        request: Vec<u8>,
        mut headers: HeaderMap,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        if let Some(authorization) = &self.route.authorization {
            headers.entry(AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        let tls = match self.route.tls {
            Some(_) => Some(self.tls.current().map_err(HttpError::from)?),
            None => None,
        };
        // A connection that failed is not kept.
        let open = self
            .connection
            .take()
            .filter(|open| open.tls.as_ref().map(Arc::as_ptr) == tls.as_ref().map(Arc::as_ptr));
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => {
                let runtime = Builder::new_current_thread().enable_io().enable_time().build();
                runtime.map_err(HttpError::System)?
            }
        };
        let request = Bytes::from(request);
        let answer = runtime.block_on(async {
            let answer = self.answer(&request, &headers, open, tls);
            timeout(self.settings.request_time, answer).await.unwrap_or_else(|_| {
                HTTP_REQUEST_TIME.reach();
                Err(HttpError::Timeout(Step::Response).into())
            })
        });
        self.runtime = Some(runtime);
        let (open, answer) = answer?;
        self.connection = Some(open);
        answer.map_err(|status| Failure::from_status(&status))
    }

    /// The answer, and the connection that it came on.
    async fn answer(
        &self,
        request: &Bytes,
        headers: &HeaderMap,
        open: Option<Open>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<(Open, Answer), Failure> {
        // The server may have closed a connection that was not used for a while.
        if let Some(open) = open
            && let Ok(answer) = self.answer_on(open, request, headers).await
        {
            return Ok(answer);
        }
        let connection = self.connect(tls.as_ref()).await?;
        self.answer_on(Open { connection, tls }, request, headers).await
    }

    async fn connect(&self, tls: Option<&Arc<ClientConfig>>) -> Result<Connection, HttpError> {
        let deadline = Instant::now() + self.settings.connect_time;
        let connection = Connection::open(&self.route, tls, deadline);
        timeout_at(deadline, connection).await.unwrap_or_else(|_| {
            HTTP_CONNECT_TIME.reach();
            Err(HttpError::Timeout(Step::Connection))
        })
    }

    async fn answer_on(
        &self,
        open: Open,
        request: &Bytes,
        headers: &HeaderMap,
    ) -> Result<(Open, Answer), Failure> {
        let origin: Uri = self.route.url.clone();
        let mut client = Grpc::with_origin(open.connection.clone(), origin);
        if self.gzip {
            // Servers compress the answer as the request was.
            let gzip = CompressionEncoding::Gzip;
            client = client.send_compressed(gzip).accept_compressed(gzip);
        }
        let metadata = MetadataMap::from_headers(headers.clone());
        let request = Request::from_parts(metadata, Extensions::default(), request.clone());
        client.ready().await.map_err(HttpError::from)?;
        match client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await {
            Ok(answer) => Ok((open, Ok(answer.into_inner()))),
            // The connection has failed: no status has come.
            Err(status) if status.source().is_some() => {
                let error = OtlpError::Transfer(status.message().to_owned());
                Err(Failure { error, again: Some(Duration::ZERO) })
            }
            Err(status) => Ok((open, Err(Box::new(status)))),
        }
    }
}

impl Drop for GrpcReceiver {
    fn drop(&mut self) {
        // A name that is being resolved would be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

type Answer = Result<ExportLogsServiceResponse, Box<Status>>;

impl Failure {
    /// Which statuses are worth another try, the specification of OTLP tells.
    fn from_status(status: &Status) -> Self {
        let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let again = match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Some(pause.unwrap_or_default()),
            // Without a time to wait, the server can't recover by itself.
            Code::ResourceExhausted => pause,
            _ => None,
        };
        let (status, message) = (format!("{:?}", status.code()), status.message().to_owned());
        Self { error: OtlpError::Refused { status, message }, again }
    }
}

/// Requests that are encoded already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportLogsServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, request: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(request);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportLogsServiceResponse;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let answer = ExportLogsServiceResponse::decode(answer);
        answer.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
