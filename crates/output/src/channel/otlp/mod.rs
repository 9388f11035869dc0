//! Alerts as log records to a receiver that understands OTLP, such as the OpenTelemetry Collector.
//!
//! The body of a record is an encoded `LogRecord`, so that it can wait on disk; what all records
//! have in common is put around them when they are sent.

mod connection;
mod error;
mod grpc;
mod http;
mod names;
mod record;
mod request;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_semantic_conventions::attribute::{
    HOST_ID, HOST_NAME, OS_TYPE, SERVICE_NAME, SERVICE_VERSION,
};
use peregrine_alert::Alert;
use peregrine_diagnostics::Secret;

use self::error::Failure;
pub use self::error::OtlpError;
use self::grpc::GrpcReceiver;
use self::http::HttpReceiver;
use self::request::Envelope;
use super::error::ChannelError;
use super::http::{Bearer, ClientSettings, Encoding, HttpError, Token, fixed_headers};
use super::network::{BatchLimits, Encoder, Fate, Networked, Record, SendError, Transport};
use super::retry::RetryLimits;
use super::tls::TlsSettings;
use crate::format::FieldChanges;

/// A receiver that understands OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpOutput {
    /// Its URL.
    pub endpoint: Secret,
    /// How it is spoken to, and how requests are compressed.
    pub protocol: OtlpProtocol,
    /// Further headers of requests.
    pub headers: BTreeMap<String, Secret>,
    /// Token for the `Authorization` header.
    pub bearer: Option<Bearer>,
    /// Used with `https:`.
    pub tls: TlsSettings,
    /// URL of a proxy; none if empty. Without, variables of the environment name one, as for curl.
    pub proxy: Option<Secret>,
    /// Time for making a connection.
    pub connect_time: Duration,
    /// Time for a request with its answer, the connection included.
    pub request_time: Duration,
    /// How often records are sent again after an error that may pass.
    pub retries: RetryLimits,
    /// Records of a request at most.
    pub batch_records: usize,
    /// Their bytes at most. A single larger record is sent alone.
    pub batch_bytes: usize,
    /// The version of this program.
    pub version: String,
    /// Where the alerts come from.
    pub machine: Machine,
    /// What else describes it, by name. It replaces what is known anyway.
    pub attributes: BTreeMap<String, String>,
}

/// A machine that is monitored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Name of the host.
    pub hostname: String,
    /// What tells it from all others, if it is known.
    pub id: Option<String>,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// POST requests with protobuf bodies.
    Http(Encoding),
    /// gRPC.
    Grpc {
        /// Whether requests are compressed.
        gzip: bool,
    },
}

impl OtlpOutput {
    /// Whether alerts are sent through TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.endpoint.reveal().starts_with("https:")
    }

    /// Checks what can be checked without the receiver, but TLS.
    ///
    /// # Errors
    /// A setting or a file cannot be used.
    pub fn check(&self) -> Result<(), HttpError> {
        Receiver::new(self)?.headers().map(drop)
    }

    /// A channel that sends alerts to the receiver.
    pub(crate) fn channel(self, fields: FieldChanges) -> Networked {
        let retries = self.retries;
        Networked::new(Box::new(LogRecords { fields }), Box::new(Otlp::new(self)), retries)
    }

    /// The attributes of the resource.
    fn resource(&self) -> BTreeMap<&str, &str> {
        let known = [
            (SERVICE_NAME, NAME),
            (SERVICE_VERSION, &self.version),
            (HOST_NAME, &self.machine.hostname),
            (OS_TYPE, "linux"),
        ];
        let id = self.machine.id.as_ref().map(|id| (HOST_ID, id.as_str()));
        let given = self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        known.into_iter().chain(id).chain(given).collect()
    }
}

/// Encodes alerts as log records.
#[derive(Debug, Default)]
struct LogRecords {
    fields: FieldChanges,
}

impl Encoder for LogRecords {
    fn encode(&mut self, alert: &Alert, body: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        record::encode(alert, &self.fields, now, body);
    }
}

