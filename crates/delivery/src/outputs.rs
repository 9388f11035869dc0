//! From configuration keys to settings of crate `output`: channels and alert formats.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use peregrine_config::{AlertFormat, Config, Engine, Presentation, Select};
use peregrine_engine::AlertContent;
use peregrine_event::render::Buffers;
use peregrine_output::{
    AlertFilter, Batch, BatchForm, ChannelOutput, ChannelSettings, Delivery, FieldChanges,
    FileOutput, Format, HttpOutput, JsonStyle, Layout, ProgramOutput, QueueLimits, WhenFull,
};

use crate::network::{bearer, encoding, retries, tls};
use crate::{DeliveryError, Identity, brokers, otlp, spool, streams};

/// How and where alerts are delivered.
///
/// # Errors
/// No output is enabled, or one cannot be used.
pub fn delivery(config: &Config, identity: &Identity) -> Result<Delivery, DeliveryError> {
    let channels = channels(config, identity)?;
    if channels.is_empty() {
        return Err(DeliveryError::NoOutput);
    }
    let keys = &config.outputs_queue;
    let memory = usize::try_from(keys.max_memory_mb).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    Ok(Delivery {
        queue: QueueLimits {
            alerts: usize::try_from(keys.capacity).ok().and_then(NonZeroUsize::new),
            bytes: memory / channels.len(),
        },
        channels,
        buffered: config.buffered_outputs,
        timeout: Duration::from_millis(config.output_timeout.into()),
    })
}

/// The outputs that are enabled.
fn channels(config: &Config, identity: &Identity) -> Result<Vec<ChannelSettings>, DeliveryError> {
    let file = config.file_output.as_ref().map(|file| {
        let output = streams::file(file, file_output(&file.path, file.keep_alive, config));
        (ChannelOutput::File(output), &file.presentation, file.when_full)
    });
    let keys = &config.stdout_output;
    let own = keys.peregrine.presentation();
    let stdout = ChannelOutput::Stdout(streams::stdout(keys));
    let stdout = keys.enabled.then_some((stdout, &own, keys.when_full));
    let keys = &config.syslog_output;
    let own = keys.peregrine.presentation();
    let syslog = ChannelOutput::Syslog(streams::syslog(&keys.peregrine, identity));
    let syslog = keys.enabled.then_some((syslog, &own, keys.when_full));
    let program = config.program_output.as_ref().map(|keys| {
        let (command, keep_alive) = (keys.command.clone(), keys.keep_alive);
        let output = ProgramOutput { command, keep_alive };
        (ChannelOutput::Program(output), &keys.presentation, keys.when_full)
    });
    let http = config.http_output.as_ref();
    let http = http.map(|keys| {
        (ChannelOutput::Http(http_output(keys).into()), &keys.presentation, keys.when_full)
    });
    let otlp = config.otlp_output.as_ref();
    let otlp = otlp
        .map(|keys| otlp::output(keys, identity).map(|it| (it, &keys.presentation, keys.when_full)))
        .transpose()?;
    let zone = zone();
    let replays = matches!(config.engine, Engine::Replay { .. });
    let settings = |(output, presentation, when_full): (_, &Presentation, _)| ChannelSettings {
        spool: spool::settings(config, &output),
        output,
        format: format(config, presentation, zone.clone()),
        filter: filter(&presentation.select),
        when_full: match when_full {
            // A capture waits, and the kernel does not.
            peregrine_config::WhenFull::Auto if replays => WhenFull::Block,
            peregrine_config::WhenFull::Auto => WhenFull::DropNewest,
            peregrine_config::WhenFull::DropNewest => WhenFull::DropNewest,
            peregrine_config::WhenFull::DropOldest => WhenFull::DropOldest,
            peregrine_config::WhenFull::Block => WhenFull::Block,
        },
    };
    let outputs = [file, stdout, syslog, program, http, otlp].into_iter().flatten();
    Ok(outputs.chain(brokers::channels(config)?).map(settings).collect())
}

/// A file with the permissions that the configuration asks for.
pub fn file_output(path: &Path, keep_alive: bool, config: &Config) -> FileOutput {
    FileOutput { keep_alive, ..FileOutput::new(path.to_owned(), config.files.mode) }
}

fn http_output(keys: &peregrine_config::HttpOutput) -> HttpOutput {
    let (extras, millis) = (&keys.peregrine, |it: u32| Duration::from_millis(it.into()));
    HttpOutput {
        url: keys.url.clone(),
        user_agent: keys.user_agent.clone(),
        headers: extras.headers.0.clone(),
        bearer: bearer(&extras.bearer_token, &extras.bearer_token_file),
        tls: tls(&keys.tls),
        proxy: extras.proxy.clone(),
        keep_alive: keys.keep_alive,
        connect_time: millis(extras.connect_timeout_ms),
        request_time: millis(extras.request_timeout_ms),
        retries: retries(&keys.retries),
        batch: extras.batch.as_ref().map(|batch| Batch {
            alerts: batch.max_alerts.max(1) as usize,
            bytes: (batch.max_kb as usize) << 10,
            max_wait: millis(batch.max_wait_ms),
            form: match batch.form {
                peregrine_config::BatchForm::JsonArray => BatchForm::JsonArray,
                peregrine_config::BatchForm::Lines => BatchForm::Lines,
            },
        }),
        encoding: encoding(extras.encoding),
        echo: keys.echo,
    }
}

/// How a channel writes alerts.
fn format(config: &Config, presentation: &Presentation, zone: TimeZone) -> Format {
    let json = Layout::Json(JsonStyle {
        message: config.json_include_message_property,
        output: config.json_include_output_property,
        output_fields: config.json_include_output_fields_property,
        tags: config.json_include_tags_property,
    });
    Format {
        layout: match presentation.format {
            AlertFormat::Auto if config.json_output => json,
            AlertFormat::Auto | AlertFormat::Text => Layout::Text,
            AlertFormat::Json => json,
            AlertFormat::Ocsf => Layout::Ocsf,
            AlertFormat::Cef => Layout::Cef,
        },
        iso_time: config.time_format_iso_8601,
        zone,
        fields: field_changes(presentation),
    }
}

pub(crate) fn field_changes(presentation: &Presentation) -> FieldChanges {
    let keys = presentation.fields.clone();
    FieldChanges { drop: keys.drop, rename: keys.rename.0 }
}

/// Which alerts a channel gets.
fn filter(Select { priority, tags, rules }: &Select) -> AlertFilter {
    AlertFilter { priority: *priority, tags: tags.clone(), rules: rules.clone() }
}

/// What alerts carry: fields only where a channel has them.
pub fn content(config: &Config, channels: &[ChannelSettings]) -> AlertContent {
    AlertContent {
        fields: channels.iter().any(ChannelSettings::shows_fields),
        context: (channels.iter())
            .map(|channel| channel.format.layout.context())
            .max_by_key(|context| context.len())
            .unwrap_or_default(),
        iso_time: config.time_format_iso_8601,
        buffers: buffers(config),
    }
}

/// How bytes of any value are shown.
pub fn buffers(config: &Config) -> Buffers {
    if config.buffer_format_base64 { Buffers::Base64 } else { Buffers::Dots }
}

/// The time zone of this machine. Looked for by its name, all names there are would be listed
/// first.
pub fn zone() -> TimeZone {
    let file = std::env::var_os("TZ").is_none().then(|| std::fs::read("/etc/localtime").ok());
    let zone = file.flatten().and_then(|file| TimeZone::tzif("", &file).ok());
    zone.unwrap_or_else(TimeZone::system)
}
