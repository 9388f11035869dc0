//! Where the API server is, and what is shown to it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::Uri;
use hyper::header::HeaderValue;
use peregrine_files::read_small;
use peregrine_limits::{Limit, TLS_FILE_BYTES, TOKEN_FILE_BYTES};
use thiserror::Error;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::kubeconfig;

/// How the API server is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// By the environment and the service account of the pod that this program runs in.
    InCluster,
    /// The same with the folder of the service account and the address of the server.
    ServiceAccount {
        /// Folder with `token` and `ca.crt`.
        folder: PathBuf,
        /// Host and port of the server.
        server: String,
    },
    /// By the current context of a kubeconfig file.
    Kubeconfig(PathBuf),
}

/// Why the API server can't be asked.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The environment names no API server.
    #[error(
        "this is no pod: the environment has no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT"
    )]
    NoPod,
    /// A file can't be read.
    #[error("{path}: {source}")]
    #[allow(missing_docs, reason = "the names say it")]
    File { path: PathBuf, source: io::Error },
    /// A kubeconfig file can't be used.
    #[error("{path}: {problem}")]
    #[allow(missing_docs, reason = "the names say it")]
    Kubeconfig { path: PathBuf, problem: String },
    /// The URL of the server is none.
    #[error("the server `{0}` is no http or https URL")]
    Url(String),
    /// A certificate or key can't be used.
    #[error("{0} can't be used: {1}")]
    Certificate(&'static str, String),
    /// A token can't be sent.
    #[error("the token is empty or has a character that is not allowed in a header")]
    Token,
}

/// A way to the API server, as its files were when it was read.
#[derive(Clone)]
pub(crate) struct Access {
    /// `https://host:port`, as shown to people.
    pub(crate) server: String,
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path before all others, without a slash at its end.
    pub(crate) prefix: String,
    /// Absent for plain HTTP, as `kubectl proxy` serves.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// `Authorization` of requests.
    pub(crate) authorization: Option<HeaderValue>,
}

/// What a kubeconfig or service account says.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) server: String,
    /// PEM of the authorities. Empty: no server is trusted.
    pub(crate) authorities: Vec<u8>,
    /// The name in the server's certificate, where it is not that of the URL.
    pub(crate) server_name: Option<String>,
    pub(crate) token: Option<String>,
    /// PEM of the client's certificates and key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Where the kubelet mounts the service account of a pod.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Access {
    /// Reads the files as they are now. The kubelet replaces tokens and authorities while a pod
    /// runs.
    pub(crate) fn load(cluster: &Cluster) -> Result<Self, AccessError> {
        let credentials = match cluster {
            Cluster::InCluster => service_account(Path::new(SERVICE_ACCOUNT), &own_server()?)?,
            Cluster::ServiceAccount { folder, server } => service_account(folder, server)?,
            Cluster::Kubeconfig(path) => kubeconfig::current(path)?,
        };
        Self::new(&credentials)
    }

    fn new(credentials: &Credentials) -> Result<Self, AccessError> {
        let url = || AccessError::Url(credentials.server.clone());
        let uri: Uri = credentials.server.parse().map_err(|_| url())?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(url()),
        };
        let host = uri.host().ok_or_else(url)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let tls = if https { Some(tls(credentials, &host)?) } else { None };
        let authorization = credentials.token.as_deref().map(bearer).transpose()?;
        Ok(Self {
            server: format!(
                "{}://{}",
                if https { "https" } else { "http" },
                uri.authority().ok_or_else(url)?
            ),
            host,
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            tls,
            authorization,
        })
    }
}

/// Reads a file that should be small.
pub(crate) fn read(path: &Path, limit: &'static Limit) -> Result<Vec<u8>, AccessError> {
    read_small(path, limit)
        .map_err(|error| AccessError::File { path: path.to_owned(), source: error.into() })
}

