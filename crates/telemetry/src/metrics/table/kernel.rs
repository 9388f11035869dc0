//! Events and losses in the kernel, its programs, and what was read when watching began:
//! `metrics.kernel_event_counters_enabled` and the keys that follow it.

use peregrine_event::{EventCounters, LossCause, LossClass};

use crate::ledger::coverage;
use crate::metrics::inputs::{MetricInputs, ProgramStats};
use crate::metrics::metric::{
    Extract, Metric, MetricKind, MetricUnit, MetricValue, Sample, ZeroPolicy, count, counter,
    family, field, gauge, rate,
};

pub(super) static METRICS: &[Metric] = &[
    counter(
        "scap.n_evts",
        "falcosecurity_scap_n_evts_total",
        "Events in the kernel, delivered or lost.",
        |f| count(f.kernel?.events()),
    )
    .zero(ZeroPolicy::Always),
    field("scap.n_evts_prev", "The same in the previous snapshot.", |f| {
        f.kernel?;
        count(f.previous().kernel_events)
    }),
    field("scap.evts_rate_sec", "The same per second, since the previous snapshot.", |f| {
        Some(rate(f.kernel?.events(), f.previous().kernel_events, f.seconds()))
    }),
    counter(
        "scap.n_drops",
        "falcosecurity_scap_n_drops_total",
        "Events lost between kernel and rules, for any cause.",
        |f| count(f.kernel?.lost()),
    )
    .zero(ZeroPolicy::Always),
    field("scap.n_drops_prev", "The same in the previous snapshot.", |f| {
        f.kernel?;
        count(f.previous().kernel_drops)
    }),
    field("scap.evts_drop_rate_sec", "The same per second, since the previous snapshot.", |f| {
        Some(rate(f.kernel?.lost(), f.previous().kernel_drops, f.seconds()))
    }),
    field(
        "scap.n_drops_perc",
        "Lost events in per cent of all events, since the previous snapshot.",
        |f| {
            let (kernel, previous) = (f.kernel?, f.previous());
            let events = kernel.events().saturating_sub(previous.kernel_events);
            let drops = kernel.lost().saturating_sub(previous.kernel_drops);
            Some(MetricValue::Double(if events > 0 {
                100.0 * drops as f64 / events as f64
            } else {
                0.0
            }))
        },
    ),
    Metric::new(
        MetricKind::Counter,
        "scap.n_drops_buffer_total",
        None,
        "Events lost because a ring was full.",
        Extract::Single(|f| count(f.kernel?.lost_for(LossCause::RingFull))),
    ),
    family(
        MetricKind::Counter,
        "scap.n_drops_buffer_<kind>",
        "falcosecurity_scap_n_drops_buffer_total",
        "Events lost because a ring was full, by kind. Those of `enter` are always 0: enter events count \
         with their exit events.",
        ring_drops,
    ),
    counter(
        "scap.n_drops_scratch_map",
        "falcosecurity_scap_n_drops_scratch_map_total",
        "Events lost because they were too long.",
        |f| count(f.kernel?.lost_for(LossCause::Scratch)),
    ),
    counter(
        "scap.n_drops_page_faults",
        "falcosecurity_scap_n_drops_page_faults_total",
        "Events lost because memory of a program could not be read.",
        |f| count(f.kernel?.lost_for(LossCause::PageFault)),
    ),
    counter(
        "scap.n_drops_bug",
        "falcosecurity_scap_n_drops_bug_total",
        "Events lost because of a bug.",
        |f| count(f.kernel?.lost_for(LossCause::Bug)),
    ),
    family(
        MetricKind::Counter,
        "scap.n_evts_cpu_<cpu>",
        "falcosecurity_scap_n_evts_cpu_total",
        "Events on each CPU, delivered or lost.",
        |f| by_cpu(f, EventCounters::events),
    ),
    family(
        MetricKind::Counter,
        "scap.n_drops_cpu_<cpu>",
        "falcosecurity_scap_n_drops_cpu_total",
        "Events lost on each CPU.",
        |f| by_cpu(f, EventCounters::lost),
    ),
    family(
        MetricKind::Counter,
        "peregrine.events.<class>",
        "peregrine_events_total",
        "Events in the kernel by kind, delivered or lost.",
        |f| {
            let kernel = f.kernel.as_ref().into_iter();
            let of = |class: LossClass, seen: u64| {
                Sample::new(class.name(), [("class", class.name())], MetricValue::Uint(seen))
            };
            kernel
                .flat_map(|k| LossClass::ALL.into_iter().zip(k.seen))
                .map(|(c, n)| of(c, n))
                .collect()
        },
    ),
    family(
        MetricKind::Counter,
        "peregrine.events_lost.<class>",
        "peregrine_events_lost_total",
        "Events lost by kind and cause.",
        losses,
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Counter,
        "peregrine.events_by_cgroup.<cgroup>",
        "peregrine_events_by_cgroup_total",
        "Delivered events by cgroup, estimated from one event of 128.",
        |f| by_group(&f.seen_by_group),
    ),
    family(
        MetricKind::Counter,
        "peregrine.events_lost_by_cgroup.<cgroup>",
        "peregrine_events_lost_by_cgroup_total",
        "Events lost by cgroup.",
        |f| by_group(&f.lost_by_group),
    ),
    gauge(
        "peregrine.coverage_perc",
        "peregrine_coverage_ratio",
        "Delivered share of all events; 100 % if none were lost.",
        |f| Some(MetricValue::Double(coverage(f.kernel.as_ref()?))),
    )
    .unit(MetricUnit::Percent)
    .zero(ZeroPolicy::Always),
    counter(
        "peregrine.events_late",
        "peregrine_events_late_total",
        "Events delivered after a later one.",
        |f| count(f.late?),
    ),
    counter(
        "peregrine.thread_lookups",
        "peregrine_thread_lookups_total",
        "Unknown threads that were looked up in /proc while their event waited.",
        |f| count(f.lookups?.threads),
    ),
    counter(
        "peregrine.thread_lookup_timeouts",
        "peregrine_thread_lookup_timeouts_total",
        "Of these, lookups that were cut short by their time limit.",
        |f| count(f.lookups?.thread_timeouts),
    ),
    counter(
        "peregrine.account_reads",
        "peregrine_account_reads_total",
        "Reads of the users and groups of a container.",
        |f| count(f.lookups?.account_reads),
    ),
    counter(
        "peregrine.reader_questions",
        "peregrine_reader_questions_total",
        "Questions to the processes that read /proc and files of containers.",
        |f| count(f.lookups?.readers.questions),
    ),
    counter(
        "peregrine.reader_safe_answers",
        "peregrine_reader_safe_answers_total",
        "Of these, questions about a process that had delayed a reader: arguments, environment and files are left out.",
        |f| count(f.lookups?.readers.safe),
    ),
    counter(
        "peregrine.reader_hung_lookups",
        "peregrine_reader_hung_lookups_total",
        "Lookups of unknown threads that hung; the reader was killed.",
        |f| count(f.lookups?.readers.hung_lookups),
    ),
    counter(
        "peregrine.reader_hung_processes",
        "peregrine_reader_hung_processes_total",
        "Processes of the start scan, after losses and of late lookups that hung; the reader was killed.",
        |f| count(f.lookups?.readers.hung_processes),
    ),
    counter(
        "peregrine.reader_hung_accounts",
        "peregrine_reader_hung_accounts_total",
        "Accounts of containers that hung; the reader was killed.",
        |f| count(f.lookups?.readers.hung_accounts),
    ),
    counter(
        "peregrine.readers_replaced",
        "peregrine_readers_replaced_total",
        "Readers that were given up and replaced.",
        |f| count(f.lookups?.readers.replaced),
    ),
    gauge(
        "peregrine.readers_stuck",
        "peregrine_readers_stuck",
        "Readers that were killed and hang in the kernel.",
        |f| count(f.lookups?.readers.stuck),
    ),
    counter(
        "peregrine.event_waits",
        "peregrine_event_waits_total",
        "Waits of the event thread for a reader.",
        |f| count(f.lookups?.readers.waits),
    ),
    counter(
        "peregrine.event_wait_ns",
        "peregrine_event_wait_nanoseconds_total",
        "Time of these waits.",
        |f| count(f.lookups?.readers.wait_ns),
    ),
    counter(
        "peregrine.lookups_refused",
        "peregrine_lookups_refused_total",
        "Lookups of unknown threads that did not wait, because there was no time left or the reader was busy.",
        |f| count(f.lookups?.readers.refused),
    ),
    family(
        MetricKind::Counter,
        "scap.<program>.run_cnt",
        "falcosecurity_scap_<program>_run_cnt_total",
        "Runs of the BPF program.",
        |f| by_program(f, |program| program.runs),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Counter,
        "scap.<program>.run_time_ns",
        "falcosecurity_scap_<program>_run_time_nanoseconds_total",
        "Time the BPF program ran.",
        |f| by_program(f, |program| program.time),
    )
    .zero(ZeroPolicy::OnDemand),
    family(
        MetricKind::Gauge,
        "scap.<program>.avg_time_ns",
        "falcosecurity_scap_<program>_avg_time_nanoseconds",
        "Time of one run of the BPF program, on average.",
        |f| by_program(f, |program| program.time.checked_div(program.runs).unwrap_or(0)),
    )
    .zero(ZeroPolicy::OnDemand),
    counter(
        "scap.n_evts_task",
        "falcosecurity_scap_n_evts_task_total",
        "Threads read from /proc: at start, and later those that were not in the table.",
        |f| count(f.scan?.threads),
    ),
    family(
        MetricKind::Counter,
        "scap.n_evts_task_file_<kind>",
        "falcosecurity_scap_n_evts_task_file_<kind>_total",
        "Open files read from /proc, by kind.",
        |f| by_file(f, |files| files),
    ),
    counter(
        "scap.n_drops_task",
        "falcosecurity_scap_n_drops_task_total",
        "Always 0: nothing is lost when /proc is read.",
        |f| f.scan.and_then(|_| count(0_u64)),
    ),
    family(
        MetricKind::Counter,
        "scap.n_drops_task_file_<kind>",
        "falcosecurity_scap_n_drops_task_file_<kind>_total",
        "Always 0: nothing is lost when /proc is read.",
        |f| by_file(f, |_| 0),
    ),
    counter(
        "scap.n_drops_max_event_size",
        "falcosecurity_scap_n_drops_max_event_size_total",
        "Always 0: nothing is lost when /proc is read.",
        |f| f.scan.and_then(|_| count(0_u64)),
    ),
];

