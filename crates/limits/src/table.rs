//! All limits. A row of `docs/limits.md` each.

use std::sync::atomic::AtomicU64;

use crate::limit::{Limit, Unit};

/// Declares constants and the list of them. They are constants so that the compiler knows their
/// values; the counters are statics. The comment is [`Limit::about`]: the first sentence says what
/// is bounded, the second what happens when the limit is reached.
macro_rules! limits {
    (@key) => { None };
    (@key $key:literal) => { Some($key) };
    ($($(#[doc = $about:literal])+ $name:ident: $unit:ident = $value:expr $(, $key:literal)?;)*) => {
        $($(#[doc = $about])+
        pub const $name: Limit = Limit {
            name: {
                const UPPER: &str = stringify!($name);
                const LOWER: [u8; UPPER.len()] = lowercase(UPPER);
                match str::from_utf8(&LOWER) {
                    Ok(name) => name,
                    Err(_) => UPPER,
                }
            },
            value: $value,
            unit: Unit::$unit,
            about: concat!($($about),+).trim_ascii(),
            key: limits!(@key $($key)?),
            reached: {
                static REACHED: AtomicU64 = AtomicU64::new(0);
                &REACHED
            },
        };)*

        /// All limits, in the order of the documentation.
        pub static ALL: &[&Limit] = &[$(&$name),*];
    };
}

const fn lowercase<const N: usize>(text: &str) -> [u8; N] {
    let mut lower = [0; N];
    let mut at = 0;
    while at < N {
        lower[at] = text.as_bytes()[at].to_ascii_lowercase();
        at += 1;
    }
    lower
}

// An entry: a comment of two sentences, NAME: Bytes, Count or Milliseconds = value, and its
// configuration key if it has one.
limits! {
    // What is read of the machine.

    /// Size of a container's passwd or group file. What is longer is not read.
    ACCOUNT_FILE_BYTES: Bytes = 4 << 20;

    /// Size of a mount table. Mounts after that are unknown; files on them have the device that the
    /// file system itself says.
    MOUNT_TABLE_BYTES: Bytes = 8 << 20;
    /// Time for reading mount tables at once, beside a tenth of all time. Files on mounts of tables
    /// that are not read have the device that the file system itself says.
    MOUNT_TABLES_TIME: Milliseconds = 300;
    /// Time for reading one process in the start scan and after losses. Threads and open files that
    /// are not read by then are unknown until they appear in events.
    PROCESS_READ_TIME: Milliseconds = 2000;
    /// Time for the start scan, after which each further process has a hundredth of its time.
    /// Threads
    /// and open files that are not read by then are unknown until they appear in events.
    START_SCAN_TIME: Milliseconds = 10_000;
    /// Time for which an event waits for the lookup of its thread. After that, its process fields
    /// are empty; later events have them.
    LOOKUP_TIME: Milliseconds = 20;
    /// Time in each second for which events wait for lookups and for processes that are read again
    /// after losses. More lookups do not wait: their process fields are empty at first.
    EVENT_WAIT_TIME: Milliseconds = 200;
    /// Unknown threads that wait to be described later. More stay unknown until their next event.
    LATE_LOOKUPS: Count = 1024;
    /// Questions that wait about open files of which events tell only the number. The files of
    /// further ones stay unknown.
    FILE_LOOKUPS: Count = 1024;
    /// Time without progress after which the reader process is killed and another one started. What
    /// delayed it is asked only for what it can't delay for a minute.
    READER_SILENCE: Milliseconds = 1000;
    /// Time for reading the accounts of a container. After that they stay unknown; the next read is
    /// allowed after a pause, which doubles each time.
    ACCOUNTS_READ_TIME: Milliseconds = 2000;
    /// Reader processes that hang in the kernel and can't be killed. At this number, processes are
    /// asked only for what they can't delay, and containers not for accounts, until one ends.
    STUCK_READERS: Count = 8;
    /// Size of the answer to one question to the reader process. A larger one is given up.
    READER_ANSWER_BYTES: Bytes = 32 << 20;

    // What is known of the machine.

    /// Threads in the table. More are not added; their events have no process fields.
    THREADS: Count = 262_144, "falco_libs.thread_table_size";
    /// Arguments, paths and environments of all programs, shared ones once. Those of further
    /// programs are cut to 128 bytes each, and their environment is empty.
    PROGRAM_TEXT_BYTES: Bytes = 256 << 20;
    /// A path of a thread: its program, its working and root directory, its name. A longer one is
    /// cut.
    THREAD_PATH_BYTES: Bytes = 4096;
    /// Open files of one process. More are not added; their events have no fd fields.
    FDS_PER_PROCESS: Count = 4096;
    /// Open files of all processes. More are not added; their events have no fd fields.
    FDS: Count = 2_000_000;
    /// Users, and groups, of one container or of the host. More are not added; they have no names.
    ACCOUNTS: Count = 65_536;
    /// A name, home directory or shell of a user, or the name of a group. A longer one is cut.
    ACCOUNT_TEXT_BYTES: Bytes = 1024;
    /// Users and groups of one container or of the host. More are not added; they have no names.
    ACCOUNT_BYTES: Bytes = 8 << 20;
    /// Users and groups of all containers. The containers unused for the longest time are forgotten
    /// and read again with their next program.
    ACCOUNT_TOTAL_BYTES: Bytes = 64 << 20;
    /// Containers whose users and groups are kept. Accounts of more are not read.
    ACCOUNT_CONTAINERS: Count = 16_384;
    /// Requests for the accounts of containers that have no answer yet. More are not made; the next
    /// program of the container makes another.
    ACCOUNT_REQUESTS: Count = 16_384;
    /// The JSON that describes a container. A longer one is not read and counts as unreadable.
    CONTAINER_JSON_BYTES: Bytes = 1 << 20;
    /// Descriptions of all containers. More are dropped; fields of these are empty.
    CONTAINER_TOTAL_BYTES: Bytes = 64 << 20;
    /// Descriptions of containers that are kept. More are dropped; fields of these are empty.
    CONTAINERS: Count = 65_536;
    /// Containers that runtimes are asked about, and those that none knows. At more, the latter are
    /// forgotten; if that is not enough, others are not asked about.
    CONTAINER_LOOKUPS: Count = 16_384;
    /// Events and answers of other threads on their way to the event thread. More wait where they
    /// come from.
    INBOX_ENTRIES: Count = 1024;
    /// Events of other threads on their way to the event thread. More wait where they come from.
    INBOX_BYTES: Bytes = 16 << 20;
    /// A text that a plugin writes into a table of threads or files. A longer one is cut.
    TABLE_TEXT_BYTES: Bytes = 64 << 10;
    /// Arguments, environment or control groups of a thread that a plugin writes. More are not
    /// added.
    TABLE_LIST_ENTRIES: Count = 65_536;
    /// Entries that a plugin has created and not added to their table. More are not created.
    TABLE_DRAFTS: Count = 4096;
    /// Columns that plugins add to threads or files. More are refused.
    TABLE_COLUMNS: Count = 1024;
    /// An event that a plugin makes beside a source. A longer one is refused.
    PLUGIN_ASYNC_EVENT_BYTES: Bytes = 1 << 20;
    /// Routines of the plugins of a run. More are refused.
    ROUTINES: Count = 256;
    /// Threads that run routines of plugins, if there are as many processors. Routines take turns.
    ROUTINE_THREADS: Count = 8;
    /// Events of plugins that wait for their time between the others. More are dropped.
    ASYNC_EVENTS: Count = 4096;
    /// The same in bytes. More are dropped.
    ASYNC_EVENT_BYTES: Bytes = 64 << 20;
    /// What a container runtime answers about one container or image, and one line of its event
    /// stream. A longer answer counts as unreadable.
    RUNTIME_ANSWER_BYTES: Bytes = 4 << 20;
    /// The list of all containers that a container runtime answers. A longer one counts as
    /// unreadable; its containers are asked for when they appear in events.
    RUNTIME_LIST_BYTES: Bytes = 64 << 20;
    /// Sandboxes of pods, and ids of images, that are remembered for each runtime. At more, all are
    /// forgotten and asked for again.
    RUNTIME_CACHE: Count = 1024;
    /// Descriptions of containers that are kept to tell of their end. Of more, the end is told with
    /// the id alone.
    CONTAINER_CACHE_BYTES: Bytes = 32 << 20;
    /// The JSON that describes a pod or another object of Kubernetes. A longer one is not read and
    /// counts as unreadable.
    KUBERNETES_JSON_BYTES: Bytes = 1 << 20;
    /// Descriptions of all pods and other objects of Kubernetes. More are dropped; fields of these
    /// are empty.
    KUBERNETES_TOTAL_BYTES: Bytes = 64 << 20;
    /// Pods and other objects of Kubernetes that are kept. More are dropped; fields of these are
    /// empty.
    KUBERNETES_OBJECTS: Count = 65_536;
    /// Sets of control groups whose container is remembered. At more, all are forgotten.
    CGROUP_SETS: Count = 4096;
    /// Control groups whose events and lost events are counted one by one. Those of more count in
    /// the sum only.
    LOSS_CGROUPS: Count = 1024;
    /// Network interfaces. More are not added; connections are not matched with their addresses.
    INTERFACES: Count = 4096;
    /// An enter event that is stored for its exit event. A longer one is not stored.
    STORED_ENTER_BYTES: Bytes = 4096;
    /// Enter events of more than 256 bytes that are stored. More are not stored.
    STORED_TOTAL_BYTES: Bytes = 64 << 20;

    // Captures.

    /// A block of a capture with a list of threads, open files, users or interfaces. A capture with
    /// a longer one ends there with an error.
    CAPTURE_LIST_BYTES: Bytes = 256 << 20;
    /// A block of a capture with an event. A capture with a longer one ends there with an error.
    CAPTURE_EVENT_BYTES: Bytes = 64 << 20;
    /// Open files of a process in a capture. More are not read.
    CAPTURE_FDS: Count = 65_536;
    /// Enter events of old captures that are stored for their exit events. All are dropped at more.
    CAPTURE_ENTER_BYTES: Bytes = 64 << 20;

    // Rules.

    /// Memory that aliases of a YAML file add. A file with more is refused.
    YAML_ALIAS_BYTES: Bytes = 64 << 20;
    /// Memory of a compiled regular expression. A larger one is refused.
    REGEX_BYTES: Bytes = 8 << 20;
    /// Items that lists put into other lists and conditions, all rules together, besides four for
    /// each that is written. Rules with more are refused.
    RULES_LIST_ITEMS: Count = 1_000_000;
    /// Bytes of these items, besides four for each byte that is written. Rules with more are
    /// refused.
    RULES_LIST_BYTES: Bytes = 32 << 20;
    /// Tests and operators of conditions with macros expanded, all rules together, besides four for
    /// each byte of conditions. Rules with more are refused.
    RULES_MACRO_NODES: Count = 1_000_000;
    /// Tests of rules in one file, each combination of `for_each` counted. The test with more is
    /// refused.
    RULE_TESTS: Count = 10_000;
    /// Events, processes and open files of one test of rules. A test with more is refused.
    RULE_TEST_PARTS: Count = 1_000;

    // What editors send.

    /// Size of a message of an editor to the language server. At a longer one the server stops.
    LSP_MESSAGE_BYTES: Bytes = 64 << 20;
    /// Size of a file that the language server reads or an editor opens. A larger one has no
    /// diagnostics, and nothing in it is found.
    LSP_FILE_BYTES: Bytes = 16 << 20;
    /// Files of rules that the language server knows. More are not read.
    LSP_FILES: Count = 2_000;
    /// Diagnostics of a file. More are not shown.
    LSP_DIAGNOSTICS: Count = 1_000;


    // What is sent.

    /// Alerts that wait for what a runtime says of their container, for its users and groups, or
    /// behind such an alert. The oldest is sent as it is.
    HELD_ALERTS: Count = 4096;
    /// Memory of these alerts. The oldest is sent as it is.
    HELD_ALERT_BYTES: Bytes = 16 << 20;
    /// Events with rules that wait for what a runtime says of their container. The rules of some
    /// events are decided without it, of those on which most wait alike.
    UNDECIDED_EVENTS: Count = 4096;
    /// Memory of the values of these events. The rules of some are decided, as above.
    UNDECIDED_EVENT_BYTES: Bytes = 16 << 20;
    /// Alerts that wait for the outputs, in all queues. In a full queue, the rule that has most of
    /// it loses alerts.
    ALERT_QUEUE_BYTES: Bytes = 64 << 20, "outputs_queue.max_memory_mb";
    /// Making a connection to a web server, its name and its proxy included. The attempt has failed
    /// after this time, and is made again.
    HTTP_CONNECT_TIME: Milliseconds = 5000, "http_output.peregrine.connect_timeout_ms";
    /// A request to a web server with its response, the connection included. It has failed after
    /// this time, and is sent again.
    HTTP_REQUEST_TIME: Milliseconds = 10_000, "http_output.peregrine.request_timeout_ms";
    /// A response of a web server. The rest is not read, and the connection is closed.
    HTTP_RESPONSE_BYTES: Bytes = 64 << 10;
    /// Responses of web servers that wait to be written to standard output. More are not written.
    ECHOED_RESPONSES: Count = 64;
    /// A file with a token. A longer one is not used.
    TOKEN_FILE_BYTES: Bytes = 64 << 10;
    /// Connecting to a message broker (nats_output, kafka_output), and each batch of alerts with
    /// its acknowledgement. It has failed after this time, and is sent again.
    BROKER_REQUEST_TIME: Milliseconds = 10_000, "nats_output.request_timeout_ms";
    /// All attempts to send an alert over a network without a spool. After this time, no further
    /// one is made and the alert is lost.
    NETWORK_ALERT_TIME: Milliseconds = 30_000;
    /// A file of certificates or of a key of an output. A larger one is not used.
    TLS_FILE_BYTES: Bytes = 4 << 20;
    /// All files of a directory of certificates of authorities. A larger directory is not used.
    TLS_DIRECTORY_BYTES: Bytes = 64 << 20;
    /// Time for sending a batch of alerts to a system log over TCP, with connecting and the
    /// acknowledgement. After that the connection is closed and the batch is sent again.
    SYSLOG_REQUEST_TIME: Milliseconds = 10_000;
    /// Time for which a message waits for the system log of this machine. After that the alert is
    /// lost.
    SYSLOG_SEND_TIME: Milliseconds = 2000;
    /// A message to a system log over UDP. A longer one is cut.
    SYSLOG_UDP_BYTES: Bytes = 65_000;
    /// A program of program_output that is started for one alert. After this time it is ended and
    /// the alert is lost.
    PROGRAM_ALERT_TIME: Milliseconds = 30_000;
    /// Time for a program of program_output to end after its input is closed. After that its
    /// process group gets SIGTERM and then SIGKILL.
    PROGRAM_END_TIME: Milliseconds = 5000;
    /// Alerts in the spool of an output. In a full spool, the oldest ones are lost.
    SPOOL_BYTES: Bytes = 256 << 20, "spool.max_mb";
    /// Time for which an alert waits in a spool. After that it is lost.
    SPOOL_AGE: Milliseconds = 24 * 3600 * 1000, "spool.max_age";
    /// A pause that a receiver asks for before alerts of a spool are sent again. A longer one is
    /// cut.
    RETRY_AFTER_TIME: Milliseconds = 300_000;
    /// Alerts of a spool in memory that the disk refuses. More are lost.
    SPOOL_MEMORY: Bytes = 8 << 20;
    /// Windows of alert_throttling, one for each combination of values of a key. Alerts of further
    /// combinations are sent.
    THROTTLE_WINDOWS: Count = 65_536;
    /// Memory of these windows with the values. Alerts of further combinations are sent.
    THROTTLE_BYTES: Bytes = 32 << 20;
    /// Captures around alerts that wait to be begun by the thread that writes them. At more, an
    /// alert of a live run starts no capture.
    CAPTURE_SNAPSHOTS: Count = 2;

    // Audit events of Kubernetes.

    /// An audit event of Kubernetes. A larger one is dropped.
    AUDIT_EVENT_BYTES: Bytes = 256 << 10, "plugins[].init_config.maxEventSize";
    /// The body of a request with audit events, and a line of a file of them. A larger one is
    /// refused.
    AUDIT_BATCH_BYTES: Bytes = 12 << 20, "plugins[].init_config.webhookMaxBatchSize";
    /// Lists and maps inside each other in JSON with audit events. A deeper text is refused.
    AUDIT_JSON_DEPTH: Count = 300;
    /// Values of the JSON of one event. One with more has no fields.
    AUDIT_JSON_VALUES: Count = 1_000_000;
    /// Bodies of requests with audit events that are being read, all together. Further ones are
    /// refused, and the API server sends them again.
    AUDIT_BODIES_BYTES: Bytes = 64 << 20;
    /// Time for the body of a request with audit events. A slower request is refused.
    AUDIT_BODY_TIME: Milliseconds = 30_000;
    /// Audit events that wait for the event thread. Requests with more are refused, and the API
    /// server sends them again.
    AUDIT_QUEUE_EVENTS: Count = 65_536;
    /// Memory of these events. Requests with more are refused, and the API server sends them again.
    AUDIT_QUEUE_BYTES: Bytes = 64 << 20;

    // What plugins return.

    /// A text that a plugin returns about itself or about an event. A longer one is cut where it is
    /// only shown, and an error where it is read.
    PLUGIN_TEXT_BYTES: Bytes = 4 << 20;
    /// A line that a plugin writes to the log. A longer one is cut.
    PLUGIN_LOG_BYTES: Bytes = 8 << 10;
    /// Types of events that a plugin says it handles. One that names more can't be initialised.
    PLUGIN_EVENT_TYPES: Count = 65_536;
    /// A text that a plugin extracts from an event. A longer one is cut.
    PLUGIN_VALUE_BYTES: Bytes = 16 << 20;
    /// Values of a field that a plugin extracts from an event. More are not read.
    PLUGIN_VALUES: Count = 65_536;
    /// Metrics of a plugin. More are not shown.
    PLUGIN_METRICS: Count = 1024;
    /// An event of a plugin. A source with a longer one ends with an error.
    PLUGIN_EVENT_BYTES: Bytes = 64 << 20;
    /// Events that a plugin delivers at once. A source with more ends with an error.
    PLUGIN_BATCH_EVENTS: Count = 1 << 20;
    /// Time for which an event waits for another call of its plugin. After that, the plugin is not
    /// asked, and the field is empty.
    PLUGIN_CALL_TIME: Milliseconds = 100;
    /// Time for which a plugin may look for events in one call. After that a line of the log says
    /// that it does not return; other sources go on.
    PLUGIN_SILENCE: Milliseconds = 10_000;
    /// Time for a plugin to return from its search for events when its source is closed. After that
    /// it is left as it is.
    PLUGIN_CLOSE_TIME: Milliseconds = 2000;

    // What clients of the web server take.

    /// Open connections to the web server. For one more, the oldest is dropped of the address that
    /// has the most.
    WEB_CONNECTIONS: Count = 256;
    /// Open connections of one address to the web server; all loopback addresses are one, an IPv6
    /// /64 network is one, and on a unix socket each user is. For one more, the oldest of the
    /// address is dropped.
    WEB_CONNECTIONS_PER_ADDRESS: Count = 128;
    /// Time for a TLS handshake with the web server, and for the head of a request from its first
    /// byte on. A slower client's connection is closed.
    WEB_REQUEST_TIME: Milliseconds = 5000;
    /// Time for sending a response of the web server from when the client stops to take it. A
    /// slower client's connection is closed.
    WEB_RESPONSE_TIME: Milliseconds = 5000;

    // What the API server of Kubernetes answers.

    /// Connecting to the API server of Kubernetes. The attempt has failed after this time, and is
    /// made again after a pause.
    KUBERNETES_CONNECT_TIME: Milliseconds = 10_000;
    /// A request to the API server of Kubernetes until its answer begins, and a page of a list. It
    /// has failed after this time, and is sent again after a pause.
    KUBERNETES_REQUEST_TIME: Milliseconds = 30_000;
    /// A page of a list of the API server of Kubernetes. A longer one is given up, and asked for
    /// again after a pause.
    KUBERNETES_LIST_BYTES: Bytes = 64 << 20;
    /// A line of a watch of the API server of Kubernetes. At a longer one the watch is begun anew.
    KUBERNETES_LINE_BYTES: Bytes = 8 << 20;
    /// Namespaces, owners and services of pods that are watched. Fields of more are empty.
    KUBERNETES_WATCHES: Count = 2_048;

    // What is read again.

    /// Configuration and rules files that are watched for changes. Changes of further files are
    /// noticed with the next reload.
    WATCHED_FILES: Count = 4096;
    /// Log lines of a run that wait to be written. Further ones are lost, and a later line says how
    /// many.
    LOG_QUEUE_LINES: Count = 1024;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_say_what_they_bound_and_what_happens() {
        for limit in ALL {
            let about = limit.about();
            assert!(about.ends_with('.') && about.contains(". "), "{}: {about}", limit.name());
            assert!(!about.contains("  "), "{}: {about}", limit.name());
            assert!(limit.get() > 0, "{}", limit.name());
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|limit| limit.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    /// `docs/limits.md` has exactly these rows.
    #[test]
    fn the_documentation_lists_them_all() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
        let page = std::fs::read_to_string(page).unwrap();
        let row = |limit: &Limit| {
            let key = limit.key().map(|key| format!("`{key}`")).unwrap_or_default();
            format!("| `{}` | {limit} | {} | {key} |", limit.name(), limit.about())
        };
        let rows: Vec<_> = ALL.iter().map(|limit| row(limit)).collect();
        let shown: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let missing: Vec<_> = rows.iter().filter(|row| !shown.contains(&row.as_str())).collect();
        assert!(missing.is_empty(), "docs/limits.md lacks:\n{missing:#?}");
        assert_eq!(shown.len(), rows.len(), "docs/limits.md has rows of no limit");
    }
}
