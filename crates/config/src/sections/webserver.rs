//! `webserver`: health, versions and metrics over HTTP.

use std::net::{Ipv4Addr, Ipv6Addr};

use peregrine_yaml::Node;
use serde_json::Value as Json;

use crate::declare::{Definitions, Row, Setting, section};
use crate::issue::ConfigIssue;

section! {
    /// The web server.
    pub Webserver "Webserver" extra { "minProperties": 1 } {
        /// Run it.
        enabled: bool = false;
        /// Accepted for compatibility; one thread answers all requests.
        threadiness: u32 = 0;
        /// Port to listen on.
        listen_port: u32 = 8765;
        /// IPv4 or IPv6 address to listen on.
        listen_address: ListenAddress = ListenAddress("0.0.0.0".to_owned());
        /// Path of the health page.
        k8s_healthz_endpoint: String = "/healthz".to_owned();
        /// Milliseconds without progress of the event loop after which that page returns 503; 0
        /// means never.
        healthz_timeout: u32 = 15_000, extra { "$comment": "Peregrine" };
        /// Serve the metrics under /metrics in the format of Prometheus.
        prometheus_metrics_enabled: bool = false;
        /// Serve HTTPS.
        ssl_enabled: bool = false;
        /// File of certificate and key for HTTPS.
        ssl_certificate: String = "/etc/falco/falco.pem".to_owned();
    }
}

/// An IP address, as it is written: blanks around it and a zone behind it are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress(String);

impl ListenAddress {
    /// The address as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for ListenAddress {
    fn schema(definitions: &mut Definitions) -> Json {
        String::schema(definitions)
    }

    /// The address is refused even if the server is off.
    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(written) = String::read(node, key)? else { return Ok(None) };
        let address = written.trim();
        let without_zone = address.split_once('%').map_or(address, |(address, _)| address);
        if address.parse::<Ipv4Addr>().is_ok() || without_zone.parse::<Ipv6Addr>().is_ok() {
            return Ok(Some(Self(written)));
        }
        let message = format!("webserver listen address \"{written}\" is not a valid IP address");
        let help = "an address such as 0.0.0.0, 127.0.0.1 or ::1, without brackets";
        Err(ConfigIssue::in_file(message).at(node).help(help))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        self.0.rows(key, about, rows);
    }
}