/// Classes whose enter events older versions of Falco counted too.
const ENTERS: [&str; 6] = ["clone_fork", "execve", "connect", "open", "dir_file", "other_interest"];

fn ring_drops(inputs: &MetricInputs) -> Vec<Sample> {
    let Some(kernel) = inputs.kernel else { return Vec::new() };
    let exits = LossClass::ALL.into_iter().filter_map(|class| {
        let lost = kernel.lost_of(class, LossCause::RingFull);
        match class {
            // Only the total has them.
            LossClass::Other => None,
            class => Some((class.name(), lost)),
        }
    });
    let sample = |direction: &str, class: &str, lost| {
        let labels = [("dir", direction), ("drop", class)];
        Sample::new(&format!("{class}_{direction}"), labels, MetricValue::Uint(lost))
    };
    let exits = exits.map(|(class, lost)| sample("exit", class, lost));
    exits.chain(ENTERS.map(|class| sample("enter", class, 0))).collect()
}

fn losses(inputs: &MetricInputs) -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(kernel) = &inputs.kernel {
        for (class, row) in LossClass::ALL.into_iter().zip(kernel.lost) {
            for (cause, lost) in LossCause::ALL.into_iter().zip(row) {
                let (class, cause) = (class.name(), cause.name());
                let part = format!("{class}.{cause}");
                samples.push(Sample::new(
                    &part,
                    [("class", class), ("cause", cause)],
                    MetricValue::Uint(lost),
                ));
            }
        }
    }
    samples
}

