//! Process and fd tables: `metrics.state_counters_enabled`.

use crate::metrics::inputs::{MetricInputs, StateStats};
use crate::metrics::metric::{Metric, MetricValue, count, counter, gauge};

pub(super) static METRICS: &[Metric] = &[
    gauge("falco.n_threads", "falcosecurity_scap_n_threads_total", "Threads in the table.", |f| {
        of(f, |s| s.threads)
    }),
    gauge("falco.n_fds", "falcosecurity_scap_n_fds_total", "Open files in the table.", |f| {
        of(f, |s| s.fds)
    }),
    counter(
        "falco.n_noncached_fd_lookups",
        "falcosecurity_scap_n_noncached_fd_lookups_total",
        "Events about an open file that was found in the table.",
        |f| of(f, |s| s.found_fds),
    ),
    counter(
        "falco.n_cached_fd_lookups",
        "falcosecurity_scap_n_cached_fd_lookups_total",
        "Always 0: there is no cache before the table.",
        |f| of(f, |_| 0),
    ),
    counter(
        "falco.n_failed_fd_lookups",
        "falcosecurity_scap_n_failed_fd_lookups_total",
        "Events about an open file that is not in the table.",
        |f| of(f, |s| s.unknown_fds),
    ),
    counter(
        "falco.n_added_fds",
        "falcosecurity_scap_n_added_fds_total",
        "Open files added.",
        |f| of(f, |s| s.added_fds),
    ),
    counter(
        "falco.n_removed_fds",
        "falcosecurity_scap_n_removed_fds_total",
        "Open files removed.",
        |f| of(f, |s| s.removed_fds),
    ),
    counter(
        "falco.n_stored_evts",
        "falcosecurity_scap_n_stored_evts_total",
        "Enter events stored for their exit events.",
        |f| of(f, |s| s.stored_events),
    ),
    counter(
        "falco.n_store_evts_drops",
        "falcosecurity_scap_n_store_evts_drops_total",
        "Enter events that could not be stored.",
        |f| of(f, |s| s.dropped_events),
    ),
    counter(
        "falco.n_retrieved_evts",
        "falcosecurity_scap_n_retrieved_evts_total",
        "Exit events that found their enter event.",
        |f| of(f, |s| s.retrieved_events),
    ),
    counter(
        "falco.n_retrieve_evts_drops",
        "falcosecurity_scap_n_retrieve_evts_drops_total",
        "Exit events that found no enter event. Without tracefs, opens and connects have no enter \
         events, and each of them counts.",
        |f| of(f, |s| s.missing_events),
    ),
    counter(
        "falco.n_noncached_thread_lookups",
        "falcosecurity_scap_n_noncached_thread_lookups_total",
        "Events of a thread that was found in the table.",
        |f| of(f, |s| s.found_threads),
    ),
    counter(
        "falco.n_cached_thread_lookups",
        "falcosecurity_scap_n_cached_thread_lookups_total",
        "Always 0: there is no cache before the table.",
        |f| of(f, |_| 0),
    ),
    counter(
        "falco.n_failed_thread_lookups",
        "falcosecurity_scap_n_failed_thread_lookups_total",
        "Events of a thread that is not in the table.",
        |f| of(f, |s| s.unknown_threads),
    ),
    counter(
        "falco.n_added_threads",
        "falcosecurity_scap_n_added_threads_total",
        "Threads added.",
        |f| of(f, |s| s.added_threads),
    ),
    counter(
        "falco.n_removed_threads",
        "falcosecurity_scap_n_removed_threads_total",
        "Threads removed.",
        |f| of(f, |s| s.removed_threads),
    ),
    counter(
        "falco.n_drops_full_threadtable",
        "falcosecurity_scap_n_drops_full_threadtable_total",
        "Threads dropped because the table was full.",
        |f| of(f, |s| s.dropped_threads),
    ),
    counter(
        "peregrine.account_requests_postponed",
        "peregrine_account_requests_postponed_total",
        "Requests to read the users and groups of a container that waited because the queue was full.",
        |f| of(f, |s| s.postponed_account_requests),
    ),
    counter(
        "peregrine.unidentified_containers",
        "peregrine_unidentified_containers_total",
        "Containers whose processes have neither a control group nor a pid namespace of their own.",
        |f| of(f, |s| s.unidentified_containers),
    ),
    counter(
        "peregrine.repaired_processes",
        "peregrine_repaired_processes_total",
        "Processes that were read again because they had lost events.",
        |f| of(f, |s| s.repaired_processes),
    ),
    counter(
        "peregrine.repaired_threads",
        "peregrine_repaired_threads_total",
        "Threads that were new, gone or changed when their process was read again.",
        |f| of(f, |s| s.repaired_threads),
    ),
    counter(
        "peregrine.repaired_fds",
        "peregrine_repaired_fds_total",
        "Open files that were new, closed or others when their process was read again.",
        |f| of(f, |s| s.repaired_fds),
    ),
];

fn of(inputs: &MetricInputs, value: fn(&StateStats) -> u64) -> Option<MetricValue> {
    count(value(inputs.state.as_ref()?))
}
