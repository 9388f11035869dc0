//! Every key of falco.yaml: name, type, default and what it is for.
//!
//! The order of the keys is the order in which they are read, so it decides which of several faults is told.

use std::collections::BTreeMap;

use peregrine_alert::Priority;
use peregrine_telemetry::DropAction;

use crate::check;
use crate::declare::section;
use crate::values::{
    AppendOutput, CaptureMode, Engine, Hooks, Include, LogLevel, Plugins, RuleMatching,
    RuleSelection,
};

section! {
    /// The whole configuration.
    pub Config "FalcoConfig" {
        /// Further configuration files and directories, merged into this one: a path, or a map of `path` and `strategy` (`append`, `override` or `add-only`).
        config_files: Vec<Include> = Vec::new();
        /// Lightest log line to write: emergency, alert, critical, error, warning, notice, info or debug.
        log_level: LogLevel = LogLevel::default();
        /// Messages of the capture layer among the log lines.
        libs_logger: LibsLogger = LibsLogger::default();
        /// Write log lines to stderr.
        log_stderr: bool = false;
        /// Send log lines to syslog.
        log_syslog: bool = true;
        /// Where system call events come from.
        engine: Engine = Engine::default();
        /// Rules files and directories of them, loaded in this order. Paths that do not exist are passed over.
        rules_files: Vec<String> = Vec::new();
        /// Listed by the schema, read by nobody. The key is `rules_files`.
        rule_files: Vec<String> = Vec::new();
        /// Print alerts, and the answers of -L, -V and --version, as JSON.
        json_output: bool = false;
        /// JSON alerts: with the text under `output`.
        json_include_output_property: bool = true;
        /// JSON alerts: with the tags of the rule.
        json_include_tags_property: bool = true;
        /// JSON alerts: with the text alone, no time and priority before it, under `message`.
        json_include_message_property: bool = false;
        /// JSON alerts: with the fields of the text under `output_fields`.
        json_include_output_fields_property: bool = true;
        /// Alerts into a file.
        file_output: FileOutput = FileOutput::default();
        /// Alerts to standard output.
        stdout_output: Switch = Switch::default();
        /// Alerts to syslog.
        syslog_output: Switch = Switch::default();
        /// Alerts to the standard input of a program.
        program_output: ProgramOutput = ProgramOutput::default();
        /// Alerts to a web server.
        http_output: HttpOutput = HttpOutput::default();
        /// Milliseconds an output may take for one alert before that is complained about.
        output_timeout: u32 = 2000;
        /// Whether the first rule that matches an event ends the search (`first`) or all are asked (`all`).
        rule_matching: RuleMatching = RuleMatching::First;
        /// Least priority of rules to load: emergency, alert, critical, error, warning, notice, informational or debug.
        priority: Priority = Priority::Debug;
        /// Let outputs collect some alerts before they write.
        buffered_outputs: bool = false;
        /// The queue between rules and outputs.
        outputs_queue: OutputsQueue = OutputsQueue::default();
        /// Times in log lines and alerts as in 2026-11-22T09:38:00+0000.
        time_format_iso_8601: bool = false;
        /// Print buffers in base64 rather than with dots for what can't be printed.
        buffer_format_base64: bool = false;
        /// Health, versions and metrics over HTTP.
        webserver: Webserver = Webserver::default();
        /// What to do when events were lost.
        syscall_event_drops: SyscallEventDrops = SyscallEventDrops::default();
        /// What to do when no event comes.
        syscall_event_timeouts: SyscallEventTimeouts = SyscallEventTimeouts::default();
        /// Sizes of the picture of the machine.
        falco_libs: FalcoLibs = FalcoLibs::default();
        /// Which system calls to watch besides those of the rules.
        base_syscalls: BaseSyscalls = BaseSyscalls::default();
        /// Numbers about the program itself.
        metrics: Metrics = Metrics::default();
        /// Recording of events around alerts.
        capture: Capture = Capture::default();
        /// Give plugins that are event sources the picture of this machine too.
        plugins_hostinfo: bool = true;
        /// Rules to enable or disable, in this order: `enable` or `disable` with a `rule` (may hold `*`) or a `tag`.
        rules: Vec<RuleSelection> = Vec::new();
        /// Texts and fields to add to alerts: `match` (`source`, `tags`, `rule`), `extra_output`, `extra_fields`, `suggested_output`.
        append_output: Vec<AppendOutput> = Vec::new();
        /// Values of your own that rules and outputs read as `static.NAME`.
        static_fields: BTreeMap<String, String> = BTreeMap::new();
        /// Names of the plugins to load, in this order; where the key is absent, all of `plugins`.
        load_plugins: Option<Vec<String>> = None;
        /// Plugins: `name`, `library_path`, `init_config`, `open_params`. `container` is built in, and its library is not opened.
        plugins: Plugins = Plugins::default();
        /// Start anew when a configuration or rules file changes.
        watch_config_files: bool = true;
    }
}

