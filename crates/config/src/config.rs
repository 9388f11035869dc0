//! Every key at the top of falco.yaml: name, type, default and what it is for.
//!
//! The order of the keys is the order in which they are read, so it decides which of several issues
//! is reported.

use std::collections::BTreeMap;

use peregrine_alert::Priority;

use crate::declare::section;
use crate::sections::{
    AlertThrottling, AppendOutput, BaseSyscalls, Capture, Containers, Engine, FalcoLibs,
    FileOutput, Files, HttpOutput, Include, Kubernetes, LibsLogger, LogFormat, LogLevel, Metrics,
    OtlpOutput, OutputsQueue, Plugins, Presentation, ProgramOutput, RuleMatching, RuleSelection,
    StdoutOutput, SyscallEventDrops, SyscallEventTimeouts, SyslogOutput, Webserver,
};
use crate::sections::{KafkaOutput, NatsOutput};

impl Config {
    /// What outputs that are enabled say about their alerts, each with the section of these keys.
    #[must_use]
    pub fn presentations(&self) -> Vec<(&'static str, Presentation)> {
        let file = self.file_output.as_ref().map(|it| it.presentation.clone());
        let stdout = Some(&self.stdout_output).filter(|it| it.enabled);
        let stdout = stdout.map(|it| it.peregrine.presentation());
        let syslog = Some(&self.syslog_output).filter(|it| it.enabled);
        let syslog = syslog.map(|it| it.peregrine.presentation());
        let program = self.program_output.as_ref().map(|it| it.presentation.clone());
        let http = self.http_output.as_ref().map(|it| it.presentation.clone());
        let otlp = self.otlp_output.as_ref().map(|it| it.presentation.clone());
        let nats = self.nats_output.as_ref().map(|it| it.presentation.clone());
        let kafka = self.kafka_output.as_ref().map(|it| it.presentation.clone());
        let outputs = [
            ("file_output.peregrine", file),
            ("stdout_output.peregrine", stdout),
            ("syslog_output.peregrine", syslog),
            ("program_output.peregrine", program),
            ("http_output.peregrine", http),
            ("otlp_output", otlp),
            ("nats_output", nats),
            ("kafka_output", kafka),
        ];
        outputs.into_iter().filter_map(|(key, output)| output.map(|output| (key, output))).collect()
    }
}

