//! How outputs use TLS.

use std::path::PathBuf;

use peregrine_yaml::Node;
use serde_json::Value as Json;

use crate::declare::{Definitions, IgnoredValue, Row, Setting, section};
use crate::issue::{ConfigCode, ConfigIssue};

/// Certificates of a server and of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Which certificates of the server are trusted.
    pub trust: Trust,
    /// The client certificate to present.
    pub client: Option<ClientCertificate>,
}

/// Which certificates of a server are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any.
    Anyone,
    /// Those signed by the certificates of this file or directory.
    Authorities(PathBuf),
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// File of the certificate.
    pub certificate: PathBuf,
    /// File of the key.
    pub key: PathBuf,
}

section! {
    /// How an output uses TLS, where its receiver asks for it.
    pub TlsKeys "OutputTLS" {
        /// File or directory of the certificates of the authorities that sign the server's.
        ca: String = "/etc/ssl/certs".to_owned();
        /// Client certificate to present, with the chain behind it; none if empty.
        client_cert: String = String::new();
        /// Its key.
        client_key: String = String::new();
        /// Trust any certificate of the server.
        insecure: bool = false;
    }
}

impl Default for Tls {
    fn default() -> Self {
        let TlsKeys { ca, .. } = TlsKeys::default();
        Self { trust: Trust::Authorities(ca.into()), client: None }
    }
}

impl Setting for Tls {
    fn schema(definitions: &mut Definitions) -> Json {
        TlsKeys::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        TlsKeys::read(node, key)?.map(|keys| keys.settings(key, node)).transpose()
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        TlsKeys::ignored(node, key, found);
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        TlsKeys::default().rows(key, about, rows);
    }
}

impl TlsKeys {
    /// The settings, from the keys at `node`, the section named `section`.
    pub(crate) fn settings(self, section: &str, node: &Node) -> Result<Tls, ConfigIssue> {
        let Self { ca, client_cert, client_key, insecure } = self;
        if client_cert.is_empty() != client_key.is_empty() {
            let message = format!("{section}: client_cert and client_key need each other");
            let issue = ConfigIssue::new(ConfigCode::Value, message).at(node);
            return Err(issue.help("name both files, or none"));
        }
        Ok(Tls {
            trust: if insecure { Trust::Anyone } else { Trust::Authorities(ca.into()) },
            client: (!client_cert.is_empty()).then(|| ClientCertificate {
                certificate: client_cert.into(),
                key: client_key.into(),
            }),
        })
    }
}
