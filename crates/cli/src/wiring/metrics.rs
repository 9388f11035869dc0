//! From configuration keys to the settings of metrics.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use peregrine_config::{Config, Engine, Loaded, sha256};
use peregrine_output::{
    AlertFilter, ChannelOutput, ChannelSettings, Delivery, Format, Layout, WhenFull,
};
use peregrine_runtime::clock::now;
use peregrine_runtime::observers::metrics::MetricsSettings;
use peregrine_telemetry::metrics::{FieldOptions, FileDigest, RunInfo};
use peregrine_telemetry::{
    CollectorSettings, LoadedFiles, MetricGroups, ResourceReader, process_age,
};

use super::checks::SYSCALL;
use super::delivery::file_output;
use super::host;
use super::prepare::PreparedRun;
use super::rules::Texts;
use crate::version;

/// `None` where metrics are off. The file of samples is created.
///
/// # Errors
/// The file can't be opened, the interval is not one, or nothing reports metrics.
pub(crate) fn settings(
    prepared: &PreparedRun<'_>,
    alerts: &Delivery,
) -> anyhow::Result<Option<MetricsSettings>> {
    let keys = &prepared.config.metrics;
    if !keys.enabled {
        return Ok(None);
    }
    let path = Some(keys.output_file.as_str()).filter(|path| !path.is_empty());
    let file = path.map(|path| file(path, prepared.config, alerts)).transpose()?;
    let interval = keys.interval.clone()?;
    let reports = keys.output_rule || file.is_some();
    if !reports && !prepared.config.webserver.prometheus_metrics_enabled {
        bail!(
            "Metrics are enabled with no output configured. Please enable at least one output channel ('metrics.output_rule', 'metrics.output_file' or 'webserver.prometheus_metrics_enabled')"
        );
    }
    prepared.log.info(format_args!(
        "Setting metrics interval to {}, equivalent to {} (ms)",
        interval,
        interval.duration().as_millis()
    ));
    Ok(Some(MetricsSettings {
        collector: CollectorSettings {
            groups: MetricGroups {
                rules: keys.rules_counters_enabled,
                resources: keys.resource_utilization_enabled,
                state: keys.state_counters_enabled,
                kernel: keys.kernel_event_counters_enabled,
                kernel_by_cpu: keys.kernel_event_counters_per_cpu_enabled,
                programs: keys.libbpf_stats_enabled,
                scan: keys.kernel_iter_event_counters_enabled,
            },
            fields: FieldOptions {
                megabytes: keys.convert_memory_to_mb,
                zeros: keys.include_empty_values,
            },
            interval: reports.then_some(interval.duration()),
            run: run_info(prepared),
            reloads: Arc::clone(&prepared.reloads),
            resources: ResourceReader::new(&host::root()),
            web: None,
        },
        file,
        as_alert: keys.output_rule,
        costs: keys.syscalls_counters_enabled,
    }))
}

fn run_info(prepared: &PreparedRun<'_>) -> RunInfo {
    RunInfo {
        version: version::FALCO.to_owned(),
        hostname: prepared.origin.hostname().to_owned(),
        source: SYSCALL.to_owned(),
        engine: matches!(prepared.config.engine, Engine::Live { .. })
            .then(|| "modern_bpf".to_owned()),
        kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
        start_ts: now().saturating_sub((process_age() * 1e9) as u64),
        ..RunInfo::default()
    }
}

/// The files that configuration and rules were read from. Only metrics tell of them, so without
/// metrics there are no digests.
pub(crate) fn loaded_files(loaded: &Loaded, rules: &Texts) -> LoadedFiles {
    if !loaded.config.metrics.enabled {
        return LoadedFiles::default();
    }
    let read_at = loaded.read_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    LoadedFiles {
        read_at: read_at.as_nanos().try_into().unwrap_or(u64::MAX),
        rules: rules.iter().map(|(name, text)| digest(name, sha256(text))).collect(),
        config: (loaded.files.iter())
            .map(|(name, file)| digest(name, file.sha256.clone()))
            .collect(),
    }
}

fn digest(path: &str, sha256: String) -> FileDigest {
    let name = Path::new(path).file_name().unwrap_or_default();
    FileDigest { name: name.to_string_lossy().into_owned(), sha256 }
}

/// The file is written as alerts are, on a thread of its own: a slow disk must not delay scrapes.
fn file(path: &str, config: &Config, alerts: &Delivery) -> anyhow::Result<Delivery> {
    let file = file_output(Path::new(path), true, config);
    let opened = peregrine_files::append(&file.path, file.mode);
    opened.with_context(|| format!("Could not open metrics.output_file {path}"))?;
    // The collecting thread never waits for it.
    let (output, when_full) = (ChannelOutput::File(file), WhenFull::DropNewest);
    let (format, filter) = (Format::new(Layout::Sample), AlertFilter::default());
    let channels = vec![ChannelSettings { output, format, filter, when_full }];
    Ok(Delivery { channels, buffered: false, ..alerts.clone() })
}
