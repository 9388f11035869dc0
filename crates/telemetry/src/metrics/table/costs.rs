//! Cost of system calls and rules: `metrics.syscalls_counters_enabled`. Falco has no such counters.

use crate::metrics::inputs::{MetricInputs, RuleCost, SyscallCost};
use crate::metrics::metric::{
    Metric, MetricKind, MetricUnit, MetricValue, Sample, ZeroPolicy, family, sanitized,
};

pub(super) static METRICS: &[Metric] = &[
    family(
        MetricKind::Counter,
        "peregrine.syscalls.<syscall>.events",
        "peregrine_syscall_events_total",
        "Events of each system call and of other kinds.",
        |f| syscalls(f, |syscall| syscall.events),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Counter,
        "peregrine.syscalls.<syscall>.time_ns",
        "peregrine_syscall_time_seconds_total",
        "Time spent on these events in state and rules. One event of 128 is timed, so it is an \
         estimate.",
        |f| syscalls(f, |syscall| syscall.time),
    )
    .unit(MetricUnit::Nanoseconds)
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Counter,
        "peregrine.rules.<rule>.evaluations",
        "peregrine_rule_evaluations_total",
        "Evaluations of each rule.",
        |f| rules(f, |rule| rule.evaluations),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Counter,
        "peregrine.rules.<rule>.time_ns",
        "peregrine_rule_time_seconds_total",
        "Time of these evaluations, alerts excluded. A shared condition counts for the first rule that \
         evaluates it. Also an estimate; `--profile` is more precise.",
        |f| rules(f, |rule| rule.time),
    )
    .unit(MetricUnit::Nanoseconds)
    .zero(ZeroPolicy::OnDemand),
];

fn syscalls(inputs: &MetricInputs, of: fn(&SyscallCost) -> u64) -> Vec<Sample> {
    let syscalls = inputs.costs.iter().flat_map(|costs| &costs.syscalls);
    let sample = |syscall: &SyscallCost| {
        Sample::new(&syscall.name, [("syscall", &syscall.name)], MetricValue::Uint(of(syscall)))
    };
    syscalls.map(sample).collect()
}

fn rules(inputs: &MetricInputs, of: fn(&RuleCost) -> u64) -> Vec<Sample> {
    let rules = inputs.costs.iter().flat_map(|costs| &costs.rules);
    let sample = |rule: &RuleCost| {
        Sample::new(
            &sanitized(&rule.name),
            [("rule_name", &rule.name)],
            MetricValue::Uint(of(rule)),
        )
    };
    rules.map(sample).collect()
}
