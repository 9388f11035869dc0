//! Kubernetes: what watching its API server yields. Included where it is asked.

use crate::metrics::inputs::{KubernetesStats, MetricInputs};
use crate::metrics::metric::{Metric, MetricValue, ZeroPolicy, count, counter, gauge};

pub(super) static METRICS: &[Metric] = &[
    gauge(
        "peregrine.kubernetes.connected",
        "peregrine_kubernetes_connected",
        "1 while the pods of the node are known and up to date, else 0.",
        |f| of(f, |k| k.connected),
    )
    .zero(ZeroPolicy::Always),
    gauge("peregrine.kubernetes.pods", "peregrine_kubernetes_pods", "Pods that are known.", |f| {
        of(f, |k| k.pods)
    }),
    gauge(
        "peregrine.kubernetes.watches",
        "peregrine_kubernetes_watches",
        "Watches of the API server.",
        |f| of(f, |k| k.watches),
    ),
    counter(
        "peregrine.kubernetes.events",
        "peregrine_kubernetes_events_total",
        "Events about pods and what they belong to.",
        |f| of(f, |k| k.events),
    ),
    counter(
        "peregrine.kubernetes.lists",
        "peregrine_kubernetes_lists_total",
        "Lists that the API server was asked for: at the begin of watches, and after failures.",
        |f| of(f, |k| k.lists),
    ),
    counter(
        "peregrine.kubernetes.failures",
        "peregrine_kubernetes_failures_total",
        "Watches that failed and were begun again.",
        |f| of(f, |k| k.failures),
    ),
];

fn of(inputs: &MetricInputs, value: fn(&KubernetesStats) -> u64) -> Option<MetricValue> {
    count(value(inputs.kubernetes.as_ref()?))
}
