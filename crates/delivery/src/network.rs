//! What the outputs over networks have in common.

use std::time::Duration;

use peregrine_diagnostics::Secret;
use peregrine_output::{Bearer, ClientIdentity, Encoding, RetryLimits, TlsSettings, Trust};

/// Certificates of a server and of the client.
pub(crate) fn tls(keys: &peregrine_config::Tls) -> TlsSettings {
    TlsSettings {
        trust: match &keys.trust {
            peregrine_config::Trust::Anyone => Trust::Anyone,
            peregrine_config::Trust::Authorities(path) => Trust::Authorities(path.clone()),
        },
        client: keys.client.as_ref().map(|client| ClientIdentity {
            certificate: client.certificate.clone(),
            key: client.key.clone(),
        }),
    }
}

/// The token that is given, or its file.
pub(crate) fn bearer(token: &Secret, file: &str) -> Option<Bearer> {
    match (token.reveal(), file) {
        ("", "") => None,
        ("", file) => Some(Bearer::File(file.into())),
        _ => Some(Bearer::Token(token.clone())),
    }
}

/// Compression of requests.
pub(crate) fn encoding(encoding: peregrine_config::Encoding) -> Encoding {
    match encoding {
        peregrine_config::Encoding::None => Encoding::None,
        peregrine_config::Encoding::Gzip => Encoding::Gzip,
        peregrine_config::Encoding::Zstd => Encoding::Zstd,
    }
}

/// How often alerts are sent again.
pub(crate) fn retries(keys: &peregrine_config::Retries) -> RetryLimits {
    RetryLimits { max: keys.max, time: Duration::from_secs(keys.max_seconds.into()) }
}