section! {
    /// The whole configuration.
    pub Config "FalcoConfig" {
        /// Further configuration files and directories, merged into this one: a path, or a map of
        /// `path` and `strategy` (`append`, `override` or `add-only`).
        config_files: Vec<Include> = Vec::new();
        /// Lowest severity of log lines to write: emergency, alert, critical, error, warning,
        /// notice, info or debug.
        log_level: LogLevel = LogLevel::default();
        /// Form of log lines on stderr: text, or json (an object with time, level and message).
        log_format: LogFormat = LogFormat::Text, extra { "$comment": "Peregrine" };
        /// Messages of the capture layer among the log lines.
        libs_logger: Option<LibsLogger> = Some(LibsLogger::default());
        /// Write log lines to stderr.
        log_stderr: bool = false;
        /// Send log lines to syslog.
        log_syslog: bool = true;
        /// Where system call events come from.
        engine: Engine = Engine::default();
        /// Rules files and directories of them, loaded in this order. Paths that do not exist are
        /// ignored.
        rules_files: Vec<String> = Vec::new();
        /// Listed by the schema and never read. The key is `rules_files`.
        rule_files: Vec<String> = Vec::new();
        /// Print alerts, and the answers of -L, -V and --version, as JSON.
        json_output: bool = false;
        /// JSON alerts: include the text as `output`.
        json_include_output_property: bool = true;
        /// JSON alerts: include the tags of the rule.
        json_include_tags_property: bool = true;
        /// JSON alerts: include the text without time and priority as `message`.
        json_include_message_property: bool = false;
        /// JSON alerts: include the fields of the text as `output_fields`.
        json_include_output_fields_property: bool = true;
        /// Alerts into a file.
        file_output: Option<FileOutput> = None;
        /// Alerts to standard output.
        stdout_output: StdoutOutput = StdoutOutput::default();
        /// Alerts to syslog.
        syslog_output: SyslogOutput = SyslogOutput::default();
        /// Alerts to the standard input of a program.
        program_output: Option<ProgramOutput> = None;
        /// Alerts to a web server.
        http_output: Option<HttpOutput> = None;
        /// Alerts as log records to a receiver of OTLP, such as the OpenTelemetry Collector.
        otlp_output: Option<OtlpOutput> = None, extra { "$comment": "Peregrine" };
        /// Alerts to NATS.
        nats_output: Option<NatsOutput> = None, extra { "$comment": "Peregrine" };
        /// Alerts to Kafka.
        kafka_output: Option<KafkaOutput> = None, extra { "$comment": "Peregrine" };
        /// Milliseconds an output may take for one alert before a warning is logged.
        output_timeout: u32 = 2000;
        /// Whether the first rule that matches an event ends the search (`first`) or all rules are
        /// evaluated (`all`).
        rule_matching: RuleMatching = RuleMatching::First;
        /// Lowest priority of rules to load: emergency, alert, critical, error, warning, notice,
        /// informational or debug.
        priority: Priority = Priority::Debug;
        /// Let outputs collect alerts before writing.
        buffered_outputs: bool = false;
        /// The queue between rules and outputs.
        outputs_queue: OutputsQueue = OutputsQueue::default();
        /// Times in log lines and alerts as in 2026-11-22T09:38:00+0000.
        time_format_iso_8601: bool = false;
        /// Print buffers in base64 instead of replacing unprintable bytes by dots.
        buffer_format_base64: bool = false;
        /// Health, versions and metrics over HTTP.
        webserver: Webserver = Webserver::default();
        /// What to do when events were lost.
        syscall_event_drops: SyscallEventDrops = SyscallEventDrops::default();
        /// What to do when no event comes.
        syscall_event_timeouts: SyscallEventTimeouts = SyscallEventTimeouts::default();
        /// Sizes of the state.
        falco_libs: FalcoLibs = FalcoLibs::default();
        /// What is asked about containers.
        containers: Containers = Containers::default(), extra { "$comment": "Peregrine" };
        /// What the API server of Kubernetes is asked.
        kubernetes: Kubernetes = Kubernetes::default(), extra { "$comment": "Peregrine" };
        /// What the program writes.
        files: Files = Files::default(), extra { "$comment": "Peregrine" };
        /// Give up capabilities and system calls that the run does not need.
        drop_privileges: bool = true, extra { "$comment": "Peregrine" };
        /// Which system calls to monitor besides those of the rules.
        base_syscalls: BaseSyscalls = BaseSyscalls::default();
        /// Numbers about the program itself.
        metrics: Metrics = Metrics::default();
        /// Recording of events around alerts.
        capture: Capture = Capture::default();
        /// Give plugins that are event sources the state of this machine too.
        plugins_hostinfo: bool = true;
        /// Rules to enable or disable, in this order: `enable` or `disable` with a `rule` (may hold
        /// `*`) or a `tag`.
        rules: Vec<RuleSelection> = Vec::new();
        /// Texts and fields to add to alerts: `match` (`source`, `tags`, `rule`), `extra_output`,
        /// `extra_fields`, `suggested_output`.
        append_output: Vec<AppendOutput> = Vec::new();
        /// How many alerts of rules are sent: entries with `rules` (names, `*` matches any text)
        /// and `tags`, `max` alerts in each `window` (such as 1m), and `key`: fields whose values
        /// are told apart. A digest follows about the others. The first entry that names a rule
        /// counts.
        alert_throttling: Vec<AlertThrottling> = Vec::new(), extra { "$comment": "Peregrine" };
        /// Values of your own that rules and outputs read as `static.NAME`; names are
        /// words of letters, digits and `_`, joined by dots.
        static_fields: BTreeMap<String, String> = BTreeMap::new();
        /// Names of the plugins to load, in this order; if the key is absent, all of `plugins`.
        load_plugins: Option<Vec<String>> = None;
        /// Plugins: `name`, `library_path`, `init_config`, `open_params`, `native`. What is built
        /// in serves for `container`, and for `json`, `k8saudit` and `k8smeta` if there is no
        /// library at their path; `native` decides otherwise. `peregrine` has further keys:
        /// docs/k8s-audit.md.
        plugins: Plugins = Plugins::default();
        /// Reload when a configuration or rules file changes.
        watch_config_files: bool = true;
    }
}
