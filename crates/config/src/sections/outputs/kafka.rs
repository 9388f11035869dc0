//! Alerts to Kafka.

use peregrine_diagnostics::Secret;
use peregrine_limits::BROKER_REQUEST_TIME;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::shared::required;
use super::tls::{Tls, TlsKeys};
use super::{AlertFormat, FieldChanges, Presentation, Retries, Select, Spool, WhenFull};
use crate::declare::{Definitions, Row, Setting, at_key, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// Alerts to Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaOutput {
    /// Brokers to ask for the others: `host:port`.
    pub brokers: Vec<String>,
    /// Topic of all alerts.
    pub topic: String,
    /// Name of the program in logs and quotas of the brokers.
    pub client_id: String,
    /// How batches are compressed.
    pub compression: KafkaCompression,
    /// Authentication, if there is any.
    pub sasl: Option<KafkaSasl>,
    /// TLS, if it is used.
    pub tls: Option<Tls>,
    /// Milliseconds for connecting, and for each batch with its acknowledgement.
    pub request_timeout_ms: u32,
    /// How often alerts are sent again.
    pub retries: Retries,
    /// The spool in front of it.
    pub spool: Spool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets, and how they look.
    pub presentation: Presentation,
}

/// Authentication by SASL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSasl {
    /// What the brokers expect.
    pub mechanism: SaslMechanism,
    /// Name of the user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaCompression {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// Snappy
    Snappy,
}

words!(
    KafkaCompression,
    { "type": "string", "enum": ["none", "gzip", "snappy"] }, "none",
    { "none" => Self::None, "gzip" => Self::Gzip, "snappy" => Self::Snappy },
    str::to_owned,
    |word| ConfigIssue::new(ConfigCode::Value, format!("kafka_output.compression: '{word}' is unknown"))
);

/// How a password is shown to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// As it is.
    Plain,
    /// SCRAM-SHA-256
    ScramSha256,
    /// SCRAM-SHA-512
    ScramSha512,
}

words!(
    SaslMechanism,
    { "type": "string", "enum": ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] }, "SCRAM-SHA-512",
    {
        "PLAIN" => Self::Plain, "SCRAM-SHA-256" => Self::ScramSha256,
        "SCRAM-SHA-512" => Self::ScramSha512
    },
    str::to_ascii_uppercase,
    |word| {
        ConfigIssue::new(ConfigCode::Value, format!("kafka_output.sasl.mechanism: '{word}' is unknown"))
    }
);

section! {
    /// Keys of `kafka_output.sasl`.
    SaslKeys "KafkaSASL" {
        /// SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN, which shows the password to the broker.
        mechanism: SaslMechanism = SaslMechanism::ScramSha512;
        /// Name of the user. Without one, there is no SASL.
        user: String = String::new();
        /// Password of the user.
        password: Secret = Secret::default();
    }
}

section! {
    /// Keys of `kafka_output`.
    KafkaKeys "KafkaOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// Brokers to ask for the others, as host:port.
        brokers: Vec<String> = Vec::new();
        /// Topic of all alerts; it has to exist.
        topic: String = String::new();
        /// Name of the program in logs and quotas of the brokers.
        client_id: String = "peregrine".to_owned();
        /// How batches are compressed: none, gzip or snappy.
        compression: KafkaCompression = KafkaCompression::None;
        /// Authentication.
        sasl: SaslKeys = SaslKeys::default();
        /// Use TLS. `{}` takes the defaults of its keys.
        tls: Option<TlsKeys> = None;
        /// Milliseconds for connecting, and for each batch of alerts with its acknowledgement.
        request_timeout_ms: u32 = BROKER_REQUEST_TIME.get() as u32;
        /// How often alerts are sent again. If absent, within 30 seconds.
        retries: Option<Retries> = None;
        /// Keeps alerts on the disk until the receiver has taken them.
        spool: Spool = Spool::default();
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto;
        /// How alerts look; see http_output.peregrine.format.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts it gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
    }
}

