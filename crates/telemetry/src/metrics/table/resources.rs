//! CPU and memory of the program and of its host: `metrics.resource_utilization_enabled`.

use crate::metrics::inputs::{Figures, ResourceFigures};
use crate::metrics::metric::{Metric, Unit, Value, count, gauge, rounded};

pub(super) static METRICS: &[Metric] = &[
    gauge(
        "falco.cpu_usage_perc",
        "falcosecurity_falco_cpu_usage_ratio",
        "CPU time of this program in relation to the time since it started; 100 % is one CPU.",
        |f| percent(f, |r| r.cpu_percent),
    )
    .unit(Unit::Percent),
    gauge(
        "falco.memory_rss_kb",
        "falcosecurity_falco_memory_rss_bytes",
        "Memory of this program that is in RAM.",
        |f| of(f, |r| r.rss_kb),
    )
    .unit(Unit::Kibibytes),
    gauge(
        "falco.memory_vsz_kb",
        "falcosecurity_falco_memory_vsz_bytes",
        "Address space of this program.",
        |f| of(f, |r| r.vsz_kb),
    )
    .unit(Unit::Kibibytes),
    gauge(
        "falco.memory_pss_kb",
        "falcosecurity_falco_memory_pss_bytes",
        "Memory of this program that is in RAM; of what it shares with others only its part.",
        |f| of(f, |r| r.pss_kb),
    )
    .unit(Unit::Kibibytes),
    gauge(
        "falco.container_memory_used_bytes",
        "falcosecurity_falco_container_memory_used_bytes",
        "Memory of the container this program runs in.",
        |f| of(f, |r| r.container_memory),
    )
    .unit(Unit::Bytes),
    gauge(
        "falco.host_cpu_usage_perc",
        "falcosecurity_falco_host_cpu_usage_ratio",
        "CPU time of the host in relation to the time since it booted; 100 % is all CPUs.",
        |f| percent(f, |r| r.host_cpu_percent),
    )
    .unit(Unit::Percent),
    gauge(
        "falco.host_memory_used_kb",
        "falcosecurity_falco_host_memory_used_bytes",
        "Memory of the host that is in use, without its caches.",
        |f| of(f, |r| r.host_memory_kb),
    )
    .unit(Unit::Kibibytes),
    gauge(
        "falco.host_procs_running",
        "falcosecurity_falco_host_procs_running_total",
        "Processes of the host that run.",
        |f| of(f, |r| r.host_procs_running),
    ),
    gauge(
        "falco.host_open_fds",
        "falcosecurity_falco_host_open_fds_total",
        "Open files of the host.",
        |f| of(f, |r| r.host_open_fds),
    ),
];

fn of(figures: &Figures, value: fn(&ResourceFigures) -> u64) -> Option<Value> {
    count(value(figures.resources.as_ref()?))
}

fn percent(figures: &Figures, value: fn(&ResourceFigures) -> f64) -> Option<Value> {
    Some(rounded(value(figures.resources.as_ref()?)))
}
