//! Why a request has failed.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::channel::tls::TlsError;

/// Why an alert could not be posted.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The URL of the server or of its proxy cannot be used.
    #[error("the {of} {problem}")]
    Url {
        /// Which URL.
        of: UrlOf,
        /// Why.
        problem: &'static str,
    },
    /// A header cannot be sent.
    #[error("header `{name}` {problem}")]
    Header {
        /// Its name.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// Alerts that are no JSON cannot stand in a JSON array.
    #[error("a JSON array takes alerts in JSON only")]
    ArrayOfText,
    /// The token cannot be sent.
    #[error("the token is empty or has a character that no header may have")]
    BadToken,
    /// A file with a token cannot be used.
    #[error("{}: {source}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no connection to the server, or to its proxy.
    #[error("failed to post: cannot connect to {to}: {source}")]
    Connect {
        /// Host and port.
        to: String,
        /// Why.
        source: io::Error,
    },
    /// The proxy refuses to connect to the server.
    #[error("failed to post: the proxy answered with status {0}")]
    Proxy(u16),
    /// The server has not answered in time.
    #[error("failed to post: timeout: no {0} in time")]
    Timeout(Step),
    /// The server refuses the alert.
    #[error("failed to post: the server answered with status {0}")]
    Status(u16),
    /// The exchange was interrupted.
    #[error("failed to post: {}", Causes(.0))]
    Transfer(#[from] hyper::Error),
    /// The machine cannot do it.
    #[error("failed to post: {0}")]
    System(io::Error),
    /// Responses are not echoed.
    #[error("standard output is blocked: responses are not echoed")]
    Echo,
}

/// Whose URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlOf {
    /// The server's.
    Server,
    /// The proxy's.
    Proxy,
}

/// A part of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Until the request can be sent.
    Connection,
    /// Sending the request, and waiting for the response.
    Response,
}

impl HttpError {
    /// Whether the same request may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Header { .. } | Self::BadToken => false,
            Self::ArrayOfText | Self::Echo => false,
            Self::Status(status) | Self::Proxy(status) => matches!(status, 408 | 429 | 500..),
            // Files may come back.
            Self::Tls(_) | Self::TokenFile { .. } => true,
            Self::Connect { .. } | Self::Timeout(_) | Self::Transfer(_) | Self::System(_) => true,
        }
    }
}

impl fmt::Display for UrlOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "URL",
            Self::Proxy => "URL of the proxy",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection",
            Self::Response => "response",
        })
    }
}

/// An error with its causes.
struct Causes<'a>(&'a hyper::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
