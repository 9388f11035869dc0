//! From configuration keys to the settings of metrics.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use peregrine_config::{Config, Engine};
use peregrine_engine::Generation;
use peregrine_output::{
    AlertFilter, AlertSender, ChannelOutput, ChannelSettings, Delivery, Format, Incident, Layout,
    WhenFull,
};
use peregrine_runtime::clock::now;
use peregrine_runtime::observers::metrics::{Metrics, MetricsSettings};
use peregrine_telemetry::metrics::{FieldOptions, RunInfo};
use peregrine_telemetry::{CollectorSettings, MetricGroups, ResourceReader, process_age};

use super::agent::Agent;
use super::checks::SYSCALL;
use super::host;
use super::setup::Setup;
use crate::version;
use peregrine_delivery::file_output;

/// `None` where metrics are off. The file of samples is created.
///
/// # Errors
/// The file can't be opened, the interval is not one, or nothing reports metrics.
pub fn settings(
    setup: &Setup,
    agent: &Agent,
    alerts: &Delivery,
) -> anyhow::Result<Option<MetricsSettings>> {
    let config = setup.config();
    let keys = &config.metrics;
    if !keys.enabled {
        return Ok(None);
    }
    let path = Some(keys.output_file.as_str()).filter(|path| !path.is_empty());
    let file = path.map(|path| file(path, config, alerts)).transpose()?;
    let interval = keys.interval.clone().map_err(|error| {
        let key = ["metrics.interval", "metrics.enabled"];
        let key = key.into_iter().find(|key| setup.loaded.label(key).is_some());
        let help = "write a number with a unit, 100ms at least: 30s, 15m, 1h";
        setup.loaded.error(key.unwrap_or_default(), error.to_string(), help)
    })?;
    let reports = keys.output_rule || file.is_some();
    if !reports && !config.webserver.prometheus_metrics_enabled {
        bail!(
            "Metrics are enabled with no output configured. Please enable at least one output channel ('metrics.output_rule', 'metrics.output_file' or 'webserver.prometheus_metrics_enabled')"
        );
    }
    agent.log.info(format_args!(
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
            run: run_info(config, agent),
            reloads: Arc::clone(&agent.reloads),
            resources: ResourceReader::new(&host::root()),
            web: config.webserver.enabled.then(|| Arc::clone(&agent.web)),
            containers: agent.containers.clone(),
            audit: agent.audit.clone(),
            kubernetes: agent.kubernetes.clone(),
            plugins: keys.plugins_metrics_enabled.then(|| setup.plugin_metrics()).flatten(),
        },
        file,
        as_alert: keys.output_rule,
        costs: keys.syscalls_counters_enabled,
    }))
}

/// Starts to collect.
pub fn start(
    settings: MetricsSettings,
    generation: &Generation,
    agent: &Agent,
    alerts: AlertSender,
) -> io::Result<Metrics> {
    let log = agent.log.clone();
    let report = move |incident: &Incident| {
        log.line(incident.priority(), format_args!("metrics.output_file: {incident}"));
    };
    let (heartbeat, report) = (Arc::clone(&agent.heartbeat), Arc::new(report));
    Metrics::start(settings, generation, heartbeat, alerts, &agent.origin, report)
}

fn run_info(config: &Config, agent: &Agent) -> RunInfo {
    let live = matches!(config.engine, Engine::Live { .. });
    let plugins = agent.sources.iter().filter(|source| *source != SYSCALL);
    RunInfo {
        version: version::FALCO.to_owned(),
        hostname: agent.origin.hostname().to_owned(),
        source: agent.sources.first().map_or(SYSCALL, String::as_str).to_owned(),
        engine: (live && agent.opens_kernel()).then(|| "modern_bpf".to_owned()),
        plugin_sources: match config.engine {
            Engine::Replay { .. } => Vec::new(),
            _ => plugins.cloned().collect(),
        },
        kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
        start_ts: now().saturating_sub((process_age() * 1e9) as u64),
        ..RunInfo::default()
    }
}

/// The file is written as alerts are, on a thread of its own: a slow disk must not delay scrapes.
fn file(path: &str, config: &Config, alerts: &Delivery) -> anyhow::Result<Delivery> {
    let file = file_output(Path::new(path), true, config);
    let opened = peregrine_files::append(&file.path, file.mode);
    opened.with_context(|| format!("Could not open metrics.output_file {path}"))?;
    // The collecting thread never waits for it.
    let (output, when_full) = (ChannelOutput::File(file), WhenFull::DropNewest);
    let (format, filter) = (Format::new(Layout::Sample), AlertFilter::default());
    let channels = vec![ChannelSettings { output, format, filter, when_full, spool: None }];
    Ok(Delivery { channels, buffered: false, ..alerts.clone() })
}