#[derive(Debug)]
struct Otlp {
    output: OtlpOutput,
    envelope: Envelope,
    /// Records of a request at most: less than the settings say if the receiver wants that.
    max_records: usize,
    /// Made by the first request.
    receiver: Option<Receiver>,
}

/// What requests are made with.
#[derive(Debug)]
struct Receiver {
    client: Client,
    headers: HeaderMap,
    token: Option<Token>,
}

#[derive(Debug)]
enum Client {
    Http(HttpReceiver),
    Grpc(GrpcReceiver),
}

const NAME: &str = "peregrine";

impl Otlp {
    fn new(output: OtlpOutput) -> Self {
        let envelope = Envelope::new(&output.resource(), (NAME, &output.version));
        Self { envelope, max_records: output.batch_records, output, receiver: None }
    }

    fn export(&mut self, request: Vec<u8>) -> Result<ExportLogsServiceResponse, Failure> {
        let receiver = match self.receiver.take() {
            Some(receiver) => receiver,
            None => Receiver::new(&self.output)?,
        };
        let receiver = self.receiver.insert(receiver);
        let headers = receiver.headers()?;
        match &mut receiver.client {
            Client::Http(client) => client.export(request, headers),
            Client::Grpc(client) => client.export(request, headers),
        }
    }

    /// What is to be told although all records have arrived: changed files that are not used.
    fn take_warning(&mut self) -> Option<ChannelError> {
        let Receiver { client, token, .. } = self.receiver.as_mut()?;
        let token = token.as_mut().and_then(Token::take_refused);
        let mut tls = || match client {
            Client::Http(receiver) => receiver.client.take_refused(),
            Client::Grpc(receiver) => receiver.tls.take_refused(),
        };
        token.or_else(|| tls().map(HttpError::Tls)).map(|error| OtlpError::Http(error).into())
    }
}

impl Receiver {
    fn new(output: &OtlpOutput) -> Result<Self, HttpError> {
        let settings = ClientSettings {
            url: output.endpoint.clone(),
            tls: output.tls.clone(),
            proxy: output.proxy.clone(),
            keep_alive: true,
            connect_time: output.connect_time,
            request_time: output.request_time,
        };
        let client = match output.protocol {
            OtlpProtocol::Http(encoding) => Client::Http(HttpReceiver::new(settings, encoding)?),
            OtlpProtocol::Grpc { gzip } => Client::Grpc(GrpcReceiver::new(settings, gzip)?),
        };
        let agent = format!("{NAME}/{}", output.version);
        let mut headers = fixed_headers(&agent, &output.headers)?;
        headers.remove(ACCEPT);
        Ok(Self { client, headers, token: output.bearer.clone().map(Token::new) })
    }

    fn headers(&mut self) -> Result<HeaderMap, HttpError> {
        let mut headers = self.headers.clone();
        if let Some(token) = &mut self.token {
            headers.insert(AUTHORIZATION, token.header()?);
        }
        Ok(headers)
    }
}

impl Transport for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn batch(&self) -> BatchLimits {
        BatchLimits { records: self.max_records, bytes: self.output.batch_bytes }
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        let request = self.envelope.request(records.iter().map(|record| record.body));
        let count = records.len();
        let answer = self.export(request).map_err(|Failure { error, again }| {
            let fate = match again {
                Some(at_least) => Fate::Again { at_least },
                None if matches!(error, OtlpError::TooLarge(_)) && count > 1 => {
                    self.max_records = count / 2;
                    Fate::Again { at_least: Duration::ZERO }
                }
                None => Fate::Refused(count),
            };
            SendError { accepted: 0, error: error.into(), fate }
        })?;
        let partial = answer.partial_success.unwrap_or_default();
        let rejected = usize::try_from(partial.rejected_log_records).unwrap_or_default();
        let (rejected, message) = (rejected.min(count), partial.error_message);
        let error = match rejected {
            0 => self.take_warning(),
            // The answer does not say which ones.
            _ => Some(OtlpError::Rejected { rejected, records: count, message }.into()),
        };
        let (accepted, fate) = (count - rejected, Fate::Refused(rejected));
        error.map_or(Ok(()), |error| Err(SendError { accepted, error, fate }))
    }
}

#[cfg(test)]
mod tests;
