//! The web server: its pages at one endpoint.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::endpoint::{Endpoint, EndpointSettings};
use crate::error::ServerError;
use crate::listener::{Address, Listen};
use crate::pages::{Pages, PagesSite};
use crate::tls::TlsFiles;

/// Where the server listens, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Port or socket.
    pub listen: Listen,
    /// PEM file with certificates and private key, for HTTPS.
    pub tls_file: Option<PathBuf>,
    /// Falco's number of threads; 0 is one for each CPU. Shown by [`Server`]'s display only: one
    /// thread serves all.
    pub threadiness: usize,
}

impl ServerSettings {
    /// Whether certificate and key are usable.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self) -> Result<(), ServerError> {
        self.tls().map_or(Ok(()), |files| files.acceptor().map(drop)).map_err(about_key)
    }

    fn tls(&self) -> Option<TlsFiles> {
        let files = |path: &PathBuf| TlsFiles { identity: path.clone(), client_ca: None };
        self.tls_file.as_ref().map(files)
    }
}

/// Names the key of the file.
fn about_key(error: ServerError) -> ServerError {
    match error {
        ServerError::Certificate { path, error, .. } => {
            ServerError::Certificate { key: "webserver.ssl_certificate ", path, error }
        }
        error => error,
    }
}

/// A running server. Dropping it ends its thread and closes all connections.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    threadiness: usize,
}

/// Requests after which a connection is closed, so that none is kept for ever.
const MAX_REQUESTS: u32 = 100;

impl Server {
    /// Listens and starts to answer.
    ///
    /// # Errors
    /// When the address can't be listened on, the TLS file is not usable, or the system has no
    /// thread left.
    pub fn start(settings: &ServerSettings, pages: Pages) -> Result<Self, ServerError> {
        let endpoint = EndpointSettings {
            listen: settings.listen.clone(),
            tls: settings.tls(),
            thread: "webserver",
            max_requests: MAX_REQUESTS,
            stats: Arc::clone(&pages.stats),
        };
        let site = move || PagesSite::new(pages);
        Ok(Self {
            endpoint: Endpoint::start(&endpoint, site).map_err(about_key)?,
            threadiness: match settings.threadiness {
                0 => thread::available_parallelism().map_or(1, usize::from),
                threads => threads,
            },
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.endpoint.address()
    }
}

/// As Falco's log has it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threadiness, endpoint } = self;
        let ssl = if endpoint.has_tls() { " (SSL)" } else { "" };
        write!(f, "threadiness {threadiness}, listening on {}{ssl}", endpoint.address())
    }
}
