//! Checks before the first event.

use std::fs::OpenOptions;

use anyhow::{Context, bail};
use peregrine_config::Engine;

use super::setup::Setup;
use crate::args::LoadArgs;

/// The one event source that exists without plugins.
pub(crate) const SYSCALL: &str = "syscall";

/// Plugins other than the built-in one can't be loaded.
pub(crate) fn plugins(setup: &Setup) -> anyhow::Result<()> {
    let foreign = setup.loaded.plugins.iter().find(|plugin| plugin.name != "container");
    if let Some(plugin) = foreign {
        bail!(
            "plugins are not supported yet: cannot load '{}' from {} (leave it out of load_plugins)",
            plugin.name,
            plugin.library_path.display()
        );
    }
    Ok(())
}

/// `--enable-source` and `--disable-source`, which a replay ignores.
pub(crate) fn sources(setup: &Setup, args: &LoadArgs) -> anyhow::Result<()> {
    let (enable, disable) = (&args.enable_source, &args.disable_source);
    if setup.replays() {
        return Ok(());
    }
    if !enable.is_empty() && !disable.is_empty() {
        bail!("You can not mix --enable-source and --disable-source");
    }
    if let Some(unknown) = enable.iter().find(|source| *source != SYSCALL) {
        bail!("Attempted enabling an unknown event source: {unknown}");
    }
    if let Some(unknown) = disable.iter().find(|source| *source != SYSCALL) {
        bail!("Attempted disabling an unknown event source: {unknown}");
    }
    if !disable.is_empty() {
        bail!("Must enable at least one event source");
    }
    Ok(())
}

/// Alerts have somewhere to go.
pub(crate) fn outputs(setup: &Setup) -> anyhow::Result<()> {
    let config = setup.config();
    let any = config.file_output.enabled
        || config.stdout_output.enabled
        || config.syslog_output.enabled
        || config.program_output.enabled
        || config.http_output.enabled;
    if !any {
        bail!(
            "No output configured, please make sure at least one output is configured and enabled."
        );
    }
    Ok(())
}

/// Size and number of the kernel's rings.
pub(crate) fn buffers(setup: &Setup) -> anyhow::Result<()> {
    let Engine::Live { kmod, settings } = &setup.config().engine else { return Ok(()) };
    let size = match settings.buf_size_preset {
        preset @ 1..=10 => 1_u64 << (19 + preset),
        _ => bail!("The 'buf_size_preset' value must be between '1' and '10'\n"),
    };
    let megabytes = size >> 20;
    setup.log.info(format_args!(
        "The chosen syscall buffer dimension is: {size} bytes ({megabytes} MBs)"
    ));
    let cpus = peregrine_probe::bpf::online_cpus().context("CPUs of this machine")?;
    let wanted = settings.cpus_for_each_buffer;
    if !kmod && u32::from(wanted) > cpus {
        setup.log.warning(format_args!(
            "you required a buffer every '{wanted}' CPUs but there are only '{cpus}' online CPUs. Falco changed the config to: one buffer every '{cpus}' CPUs"
        ));
    }
    Ok(())
}

/// Reports have an interval and somewhere to go.
pub(crate) fn metrics(setup: &Setup) -> anyhow::Result<()> {
    let config = setup.config();
    let metrics = &config.metrics;
    if !metrics.enabled {
        return Ok(());
    }
    if !metrics.output_file.is_empty() {
        let opened = OpenOptions::new().append(true).create(true).open(&metrics.output_file);
        opened.with_context(|| {
            format!("Could not open metrics.output_file {}", metrics.output_file)
        })?;
    }
    let interval = milliseconds(&metrics.interval);
    if interval < 100 {
        bail!(
            "Metrics interval must have a minimum value of 100ms and reflect a Prometheus compliant time duration format: https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations. "
        );
    }
    if !metrics.output_rule
        && metrics.output_file.is_empty()
        && !config.webserver.prometheus_metrics_enabled
    {
        bail!(
            "Metrics are enabled with no output configured. Please enable at least one output channel ('metrics.output_rule', 'metrics.output_file' or 'webserver.prometheus_metrics_enabled')"
        );
    }
    setup.log.info(format_args!(
        "Setting metrics interval to {}, equivalent to {interval} (ms)",
        metrics.interval
    ));
    Ok(())
}

/// A duration in the notation of Prometheus (`1h30m`), blanks allowed; 0 where it is not one.
pub(crate) fn milliseconds(interval: &str) -> u64 {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * DAY),
        ("w", 7 * DAY),
        ("d", DAY),
        ("h", 3600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
        ("ms", 1),
    ];
    let text: String = interval.split_ascii_whitespace().collect();
    let mut rest = text.as_str();
    let mut units = UNITS.as_slice();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters =
            after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        // Each unit once, the large before the small.
        let Some(at) = units.iter().position(|(name, _)| *name == unit) else { return 0 };
        let Ok(number) = number.parse::<u64>() else { return 0 };
        let worth = units.get(at).map_or(0, |(_, worth)| *worth);
        total = total.saturating_add(number.saturating_mul(worth));
        units = units.get(at + 1..).unwrap_or_default();
        rest = after;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        assert_eq!(milliseconds("1h 5m"), 3_900_000);
        assert_eq!(
            milliseconds("1y2w3d4h5m6s7ms"),
            31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007
        );
        assert_eq!(milliseconds("500ms"), 500);
        for wrong in ["", "5000", "5parsecs", "s", "1m1h", "1h1h", "-1h"] {
            assert_eq!(milliseconds(wrong), 0, "{wrong}");
        }
    }
}
