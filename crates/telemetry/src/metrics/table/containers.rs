//! Containers: what asking their runtimes yields. Included where runtimes are asked.

use crate::metrics::inputs::{ContainerStats, EngineStats, MetricInputs};
use crate::metrics::metric::{
    Metric, MetricKind, MetricValue, Sample, ZeroPolicy, count, counter, family, gauge,
};

pub(super) static METRICS: &[Metric] = &[
    gauge(
        "plugins.container.n_containers",
        "falcosecurity_plugins_container_n_containers_total",
        "Containers that are known.",
        |f| of(f, |c| c.containers),
    )
    .zero(ZeroPolicy::Always),
    counter(
        "plugins.container.n_missing_container_images",
        "falcosecurity_plugins_container_n_missing_container_images_total",
        "Containers described without an image, sandboxes of pods apart.",
        |f| of(f, |c| c.missing_images),
    )
    .zero(ZeroPolicy::Always),
    counter(
        "peregrine.containers.lookups",
        "peregrine_container_lookups_total",
        "Containers that runtimes were asked about because they appeared in events.",
        |f| of(f, |c| c.lookups),
    ),
    counter(
        "peregrine.containers.late",
        "peregrine_container_lookups_late_total",
        "Of these, those that were described later than alerts wait for it.",
        |f| of(f, |c| c.late),
    ),
    counter(
        "peregrine.containers.failed",
        "peregrine_container_lookups_failed_total",
        "Of these, those that no runtime knew.",
        |f| of(f, |c| c.failed),
    ),
    family(
        MetricKind::Gauge,
        "peregrine.containers.<engine>.connected",
        "peregrine_container_engine_connected",
        "Connected sockets of each engine (`podman`, `docker`, `cri`, `containerd`).",
        |f| of_each(f, |engine| engine.connected),
    ),
    family(
        MetricKind::Counter,
        "peregrine.containers.<engine>.connects",
        "peregrine_container_engine_connects_total",
        "Times that a socket of the engine was connected.",
        |f| of_each(f, |engine| engine.connects),
    ),
    family(
        MetricKind::Counter,
        "peregrine.containers.<engine>.answers",
        "peregrine_container_engine_answers_total",
        "Answers of the engine about a container.",
        |f| of_each(f, |engine| engine.answers),
    ),
    family(
        MetricKind::Counter,
        "peregrine.containers.<engine>.errors",
        "peregrine_container_engine_errors_total",
        "Questions about a container that failed.",
        |f| of_each(f, |engine| engine.errors),
    ),
    family(
        MetricKind::Gauge,
        "peregrine.containers.<engine>.latency_min_ns",
        "peregrine_container_engine_latency_min_nanoseconds",
        "Shortest time of an answer about a container.",
        |f| of_each(f, |engine| engine.latency_min),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Gauge,
        "peregrine.containers.<engine>.latency_avg_ns",
        "peregrine_container_engine_latency_avg_nanoseconds",
        "Mean time of an answer about a container.",
        |f| of_each(f, |engine| engine.latency_avg),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Gauge,
        "peregrine.containers.<engine>.latency_p99_ns",
        "peregrine_container_engine_latency_p99_nanoseconds",
        "Time that one answer in a hundred exceeds, rounded up to a power of two.",
        |f| of_each(f, |engine| engine.latency_p99),
    )
    .zero(ZeroPolicy::OnDemand),
];

fn of(inputs: &MetricInputs, value: fn(&ContainerStats) -> u64) -> Option<MetricValue> {
    count(value(inputs.containers.as_ref()?))
}

fn of_each(inputs: &MetricInputs, value: fn(&EngineStats) -> u64) -> Vec<Sample> {
    let engines = inputs.containers.iter().flat_map(|containers| &containers.engines);
    let sample = |engine: &EngineStats| {
        Sample::new(engine.name, [("engine", engine.name)], MetricValue::Uint(value(engine)))
    };
    engines.map(sample).collect()
}
