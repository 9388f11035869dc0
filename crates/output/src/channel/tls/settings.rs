//! What the configuration says about TLS.

use std::path::PathBuf;

/// Which servers are trusted, and what the client shows to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Which server certificates are accepted.
    pub trust: Trust,
    /// Client certificate.
    pub client: Option<ClientIdentity>,
}

/// Which server certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// All of them (`insecure`).
    Anyone,
    /// Those issued by one of these authorities: a PEM file, or a directory of PEM files.
    Authorities(PathBuf),
}

/// A client certificate: two PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate chain, the client's first.
    pub certificate: PathBuf,
    /// The key of the client's certificate, in PKCS#8, PKCS#1 or SEC1 form.
    pub key: PathBuf,
}