section! {
    /// Messages of the capture layer.
    pub LibsLogger "LibsLogger" extra { "minProperties": 1 } check check::libs_logger {
        /// Write them.
        enabled: bool = true;
        /// Lightest one to write: fatal, critical, error, warning, notice, info, debug or trace.
        severity: String = "info".to_owned();
    }
}

section! {
    /// The event source as it is written; [`Engine`] is what it comes to.
    pub(crate) EngineKeys "Engine" extra { "required": ["kind"] } {
        /// Source of events: kmod and modern_ebpf are the running kernel, replay is a capture file, nodriver is none.
        kind: String = "kmod".to_owned();
        /// Buffers with `kind: kmod`. Taken as for modern_ebpf: there is no kernel module.
        kmod: Kmod = Kmod::default();
        /// Buffers with `kind: modern_ebpf`.
        modern_ebpf: ModernEbpf = ModernEbpf::default();
        /// The file with `kind: replay`.
        replay: Replay = Replay::default();
    }
}

section! {
    /// Kernel module.
    pub Kmod "Kmod" extra { "minProperties": 1 } {
        /// Size of the ring of each CPU: 1 MB at 1, twice as much with every step, 512 MB at 10.
        buf_size_preset: i16 = 4;
        /// Leave out system calls that failed.
        drop_failed_exit: bool = false;
    }
}

section! {
    /// BPF.
    pub ModernEbpf "ModernEbpf" {
        /// CPUs that share a ring; 0 is one ring for all.
        cpus_for_each_buffer: u16 = 2;
        /// Size of each ring, in the steps of `engine.kmod.buf_size_preset`.
        buf_size_preset: i16 = 4;
        /// Leave out system calls that failed.
        drop_failed_exit: bool = false;
        /// Look around at the start through /proc only, not through BPF iterators.
        disable_iterators: bool = false;
        /// How system calls are hooked: per_syscall (each selected one by itself), sys_exit (all at their end), or auto, the first that
        /// the kernel takes.
        hooks: Hooks = Hooks::default(), extra { "$comment": "Peregrine" };
        /// What to watch of the machine.
        scope: Scope = Scope::default(), extra { "$comment": "Peregrine" };
    }
}

section! {
    /// Part of the machine that is watched. Falco has no such thing.
    pub Scope "Scope" {
        /// Directory of a cgroup v2: only its tasks and those of the cgroups below it are watched. Empty is the whole machine.
        cgroup: String = String::new();
    }
}

section! {
    /// A capture file.
    pub Replay "Replay" extra { "required": ["capture_file"] } {
        /// Path of the capture file.
        capture_file: String = String::new();
    }
}

section! {
    /// An output with nothing to set.
    pub Switch "Output" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
    }
}

section! {
    /// Alerts into a file.
    pub FileOutput "FileOutput" extra { "minProperties": 1 } check check::file_output {
        /// Use it.
        enabled: bool = false;
        /// Hold the file open between alerts; SIGUSR1 opens it anew.
        keep_alive: bool = false;
        /// Path of the file; alerts are added at its end.
        filename: String = String::new();
    }
}

section! {
    /// Alerts to a program.
    pub ProgramOutput "ProgramOutput" extra { "required": ["program"] } check check::program_output {
        /// Use it.
        enabled: bool = false;
        /// Start the program once, not for every alert; SIGUSR1 starts it anew.
        keep_alive: bool = false;
        /// The command, as a shell understands it.
        program: String = String::new();
    }
}

section! {
    /// Alerts to a web server.
    pub HttpOutput "HTTPOutput" extra { "minProperties": 1 } check check::http_output {
        /// Use it.
        enabled: bool = false;
        /// Where to POST alerts.
        url: String = String::new(), extra { "format": "uri", "qt-uri-protocols": ["http"] };
        /// The client's name in requests.
        user_agent: String = "falcosecurity/falco".to_owned();
        /// Trust any certificate of the server.
        insecure: bool = false;
        /// Certificate of the authority that signs the server's.
        ca_cert: String = String::new();
        /// File of such certificates.
        ca_bundle: String = String::new();
        /// Directory of such certificates.
        ca_path: String = "/etc/ssl/certs".to_owned();
        /// Show a certificate to the server.
        mtls: bool = false;
        /// That certificate.
        client_cert: String = "/etc/ssl/certs/client.crt".to_owned();
        /// Its key.
        client_key: String = "/etc/ssl/certs/client.key".to_owned();
        /// Copy the server's answers to standard output.
        echo: bool = false;
        /// Compress what is sent.
        compress_uploads: bool = false;
        /// Hold the connection open between alerts.
        keep_alive: bool = false;
        /// Timeouts in a row after which the server counts as gone.
        max_consecutive_timeouts: u8 = 5;
    }
}

section! {
    /// The queue before the outputs.
    pub OutputsQueue "OutputsQueue" extra { "minProperties": 1 } {
        /// Alerts it holds at most; 0 is as many as memory does.
        capacity: u64 = 0;
    }
}

