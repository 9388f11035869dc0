//! Where events come from, as the plugin is configured.

use std::fmt;
use std::path::PathBuf;

use peregrine_limits::{AUDIT_BATCH_BYTES, AUDIT_EVENT_BYTES};
use serde_json::Value;
use thiserror::Error;

/// Settings of the source.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where events come from.
    pub place: Place,
    /// Size of an event. Larger ones are dropped.
    pub max_event_bytes: usize,
    /// Size of a request to the webhook, and of a line of a file. Larger ones are refused.
    pub max_batch_bytes: usize,
    /// PEM file with certificates and key of the webhook, for HTTPS.
    pub certificate: PathBuf,
    /// Settings that the plugin does not have.
    pub options: Options,
}

/// Settings that the plugin does not have.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// PEM file of authorities. Clients of an HTTPS webhook must have a certificate of one of them.
    pub client_ca: Option<PathBuf>,
    /// Clients of the webhook must send it as a bearer token.
    pub token: Option<String>,
    /// File with that token.
    pub token_file: Option<PathBuf>,
}

impl Options {
    /// Whether clients must send a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Requests of API servers.
    Webhook {
        /// Address, or empty for all.
        host: String,
        /// Port.
        port: u16,
        /// Path of the requests.
        path: String,
        /// Whether it is HTTPS.
        tls: bool,
    },
    /// A file that is read from its end on, and goes on as another file when it is replaced.
    Follow(PathBuf),
    /// A file, or the files of a directory, the oldest first. Read to the end.
    Files(PathBuf),
}

/// Why settings can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// `init_config` is no JSON map.
    #[error("{0}")]
    Json(String),
    /// A key of `init_config` has a value of another type.
    #[error("In <root>[{key}], Value type not permitted by 'type' constraint.")]
    Type {
        /// The key.
        key: &'static str,
    },
    /// `open_params` has a scheme that is not known.
    #[error("scheme \"{0}\" is not supported")]
    Scheme(String),
    /// The address of the webhook can't be used.
    #[error("open_params: {0}")]
    Address(String),
    /// Both a token and a file with one are given.
    #[error("bearer_token and bearer_token_file: give one of them")]
    Tokens,
    /// Clients of an HTTP webhook have no certificates.
    #[error("client_ca needs an HTTPS webhook: open_params with https://")]
    NeedsTls,
}

/// The certificate of the plugin, where none is given.
const CERTIFICATE: &str = "/etc/falco/falco.pem";

impl Settings {
    /// From `init_config` and `open_params` of the plugin. An empty `init_config` is one without
    /// keys; unknown keys are ignored.
    ///
    /// # Errors
    /// When one of them can't be used.
    pub fn new(
        init_config: &str,
        open_params: &str,
        options: Options,
    ) -> Result<Self, SettingsError> {
        let (max_event_bytes, max_batch_bytes, certificate) = init(init_config)?;
        let place = Place::parse(open_params)?;
        if options.token.is_some() && options.token_file.is_some() {
            return Err(SettingsError::Tokens);
        }
        if options.client_ca.is_some() && matches!(place, Place::Webhook { tls: false, .. }) {
            return Err(SettingsError::NeedsTls);
        }
        Ok(Self { place, max_event_bytes, max_batch_bytes, certificate, options })
    }

    /// Checks `init_config` alone.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn check_init_config(init_config: &str) -> Result<(), SettingsError> {
        init(init_config).map(drop)
    }
}

fn init(text: &str) -> Result<(usize, usize, PathBuf), SettingsError> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let json = serde_json::from_str::<Value>(text);
    let json = json.map_err(|_| SettingsError::Json("init config is not a valid json".into()))?;
    let Value::Object(keys) = json else {
        return Err(SettingsError::Json(
            "In <root>, Value type not permitted by 'type' constraint.".into(),
        ));
    };
    let size = |key, default| match keys.get(key) {
        None => Ok(default),
        Some(value) => {
            let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
            size.ok_or(SettingsError::Type { key })
        }
    };
    let certificate = match keys.get("sslCertificate") {
        None => CERTIFICATE.to_owned(),
        Some(Value::String(path)) => path.clone(),
        Some(_) => return Err(SettingsError::Type { key: "sslCertificate" }),
    };
    // An optimisation of the plugin.
    if keys.get("useAsync").is_some_and(|value| !value.is_boolean()) {
        return Err(SettingsError::Type { key: "useAsync" });
    }
    Ok((
        size("maxEventSize", AUDIT_EVENT_BYTES.get())?,
        size("webhookMaxBatchSize", AUDIT_BATCH_BYTES.get())?,
        certificate.into(),
    ))
}

