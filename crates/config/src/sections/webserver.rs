//! `webserver`: health, versions and metrics over HTTP.

use std::net::{Ipv4Addr, Ipv6Addr};

use peregrine_yaml::Node;

use crate::declare::{at_key, section};
use crate::issue::ConfigIssue;

section! {
    /// The web server.
    pub Webserver "Webserver" extra { "minProperties": 1 } check webserver {
        /// Run it.
        enabled: bool = false;
        /// Threads that answer; 0 is one for each CPU.
        threadiness: u32 = 0;
        /// Port to listen on.
        listen_port: u32 = 8765;
        /// IPv4 or IPv6 address to listen on.
        listen_address: String = "0.0.0.0".to_owned();
        /// Path of the page that says whether all is well.
        k8s_healthz_endpoint: String = "/healthz".to_owned();
        /// Milliseconds without any progress of the event loop after which that page says 503; 0 is never.
        healthz_timeout: u32 = 15_000, extra { "$comment": "Peregrine" };
        /// Serve the metrics under /metrics in the format of Prometheus.
        prometheus_metrics_enabled: bool = false;
        /// Speak HTTPS.
        ssl_enabled: bool = false;
        /// File of certificate and key for HTTPS.
        ssl_certificate: String = "/etc/falco/falco.pem".to_owned();
    }
}

/// The address is checked even if the server is off. Blanks around it and a zone behind it are accepted.
fn webserver(section: &Webserver, node: &Node) -> Result<(), ConfigIssue> {
    let address = section.listen_address.trim();
    let without_zone = address.split_once('%').map_or(address, |(address, _)| address);
    if address.parse::<Ipv4Addr>().is_ok() || without_zone.parse::<Ipv6Addr>().is_ok() {
        return Ok(());
    }
    let fault = ConfigIssue::in_file(format!(
        "webserver listen address \"{}\" is not a valid IP address",
        section.listen_address
    ));
    let help = "an address such as 0.0.0.0, 127.0.0.1 or ::1, without brackets";
    Err(at_key(fault, node, "listen_address").help(help))
}
