//! From configuration keys to the spools of outputs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use peregrine_config::{Config, ConfigError, Loaded, Spool, WhenSpoolFull as When};
use peregrine_files::STATE_DIRECTORY;
use peregrine_limits::SPOOL_MEMORY;
use peregrine_output::{
    ChannelOutput, SpoolSettings, SyslogOutput, SyslogReceiver, WhenSpoolFull, check_spool,
};

/// The spool of an output, if it has one.
pub(crate) fn settings(config: &Config, output: &ChannelOutput) -> Option<SpoolSettings> {
    let (name, _, keys) = keys(config, output)?;
    let directory = match keys.directory.as_str() {
        "" => Path::new(STATE_DIRECTORY).join("spool").join(name),
        directory => PathBuf::from(directory),
    };
    keys.enabled.then(|| SpoolSettings {
        directory,
        max_bytes: u64::from(keys.max_mb.max(1)) << 20,
        max_age: keys.max_age.duration(),
        when_full: match keys.when_full {
            When::DropOldest => WhenSpoolFull::DropOldest,
            When::DropNewest => WhenSpoolFull::DropNewest,
        },
        sync_interval: Duration::from_millis(keys.sync_interval_ms.into()),
        memory: SPOOL_MEMORY.get(),
    })
}

/// Whether the directory of a spool can be used.
///
/// # Errors
/// Names key, place, value and remedy.
pub(crate) fn check(
    loaded: &Loaded,
    output: &ChannelOutput,
    spool: &SpoolSettings,
) -> Result<(), ConfigError> {
    let section = keys(&loaded.config, output).map_or("", |(_, section, _)| section);
    let key = format!("{section}.spool.directory");
    check_spool(&spool.directory).map_err(|error| {
        let help = "a directory that this user can create and that others cannot write to";
        loaded.error(&key, format!("{key}: {error}"), help)
    })
}

/// The name of an output over a network, the section of its keys, and those of its spool.
fn keys<'a>(
    config: &'a Config,
    output: &ChannelOutput,
) -> Option<(&'static str, &'static str, &'a Spool)> {
    let http = config.http_output.as_ref();
    Some(match output {
        ChannelOutput::Http(_) => ("http", "http_output.peregrine", &http?.peregrine.spool),
        #[cfg(feature = "otlp")]
        ChannelOutput::Otlp(_) => ("otlp", "otlp_output", &config.otlp_output.as_ref()?.spool),
        ChannelOutput::Syslog(SyslogOutput { receiver: SyslogReceiver::Tcp { .. }, .. }) => {
            ("syslog", "syslog_output.peregrine", &config.syslog_output.peregrine.spool)
        }
        #[cfg(feature = "nats")]
        ChannelOutput::Nats(_) => ("nats", "nats_output", &config.nats_output.as_ref()?.spool),
        #[cfg(feature = "kafka")]
        ChannelOutput::Kafka(_) => ("kafka", "kafka_output", &config.kafka_output.as_ref()?.spool),
        _ => return None,
    })
}
