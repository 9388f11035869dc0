//! From configuration keys to a receiver of OTLP.

use peregrine_config::OtlpOutput as Keys;
use peregrine_output::ChannelOutput;

use crate::{DeliveryError, Identity};

/// The output.
///
/// # Errors
/// The program was built without it.
#[cfg(feature = "otlp")]
pub(crate) fn output(keys: &Keys, identity: &Identity) -> Result<ChannelOutput, DeliveryError> {
    use std::time::Duration;

    use peregrine_config::{Encoding, OtlpProtocol as Protocol};
    use peregrine_output::{Machine, OtlpOutput, OtlpProtocol};

    use crate::network;

    let (endpoint, tls, keys) = (keys.endpoint.clone(), network::tls(&keys.tls), &keys.keys);
    let millis = |it: u32| Duration::from_millis(it.into());
    Ok(ChannelOutput::Otlp(Box::new(OtlpOutput {
        endpoint,
        protocol: match keys.protocol {
            Protocol::Http => OtlpProtocol::Http(network::encoding(keys.compression)),
            Protocol::Grpc => OtlpProtocol::Grpc { gzip: keys.compression == Encoding::Gzip },
        },
        headers: keys.headers.0.clone(),
        bearer: network::bearer(&keys.bearer_token, &keys.bearer_token_file),
        tls,
        proxy: keys.proxy.clone(),
        connect_time: millis(keys.connect_timeout_ms),
        request_time: millis(keys.timeout_ms),
        retries: network::retries(&keys.retries),
        batch_records: keys.batch.max_alerts.max(1) as usize,
        batch_bytes: (keys.batch.max_kb as usize) << 10,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine: Machine { hostname: identity.hostname.clone(), id: identity.host_id.clone() },
        attributes: keys.resource_attributes.clone(),
    })))
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn output(_: &Keys, _: &Identity) -> Result<ChannelOutput, DeliveryError> {
    Err(DeliveryError::NotBuilt { section: "otlp_output", name: "OTLP" })
}
