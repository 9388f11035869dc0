//! Which certificates are accepted, and which are out of date.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::error::{TlsError, TlsFile, TlsProblem, TlsWarning, Validity};

/// Accepts what an authority has issued, and certificates that are trusted themselves: a
/// self-signed certificate of a server, which OpenSSL takes as well.
#[derive(Debug)]
pub(super) struct AuthoritiesOrSelf {
    authorities: Arc<WebPkiServerVerifier>,
    trusted: HashSet<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl AuthoritiesOrSelf {
    pub(super) fn new(
        path: &Path,
        trusted: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let failed = |error: Error| {
            TlsError::new(TlsFile::Authorities, path, TlsProblem::Unusable(error.into()))
        };
        let mut roots = RootCertStore::empty();
        let mut first_error = None;
        for certificate in &trusted {
            if let Err(error) = roots.add(certificate.clone()) {
                first_error.get_or_insert(error);
            }
        }
        if let Some(error) = first_error.filter(|_| roots.is_empty()) {
            return Err(failed(error));
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let authorities = verifier.build().map_err(|it| failed(Error::General(it.to_string())))?;
        let trusted = trusted.iter().map(|it| it.to_vec()).collect();
        Ok(Self { authorities, trusted, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for AuthoritiesOrSelf {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.trusted.contains(certificate.as_ref()) {
            return self.authorities.verify_server_cert(
                certificate,
                intermediates,
                name,
                ocsp,
                now,
            );
        }
        let certificate = ParsedCertificate::try_from(certificate)?;
        verify_dates(&certificate, now, &self.provider)?;
        verify_server_name(&certificate, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Accepts any certificate.
#[derive(Debug)]
pub(super) struct AcceptAny(Vec<SignatureScheme>);

impl AcceptAny {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms.supported_schemes())
    }
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // A signature proves nothing about a server whose certificate anyone could have made.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// The warning of a client certificate that is not valid today.
pub(super) fn outdated_client(
    path: &Path,
    identity: &CertifiedKey,
    provider: &CryptoProvider,
) -> Option<TlsWarning> {
    let validity = outdated(identity.cert.first()?, provider)?;
    Some(TlsWarning { file: TlsFile::Certificate, path: path.to_owned(), validity })
}

/// The warning of authorities none of which is valid today. Bundles always have some that are not.
pub(super) fn outdated_authorities(
    path: &Path,
    trusted: &[CertificateDer<'static>],
    provider: &CryptoProvider,
) -> Option<TlsWarning> {
    let outdated: Option<Vec<_>> = trusted.iter().map(|it| outdated(it, provider)).collect();
    let validity = outdated?.into_iter().next()?;
    Some(TlsWarning { file: TlsFile::Authorities, path: path.to_owned(), validity })
}

fn outdated(certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> Option<Validity> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    match verify_dates(&certificate, UnixTime::now(), provider) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(Validity::Until(not_after))
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before, ..
        })) => Some(Validity::From(not_before)),
        _ => None,
    }
}

/// Whether the certificate is valid at this time. webpki looks at the dates first; what it says
/// after that is about the issuer, which is none here.
fn verify_dates(
    certificate: &ParsedCertificate<'_>,
    now: UnixTime,
    provider: &CryptoProvider,
) -> Result<(), Error> {
    let (nobody, algorithms) =
        (RootCertStore::empty(), provider.signature_verification_algorithms.all);
    let result =
        verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], now, algorithms);
    match result {
        Err(Error::InvalidCertificate(
            error @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }),
        )) => Err(error.into()),
        _ => Ok(()),
    }
}