optional!(KafkaKeys => KafkaOutput, |keys, node| {
    if !keys.enabled {
        return Ok(None);
    }
    let wrong = |key: &str, message: &str, help: &str| {
        let issue = ConfigIssue::new(ConfigCode::Value, format!("kafka_output.{key}: {message}"));
        Err(at_key(issue, node, key).help(help))
    };
    if keys.brokers.is_empty() {
        return wrong("brokers", "there is none", BROKER_HELP);
    }
    if let Some(broker) = keys.brokers.iter().find(|broker| !is_broker(broker)) {
        let shown = peregrine_diagnostics::redact(broker);
        return wrong("brokers", &format!("{shown} is no host with a port"), BROKER_HELP);
    }
    let topic = required(keys.topic, "kafka_output.topic: it is empty", node)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !topic.chars().all(legal) || topic.len() > 249 || topic == "." || topic == ".." {
        let help = "up to 249 letters, digits, `.`, `_` and `-`";
        return wrong("topic", "this is no name of a topic", help);
    }
    Ok(Some(KafkaOutput {
        brokers: keys.brokers,
        topic,
        client_id: keys.client_id,
        compression: keys.compression,
        sasl: sasl(keys.sasl, node)?,
        tls: keys.tls.map(|tls| tls.settings("kafka_output.tls", node)).transpose()?,
        retries: keys.retries.unwrap_or(Retries::PATIENT),
        spool: keys.spool,
        request_timeout_ms: keys.request_timeout_ms.max(1),
        when_full: keys.when_full,
        presentation: Presentation {
            format: keys.format,
            select: keys.select,
            fields: keys.fields,
        },
    }))
});

const BROKER_HELP: &str = "such as `host:9092`";

fn sasl(keys: SaslKeys, node: &Node) -> Result<Option<KafkaSasl>, ConfigIssue> {
    let SaslKeys { mechanism, user, password } = keys;
    if user.is_empty() && !password.is_empty() {
        let message = "kafka_output.sasl.password: there is no user for it";
        let issue = ConfigIssue::new(ConfigCode::Value, message);
        return Err(at_key(issue, node, "sasl").help("add `user`"));
    }
    Ok((!user.is_empty()).then_some(KafkaSasl { mechanism, user, password }))
}

fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let misplaced = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | ',');
    !host.is_empty() && !host.contains(misplaced) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use crate::{Config, Main, load};

    fn read(keys: &str) -> Result<Config, String> {
        let text = format!("kafka_output: {{enabled: true, {keys}}}\n");
        let loaded = load(Main::BuiltIn(&text), &[], &mut |_| ());
        loaded.map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn wrong_values_are_named() {
        for (keys, what) in [
            ("topic: t", "kafka_output.brokers: there is none"),
            ("brokers: [h], topic: t", "kafka_output.brokers: h is no host with a port"),
            ("brokers: ['u@h:1'], topic: t", "is no host with a port"),
            ("brokers: ['h:0'], topic: t", "h:0 is no host with a port"),
            ("brokers: ['h:1']", "kafka_output.topic: it is empty"),
            ("brokers: ['h:1'], topic: 'a b'", "kafka_output.topic: this is no name of a topic"),
            ("brokers: ['h:1'], topic: '..'", "kafka_output.topic: this is no name of a topic"),
            ("brokers: ['h:1'], topic: t, compression: zstd", "compression: 'zstd' is unknown"),
            ("brokers: ['h:1'], topic: t, sasl: {mechanism: X}", "sasl.mechanism: 'X' is unknown"),
            ("brokers: ['h:1'], topic: t, sasl: {password: t0p}", "there is no user for it"),
        ] {
            let error = read(keys).unwrap_err();
            assert!(error.contains(what) && !error.contains("t0p"), "{error}");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let keys = "brokers: ['[::1]:9092'], topic: a.b_c-1, sasl: {user: u, password: t0p}";
        let config = read(keys).unwrap();
        assert!(!format!("{config:?}").contains("t0p"));
        assert_eq!(config.kafka_output.unwrap().sasl.unwrap().password.reveal(), "t0p");
    }
}
