//! Alerts as log records to a receiver of OTLP.

use std::collections::BTreeMap;

use peregrine_limits::OTLP_REQUEST_TIME;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::shared::{required, web_address};
use super::tls::{Tls, TlsKeys};
use super::{Presentation, Select, Spool, WhenFull};
use crate::declare::{Definitions, Row, Setting, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// Alerts as log records to a receiver of OTLP.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpOutput {
    /// URL of the receiver, with the path of requests if there is one.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Certificates of the server and the client.
    pub tls: Tls,
    /// Whether requests are compressed.
    pub compression: OtlpCompression,
    /// Milliseconds for a request with its answer.
    pub timeout_ms: u32,
    /// The spool in front of it.
    pub spool: Spool,
    /// What describes this machine.
    pub resource_attributes: BTreeMap<String, String>,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets.
    pub presentation: Presentation,
}

/// How a receiver of OTLP is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// POST requests with protobuf bodies.
    Http,
    /// gRPC.
    Grpc,
}

words!(OtlpProtocol, { "type": "string", "enum": ["grpc"] }, "grpc", {
    "grpc" => Self::Grpc
}, str::to_owned, |word| {
    ConfigIssue::new(ConfigCode::Value, format!("otlp_output.protocol: {word} is not known"))
});

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpCompression {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
}

words!(OtlpCompression, { "type": "string", "enum": ["gzip", "none"] }, "gzip", {
    "gzip" => Self::Gzip,
    "none" => Self::None
}, str::to_owned, |word| {
    ConfigIssue::new(ConfigCode::Value, format!("otlp_output.compression: {word} is not known"))
});

section! {
    /// Keys of `otlp_output`.
    OtlpKeys "OTLPOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// URL of the receiver.
        endpoint: String = String::new(), extra { "format": "uri" };
        /// How it is spoken to: grpc.
        protocol: OtlpProtocol = OtlpProtocol::Grpc;
        /// How requests are compressed: gzip, or none.
        compression: OtlpCompression = OtlpCompression::Gzip;
        /// Milliseconds for a request with its answer, connecting included.
        timeout_ms: u32 = OTLP_REQUEST_TIME.get() as u32;
        /// What describes this machine beside `service.name`, `service.version`, `host.name`,
        /// `host.id` and `os.type`; the same name replaces.
        resource_attributes: BTreeMap<String, String> = BTreeMap::new();
        /// How it uses TLS, if the endpoint is one of `https:`.
        tls: TlsKeys = TlsKeys::default();
        /// Keeps alerts on the disk until the receiver has taken them.
        spool: Spool = Spool::default();
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto;
        /// Which alerts it gets.
        select: Select = Select::default();
    }
}

optional!(OtlpKeys => OtlpOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let endpoint = required(keys.endpoint, "otlp_output is enabled but has no endpoint", node)?;
    let place = node.get("endpoint").unwrap_or(node);
    let endpoint = web_address("otlp_output.endpoint", &endpoint, place)?;
    if keys.timeout_ms == 0 {
        let issue = ConfigIssue::new(ConfigCode::Value, "otlp_output.timeout_ms: 0 is no time");
        let place = node.get("timeout_ms").unwrap_or(node);
        return Err(issue.at(place).help("such as `10000`"));
    }
    Ok(Some(OtlpOutput {
        endpoint: match keys.protocol {
            OtlpProtocol::Http => logs_address(endpoint),
            OtlpProtocol::Grpc => endpoint,
        },
        protocol: keys.protocol,
        tls: keys.tls.settings("otlp_output.tls", node.get("tls").unwrap_or(node))?,
        compression: keys.compression,
        timeout_ms: keys.timeout_ms,
        spool: keys.spool,
        resource_attributes: keys.resource_attributes,
        when_full: keys.when_full,
        presentation: Presentation { select: keys.select, ..Presentation::default() },
    }))
});

/// The URL that log records are posted to.
fn logs_address(endpoint: String) -> String {
    let base = endpoint.trim_end_matches('/');
    if base.ends_with("/v1/logs") { base.to_owned() } else { format!("{base}/v1/logs") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_logs_is_appended_once() {
        for (endpoint, url) in [
            ("http://h:4318", "http://h:4318/v1/logs"),
            ("http://h:4318/", "http://h:4318/v1/logs"),
            ("https://h/otlp", "https://h/otlp/v1/logs"),
            ("https://h/otlp/v1/logs/", "https://h/otlp/v1/logs"),
        ] {
            assert_eq!(logs_address(endpoint.to_owned()), url);
        }
    }
}
