//! The settings of the channel.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};
use peregrine_diagnostics::Secret;

use super::body::Batch;
use super::encoding::Encoding;
use super::error::HttpError;
use super::token::Bearer;
use crate::channel::retry::RetryLimits;
use crate::channel::tls::TlsSettings;

/// A server that alerts are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOutput {
    /// URL of the requests.
    pub url: Secret,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// Further headers. They replace those of the same name.
    pub headers: BTreeMap<String, Secret>,
    /// Token for the `Authorization` header.
    pub bearer: Option<Bearer>,
    /// Certificates of the server and the client.
    pub tls: TlsSettings,
    /// URL of a proxy; none if empty. Without, variables of the environment name one, as for curl.
    pub proxy: Option<Secret>,
    /// Lets the kernel ask a silent server if it is still there.
    pub keep_alive: bool,
    /// Time for making a connection.
    pub connect_time: Duration,
    /// Time for a request with its response, the connection included.
    pub request_time: Duration,
    /// How often alerts are sent again after an error that may pass.
    pub retries: RetryLimits,
    /// Alerts that travel together. Without, each alert is a request.
    pub batch: Option<Batch>,
    /// Compression of the bodies.
    pub encoding: Encoding,
    /// Prints the responses of the server.
    pub echo: bool,
}

impl HttpOutput {
    /// Whether alerts are sent through TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.url.reveal().starts_with("https:")
    }

    /// The headers that do not depend on the body.
    pub(super) fn headers(&self) -> Result<HeaderMap, HttpError> {
        fixed_headers(&self.user_agent, &self.headers)
    }
}

/// Headers of all requests. Those that are given replace others.
pub(crate) fn fixed_headers(
    user_agent: &str,
    given: &BTreeMap<String, Secret>,
) -> Result<HeaderMap, HttpError> {
    let wrong = |name: &str, problem| HttpError::Header { name: name.to_owned(), problem };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let agent = HeaderValue::from_str(user_agent);
    let agent = agent.map_err(|_| wrong("User-Agent", "has a character that it may not have"))?;
    headers.insert(USER_AGENT, agent);
    for (name, value) in given {
        let key = HeaderName::from_bytes(name.as_bytes());
        let key = key.map_err(|_| wrong(name, "is no name of a header"))?;
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&key) {
            return Err(wrong(name, "is set by the engine"));
        }
        let value = HeaderValue::from_str(value.reveal());
        let mut value = value.map_err(|_| wrong(name, "has a character that it may not have"))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}
