use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peregrine_event::{EventCounters, LossCause, LossClass};

use super::metric::sanitized;
use super::*;
use crate::AuditCounts;
use crate::heartbeat::StallStats;

fn counters(opens: u64, lost: u64) -> EventCounters {
    let mut counters = EventCounters::default();
    counters.seen[LossClass::Open as usize] = opens;
    counters.seen[LossClass::ProcExit as usize] = 20;
    counters.lost[LossClass::Open as usize][LossCause::RingFull as usize] = lost;
    counters.lost[LossClass::Open as usize][LossCause::Scratch as usize] = 2;
    counters
}

fn rule(name: &str, tags: &[&str], matches: u64) -> RuleStats {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let rule = RuleInfo { name: name.to_owned(), priority: 4, source: "syscall".to_owned(), tags };
    RuleStats { rule, matches, lost: matches / 10, suppressed: matches / 5 }
}

fn file(name: &str) -> FileDigest {
    FileDigest { name: name.to_owned(), sha256: "6f00".to_owned() }
}

fn plugin(name: &str, monotonic: bool, value: MetricValue) -> PluginStats {
    PluginStats { plugin: "script".to_owned(), name: name.to_owned(), monotonic, value }
}

/// Something of everything.
fn all() -> MetricInputs {
    MetricInputs {
        ts: 1_700_000_090_500_000_000,
        run: RunInfo {
            version: "0.45.0".to_owned(),
            hostname: "host".to_owned(),
            source: "syscall".to_owned(),
            engine: Some("modern_bpf".to_owned()),
            plugin_sources: vec!["k8s_audit".to_owned()],
            hook_plan: Some("fexit".to_owned()),
            kernel_release: "6.1.0".to_owned(),
            start_ts: 1_700_000_000_000_000_000,
            reload_ts: 1_700_000_001_000_000_000,
            boot_ts: 1_600_000_000_000_000_000,
            cpus: 2,
            rules_files: vec![file("falco_rules.yaml"), file("falco_rules.yaml")],
            config_files: vec![file("falco.yaml")],
            addresses: vec![(
                "eth0".to_owned(),
                "ipv4",
                vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()],
            )],
        },
        plugins: Some(vec![
            plugin("made", true, MetricValue::Uint(2)),
            plugin("Odd-Name.x", true, MetricValue::Uint(0)),
            plugin("level", false, MetricValue::Int(-5)),
            plugin("ratio", false, MetricValue::Double(1.25)),
            plugin("odd_name_x", false, MetricValue::Uint(7)),
            plugin("Odd Name x", false, MetricValue::Uint(8)),
        ]),
        reloads: ReloadStats { done: 3, failed: 1, generation: 4, load: 34_000_000, swap: 120_000 },
        events: 1500,
        outputs: vec![
            OutputStats {
                name: "http",
                submitted: 100,
                recovered: 20,
                delivered: 50,
                retried: 6,
                failed: 1,
                queue_full: 2,
                over_share: 3,
                discarded: 4,
                spool_full: 5,
                expired: 6,
                damaged: 7,
                spooled: 2,
                spool_bytes: 4 << 20,
                waiting: 40,
                waiting_bytes: 16 << 20,
                oldest: 1_500_000_000,
            },
            OutputStats {
                name: "stdout",
                submitted: 100,
                delivered: 100,
                ..OutputStats::default()
            },
        ],
        throttling: ThrottleStats { suppressed: 6, digests: 2, windows: 3, unthrottled: 1 },
        held: HeldStats { incomplete: 2, without_metadata: 3, undecided: 9, given_up: 4 },
        capture_drops: 3,
        stalls: Some(StallStats {
            count: 25,
            longest: Duration::from_millis(26_500),
            silence: Duration::from_millis(27),
        }),
        web: Some(WebConnections { open: 28, accepted: 29 }),
        audit: Some(AuditCounts {
            requests: vec![("queued", 30), ("full", 31)],
            events: 32,
            left_out: vec![("invalid", 33)],
            queued: 34,
        }),
        limits: vec![("threads", 24), ("containers", 0)],
        rules: Some(vec![
            rule(
                "Read \"sensitive\" file (x)",
                &["T1555", "mitre-credential_access", "mitre_credential_access"],
                32,
            ),
            rule("Never", &[], 0),
        ]),
        resources: Some(ResourceUsage {
            cpu_percent: 12.34,
            rss_kb: 32_000,
            vsz_kb: 64_000,
            pss_kb: 31_000,
            container_memory: 33_554_432,
            host_cpu_percent: 50.0,
            host_memory_kb: 1_048_576,
            host_procs_running: 3,
            host_open_fds: 4096,
        }),
        state: Some(StateStats {
            threads: 100,
            fds: 200,
            found_fds: 3,
            unknown_fds: 4,
            added_fds: 5,
            removed_fds: 6,
            stored_events: 7,
            dropped_events: 8,
            retrieved_events: 9,
            missing_events: 10,
            found_threads: 11,
            unknown_threads: 12,
            added_threads: 13,
            removed_threads: 14,
            dropped_threads: 15,
            postponed_account_requests: 16,
            unidentified_containers: 20,
            repaired_processes: 17,
            repaired_threads: 18,
            repaired_fds: 19,
        }),
        kernel: Some(counters(2000, 10)),
        cpus: Some(vec![counters(1900, 10), EventCounters::default()]),
        kubernetes: Some(KubernetesStats {
            connected: 1,
            pods: 30,
            watches: 41,
            events: 200,
            lists: 42,
            failures: 2,
        }),
        containers: Some(ContainerStats {
            containers: 12,
            missing_images: 1,
            lookups: 9,
            late: 2,
            failed: 1,
            engines: vec![EngineStats {
                name: "docker",
                connected: 1,
                connects: 2,
                answers: 30,
                errors: 3,
                latency_min: 700_000,
                latency_avg: 1_500_000,
                latency_p99: 4_096_000,
            }],
        }),
        late: Some(1),
        lookups: Some(LookupStats {
            threads: 21,
            thread_timeouts: 22,
            account_reads: 23,
            readers: ReaderStats {
                questions: 101,
                safe: 102,
                hung_lookups: 103,
                hung_processes: 104,
                hung_accounts: 105,
                replaced: 106,
                stuck: 107,
                waits: 108,
                wait_ns: 109,
                refused: 110,
            },
        }),
        seen_by_group: Some(vec![("/system.slice/a.service".to_owned(), 1280)]),
        lost_by_group: Some(vec![("/system.slice/a.service".to_owned(), 3)]),
        costs: Some(CostStats {
            syscalls: vec![SyscallCost {
                name: "openat".to_owned(),
                events: 2000,
                time: 1_250_000,
            }],
            rules: vec![RuleCost { name: "Never".to_owned(), evaluations: 1500, time: 30_000 }],
        }),
        programs: Some(vec![
            ProgramStats { name: "sys_exit".to_owned(), runs: 4, time: 1001 },
            ProgramStats { name: "proc_fork".to_owned(), runs: 0, time: 0 },
        ]),
        scan: Some(ScanStats { threads: 90, pipes: 8, files: 70, ..ScanStats::default() }),
        previous: Some(PreviousSnapshot {
            ts: 1_700_000_080_500_000_000,
            events: 500,
            kernel_events: 1020,
            kernel_drops: 2,
        }),
    }
}

