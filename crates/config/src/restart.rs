//! Which keys take effect with a reload.

use crate::{Config, KeyChange, Metrics};

/// Keys, and sections with all of their keys, that need a restart. The source of events is opened
/// once, and with it the state that they fill; what events cost is measured from the first on.
const RESTART: [&str; 8] = [
    "drop_privileges",
    "engine",
    "falco_libs",
    "kubernetes",
    "load_plugins",
    "metrics.bpf_enable_stats",
    "metrics.syscalls_counters_enabled",
    "plugins",
];

impl KeyChange {
    /// Whether the change takes effect with a restart only.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        needs_restart(&self.key)
    }
}

impl Config {
    /// The keys in force after a reload to `new`: those that need a restart are as in this one,
    /// which the run began with.
    #[must_use]
    pub fn reloaded(&self, new: Self) -> Self {
        Self {
            drop_privileges: self.drop_privileges,
            engine: self.engine.clone(),
            falco_libs: self.falco_libs.clone(),
            kubernetes: self.kubernetes.clone(),
            load_plugins: self.load_plugins.clone(),
            plugins: self.plugins.clone(),
            metrics: Metrics {
                bpf_enable_stats: self.metrics.bpf_enable_stats,
                syscalls_counters_enabled: self.metrics.syscalls_counters_enabled,
                ..new.metrics
            },
            ..new
        }
    }
}

fn needs_restart(key: &str) -> bool {
    RESTART.iter().any(|restart| is_within(key, restart))
}

/// Whether a key is this one, or below it.
fn is_within(key: &str, section: &str) -> bool {
    let rest = key.strip_prefix(section);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Main, load};

    /// The sections whose keys take effect with a reload unless they need a restart. A new section
    /// belongs here if a test has shown that it does.
    const RELOADED: [&str; 42] = [
        "alert_throttling",
        "append_output",
        "base_syscalls",
        "buffer_format_base64",
        "buffered_outputs",
        "capture",
        "config_files",
        "containers",
        "file_output",
        "files",
        "http_output",
        "json_include_message_property",
        "json_include_output_fields_property",
        "json_include_output_property",
        "json_include_tags_property",
        "json_output",
        "kafka_output",
        "libs_logger",
        "log_format",
        "log_level",
        "log_stderr",
        "log_syslog",
        "metrics",
        "nats_output",
        "otlp_output",
        "output_timeout",
        "outputs_queue",
        "plugins_hostinfo",
        "priority",
        "program_output",
        "rule_files",
        "rule_matching",
        "rules",
        "rules_files",
        "static_fields",
        "stdout_output",
        "syscall_event_drops",
        "syscall_event_timeouts",
        "syslog_output",
        "time_format_iso_8601",
        "watch_config_files",
        "webserver",
    ];

    fn keys() -> Vec<String> {
        crate::reference().into_iter().map(|row| row.key).collect()
    }

    #[test]
    fn each_key_takes_effect_with_a_reload_or_needs_a_restart() {
        for key in keys() {
            let reloaded = RELOADED.iter().any(|section| is_within(&key, section));
            assert!(reloaded || needs_restart(&key), "{key} is in no list");
        }
        for listed in RELOADED.iter().chain(&RESTART) {
            assert!(keys().iter().any(|key| is_within(key, listed)), "there is no key {listed}");
        }
        for section in RELOADED {
            assert!(!RESTART.contains(&section), "{section} is in both lists");
        }
    }

    #[test]
    fn the_page_lists_the_keys_that_need_a_restart() {
        let page = include_str!("../../../docs/reload.md");
        let (_, list) = page.split_once("These keys need a restart").unwrap();
        let (list, _) = list.split_once("\n\n").unwrap();
        let mut listed: Vec<_> = list.split('`').skip(1).step_by(2).collect();
        listed.sort_unstable();
        assert_eq!(listed, RESTART);
    }

    #[test]
    fn keys_that_need_a_restart_stay() {
        let read = |text| load(Main::BuiltIn(text), &[], &mut |_| ()).unwrap().config;
        let started = read("engine: {kind: nodriver}\nmetrics: {bpf_enable_stats: true}\n");
        let new =
            read("json_output: true\nfalco_libs: {snaplen: 7}\nmetrics: {output_rule: true}\n");
        let keys = started.reloaded(new);
        assert!(keys.json_output && keys.metrics.output_rule && keys.metrics.bpf_enable_stats);
        assert_eq!((keys.engine, keys.falco_libs), (started.engine, started.falco_libs));
    }
}
