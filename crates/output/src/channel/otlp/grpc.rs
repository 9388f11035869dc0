//! OTLP over gRPC.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::http::HeaderMap;
use hyper::http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use peregrine_limits::OTLP_REQUEST_TIME;
use prost::Message;
use prost::bytes::BufMut;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::rustls::ClientConfig;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt;

use super::connection::{Connection, Target};
use super::error::{Failure, OtlpError};
use crate::channel::tls::Tls;

/// A server that takes log records by gRPC.
#[derive(Debug)]
pub(super) struct GrpcClient {
    target: Target,
    tls: Option<Tls>,
    gzip: bool,
    /// The time of a request with its answer, connecting included.
    timeout: Duration,
    /// Runs only during a request. A connection that is closed in between is seen by the next one.
    runtime: Runtime,
    connection: Option<Open>,
}

/// A connection, and the configuration that it was made with.
#[derive(Clone, Debug)]
struct Open {
    connection: Connection,
    tls: Option<Arc<ClientConfig>>,
}

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

impl GrpcClient {
    /// Connects at the first request.
    ///
    /// # Errors
    /// The endpoint is no URL with a host, or the system refuses what a runtime needs.
    pub(super) fn new(
        endpoint: &str,
        tls: Option<Tls>,
        gzip: bool,
        timeout: Duration,
    ) -> Result<Self, OtlpError> {
        let target = Target::new(endpoint)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| OtlpError::Connect { source })?;
        Ok(Self { target, tls, gzip, timeout, runtime, connection: None })
    }

    /// Sends an encoded request with these headers and waits for the answer.
    pub(super) fn export(
        &mut self,
        request: Vec<u8>,
        headers: HeaderMap,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        let tls = self.tls.as_mut().map(Tls::current).transpose().map_err(OtlpError::from)?;
        // A connection that failed is not kept.
        let open = self
            .connection
            .take()
            .filter(|open| open.tls.as_ref().map(Arc::as_ptr) == tls.as_ref().map(Arc::as_ptr));
        let call = Call { request: request.into(), headers, gzip: self.gzip, target: &self.target };
        let answer = async {
            let answer = tokio::time::timeout(self.timeout, call.answer(open, tls));
            answer.await.unwrap_or_else(|_| {
                OTLP_REQUEST_TIME.reach();
                Err(OtlpError::Timeout(self.timeout).into())
            })
        };
        let (open, answer) = self.runtime.block_on(answer)?;
        self.connection = Some(open);
        answer.map_err(|status| Failure::from_status(&status))
    }
}

/// A request.
struct Call<'a> {
    request: Bytes,
    headers: HeaderMap,
    gzip: bool,
    target: &'a Target,
}

type Answer = Result<ExportLogsServiceResponse, Box<Status>>;

impl Call<'_> {
    /// The answer, and the connection that it came on.
    async fn answer(
        &self,
        open: Option<Open>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<(Open, Answer), Failure> {
        // The server may have closed a connection that was not used for a while.
        if let Some(open) = open
            && let Ok(answer) = self.answer_on(open).await
        {
            return Ok(answer);
        }
        let connection = self.target.connect(tls.clone()).await?;
        Ok(self.answer_on(Open { connection, tls }).await?)
    }

    async fn answer_on(&self, open: Open) -> Result<(Open, Answer), OtlpError> {
        let mut client = Grpc::with_origin(open.connection.clone(), self.target.origin.clone());
        if self.gzip {
            // Servers compress the answer as the request was.
            let gzip = CompressionEncoding::Gzip;
            client = client.send_compressed(gzip).accept_compressed(gzip);
        }
        let metadata = MetadataMap::from_headers(self.headers.clone());
        let request = Request::from_parts(metadata, Extensions::default(), self.request.clone());
        let failed = |error: hyper::Error| OtlpError::Transfer(error.to_string());
        client.ready().await.map_err(failed)?;
        match client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await {
            Ok(answer) => Ok((open, Ok(answer.into_inner()))),
            // The connection has failed: no status has come.
            Err(status) if status.source().is_some() => {
                Err(OtlpError::Transfer(status.message().to_owned()))
            }
            Err(status) => Ok((open, Err(Box::new(status)))),
        }
    }
}

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
