//! TLS: one file holds the certificates and the private key, another the authorities of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, crypto};

use crate::error::{CertificateError, ServerError};

/// Files for HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the certificates and the private key of the server.
    pub identity: PathBuf,
    /// PEM file of authorities: clients must have a certificate of one of them.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads the files.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, ServerError> {
        let about = |path: &Path| {
            let path = path.to_owned();
            move |error| ServerError::Certificate { key: "", path, error }
        };
        let clients = self.client_ca.as_ref();
        let clients = clients.map(|path| client_verifier(path).map_err(about(path))).transpose()?;
        server_config(&self.identity, clients)
            .map(|config| TlsAcceptor::from(Arc::new(config)))
            .map_err(about(&self.identity))
    }
}

fn server_config(
    identity: &Path,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, CertificateError> {
    let certificates = certificates(identity)?;
    let key = PrivateKeyDer::from_pem_file(identity).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::Missing("private key"),
        error => CertificateError::Pem(error),
    })?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Tls)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(certificates, key).map_err(CertificateError::Tls)
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(CertificateError::Tls)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier
        .build()
        .map_err(|error| CertificateError::Tls(rustls::Error::General(error.to_string())))?;
    Ok(verifier)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(CertificateError::Pem)?;
    let certificates: Vec<_> =
        certificates.collect::<Result<_, _>>().map_err(CertificateError::Pem)?;
    if certificates.is_empty() {
        return Err(CertificateError::Missing("certificate"));
    }
    Ok(certificates)
}

fn provider() -> Arc<crypto::CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}
