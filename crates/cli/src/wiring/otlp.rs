//! From configuration keys to a receiver of OTLP.

use peregrine_config::{Encoding, OtlpOutput as Keys, OtlpProtocol as Protocol};
use peregrine_output::ChannelOutput;

/// The output.
///
/// # Errors
/// The program was built without it.
#[cfg(feature = "otlp")]
pub(super) fn output(keys: &Keys) -> anyhow::Result<ChannelOutput> {
    use std::time::Duration;

    use peregrine_output::{Machine, OtlpOutput, OtlpProtocol};

    use super::{host, network};
    use crate::version;

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
        version: version::OWN.to_owned(),
        machine: Machine { hostname: host::name(), id: host::id() },
        attributes: keys.resource_attributes.clone(),
    })))
}

#[cfg(not(feature = "otlp"))]
pub(super) fn output(_: &Keys) -> anyhow::Result<ChannelOutput> {
    anyhow::bail!("otlp_output: this program was built without OTLP")
}
