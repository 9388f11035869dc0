//! From configuration keys to message brokers: NATS and Kafka.

use peregrine_config::{Config, ConfigError, Loaded, Presentation, WhenFull};
use peregrine_output::ChannelOutput;

use crate::DeliveryError;

/// The brokers that are enabled.
///
/// # Errors
/// The program was built without one of them, or a key has a value that the client does not take.
pub(crate) fn channels(
    config: &Config,
) -> Result<Vec<(ChannelOutput, &Presentation, WhenFull)>, DeliveryError> {
    let nats = config
        .nats_output
        .as_ref()
        .map(|keys| Ok((nats(keys)?, &keys.presentation, keys.when_full)));
    let kafka = config
        .kafka_output
        .as_ref()
        .map(|keys| Ok((kafka(keys)?, &keys.presentation, keys.when_full)));
    [nats, kafka].into_iter().flatten().collect()
}

/// Whether the keys of NATS have values that its client takes.
///
/// # Errors
/// Names key, place, value and remedy.
#[cfg(feature = "nats")]
pub(crate) fn check(loaded: &Loaded) -> Result<(), ConfigError> {
    let Some(keys) = &loaded.config.nats_output else { return Ok(()) };
    if let Err(error) = keys.subject.parse::<peregrine_output::SubjectTemplate>() {
        let message = format!("nats_output.subject: {error}");
        let help = "such as `alerts.{hostname}.{priority}`";
        return Err(loaded.error("nats_output.subject", message, help));
    }
    let key = match keys.login {
        peregrine_config::NatsLogin::NkeyFile(_) => "nats_output.nkey_file",
        _ => "nats_output.credentials_file",
    };
    login(&keys.login).check().map_err(|error| {
        let help = "name a file as `nsc` or `nk` writes it, which this user may read";
        loaded.error(key, format!("{key}: {error}"), help)
    })
}

#[cfg(not(feature = "nats"))]
pub(crate) fn check(_: &Loaded) -> Result<(), ConfigError> {
    Ok(())
}

#[cfg(feature = "nats")]
fn login(keys: &peregrine_config::NatsLogin) -> peregrine_output::NatsLogin {
    use peregrine_config::NatsLogin as Keys;
    use peregrine_output::NatsLogin;

    match keys.clone() {
        Keys::None => NatsLogin::None,
        Keys::User { user, password } => NatsLogin::User { user, password },
        Keys::Token(token) => NatsLogin::Token(token),
        Keys::CredentialsFile(path) => NatsLogin::CredentialsFile(path),
        Keys::NkeyFile(path) => NatsLogin::NkeyFile(path),
    }
}

#[cfg(feature = "nats")]
fn nats(keys: &peregrine_config::NatsOutput) -> Result<ChannelOutput, DeliveryError> {
    use std::time::Duration;

    use peregrine_output::{Acknowledgement, NatsOutput};

    use crate::network::{retries, tls};

    let acknowledgement = match keys.jetstream {
        true => Acknowledgement::Stream(keys.stream.clone()),
        false => Acknowledgement::Server,
    };
    let (login, subject) = (login(&keys.login), keys.subject.parse());
    let subject = subject.map_err(|error: peregrine_output::SubjectError| {
        DeliveryError::Subject(error.to_string())
    })?;
    let (servers, tls) = (keys.servers.clone(), keys.tls.as_ref().map(tls));
    Ok(ChannelOutput::Nats(NatsOutput {
        servers,
        subject,
        acknowledgement,
        login,
        tls,
        request_time: Duration::from_millis(keys.request_timeout_ms.into()),
        retries: retries(&keys.retries),
    }))
}

#[cfg(feature = "kafka")]
fn kafka(keys: &peregrine_config::KafkaOutput) -> Result<ChannelOutput, DeliveryError> {
    use std::time::Duration;

    use peregrine_config::{KafkaCompression as Codec, SaslMechanism as Mechanism};
    use peregrine_output::{KafkaCompression, KafkaLogin, KafkaOutput, SaslMechanism};

    use crate::network::{retries, tls};

    Ok(ChannelOutput::Kafka(KafkaOutput {
        brokers: keys.brokers.clone(),
        topic: keys.topic.clone(),
        client_id: keys.client_id.clone(),
        compression: match keys.compression {
            Codec::None => KafkaCompression::None,
            Codec::Gzip => KafkaCompression::Gzip,
            Codec::Snappy => KafkaCompression::Snappy,
        },
        login: keys.sasl.as_ref().map(|sasl| KafkaLogin {
            mechanism: match sasl.mechanism {
                Mechanism::Plain => SaslMechanism::Plain,
                Mechanism::ScramSha256 => SaslMechanism::ScramSha256,
                Mechanism::ScramSha512 => SaslMechanism::ScramSha512,
            },
            user: sasl.user.clone(),
            password: sasl.password.clone(),
        }),
        tls: keys.tls.as_ref().map(tls),
        request_time: Duration::from_millis(keys.request_timeout_ms.into()),
        retries: retries(&keys.retries),
    }))
}

#[cfg(not(feature = "nats"))]
fn nats(_: &peregrine_config::NatsOutput) -> Result<ChannelOutput, DeliveryError> {
    Err(DeliveryError::NotBuilt { section: "nats_output", name: "NATS" })
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &peregrine_config::KafkaOutput) -> Result<ChannelOutput, DeliveryError> {
    Err(DeliveryError::NotBuilt { section: "kafka_output", name: "Kafka" })
}
