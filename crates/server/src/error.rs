//! Why the server does not start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;

use crate::listener::Listen;

/// Why the server does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is in use, not local, or not permitted.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// The address of the settings.
        listen: Listen,
        /// Cause.
        error: io::Error,
    },
    /// The TLS file is not usable.
    #[error("{key}{}: {error}", .path.display())]
    Certificate {
        /// The key that names the file, with a blank, where that is known.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        error: CertificateError,
    },
    /// The system has no thread or no descriptor left.
    #[error("cannot start its thread: {0}")]
    Thread(io::Error),
}

/// What is wrong with a TLS file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file can't be read or is not PEM.
    #[error("{0}")]
    Pem(pem::Error),
    /// The file lacks the certificate or the private key.
    #[error("there is no {0} in it")]
    Missing(&'static str),
    /// Certificate and key do not fit together.
    #[error("{0}")]
    Tls(rustls::Error),
}
