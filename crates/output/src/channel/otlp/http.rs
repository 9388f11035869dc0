//! OTLP over HTTP, with protobuf bodies.

use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use tonic_types::Status;

use super::error::{Failure, OtlpError};
use crate::channel::http::{Answer, Client, ClientSettings, Encoding, HttpError, retry_after};

/// A server that takes log records by POST requests.
#[derive(Debug)]
pub(super) struct HttpReceiver {
    pub(super) client: Client,
    encoding: Encoding,
}

const PROTOBUF: &str = "application/x-protobuf";
const TOO_LARGE: u16 = 413;

impl HttpReceiver {
    /// Connects at the first request.
    pub(super) fn new(settings: ClientSettings, encoding: Encoding) -> Result<Self, HttpError> {
        Ok(Self { client: Client::new(settings)?, encoding })
    }

    /// Sends an encoded request with these headers and waits for the answer.
    pub(super) fn export(
        &mut self,
        request: Vec<u8>,
        mut headers: HeaderMap,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        if let Some(encoding) = self.encoding.header() {
            headers.insert(CONTENT_ENCODING, encoding);
        }
        let body = Bytes::from(self.encoding.encode(request));
        let size = body.len();
        let answer = self.client.post(&headers, body)?;
        match answer.status {
            // The records have arrived, whatever comes with the status.
            200..300 => {
                Ok(ExportLogsServiceResponse::decode(answer.body.as_slice()).unwrap_or_default())
            }
            TOO_LARGE => Err(Failure { error: OtlpError::TooLarge(size), again: None }),
            _ => Err(Failure::from_answer(&answer)),
        }
    }
}

impl Failure {
    /// Which statuses are worth another try, the specification of OTLP tells.
    fn from_answer(answer: &Answer) -> Self {
        let again = matches!(answer.status, 429 | 502 | 503 | 504);
        let again = again.then(|| retry_after(&answer.headers).unwrap_or_default());
        let (status, message) = (answer.status.to_string(), message(answer));
        Self { error: OtlpError::Refused { status, message }, again }
    }
}

/// What the receiver says about a status.
fn message(answer: &Answer) -> String {
    let form = answer.headers.get(CONTENT_TYPE).and_then(|form| form.to_str().ok());
    match form.unwrap_or_default() {
        PROTOBUF => Status::decode(answer.body.as_slice()).unwrap_or_default().message,
        form if form.starts_with("text/plain") => {
            String::from_utf8_lossy(&answer.body).into_owned()
        }
        _ => String::new(),
    }
}