section! {
    /// The web server.
    pub Webserver "Webserver" extra { "minProperties": 1 } check check::webserver {
        /// Run it.
        enabled: bool = false;
        /// Threads that answer; 0 is one for each CPU.
        threadiness: u32 = 0;
        /// Port to listen on.
        listen_port: u32 = 8765;
        /// IPv4 or IPv6 address to listen on.
        listen_address: String = "0.0.0.0".to_owned();
        /// Path of the page that says whether all is well.
        k8s_healthz_endpoint: String = "/healthz".to_owned();
        /// Milliseconds without any progress of the event loop after which that page says 503; 0 is never.
        healthz_timeout: u32 = 15_000, extra { "$comment": "Peregrine" };
        /// Serve the metrics under /metrics in the format of Prometheus.
        prometheus_metrics_enabled: bool = false;
        /// Speak HTTPS.
        ssl_enabled: bool = false;
        /// File of certificate and key for HTTPS.
        ssl_certificate: String = "/etc/falco/falco.pem".to_owned();
    }
}

section! {
    /// Lost events.
    pub SyscallEventDrops "SyscallEventDrops" extra { "minProperties": 1 } check check::drops {
        /// What follows a loss: ignore, log, alert, exit. Nothing stands for ignore.
        actions: Vec<DropAction> = Vec::new();
        /// Lost share of a second's events above which the actions are taken.
        threshold: f64 = 0.1;
        /// Actions per second in the long run.
        rate: f64 = 0.03333;
        /// Actions at once before the rate applies.
        max_burst: f64 = 1.0, extra { "type": "integer" };
        /// Act as if events were lost, to try the actions.
        simulate_drops: bool = false;
    }
}

section! {
    /// Silence.
    pub SyscallEventTimeouts "SyscallEventTimeouts" extra { "minProperties": 1 } check check::timeouts {
        /// Empty reads in a row after which an alert says that no events come.
        max_consecutives: u32 = 1000;
    }
}

section! {
    /// The picture of the machine.
    pub FalcoLibs "FalcoLibs" extra { "minProperties": 1 } {
        /// Threads it holds at most.
        thread_table_size: u32 = 262_144;
        /// Seconds between searches for threads that have gone unnoticed.
        thread_table_auto_purging_interval_s: u32 = 300;
        /// Seconds without an event after which a thread is looked for.
        thread_table_auto_purging_thread_timeout_s: u32 = 300;
        /// Bytes of a buffer that an event carries; 0 is 80.
        snaplen: u64 = 0;
    }
}

section! {
    /// System calls besides those of the rules.
    pub BaseSyscalls "BaseSyscalls" extra { "minProperties": 1 } {
        /// Names to watch; with `!` before it, one not to watch.
        custom_set: Vec<String> = Vec::new();
        /// Watch the fewest that keep the picture of the machine right.
        repair: bool = false;
        /// Watch also those that -i names.
        all: bool = false;
    }
}

section! {
    /// Numbers about the program.
    pub Metrics "Metrics" extra { "minProperties": 1 } {
        /// Collect them.
        enabled: bool = false;
        /// Time between two reports, with units: 1h, 1m30s, 500ms.
        interval: String = "5000".to_owned();
        /// Report as an alert.
        output_rule: bool = false;
        /// Report into this file, one JSON object a line.
        output_file: String = String::new();
        /// With matches of each rule.
        rules_counters_enabled: bool = true;
        /// With CPU and memory.
        resource_utilization_enabled: bool = true;
        /// With counters of the picture of the machine.
        state_counters_enabled: bool = true;
        /// With events and losses in the kernel.
        kernel_event_counters_enabled: bool = true;
        /// The same for each CPU.
        kernel_event_counters_per_cpu_enabled: bool = true;
        /// With counters of BPF iterators.
        kernel_iter_event_counters_enabled: bool = true;
        /// With run counts and times of BPF programs.
        libbpf_stats_enabled: bool = true;
        /// Let the kernel count those runs while this program does (BPF_ENABLE_STATS), for all BPF programs of the machine: each run takes a little longer then. Otherwise they are counted where `sysctl kernel.bpf_stats_enabled=1` says so.
        bpf_enable_stats: bool = false, extra { "$comment": "Peregrine" };
        /// With what plugins count.
        plugins_metrics_enabled: bool = true;
        /// With statistics of the allocator.
        jemalloc_stats_enabled: bool = true;
        /// With events and time of each system call and each rule.
        syscalls_counters_enabled: bool = false, extra { "$comment": "Peregrine" };
        /// Memory in megabytes.
        convert_memory_to_mb: bool = true;
        /// With numbers that are zero.
        include_empty_values: bool = false;
    }
}

section! {
    /// Recording.
    pub Capture "Capture" {
        /// Record.
        enabled: bool = false;
        /// Beginning of the names of the files.
        path_prefix: String = "/tmp/falco".to_owned();
        /// Which alerts start a recording: those of rules with `capture: true` (`rules`) or all (`all_rules`).
        mode: CaptureMode = CaptureMode::Rules;
        /// Milliseconds to record after an alert whose rule does not say.
        default_duration: u32 = 5000, extra { "minimum": 0 };
        /// Size at which a recording ends; 0 is none.
        max_file_size_mb: u64 = 0, extra { "minimum": 0, "maximum": 1_048_576 };
    }
}
