//! The run itself: versions, files, times, the machine. Always included.

use std::time::Duration;

use crate::metrics::inputs::FileDigest;
use crate::metrics::metric::{
    Extract, Metric, MetricKind, MetricUnit, MetricValue, Sample, ZeroPolicy, count, counter,
    family, field, gauge, rate, sanitized, text,
};

const SECOND: u64 = 1_000_000_000;

pub(super) static METRICS: &[Metric] = &[
    field("evt.time", "When the snapshot was taken, in nanoseconds since 1970.", |f| count(f.ts)),
    family(
        MetricKind::Info,
        "evt.hostname",
        "falcosecurity_evt_hostname_info",
        "Name of this host.",
        |f| one(&f.run.hostname, [("hostname", &f.run.hostname)]),
    ),
    field("evt.source", "The event source.", |f| text(&f.run.source)),
    family(
        MetricKind::Info,
        "falco.version",
        "falcosecurity_falco_version_info",
        "The version of Falco that this program is compatible with.",
        |f| one(&f.run.version, [("version", &f.run.version)]),
    ),
    gauge(
        "falco.start_ts",
        "falcosecurity_falco_start_timestamp_nanoseconds",
        "When the program started.",
        |f| count(f.run.start_ts),
    )
    .zero(ZeroPolicy::Always),
    gauge(
        "falco.reload_ts",
        "falcosecurity_falco_reload_timestamp_nanoseconds",
        "When the configuration was last read.",
        |f| count(f.run.reload_ts),
    )
    .zero(ZeroPolicy::Always),
    counter(
        "falco.duration_sec",
        "falcosecurity_falco_duration_seconds_total",
        "How long the program has been running.",
        |f| count(f.ts.saturating_sub(f.run.start_ts) / SECOND),
    )
    .zero(ZeroPolicy::Always),
    family(
        MetricKind::Info,
        "falco.kernel_release",
        "falcosecurity_falco_kernel_release_info",
        "Release of the running kernel.",
        |f| one(&f.run.kernel_release, [("kernel_release", &f.run.kernel_release)]),
    ),
    gauge(
        "falco.host_boot_ts",
        "falcosecurity_falco_host_boot_timestamp_nanoseconds",
        "When the machine booted.",
        |f| count(f.run.boot_ts),
    )
    .zero(ZeroPolicy::Always),
    gauge(
        "falco.host_num_cpus",
        "falcosecurity_falco_host_num_cpus_total",
        "CPUs of the machine.",
        |f| count(f.run.cpus),
    )
    .zero(ZeroPolicy::Always),
    family(
        MetricKind::Info,
        "falco.sha256_rules_file.<file>",
        "falcosecurity_falco_sha256_rules_files_info",
        "SHA-256 of each rules file.",
        |f| digests(&f.run.rules_files),
    ),
    family(
        MetricKind::Info,
        "falco.sha256_config_file.<file>",
        "falcosecurity_falco_sha256_config_files_info",
        "SHA-256 of each configuration file.",
        |f| digests(&f.run.config_files),
    ),
    Metric::new(
        MetricKind::Info,
        "falco.host_netinfo.interfaces.<interface>.addresses",
        None,
        "Addresses of each network interface but lo, joined by commas; `<interface>` is `NAME.protocols.ipv4` or \
         `NAME.protocols.ipv6`.",
        Extract::Multiple(|f| {
            let of = |(name, protocol, addresses): &(String, &str, Vec<String>)| {
                let part = format!("{name}.protocols.{protocol}");
                Sample::new(&part, [], MetricValue::Text(addresses.join(",")))
            };
            f.run.addresses.iter().map(of).collect()
        }),
    ),
    family(
        MetricKind::Info,
        "scap.engine_name",
        "falcosecurity_scap_engine_name_info",
        "Source of the events: `modern_bpf` is the running kernel. A replay has none.",
        |f| {
            let kernel = f.run.engine.as_deref().map(|engine| (engine, &f.run.source));
            let plugins = f.run.plugin_sources.iter().map(|source| ("source_plugin", source));
            // Reports have one value: the last.
            let engines = plugins.chain(kernel);
            engines
                .flat_map(|(engine, source)| {
                    one(engine, [("engine_name", engine), ("evt_source", source)])
                })
                .collect()
        },
    ),
    family(
        MetricKind::Info,
        "peregrine.hook_plan",
        "peregrine_hook_plan_info",
        "How system calls are hooked: `fexit`, one hook per selected call, or `sys_exit`, one hook at the exit of all.",
        |f| {
            let Some(plan) = &f.run.hook_plan else { return Vec::new() };
            one(plan, [("plan", plan)])
        },
    ),
    counter(
        "peregrine.reloads",
        "peregrine_reloads_total",
        "Reloads that brought new rules into force.",
        |f| count(f.reloads.done),
    ),
    counter(
        "peregrine.reloads_failed",
        "peregrine_reloads_failed_total",
        "Reloads that failed: the rules stayed as they were.",
        |f| count(f.reloads.failed),
    ),
    gauge(
        "peregrine.generation",
        "peregrine_generation",
        "Number of the version of the rules in force: 1 after the start, one more with each reload.",
        |f| count(f.reloads.generation),
    ),
    gauge(
        "peregrine.reload_load_ns",
        "peregrine_reload_load_nanoseconds",
        "How long the last reload took to read and compile, beside the events.",
        |f| count(f.reloads.load),
    ),
    gauge(
        "peregrine.reload_swap_ns",
        "peregrine_reload_swap_nanoseconds",
        "How long the last reload held up the events.",
        |f| count(f.reloads.swap),
    ),
    counter(
        "peregrine.alerts_incomplete",
        "peregrine_alerts_incomplete_total",
        "Alerts sent before the users and groups of their container were read.",
        |f| count(f.held.incomplete),
    ),
    counter(
        "peregrine.alerts_without_container",
        "peregrine_alerts_without_container_total",
        "Alerts sent before a runtime had described their container.",
        |f| count(f.held.without_metadata),
    ),
    counter(
        "peregrine.events_undecided",
        "peregrine_events_undecided_total",
        "Events with rules that waited for a runtime to describe their container.",
        |f| count(f.held.undecided),
    ),
    counter(
        "peregrine.events_given_up",
        "peregrine_events_given_up_total",
        "Events with rules that were decided before a runtime had described their container.",
        |f| count(f.held.given_up),
    ),
    counter(
        "peregrine.capture_events_lost",
        "peregrine_capture_events_lost_total",
        "Events left out of capture files because they could not be written fast enough.",
        |f| count(f.capture_drops),
    ),
    family(
        MetricKind::Counter,
        "peregrine.limits.<limit>",
        "peregrine_limits_reached_total",
        "How often each limit of docs/limits.md was reached.",
        |f| {
            let limits = f.limits.iter();
            let of = |&(name, n)| Sample::new(name, [("limit", name)], MetricValue::Uint(n));
            limits.map(of).collect()
        },
    )
    .zero(ZeroPolicy::OnDemand),
    counter(
        "peregrine.event_thread.stalls",
        "peregrine_event_thread_stalls_total",
        "How often the event thread made no progress for `webserver.healthz_timeout`.",
        |f| count(f.stalls?.count),
    ),
    gauge(
        "peregrine.event_thread.longest_stall_ns",
        "peregrine_event_thread_longest_stall_seconds",
        "The longest of these stalls that has ended.",
        |f| nanoseconds(f.stalls?.longest),
    )
    .unit(MetricUnit::Nanoseconds),
    gauge(
        "peregrine.event_thread.silence_ns",
        "peregrine_event_thread_silence_seconds",
        "Time since the event thread last made progress: below a second in normal times. During a \
         stall, all other figures are those of the last snapshot.",
        |f| nanoseconds(f.stalls?.silence),
    )
    .unit(MetricUnit::Nanoseconds),
    gauge(
        "peregrine.webserver.connections",
        "peregrine_webserver_connections",
        "Open connections to the web server.",
        |f| count(f.web?.open),
    ),
    counter(
        "peregrine.webserver.connections_accepted",
        "peregrine_webserver_connections_accepted_total",
        "Connections that the web server has accepted.",
        |f| count(f.web?.accepted),
    ),
    family(
        MetricKind::Counter,
        "peregrine.k8s_audit.requests.<outcome>",
        "peregrine_k8s_audit_requests_total",
        "Requests to the webhook of audit events: `queued` with all their events, refused because \
         the queue was `full`, `bad`, `unauthorized` or `too_large`.",
        |f| counts(f.audit.as_ref().map(|audit| &audit.requests), "outcome"),
    ),
    counter(
        "peregrine.k8s_audit.events",
        "peregrine_k8s_audit_events_total",
        "Audit events that were queued.",
        |f| count(f.audit.as_ref()?.events),
    ),
    family(
        MetricKind::Counter,
        "peregrine.k8s_audit.left_out.<reason>",
        "peregrine_k8s_audit_left_out_total",
        "Audit events that were left out: `invalid` without a time, `too_large`, and lines of \
         files that are no `document` with events.",
        |f| counts(f.audit.as_ref().map(|audit| &audit.left_out), "reason"),
    ),
    gauge(
        "peregrine.k8s_audit.queued_bytes",
        "peregrine_k8s_audit_queued_bytes",
        "Memory of the audit events that wait to be processed.",
        |f| count(f.audit.as_ref()?.queued),
    ),
    field("falco.num_evts", "Events that rules were evaluated on.", |f| count(f.events)),
    field("falco.num_evts_prev", "The same in the previous snapshot.", |f| {
        count(f.previous().events)
    }),
    field("falco.evts_rate_sec", "The same per second, since the previous snapshot.", |f| {
        let previous = f.previous?;
        (previous.events > 0).then(|| rate(f.events, previous.events, f.seconds()))
    }),
];

fn nanoseconds(time: Duration) -> Option<MetricValue> {
    count(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn one<const N: usize>(value: &str, labels: [(&'static str, &str); N]) -> Vec<Sample> {
    vec![Sample::new("", labels, MetricValue::Text(value.to_owned()))]
}

/// A sample for each of several counts.
fn counts(counts: Option<&Vec<(&'static str, u64)>>, label: &'static str) -> Vec<Sample> {
    let of = |&(name, n)| Sample::new(name, [(label, name)], MetricValue::Uint(n));
    counts.into_iter().flatten().map(of).collect()
}

fn digests(files: &[FileDigest]) -> Vec<Sample> {
    let of = |FileDigest { name, sha256 }: &FileDigest| {
        let labels = [("file_name", name.as_str()), ("sha256", sha256)];
        Sample::new(&sanitized(name), labels, MetricValue::Text(sha256.clone()))
    };
    files.iter().map(of).collect()
}
