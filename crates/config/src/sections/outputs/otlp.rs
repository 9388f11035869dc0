//! Alerts as log records to a receiver of OTLP.

use std::collections::BTreeMap;

use peregrine_diagnostics::Secret;
use peregrine_limits::{HTTP_CONNECT_TIME, HTTP_REQUEST_TIME};
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::http::{Encoding, Headers};
use super::shared::{required, web_address};
use super::tls::{Tls, TlsKeys};
use super::{FieldChanges, Presentation, Retries, Select, Spool, WhenFull};
use crate::declare::{Definitions, Row, Setting, at_key, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// Alerts as log records to a receiver of OTLP.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpOutput {
    /// URL of the receiver, with the path of requests if there is one.
    pub endpoint: Secret,
    /// Certificates of the server and the client.
    pub tls: Tls,
    /// The spool in front of it.
    pub spool: Spool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets.
    pub presentation: Presentation,
    /// The keys as they are.
    pub keys: OtlpKeys,
}

/// How a receiver of OTLP is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// POST requests with protobuf bodies.
    Http,
    /// gRPC.
    Grpc,
}

words!(
    OtlpProtocol,
    { "type": "string", "enum": ["http/protobuf", "grpc"] }, "http/protobuf",
    { "http/protobuf" => Self::Http, "grpc" => Self::Grpc },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("protocol '{word}' is unknown."))
);

section! {
    /// Log records that are sent together.
    pub OtlpBatch "OTLPBatch" {
        /// Alerts that are sent together at most.
        max_alerts: u32 = 512;
        /// Their size at most, in kilobytes before compression. A single larger alert is sent
        /// alone.
        max_kb: u32 = 1024;
    }
}

section! {
    /// Keys of `otlp_output`.
    pub OtlpKeys "OTLPOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// URL of the receiver. With http/protobuf, `/v1/logs` is appended to its path, unless the
        /// path ends so.
        endpoint: String = String::new(), extra { "format": "uri" };
        /// How it is spoken to: http/protobuf, or grpc.
        protocol: OtlpProtocol = OtlpProtocol::Http;
        /// Headers of requests; with grpc, their metadata.
        headers: Headers = Headers::default();
        /// Token of the header Authorization (Bearer).
        bearer_token: Secret = Secret::default();
        /// File with that token, read again when it changes.
        bearer_token_file: String = String::new();
        /// Compression of requests: gzip, zstd (not with grpc), or none.
        compression: Encoding = Encoding::Gzip;
        /// Proxy, such as http://user:password@host:3128; none if empty. If absent, the variables
        /// http_proxy, https_proxy, all_proxy and no_proxy decide, as for curl.
        proxy: Option<Secret> = None;
        /// Milliseconds for making a connection.
        connect_timeout_ms: u32 = HTTP_CONNECT_TIME.get() as u32;
        /// Milliseconds for a request with its answer, the connection included.
        timeout_ms: u32 = HTTP_REQUEST_TIME.get() as u32;
        /// Log records that are sent together.
        batch: OtlpBatch = OtlpBatch::default();
        /// How often alerts are sent again after an error that may pass.
        retries: Retries = Retries { max: 100, ..Retries::default() };
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
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
    }
}

optional!(OtlpKeys => OtlpOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let endpoint = required(keys.endpoint.clone(), "otlp_output is enabled but has no endpoint", node)?;
    let place = node.get("endpoint").unwrap_or(node);
    let endpoint = web_address("otlp_output.endpoint", &endpoint, place)?;
    let wrong = |key, problem: &str, help: &str| {
        let issue = ConfigIssue::new(ConfigCode::Value, format!("otlp_output.{key}: {problem}"));
        Err(at_key(issue, node, key).help(help))
    };
    if keys.timeout_ms == 0 {
        return wrong("timeout_ms", "0 is no time", "such as `10000`");
    }
    if keys.protocol == OtlpProtocol::Grpc && keys.compression == Encoding::Zstd {
        return wrong("compression", "zstd cannot be used with grpc", "`gzip`, or `none`");
    }
    if !keys.bearer_token.reveal().is_empty() && !keys.bearer_token_file.is_empty() {
        let problem = "bearer_token and bearer_token_file exclude each other";
        return wrong("bearer_token_file", problem, "remove one of them");
    }
    Ok(Some(OtlpOutput {
        endpoint: Secret::from(match keys.protocol {
            OtlpProtocol::Http => logs_address(&endpoint),
            OtlpProtocol::Grpc => endpoint,
        }),
        tls: keys.tls.clone().settings("otlp_output.tls", node.get("tls").unwrap_or(node))?,
        spool: keys.spool.clone(),
        when_full: keys.when_full,
        presentation: Presentation {
            select: keys.select.clone(),
            fields: keys.fields.clone(),
            ..Presentation::default()
        },
        keys,
    }))
});

/// The URL that log records are posted to.
fn logs_address(endpoint: &str) -> String {
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
            assert_eq!(logs_address(endpoint), url);
        }
    }
}
