//! TLS of channels: one client configuration, made from the files that the configuration names.
//!
//! It is made here and not by the libraries that use it, some of which panic on a certificate that
//! rustls refuses.

mod error;
mod files;
mod settings;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::sign::SingleCertAndKey;

pub use self::error::{TlsError, TlsFile, TlsProblem, TlsWarning, Validity};
use self::files::Stamp;
pub use self::settings::{ClientIdentity, TlsSettings, Trust};
use self::verify::{AcceptAny, AuthoritiesOrSelf};

impl TlsSettings {
    /// Reads the files. Answers with what does not prevent a start: certificates that are not valid
    /// today.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn check(&self) -> Result<Vec<TlsWarning>, TlsError> {
        load(self).map(|(_, warnings)| warnings)
    }
}

/// Keeps a client configuration up to date with its files.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    current: Option<Current>,
    /// Why changed files are not used.
    refused: Option<TlsError>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ClientConfig>,
    /// The state of the files when they were read.
    stamp: Stamp,
    /// When they were last looked at.
    looked: Instant,
}

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

impl Tls {
    /// Reads nothing yet.
    pub(crate) fn new(settings: TlsSettings) -> Self {
        Self { settings, current: None, refused: None }
    }

    /// The configuration from the files as they are now; another one after each change. If they
    /// have changed to something that cannot be used, the one before stays.
    ///
    /// # Errors
    /// The files cannot be used, and there is no configuration before.
    pub(crate) fn current(&mut self) -> Result<Arc<ClientConfig>, TlsError> {
        self.current_at(Instant::now())
    }

    /// Why changed files are not used; once for each change.
    pub(crate) fn take_refused(&mut self) -> Option<TlsError> {
        self.refused.take()
    }

    fn current_at(&mut self, now: Instant) -> Result<Arc<ClientConfig>, TlsError> {
        let Some(current) = &mut self.current else {
            // Taken before the files are read, so that a change in between is seen later.
            let stamp = Stamp::of(&self.settings);
            let config = Arc::new(load(&self.settings)?.0);
            let current = Current { config: Arc::clone(&config), stamp, looked: now };
            self.current = Some(current);
            return Ok(config);
        };
        if now.duration_since(current.looked) >= INTERVAL {
            current.looked = now;
            let stamp = Stamp::of(&self.settings);
            if stamp != current.stamp {
                current.stamp = stamp;
                match load(&self.settings) {
                    Ok((config, _)) => current.config = Arc::new(config),
                    Err(error) => self.refused = Some(error),
                }
            }
        }
        Ok(Arc::clone(&current.config))
    }
}

fn load(settings: &TlsSettings) -> Result<(ClientConfig, Vec<TlsWarning>), TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut warnings = Vec::new();
    let verifier: Arc<dyn ServerCertVerifier> = match &settings.trust {
        Trust::Anyone => Arc::new(AcceptAny::new(&provider)),
        Trust::Authorities(path) => {
            let trusted = files::authorities(path)?;
            warnings.extend(verify::outdated_authorities(path, &trusted, &provider));
            Arc::new(AuthoritiesOrSelf::new(path, trusted, &provider)?)
        }
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::general)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(client) = &settings.client else {
        return Ok((builder.with_no_client_auth(), warnings));
    };
    let identity = files::identity(client, &provider)?;
    warnings.extend(verify::outdated_client(&client.certificate, &identity, &provider));
    let config = builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    Ok((config, warnings))
}

#[cfg(test)]
mod tests;