impl Place {
    fn parse(open_params: &str) -> Result<Self, SettingsError> {
        let params = open_params.trim();
        let Some((scheme, rest)) = params.split_once("://") else {
            return match params {
                "" => Err(SettingsError::Address(
                    "give http://:9765/k8s-audit, https://:9765/k8s-audit, a file or a directory"
                        .into(),
                )),
                path => Ok(Self::Files(path.into())),
            };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => Self::webhook(rest, false),
            "https" => Self::webhook(rest, true),
            "file" => {
                let path = rest.split(['?', '#']).next().unwrap_or_default();
                Ok(Self::Follow(path.into()))
            }
            _ => Err(SettingsError::Scheme(scheme.to_owned())),
        }
    }

    fn webhook(rest: &str, tls: bool) -> Result<Self, SettingsError> {
        let wrong = |why: String| Err(SettingsError::Address(why));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => return wrong(format!("{rest} has no path, such as /k8s-audit")),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
            _ => (authority, if tls { "443" } else { "80" }),
        };
        let Ok(port) = port.parse() else { return wrong(format!("{port} is no port")) };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self::Webhook { host, port, path: path.to_owned(), tls })
    }
}

/// Without the token.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_ca, token, token_file } = self;
        f.debug_struct("Options")
            .field("client_ca", client_ca)
            .field("token", &token.as_ref().map(|_| "…"))
            .field("token_file", token_file)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(open_params: &str) -> Result<Place, SettingsError> {
        Settings::new("", open_params, Options::default()).map(|settings| settings.place)
    }

    fn webhook(host: &str, port: u16, path: &str, tls: bool) -> Place {
        Place::Webhook { host: host.into(), port, path: path.into(), tls }
    }

    #[test]
    fn open_params_are_addresses_or_paths() {
        assert_eq!(place("http://:9765/k8s-audit"), Ok(webhook("", 9765, "/k8s-audit", false)));
        assert_eq!(place("https://10.0.0.1:1/a/b"), Ok(webhook("10.0.0.1", 1, "/a/b", true)));
        assert_eq!(place("HTTPS://[::1]:2/a"), Ok(webhook("::1", 2, "/a", true)));
        assert_eq!(place("https://h/a?x=1"), Ok(webhook("h", 443, "/a", true)));
        assert_eq!(place("/var/log/audit.log"), Ok(Place::Files("/var/log/audit.log".into())));
        assert_eq!(place(" a.jsonl "), Ok(Place::Files("a.jsonl".into())));
        assert_eq!(place("file:///a/b"), Ok(Place::Follow("/a/b".into())));
        assert_eq!(place("ftp://x"), Err(SettingsError::Scheme("ftp".into())));
        assert!(matches!(place("http://:9765"), Err(SettingsError::Address(_))));
        assert!(matches!(place("http://h:x/a"), Err(SettingsError::Address(_))));
        assert!(matches!(place(""), Err(SettingsError::Address(_))));
    }

    #[test]
    fn init_config_is_that_of_the_plugin() {
        let sizes = |text: &str| {
            let settings = Settings::new(text, "x", Options::default())?;
            Ok((settings.max_event_bytes, settings.max_batch_bytes))
        };
        assert_eq!(sizes(""), Ok((262_144, 12_582_912)));
        assert_eq!(sizes(r#"{"maxEventSize": 5, "nothing": 1}"#), Ok((5, 12_582_912)));
        assert_eq!(
            sizes(r#"{"maxEventSize": "5"}"#),
            Err(SettingsError::Type { key: "maxEventSize" })
        );
        assert!(matches!(sizes("x"), Err(SettingsError::Json(_))));
        assert!(matches!(sizes("[]"), Err(SettingsError::Json(_))));
    }

    #[test]
    fn certificates_of_clients_need_tls_and_tokens_are_not_shown() {
        let options = || Options { client_ca: Some("ca".into()), ..Options::default() };
        let refused = Settings::new("", "http://:1/a", options()).unwrap_err();
        assert_eq!(refused, SettingsError::NeedsTls);
        assert!(Settings::new("", "https://:1/a", options()).is_ok());
        let token = Options { token: Some("secret".into()), ..Options::default() };
        assert!(!format!("{token:?}").contains("secret"));
        let both = Options { token_file: Some("f".into()), ..token };
        assert_eq!(Settings::new("", "x", both).unwrap_err(), SettingsError::Tokens);
    }
}
