//! A web server that alerts are posted to.

mod body;
mod client;
mod connection;
mod echo;
mod encoding;
mod error;
mod output;
mod route;
mod token;

use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};

pub use self::body::{Batch, BatchForm};
pub(crate) use self::client::{Answer, Client, ClientSettings};
#[cfg(feature = "otlp")]
pub(crate) use self::connection::dial;
use self::echo::Echo;
pub use self::encoding::Encoding;
pub use self::error::{HttpError, Step, UrlOf};
pub use self::output::HttpOutput;
#[cfg(feature = "otlp")]
pub(crate) use self::output::fixed_headers;
#[cfg(feature = "otlp")]
pub(crate) use self::route::Route;
pub use self::token::Bearer;
pub(crate) use self::token::Token;
use super::error::ChannelError;
use super::network::{BatchLimits, Fate, Networked, Record, SendError, Transport};
use crate::format::Formatter;

impl HttpOutput {
    /// A channel that posts alerts in this format.
    pub(crate) fn channel(self, format: Formatter) -> Networked {
        let retries = self.retries;
        let http = Http::new(self, format.is_json());
        Networked::new(Box::new(format), Box::new(http), retries)
    }

    /// Checks what can be checked without the server, but TLS, for alerts that are JSON or not.
    ///
    /// # Errors
    /// A setting or a file cannot be used.
    pub fn check(&self, json: bool) -> Result<(), HttpError> {
        if !json && self.batch.as_ref().is_some_and(|it| it.form == BatchForm::JsonArray) {
            return Err(HttpError::ArrayOfText);
        }
        Sender::new(self)?.token.as_mut().map_or(Ok(()), |token| token.header().map(drop))
    }
}

/// Posts records.
#[derive(Debug)]
pub(crate) struct Http {
    output: HttpOutput,
    content_type: HeaderValue,
    /// Made for the first records.
    sender: Option<Sender>,
}

/// What requests are made with.
#[derive(Debug)]
struct Sender {
    client: Client,
    headers: HeaderMap,
    token: Option<Token>,
    /// Made for the first response.
    echo: Option<Echo>,
}

/// Why records have not arrived.
struct Failure {
    error: HttpError,
    /// The pause that the server wants before another attempt.
    at_least: Duration,
}

impl Http {
    /// Posts bodies that are JSON or text.
    pub(crate) fn new(output: HttpOutput, json: bool) -> Self {
        let form = output.batch.as_ref().map(|batch| batch.form);
        Self { content_type: body::content_type(form, json), output, sender: None }
    }

    fn sender(&mut self) -> Result<&mut Sender, HttpError> {
        let sender = match self.sender.take() {
            Some(sender) => sender,
            None => Sender::new(&self.output)?,
        };
        Ok(self.sender.insert(sender))
    }

    /// Posts records with one request.
    fn post(&mut self, records: &[Record<'_>]) -> Result<(), Failure> {
        let HttpOutput { encoding, batch, echo, .. } = &self.output;
        let (encoding, echo) = (*encoding, *echo);
        let body = body::body(batch.as_ref().map(|batch| batch.form), records);
        let content_type = self.content_type.clone();
        let sender = self.sender()?;
        let headers = sender.headers(content_type, encoding)?;
        let answer = sender.client.post(&headers, Bytes::from(encoding.encode(body)))?;
        let failure = Failure::of(&answer);
        if echo {
            sender.echo(answer.body)?;
        }
        failure.map_or(Ok(()), Err)
    }

    /// What is to be told although all records have arrived: changed files that are not used.
    fn take_warning(&mut self) -> Option<ChannelError> {
        let Sender { client, token, .. } = self.sender.as_mut()?;
        let token = token.as_mut().and_then(Token::take_refused);
        let error = token.or_else(|| client.take_refused().map(HttpError::Tls));
        error.map(ChannelError::Http)
    }
}

impl Transport for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn batch(&self) -> BatchLimits {
        let limits = |batch: &Batch| BatchLimits { records: batch.alerts, bytes: batch.bytes };
        self.output.batch.as_ref().map_or(BatchLimits::SINGLE, limits)
    }

    fn max_wait(&self) -> Duration {
        self.output.batch.as_ref().map(|batch| batch.max_wait).unwrap_or_default()
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        const TOO_LARGE: u16 = 413;
        let (mut left, mut size) = (records, records.len());
        while !left.is_empty() {
            let (first, rest) = left.split_at(size.min(left.len()));
            match self.post(first) {
                Ok(()) => left = rest,
                Err(Failure { error: HttpError::Status(TOO_LARGE), .. }) if first.len() > 1 => {
                    size = first.len() / 2;
                }
                Err(Failure { error, at_least }) => {
                    let fate = match error.may_pass() {
                        true => Fate::Again { at_least },
                        false => Fate::Refused(first.len()),
                    };
                    let accepted = records.len() - left.len();
                    return Err(SendError { accepted, error: error.into(), fate });
                }
            }
        }
        let (accepted, fate) = (records.len(), Fate::Refused(0));
        self.take_warning().map_or(Ok(()), |error| Err(SendError { accepted, error, fate }))
    }
}

impl Sender {
    fn new(output: &HttpOutput) -> Result<Self, HttpError> {
        let client = Client::new(ClientSettings {
            url: output.url.clone(),
            tls: output.tls.clone(),
            proxy: output.proxy.clone(),
            keep_alive: output.keep_alive,
            connect_time: output.connect_time,
            request_time: output.request_time,
        })?;
        let token = output.bearer.clone().map(Token::new);
        Ok(Self { client, headers: output.headers()?, token, echo: None })
    }

    fn headers(
        &mut self,
        content_type: HeaderValue,
        encoding: Encoding,
    ) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        if let Some(encoding) = encoding.header() {
            headers.insert(CONTENT_ENCODING, encoding);
        }
        if let Some(token) = &mut self.token {
            headers.insert(AUTHORIZATION, token.header()?);
        }
        // What the configuration says comes last.
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        Ok(headers)
    }

    fn echo(&mut self, response: Vec<u8>) -> Result<(), HttpError> {
        let echo = match self.echo.take() {
            Some(echo) => echo,
            None => Echo::to_stdout().map_err(HttpError::System)?,
        };
        self.echo.insert(echo).write(response)
    }
}

impl Failure {
    /// Redirects are not followed: they would become requests without an alert.
    fn of(answer: &Answer) -> Option<Self> {
        let refused = !(200..300).contains(&answer.status);
        refused.then(|| Self {
            error: HttpError::Status(answer.status),
            at_least: retry_after(&answer.headers).unwrap_or_default(),
        })
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self { error, at_least: Duration::ZERO }
    }
}

/// `Retry-After`: seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
