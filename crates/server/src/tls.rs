//! TLS: one file holds the certificates and the private key.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::error::CertificateError;

/// Reads the file.
pub(crate) fn acceptor(path: &Path) -> Result<TlsAcceptor, CertificateError> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(CertificateError::Pem)?;
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(CertificateError::Pem)?;
    if certificates.is_empty() {
        return Err(CertificateError::Missing("certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::Missing("private key"),
        error => CertificateError::Pem(error),
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Tls)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(CertificateError::Tls)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
