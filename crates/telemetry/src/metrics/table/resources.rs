//! CPU and memory of the program and of its host: `metrics.resource_utilization_enabled`.

use crate::metrics::inputs::{MetricInputs, ResourceUsage};
use crate::metrics::metric::{Metric, MetricUnit, MetricValue, count, gauge, rounded};

pub(super) static METRICS: &[Metric] = &[
    gauge(
        "falco.cpu_usage_perc",
        "falcosecurity_falco_cpu_usage_ratio",
        "CPU time of this program in relation to the time since it started; 100 % is one CPU.",
        |f| percent(f, |r| r.cpu_percent),
    )
    .unit(MetricUnit::Percent),
    gauge(
        "falco.memory_rss_kb",
        "falcosecurity_falco_memory_rss_bytes",
        "Memory of this program that is in RAM.",
        |f| of(f, |r| r.rss_kb),
    )
    .unit(MetricUnit::Kibibytes),
    gauge(
        "falco.memory_vsz_kb",
        "falcosecurity_falco_memory_vsz_bytes",
        "Address space of this program.",
        |f| of(f, |r| r.vsz_kb),
    )
    .unit(MetricUnit::Kibibytes),
    gauge(
        "falco.memory_pss_kb",
        "falcosecurity_falco_memory_pss_bytes",
        "Memory of this program that is in RAM; shared pages count in part.",
        |f| of(f, |r| r.pss_kb),
    )
    .unit(MetricUnit::Kibibytes),
    gauge(
        "falco.container_memory_used_bytes",
        "falcosecurity_falco_container_memory_used_bytes",
        "Memory of the container this program runs in.",
        |f| of(f, |r| r.container_memory),
    )
    .unit(MetricUnit::Bytes),
    gauge(
        "falco.host_cpu_usage_perc",
        "falcosecurity_falco_host_cpu_usage_ratio",
        "CPU time of the host in relation to the time since it booted; 100 % is all CPUs.",
        |f| percent(f, |r| r.host_cpu_percent),
    )
    .unit(MetricUnit::Percent),
    gauge(
        "falco.host_memory_used_kb",
        "falcosecurity_falco_host_memory_used_bytes",
        "Memory of the host that is in use, without its caches.",
        |f| of(f, |r| r.host_memory_kb),
    )
    .unit(MetricUnit::Kibibytes),
    gauge(
        "falco.host_procs_running",
        "falcosecurity_falco_host_procs_running_total",
        "Running processes of the host.",
        |f| of(f, |r| r.host_procs_running),
    ),
    gauge(
        "falco.host_open_fds",
        "falcosecurity_falco_host_open_fds_total",
        "Open files of the host.",
        |f| of(f, |r| r.host_open_fds),
    ),
];

fn of(inputs: &MetricInputs, value: fn(&ResourceUsage) -> u64) -> Option<MetricValue> {
    count(value(inputs.resources.as_ref()?))
}

fn percent(inputs: &MetricInputs, value: fn(&ResourceUsage) -> f64) -> Option<MetricValue> {
    Some(rounded(value(inputs.resources.as_ref()?)))
}
