//! From configuration keys to settings of crate `output`: channels and alert formats.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use peregrine_config::Config;
use peregrine_engine::AlertContent;
use peregrine_event::render::Buffers;
use peregrine_output::{
    Channels, ClientIdentity, Delivery, FileOutput, Format, HttpOutput, JsonStyle, Layout,
    ProgramOutput, SyslogOutput, Trust,
};

/// How and where alerts are delivered.
pub(crate) fn delivery(config: &Config) -> Delivery {
    let file = &config.file_output;
    let program = &config.program_output;
    Delivery {
        channels: Channels {
            file: file.enabled.then(|| FileOutput {
                path: PathBuf::from(&file.filename),
                keep_alive: file.keep_alive,
            }),
            stdout: config.stdout_output.enabled,
            syslog: config.syslog_output.enabled.then(|| SyslogOutput {
                socket: PathBuf::from("/dev/log"),
                ident: env!("CARGO_BIN_NAME").to_owned(),
            }),
            program: program.enabled.then(|| ProgramOutput {
                command: program.program.clone(),
                keep_alive: program.keep_alive,
            }),
            http: config.http_output.enabled.then(|| http(config)),
        },
        format: format(config),
        buffered: config.buffered_outputs,
        queue_capacity: usize::try_from(config.outputs_queue.capacity)
            .ok()
            .and_then(NonZeroUsize::new),
        timeout: Duration::from_millis(config.output_timeout.into()),
    }
}

fn http(config: &Config) -> HttpOutput {
    let keys = &config.http_output;
    let authorities = [&keys.ca_cert, &keys.ca_bundle].into_iter().find(|path| !path.is_empty());
    HttpOutput {
        url: keys.url.clone(),
        user_agent: keys.user_agent.clone(),
        trust: match keys.insecure {
            true => Trust::Anyone,
            false => Trust::Authorities(authorities.unwrap_or(&keys.ca_path).into()),
        },
        client: keys.mtls.then(|| ClientIdentity {
            certificate: PathBuf::from(&keys.client_cert),
            key: PathBuf::from(&keys.client_key),
        }),
        echo: keys.echo,
        max_consecutive_timeouts: keys.max_consecutive_timeouts,
    }
}

/// How channels write alerts.
fn format(config: &Config) -> Format {
    let json = JsonStyle {
        message: config.json_include_message_property,
        output: config.json_include_output_property,
        output_fields: config.json_include_output_fields_property,
        tags: config.json_include_tags_property,
    };
    Format {
        layout: if config.json_output { Layout::Json(json) } else { Layout::Text },
        iso_time: config.time_format_iso_8601,
        zone: zone(),
    }
}

/// What alerts carry: fields only where channels print them.
pub(crate) fn content(config: &Config) -> AlertContent {
    AlertContent {
        fields: config.json_output && config.json_include_output_fields_property,
        iso_time: config.time_format_iso_8601,
        buffers: buffers(config),
    }
}

/// How bytes of any value are shown.
pub(crate) fn buffers(config: &Config) -> Buffers {
    if config.buffer_format_base64 { Buffers::Base64 } else { Buffers::Dots }
}

/// The time zone of this machine. Looked for by its name, all names there are would be listed
/// first.
pub(crate) fn zone() -> TimeZone {
    let file = std::env::var_os("TZ").is_none().then(|| std::fs::read("/etc/localtime").ok());
    let zone = file.flatten().and_then(|file| TimeZone::tzif("", &file).ok());
    zone.unwrap_or_else(TimeZone::system)
}
