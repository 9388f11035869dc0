//! Alerts and what became of them in each output. Always included.

use crate::metrics::inputs::{MetricInputs, OutputStats};
use crate::metrics::metric::{
    Metric, MetricKind, MetricUnit, MetricValue, Sample, ZeroPolicy, count, counter, family, gauge,
    sanitized,
};

pub(super) static METRICS: &[Metric] = &[
    counter(
        "falco.outputs_queue_num_drops",
        "falcosecurity_falco_outputs_queue_num_drops_total",
        "Alerts lost because the queue before an output was full.",
        |f| count(f.outputs.iter().map(|o| o.queue_full + o.over_share).sum::<u64>()),
    )
    .zero(ZeroPolicy::Always),
    family(
        MetricKind::Counter,
        "peregrine.outputs.<output>.submitted",
        "peregrine_outputs_submitted_total",
        "Alerts that each output (`file`, `stdout`, `syslog`, `program`, `http`) should deliver.",
        |f| of_each(f, |output| output.submitted),
    ),
    family(
        MetricKind::Counter,
        "peregrine.outputs.<output>.delivered",
        "peregrine_outputs_delivered_total",
        "Alerts that it has delivered.",
        |f| of_each(f, |output| output.delivered),
    ),
    family(
        MetricKind::Counter,
        "peregrine.outputs.<output>.recovered",
        "peregrine_outputs_recovered_total",
        "Alerts that an earlier run has left in its spool.",
        |f| of_each(f, |output| output.recovered),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Counter,
        "peregrine.outputs.<output>.retried",
        "peregrine_outputs_retried_total",
        "Times that it has sent an alert again.",
        |f| of_each(f, |output| output.retried),
    ),
    family(
        MetricKind::Counter,
        "peregrine.outputs.<output>",
        "peregrine_outputs_lost_total",
        "Alerts that it has lost; `<output>` is `NAME.lost_REASON`: `queue_full`, `over_share` (the queue was \
         full and the rule had most of it), `failed`, `spool_full`, `expired` (too long in the spool), `damaged` \
         (the spool) or `discarded` (not delivered at the end).",
        |f| f.outputs.iter().flat_map(lost).collect(),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Gauge,
        "peregrine.outputs.<output>.spooled",
        "peregrine_outputs_spooled",
        "Alerts in its spool.",
        |f| of_each(f, |output| output.spooled),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Gauge,
        "peregrine.outputs.<output>.spool_bytes",
        "peregrine_outputs_spool_bytes",
        "Size of its spool. `spool.max_mb` bounds it.",
        |f| of_each(f, |output| output.spool_bytes),
    )
    .unit(MetricUnit::Bytes)
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Gauge,
        "peregrine.outputs.<output>.waiting",
        "peregrine_outputs_waiting",
        "Alerts that wait for it or are being delivered.",
        |f| of_each(f, |output| output.waiting),
    ),
    family(
        MetricKind::Gauge,
        "peregrine.outputs.<output>.waiting_bytes",
        "peregrine_outputs_waiting_bytes",
        "Memory of these alerts. `outputs_queue.max_memory_mb` bounds the sum.",
        |f| of_each(f, |output| output.waiting_bytes),
    )
    .unit(MetricUnit::Bytes),
    family(
        MetricKind::Gauge,
        "peregrine.outputs.<output>.oldest_ns",
        "peregrine_outputs_oldest_seconds",
        "How long the oldest of them, or the oldest in the spool, has been waiting.",
        |f| of_each(f, |output| output.oldest),
    )
    .unit(MetricUnit::Nanoseconds),
    family(
        MetricKind::Counter,
        "peregrine.rules.<rule>.alerts_lost",
        "peregrine_rule_alerts_lost_total",
        "Alerts of each rule lost in the queues of the outputs or not delivered at the end; each output counts.",
        |f| {
            let rules = f.rules.iter().flatten().filter(|rule| rule.lost > 0);
            let of = |name: &str, lost| {
                Sample::new(&sanitized(name), [("rule_name", name)], MetricValue::Uint(lost))
            };
            rules.map(|stats| of(&stats.rule.name, stats.lost)).collect()
        },
    ),
    family(
        MetricKind::Counter,
        "peregrine.rules.<rule>.alerts_suppressed",
        "peregrine_rule_alerts_suppressed_total",
        "Alerts of each rule that `alert_throttling` has not sent one by one.",
        |f| {
            let rules = f.rules.iter().flatten().filter(|rule| rule.suppressed > 0);
            let of = |name: &str, count| {
                Sample::new(&sanitized(name), [("rule_name", name)], MetricValue::Uint(count))
            };
            rules.map(|stats| of(&stats.rule.name, stats.suppressed)).collect()
        },
    ),
    counter(
        "peregrine.throttling.suppressed",
        "peregrine_throttling_suppressed_total",
        "Alerts of all rules that `alert_throttling` has not sent one by one.",
        |f| count(f.throttling.suppressed),
    ),
    counter(
        "peregrine.throttling.digests",
        "peregrine_throttling_digests_total",
        "Alerts that were sent in their place.",
        |f| count(f.throttling.digests),
    ),
    gauge(
        "peregrine.throttling.windows",
        "peregrine_throttling_windows",
        "Windows that are open: combinations of rule and values of the key.",
        |f| count(f.throttling.windows),
    ),
    counter(
        "peregrine.throttling.unthrottled",
        "peregrine_throttling_unthrottled_total",
        "Alerts that were sent because there was no room for another window.",
        |f| count(f.throttling.unthrottled),
    ),
];

fn of_each(inputs: &MetricInputs, value: impl Fn(&OutputStats) -> u64) -> Vec<Sample> {
    let of = |output: &OutputStats| {
        let labels = [("output", output.name)];
        Sample::new(output.name, labels, MetricValue::Uint(value(output)))
    };
    inputs.outputs.iter().map(of).collect()
}

fn lost(output: &OutputStats) -> [Sample; 7] {
    [
        ("queue_full", output.queue_full),
        ("over_share", output.over_share),
        ("failed", output.failed),
        ("spool_full", output.spool_full),
        ("expired", output.expired),
        ("damaged", output.damaged),
        ("discarded", output.discarded),
    ]
    .map(|(reason, count)| {
        let part = format!("{}.lost_{reason}", output.name);
        let labels = [("output", output.name), ("reason", reason)];
        Sample::new(&part, labels, MetricValue::Uint(count))
    })
}