/// A token from a file.
pub(crate) fn read_token(path: &Path) -> Result<String, AccessError> {
    let bytes = read(path, &TOKEN_FILE_BYTES)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn own_server() -> Result<String, AccessError> {
    let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let host = text("KUBERNETES_SERVICE_HOST").ok_or(AccessError::NoPod)?;
    let port = text("KUBERNETES_SERVICE_PORT").ok_or(AccessError::NoPod)?;
    Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn service_account(folder: &Path, server: &str) -> Result<Credentials, AccessError> {
    Ok(Credentials {
        server: format!("https://{server}"),
        authorities: read(&folder.join("ca.crt"), &TLS_FILE_BYTES)?,
        token: Some(read_token(&folder.join("token"))?),
        ..Credentials::default()
    })
}

fn bearer(token: &str) -> Result<HeaderValue, AccessError> {
    let header = HeaderValue::from_str(&format!("Bearer {token}")).ok();
    let mut header = header.filter(|_| !token.is_empty()).ok_or(AccessError::Token)?;
    header.set_sensitive(true);
    Ok(header)
}

fn tls(
    credentials: &Credentials,
    host: &str,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), AccessError> {
    let unusable = |what| move |error: String| AccessError::Certificate(what, error);
    let authority = unusable("the certificate of the authority");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&credentials.authorities).map_err(authority)?);
    if roots.is_empty() {
        return Err(authority("there is none".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| AccessError::Certificate("TLS", error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match &credentials.client {
        Some((chain, key)) => {
            let resolver = identity(chain, key).map_err(unusable("the client's certificate"))?;
            builder.with_client_cert_resolver(resolver)
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = credentials.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(|_| AccessError::Url(host.to_owned()))?;
    Ok((Arc::new(config), name))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    found.map_err(|error| error.to_string())
}

fn identity(chain: &[u8], key: &[u8]) -> Result<Arc<dyn ResolvesClientCert>, String> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| error.to_string())?;
    let text = |error: rustls::Error| error.to_string();
    let key = ring::default_provider().key_provider.load_private_key(key).map_err(text)?;
    if chain.is_empty() {
        return Err("there is none".to_owned());
    }
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn access(server: &str) -> Result<Access, AccessError> {
        Access::new(&Credentials { server: server.to_owned(), ..Credentials::default() })
    }

    #[test]
    fn urls_have_a_host_a_port_and_a_prefix() {
        let access = access("http://[::1]:8001/k8s/clusters/c-1/").unwrap();
        assert_eq!((&*access.host, access.port), ("::1", 8001));
        assert_eq!((&*access.prefix, &*access.server), ("/k8s/clusters/c-1", "http://[::1]:8001"));
        assert!(access.tls.is_none());
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let error = |server| access(server).err().unwrap().to_string();
        assert_eq!(error("ftp://x"), "the server `ftp://x` is no http or https URL");
        assert_eq!(
            error("https://x"),
            "the certificate of the authority can't be used: there is none"
        );
        assert!(bearer("").is_err() && bearer("a\nb").is_err());
    }

    #[test]
    fn a_service_account_is_read_as_it_is_now() {
        let folder = tempfile::tempdir().unwrap();
        let cluster =
            Cluster::ServiceAccount { folder: folder.path().into(), server: "h:6443".into() };
        let key = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        let absent = Access::load(&cluster).err().unwrap().to_string();
        assert!(absent.ends_with("ca.crt: No such file or directory (os error 2)"), "{absent}");
        fs::write(folder.path().join("ca.crt"), key.cert.pem()).unwrap();
        for token in ["one", "two"] {
            fs::write(folder.path().join("token"), format!("{token}\n")).unwrap();
            let access = Access::load(&cluster).unwrap();
            assert_eq!(access.authorization.unwrap(), format!("Bearer {token}"));
            assert_eq!((&*access.server, access.port), ("https://h:6443", 6443));
        }
    }
}