fn lines(fields: &BTreeMap<String, MetricValue>) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[test]
fn fields_of_everything() {
    insta::assert_snapshot!(lines(&MetricSnapshot::take(&all()).fields(FieldOptions::default())));
}

#[test]
fn prometheus_text_of_everything() {
    insta::assert_snapshot!(MetricSnapshot::take(&all()).prometheus(false));
}

#[test]
fn what_is_not_wanted_is_not_told() {
    let inputs = MetricInputs { ts: 5, ..MetricInputs::default() };
    let names: Vec<_> =
        MetricSnapshot::take(&inputs).fields(FieldOptions::default()).into_keys().collect();
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn zeros_are_told_on_demand() {
    let inputs = MetricInputs {
        rules: Some(vec![rule("Never", &[], 0)]),
        state: Some(StateStats::default()),
        kernel: Some(EventCounters::default()),
        ..MetricInputs::default()
    };
    let snapshot = MetricSnapshot::take(&inputs);
    let fields = snapshot.fields(FieldOptions::default());
    assert!(
        fields.contains_key("scap.n_drops") && fields.contains_key("falco.rules.matches_total")
    );
    assert!(!fields.contains_key("falco.n_threads") && !fields.contains_key("falco.rules.Never"));
    let fields = snapshot.fields(FieldOptions { zeros: true, ..FieldOptions::default() });
    assert_eq!(fields["falco.n_threads"], MetricValue::Uint(0));
    assert_eq!(fields["falco.rules.Never"], MetricValue::Uint(0));
    assert_eq!(fields["scap.n_drops_buffer_connect_enter"], MetricValue::Uint(0));
    assert!(!snapshot.prometheus(false).contains("Never"));
    assert!(snapshot.prometheus(false).contains("\nfalcosecurity_scap_n_threads_total 0\n"));
    assert!(snapshot.prometheus(true).contains("rule_name=\"Never\""));
}

#[test]
fn memory_in_the_unit_it_is_measured_in() {
    let fields =
        MetricSnapshot::take(&all()).fields(FieldOptions { megabytes: false, zeros: false });
    assert_eq!(fields["falco.memory_rss_kb"], MetricValue::Uint(32_000));
    assert_eq!(fields["falco.container_memory_used_bytes"], MetricValue::Uint(33_554_432));
    assert!(!fields.contains_key("falco.memory_rss_mb"));
}

#[test]
fn rates_count_from_the_snapshot_before() {
    let field = |inputs: &MetricInputs, name: &str| {
        MetricSnapshot::take(inputs)
            .fields(FieldOptions::default())
            .get(name)
            .map(MetricValue::to_string)
    };
    let first = MetricInputs { previous: None, ..all() };
    assert_eq!(field(&first, "falco.evts_rate_sec"), None);
    assert_eq!(field(&first, "falco.num_evts_prev").unwrap(), "0");
    assert_eq!(field(&first, "scap.evts_rate_sec").unwrap(), "0.0");
    let second = all();
    assert_eq!(field(&second, "falco.evts_rate_sec").unwrap(), "100.0");
    assert_eq!(field(&second, "scap.evts_rate_sec").unwrap(), "100.0");
    assert_eq!(field(&second, "scap.evts_drop_rate_sec").unwrap(), "1.0");
    assert_eq!(field(&second, "scap.n_drops_perc").unwrap(), "1.0");
    // A clock that was set back makes no negative rate.
    let back = MetricInputs { ts: 0, ..all() };
    assert_eq!(field(&back, "scap.evts_rate_sec").unwrap(), "0.0");
    assert_eq!(field(&back, "falco.duration_sec").unwrap(), "0");
}

#[test]
fn names_that_become_the_same_are_added_up() {
    let rules = Some(vec![rule("a b", &[], 1), rule("a-b", &[], 2)]);
    let snapshot = MetricSnapshot::take(&MetricInputs { rules, ..MetricInputs::default() });
    assert_eq!(snapshot.fields(FieldOptions::default())["falco.rules.a_b"], MetricValue::Uint(3));
    assert_eq!(snapshot.prometheus(false).matches("falco_rules_matches_total{").count(), 2);
}

#[test]
fn names_are_made_fit() {
    assert_eq!(sanitized("Testing rule   2 (CVE-2244)"), "Testing_rule_2_CVE_2244");
    assert_eq!(sanitized("Testing rule__:2)"), "Testing_rule_:2");
    assert_eq!(sanitized("été"), "_t");
    assert_eq!(sanitized(""), "");
}

#[test]
fn a_family_has_one_help_and_one_type_and_no_series_twice() {
    let text = MetricSnapshot::take(&all()).prometheus(true);
    let (mut helped, mut typed, mut series) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut family = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap();
            assert!(helped.insert(family), "{line}");
        } else if let Some(typ) = line.strip_prefix("# TYPE ") {
            assert_eq!(typ.split(' ').next(), Some(family), "{line}");
            assert!(typed.insert(family), "{line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(name, family, "{line}");
            assert!(series.insert(line.rsplit_once(' ').unwrap().0), "{line}");
        }
    }
    assert!(helped.len() > 70 && helped == typed);
}