fn by_cpu(inputs: &MetricInputs, of: fn(&EventCounters) -> u64) -> Vec<Sample> {
    let cpus = inputs.cpus.iter().flatten();
    let sample = |(cpu, counters): (usize, &EventCounters)| {
        let cpu = cpu.to_string();
        Sample::new(&cpu, [("cpu", &cpu)], MetricValue::Uint(of(counters)))
    };
    cpus.enumerate().map(sample).collect()
}

fn by_group(groups: &Option<Vec<(String, u64)>>) -> Vec<Sample> {
    let sample = |(group, events): &(String, u64)| {
        Sample::new(group, [("cgroup", group)], MetricValue::Uint(*events))
    };
    groups.iter().flatten().map(sample).collect()
}

fn by_program(inputs: &MetricInputs, of: fn(&ProgramStats) -> u64) -> Vec<Sample> {
    let programs = inputs.programs.iter().flatten();
    programs.map(|program| Sample::new(&program.name, [], MetricValue::Uint(of(program)))).collect()
}

fn by_file(inputs: &MetricInputs, of: fn(u64) -> u64) -> Vec<Sample> {
    let Some(scan) = inputs.scan else { return Vec::new() };
    let files = [
        ("pipe", scan.pipes),
        ("memfd", scan.memfds),
        ("regular", scan.files),
        ("directory", scan.directories),
        ("socket_inet", scan.ipv4_sockets),
        ("socket_inet6", scan.ipv6_sockets),
        ("socket_unix", scan.unix_sockets),
        ("socket_netlink", scan.netlink_sockets),
        ("anon_inode", scan.anonymous),
    ];
    files.map(|(kind, files)| Sample::new(kind, [], MetricValue::Uint(of(files)))).into()
}
