//! What system calls and rules cost: `metrics.syscalls_counters_enabled`. The reference engine has no such counters.

use crate::metrics::inputs::{Figures, RuleCostFigures, SyscallFigures};
use crate::metrics::metric::{Kind, Metric, Sample, Unit, Value, Zero, family, sanitized};

pub(super) static METRICS: &[Metric] = &[
    family(
        Kind::Counter,
        "peregrine.syscalls.<syscall>.events",
        "peregrine_syscall_events_total",
        "Events of each system call, and of what else is reported.",
        |f| syscalls(f, |syscall| syscall.events),
    )
    .zero(Zero::OnDemand),
    family(
        Kind::Counter,
        "peregrine.syscalls.<syscall>.time_ns",
        "peregrine_syscall_time_seconds_total",
        "Time that these events took in the picture of the machine and in rules. One event of 128 is timed, so it is an \
         estimate.",
        |f| syscalls(f, |syscall| syscall.time),
    )
    .unit(Unit::Nanoseconds)
    .zero(Zero::OnDemand),
    family(
        Kind::Counter,
        "peregrine.rules.<rule>.evaluations",
        "peregrine_rule_evaluations_total",
        "Events that each rule was asked about.",
        |f| rules(f, |rule| rule.evaluations),
    )
    .zero(Zero::OnDemand),
    family(
        Kind::Counter,
        "peregrine.rules.<rule>.time_ns",
        "peregrine_rule_time_seconds_total",
        "Time that this took, its alerts not included. A condition that rules share is on the account of the first that asks \
         for it. An estimate too; `--profile` knows more.",
        |f| rules(f, |rule| rule.time),
    )
    .unit(Unit::Nanoseconds)
    .zero(Zero::OnDemand),
];

fn syscalls(figures: &Figures, of: fn(&SyscallFigures) -> u64) -> Vec<Sample> {
    let syscalls = figures.costs.iter().flat_map(|costs| &costs.syscalls);
    let sample = |syscall: &SyscallFigures| {
        Sample::new(&syscall.name, [("syscall", &syscall.name)], Value::Uint(of(syscall)))
    };
    syscalls.map(sample).collect()
}

fn rules(figures: &Figures, of: fn(&RuleCostFigures) -> u64) -> Vec<Sample> {
    let rules = figures.costs.iter().flat_map(|costs| &costs.rules);
    let sample = |rule: &RuleCostFigures| {
        Sample::new(&sanitized(&rule.name), [("rule_name", &rule.name)], Value::Uint(of(rule)))
    };
    rules.map(sample).collect()
}
