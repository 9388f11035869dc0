//! `webserver`: health, versions and metrics over HTTP.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

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
        /// IPv4 or IPv6 address to listen on; 127.0.0.1 serves this host alone. unix:///PATH is a
        /// unix socket, for root and the group of the program.
        listen_address: ListenAddress = ListenAddress::Ip("0.0.0.0".to_owned());
        /// Path of the health page.
        k8s_healthz_endpoint: String = "/healthz".to_owned();
        /// Milliseconds without progress of the event thread after which that page returns 503 and
        /// an alert says so; 0 means never.
        healthz_timeout: u32 = 4000, extra { "$comment": "Peregrine" };
        /// Serve the metrics under /metrics in the format of Prometheus.
        prometheus_metrics_enabled: bool = false;
        /// Serve HTTPS.
        ssl_enabled: bool = false;
        /// File of certificate and key for HTTPS.
        ssl_certificate: String = "/etc/falco/falco.pem".to_owned();
    }
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address, as it is written: blanks around it and a zone behind it are accepted.
    Ip(String),
    /// The absolute path of a unix socket.
    Unix(PathBuf),
}

/// What the path of a unix socket follows.
const UNIX: &str = "unix://";

impl Setting for ListenAddress {
    fn schema(definitions: &mut Definitions) -> Json {
        String::schema(definitions)
    }

    /// The address is refused even if the server is off.
    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(written) = String::read(node, key)? else { return Ok(None) };
        if let Some(path) = written.strip_prefix(UNIX) {
            if Path::new(path).is_absolute() {
                return Ok(Some(Self::Unix(path.into())));
            }
            let message = format!("webserver listen address \"{written}\" is not an absolute path");
            return Err(ConfigIssue::in_file(message).at(node).help("unix:///run/falco.sock"));
        }
        let address = written.trim();
        let without_zone = address.split_once('%').map_or(address, |(address, _)| address);
        if address.parse::<Ipv4Addr>().is_ok() || without_zone.parse::<Ipv6Addr>().is_ok() {
            return Ok(Some(Self::Ip(written)));
        }
        let message = format!("webserver listen address \"{written}\" is not a valid IP address");
        let help = "an address such as 0.0.0.0, 127.0.0.1 or ::1, without brackets";
        Err(ConfigIssue::in_file(message).at(node).help(help))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        let written = match self {
            Self::Ip(address) => address.clone(),
            Self::Unix(path) => format!("{UNIX}{}", path.display()),
        };
        written.rows(key, about, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> Result<Option<ListenAddress>, ConfigIssue> {
        let text = format!("a: \"{written}\"");
        let node = peregrine_yaml::parse(&text).unwrap();
        ListenAddress::read(node[0].get("a").unwrap(), "webserver.listen_address")
    }

    #[test]
    fn addresses_and_absolute_paths_are_accepted() {
        let ip = |text: &str| Some(ListenAddress::Ip(text.to_owned()));
        assert_eq!(read(" ::1%lo ").unwrap(), ip(" ::1%lo "));
        let unix = ListenAddress::Unix("/run/falco.sock".into());
        assert_eq!(read("unix:///run/falco.sock").unwrap(), Some(unix));
        for wrong in ["unix://run/falco.sock", "unix://", "unix:/run", "localhost"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
