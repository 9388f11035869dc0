//! Alerts to a web server.

use std::collections::BTreeMap;

use peregrine_diagnostics::Secret;
use peregrine_limits::{HTTP_CONNECT_TIME, HTTP_REQUEST_TIME};
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::network::{Batch, Retries};
use super::shared::{required, web_address};
use super::tls::{ClientCertificate, Tls, Trust};
use super::{AlertFormat, FieldChanges, Presentation, Select, Spool, WhenFull};
use crate::declare::{Definitions, Row, Setting, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// Alerts to a web server.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOutput {
    /// URL that alerts are posted to.
    pub url: Secret,
    /// The User-Agent of requests.
    pub user_agent: String,
    /// Certificates of the server and the client.
    pub tls: Tls,
    /// Whether the kernel asks a silent server if it is still there.
    pub keep_alive: bool,
    /// Whether the server's answers are copied to standard output.
    pub echo: bool,
    /// How often alerts are sent again after an error that may pass.
    pub retries: Retries,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets and how they look.
    pub presentation: Presentation,
    /// Keys that Falco does not have.
    pub peregrine: HttpExtras,
}

section! {
    /// Keys of `http_output` that Falco does not have.
    pub HttpExtras "HTTPOutputPeregrine" {
        /// Send several alerts with one request. If absent, each alert is a request.
        batch: Option<Batch> = None;
        /// Compression of request bodies: none, gzip or zstd.
        encoding: Encoding = Encoding::None;
        /// Headers of requests: names and values. They replace those that are sent without.
        headers: Headers = Headers::default();
        /// Token of the header Authorization (Bearer).
        bearer_token: Secret = Secret::default();
        /// File with that token, read again when it changes.
        bearer_token_file: String = String::new();
        /// Proxy, such as http://user:password@host:3128; none if empty. If absent, the variables
        /// http_proxy, https_proxy, all_proxy and no_proxy decide, as for curl.
        proxy: Option<Secret> = None;
        /// Milliseconds for making a connection.
        connect_timeout_ms: u32 = HTTP_CONNECT_TIME.get() as u32;
        /// Milliseconds for a request with its response, the connection included.
        request_timeout_ms: u32 = HTTP_REQUEST_TIME.get() as u32;
        /// How often alerts are sent again after an error that may pass. If absent,
        /// max_consecutive_timeouts times within 30 seconds.
        retries: Option<Retries> = None;
        /// Keeps alerts on the disk until the receiver has taken them.
        spool: Spool = Spool::default();
        /// How alerts look; see file_output.peregrine.format.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts the output gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
    }
}

/// Compression of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// None.
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

words!(
    Encoding,
    { "type": "string", "enum": ["none", "gzip", "zstd"] }, "none",
    { "none" => Self::None, "gzip" => Self::Gzip, "zstd" => Self::Zstd },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("encoding '{word}' is unknown."))
);

/// Headers by their names. The values are secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub BTreeMap<String, Secret>);

impl Setting for Headers {
    fn schema(definitions: &mut Definitions) -> Json {
        BTreeMap::<String, String>::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let headers = BTreeMap::<String, String>::read(node, key)?;
        let secret = |headers: BTreeMap<_, _>| {
            headers.into_iter().map(|(name, value)| (name, Secret::from(value))).collect()
        };
        Ok(headers.map(secret).map(Self))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        BTreeMap::<String, String>::new().rows(key, about, rows);
    }
}

section! {
    /// Keys of `http_output`.
    HttpKeys "HTTPOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// URL that alerts are posted to.
        url: String = String::new(), extra { "format": "uri", "qt-uri-protocols": ["http"] };
        /// The User-Agent of requests.
        user_agent: String = "falcosecurity/falco".to_owned();
        /// Trust any certificate of the server.
        insecure: bool = false;
        /// Certificate of the authority that signed the server's.
        ca_cert: String = String::new();
        /// File of such certificates.
        ca_bundle: String = String::new();
        /// Directory of such certificates.
        ca_path: String = "/etc/ssl/certs".to_owned();
        /// Present a client certificate.
        mtls: bool = false;
        /// That certificate.
        client_cert: String = "/etc/ssl/certs/client.crt".to_owned();
        /// Its key.
        client_key: String = "/etc/ssl/certs/client.key".to_owned();
        /// Copy the server's answers to standard output.
        echo: bool = false;
        /// No effect, as in Falco; peregrine.encoding compresses request bodies.
        compress_uploads: bool = false;
        /// Let the kernel ask a silent server if it is still there (TCP keep-alive).
        keep_alive: bool = false;
        /// Times that an alert is sent again after a timeout, another network error, or status 408,
        /// 429 or 5xx.
        max_consecutive_timeouts: u8 = 5;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Keys that Falco does not have.
        peregrine: HttpExtras = HttpExtras::default(), extra { "$comment": "Peregrine" };
    }
}

optional!(HttpKeys => HttpOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let url = required(keys.url, "http output enabled but no url in configuration block", node)?;
    let url = web_address("http_output.url", &url, node.get("url").unwrap_or(node))?;
    let extras = &keys.peregrine;
    if !extras.bearer_token.reveal().is_empty() && !extras.bearer_token_file.is_empty() {
        let node = node.get("peregrine").unwrap_or(node);
        let message = "http_output.peregrine: bearer_token and bearer_token_file exclude each other";
        let issue = ConfigIssue::new(ConfigCode::Value, message).at(node);
        return Err(issue.help("remove one of them"));
    }
    let authorities = [keys.ca_cert, keys.ca_bundle].into_iter().find(|path| !path.is_empty());
    Ok(Some(HttpOutput {
        url: Secret::from(url),
        user_agent: keys.user_agent,
        tls: Tls {
            trust: match keys.insecure {
                true => Trust::Anyone,
                false => Trust::Authorities(authorities.unwrap_or(keys.ca_path).into()),
            },
            client: keys.mtls.then(|| ClientCertificate {
                certificate: keys.client_cert.into(),
                key: keys.client_key.into(),
            }),
        },
        keep_alive: keys.keep_alive,
        echo: keys.echo,
        retries: keys.peregrine.retries.clone().unwrap_or(Retries {
            max: keys.max_consecutive_timeouts.into(),
            ..Retries::default()
        }),
        when_full: keys.when_full,
        presentation: Presentation {
            format: keys.peregrine.format,
            select: keys.peregrine.select.clone(),
            fields: keys.peregrine.fields.clone(),
        },
        peregrine: keys.peregrine,
    }))
});