#[test]
fn names_say_where_they_come_from() {
    for metric in metrics() {
        let prefixes = ["evt.", "falco.", "scap.", "plugins.", "peregrine."];
        assert!(prefixes.iter().any(|prefix| metric.name.starts_with(prefix)), "{metric:?}");
        let Some(prometheus) = metric.prometheus else { continue };
        let ours = metric.name.starts_with("peregrine.");
        assert_eq!(prometheus.starts_with("peregrine_"), ours, "{metric:?}");
        assert_eq!(prometheus.starts_with("falcosecurity_"), !ours, "{metric:?}");
        if metric.kind == MetricKind::Counter {
            assert!(prometheus.ends_with("_total"), "{metric:?}");
        }
    }
}

/// A row of the tables on the page about metrics.
fn row(metric: &Metric) -> String {
    let code = |name: &str| format!("`{name}`");
    let prometheus = metric.prometheus.map_or(String::new(), code);
    format!("| {} | {prometheus} | {} |\n", code(metric.name), metric.about)
}

#[test]
fn the_page_about_metrics_explains_all_of_them() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let missing: String = metrics().map(row).filter(|row| !page.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks:\n{missing}");
    let rows = page.lines().filter(|line| {
        ["| `evt.", "| `falco.", "| `scap.", "| `plugins.", "| `peregrine."]
            .iter()
            .any(|start| line.starts_with(start))
            && (line.contains("| `falcosecurity_")
                || line.contains("| `peregrine_")
                || line.contains("` |  |"))
    });
    assert_eq!(rows.count(), metrics().count(), "docs/metrics.md explains what is not there");
}
