//! Alerts to a web server.

use super::shared::{required, web_address};
use super::tls::{ClientCertificate, Tls, Trust};
use super::{Presentation, WhenFull};
use crate::declare::{optional, section};

/// Alerts to a web server.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOutput {
    /// URL that alerts are posted to.
    pub url: String,
    /// The User-Agent of requests.
    pub user_agent: String,
    /// Certificates of the server and the client.
    pub tls: Tls,
    /// Whether the server's answers are copied to standard output.
    pub echo: bool,
    /// How often an alert is sent again after an error that may pass.
    pub max_consecutive_timeouts: u8,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets and how they look.
    pub presentation: Presentation,
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
        /// Compress request bodies.
        compress_uploads: bool = false;
        /// Keep the connection open between alerts.
        keep_alive: bool = false;
        /// Times that an alert is sent again after a timeout, another network error, or status 408,
        /// 429 or 5xx.
        max_consecutive_timeouts: u8 = 5;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Which alerts it gets and how they look.
        peregrine: Presentation = Presentation::default(), extra { "$comment": "Peregrine" };
    }
}

optional!(HttpKeys => HttpOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let url = required(keys.url, "http output enabled but no url in configuration block", node)?;
    let url = web_address("http_output.url", &url, node.get("url").unwrap_or(node))?;
    let authorities = [keys.ca_cert, keys.ca_bundle].into_iter().find(|path| !path.is_empty());
    Ok(Some(HttpOutput {
        url,
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
        echo: keys.echo,
        max_consecutive_timeouts: keys.max_consecutive_timeouts,
        when_full: keys.when_full,
        presentation: keys.peregrine,
    }))
});
