//! Alerts as log records to a receiver that understands OTLP, such as the OpenTelemetry Collector.
//!
//! The body of a record is an encoded `LogRecord`, so that it can wait on disk; what all records
//! have in common is put around them when they are sent.

mod connection;
mod error;
mod grpc;
mod names;
mod record;
mod request;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::http::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_semantic_conventions::attribute::{
    HOST_ID, HOST_NAME, OS_TYPE, SERVICE_NAME, SERVICE_VERSION,
};
use peregrine_alert::Alert;
use peregrine_limits::NETWORK_ALERT_TIME;

use self::error::Failure;
pub use self::error::OtlpError;
use self::grpc::GrpcClient;
use self::request::Envelope;
use super::network::{BatchLimits, Encoder, Fate, Networked, Record, SendError, Transport};
use super::retry::RetryLimits;
use super::tls::{Tls, TlsSettings};

/// A receiver that understands OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpOutput {
    /// Its URL.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Used with `https:`.
    pub tls: TlsSettings,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// The time of a request with its answer, connecting included.
    pub timeout: Duration,
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
    Http,
    /// gRPC.
    Grpc,
}

impl OtlpOutput {
    /// Whether alerts are sent through TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.endpoint.starts_with("https:")
    }

    /// A channel that sends alerts to the receiver.
    pub(crate) fn channel(self) -> Networked {
        let retries = RetryLimits { max: u32::MAX, time: NETWORK_ALERT_TIME.duration() };
        Networked::new(Box::new(LogRecords), Box::new(Otlp::new(self)), retries)
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
#[derive(Debug)]
struct LogRecords;

impl Encoder for LogRecords {
    fn encode(&mut self, alert: &Alert, body: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        record::encode(alert, u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), body);
    }
}

#[derive(Debug)]
struct Otlp {
    output: OtlpOutput,
    envelope: Envelope,
    /// Made at the first request.
    client: Option<GrpcClient>,
}

const NAME: &str = "peregrine";

impl Otlp {
    fn new(output: OtlpOutput) -> Self {
        let envelope = Envelope::new(&output.resource(), (NAME, &output.version));
        Self { output, envelope, client: None }
    }

    fn client(&mut self) -> Result<&mut GrpcClient, OtlpError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let OtlpOutput { endpoint, tls, gzip, timeout, .. } = &self.output;
                let tls = self.output.uses_tls().then(|| Tls::new(tls.clone()));
                GrpcClient::new(endpoint, tls, *gzip, *timeout)?
            }
        };
        Ok(self.client.insert(client))
    }

    fn export(&mut self, request: Vec<u8>) -> Result<ExportLogsServiceResponse, Failure> {
        self.client()?.export(request, HeaderMap::new())
    }
}

impl Transport for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn batch(&self) -> BatchLimits {
        BatchLimits { records: 512, bytes: 1 << 20 }
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        let request = self.envelope.request(records.iter().map(|record| record.body));
        let answer = self.export(request).map_err(|Failure { error, again }| {
            let refused = Fate::Refused(records.len());
            let fate = again.map_or(refused, |at_least| Fate::Again { at_least });
            SendError { accepted: 0, error: error.into(), fate }
        })?;
        let partial = answer.partial_success.unwrap_or_default();
        let rejected = usize::try_from(partial.rejected_log_records).unwrap_or_default();
        if rejected == 0 {
            return Ok(());
        }
        // The answer does not say which ones.
        let (rejected, records) = (rejected.min(records.len()), records.len());
        let error = OtlpError::Rejected { rejected, records, message: partial.error_message };
        let fate = Fate::Refused(rejected);
        Err(SendError { accepted: records - rejected, error: error.into(), fate })
    }
}

#[cfg(test)]
mod tests;
