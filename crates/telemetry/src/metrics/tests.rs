use std::collections::{BTreeMap, BTreeSet};

use peregrine_event::{EventCounters, LossCause, LossClass};

use super::metric::sanitized;
use super::*;

fn counters(opens: u64, lost: u64) -> EventCounters {
    let mut counters = EventCounters::default();
    counters.seen[LossClass::Open as usize] = opens;
    counters.seen[LossClass::ProcExit as usize] = 20;
    counters.lost[LossClass::Open as usize][LossCause::RingFull as usize] = lost;
    counters.lost[LossClass::Open as usize][LossCause::Scratch as usize] = 2;
    counters
}

fn rule(name: &str, tags: &[&str], matches: u64) -> RuleFigures {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    RuleFigures { name: name.to_owned(), priority: 4, source: "syscall".to_owned(), tags, matches }
}

fn file(name: &str) -> FileDigest {
    FileDigest { name: name.to_owned(), sha256: "6f00".to_owned() }
}

/// Something of everything.
fn all() -> Figures {
    Figures {
        ts: 1_700_000_090_500_000_000,
        run: RunFigures {
            version: "0.45.0".to_owned(),
            hostname: "host".to_owned(),
            source: "syscall".to_owned(),
            engine: Some("modern_bpf".to_owned()),
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
        events: 1500,
        queue_drops: 1,
        rules: Some(vec![
            rule(
                "Read \"sensitive\" file (x)",
                &["T1555", "mitre-credential_access", "mitre_credential_access"],
                32,
            ),
            rule("Never", &[], 0),
        ]),
        resources: Some(ResourceFigures {
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
        state: Some(StateFigures {
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
        }),
        kernel: Some(counters(2000, 10)),
        cpus: Some(vec![counters(1900, 10), EventCounters::default()]),
        late: Some(1),
        lost_by_group: Some(vec![("/system.slice/a.service".to_owned(), 3)]),
        costs: Some(CostFigures {
            syscalls: vec![SyscallFigures {
                name: "openat".to_owned(),
                events: 2000,
                time: 1_250_000,
            }],
            rules: vec![RuleCostFigures {
                name: "Never".to_owned(),
                evaluations: 1500,
                time: 30_000,
            }],
        }),
        programs: Some(vec![
            ProgramFigures { name: "sys_exit".to_owned(), runs: 4, time: 1001 },
            ProgramFigures { name: "proc_fork".to_owned(), runs: 0, time: 0 },
        ]),
        scan: Some(ScanFigures { threads: 90, pipes: 8, files: 70, ..ScanFigures::default() }),
        before: Some(Before {
            ts: 1_700_000_080_500_000_000,
            events: 500,
            kernel_events: 1020,
            kernel_drops: 2,
        }),
    }
}

fn lines(fields: &BTreeMap<String, Value>) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[test]
fn fields_of_everything() {
    insta::assert_snapshot!(lines(&Snapshot::take(&all()).fields(Form::default())));
}

#[test]
fn prometheus_text_of_everything() {
    insta::assert_snapshot!(Snapshot::take(&all()).prometheus(false));
}

#[test]
fn what_is_not_wanted_is_not_told() {
    let figures = Figures { ts: 5, ..Figures::default() };
    let names: Vec<_> = Snapshot::take(&figures).fields(Form::default()).into_keys().collect();
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn zeros_are_told_on_demand() {
    let figures = Figures {
        rules: Some(vec![rule("Never", &[], 0)]),
        state: Some(StateFigures::default()),
        kernel: Some(EventCounters::default()),
        ..Figures::default()
    };
    let snapshot = Snapshot::take(&figures);
    let fields = snapshot.fields(Form::default());
    assert!(
        fields.contains_key("scap.n_drops") && fields.contains_key("falco.rules.matches_total")
    );
    assert!(!fields.contains_key("falco.n_threads") && !fields.contains_key("falco.rules.Never"));
    let fields = snapshot.fields(Form { zeros: true, ..Form::default() });
    assert_eq!(fields["falco.n_threads"], Value::Uint(0));
    assert_eq!(fields["falco.rules.Never"], Value::Uint(0));
    assert_eq!(fields["scap.n_drops_buffer_connect_enter"], Value::Uint(0));
    assert!(!snapshot.prometheus(false).contains("Never"));
    assert!(snapshot.prometheus(false).contains("\nfalcosecurity_scap_n_threads_total 0\n"));
    assert!(snapshot.prometheus(true).contains("rule_name=\"Never\""));
}

#[test]
fn memory_in_the_unit_it_is_measured_in() {
    let fields = Snapshot::take(&all()).fields(Form { megabytes: false, zeros: false });
    assert_eq!(fields["falco.memory_rss_kb"], Value::Uint(32_000));
    assert_eq!(fields["falco.container_memory_used_bytes"], Value::Uint(33_554_432));
    assert!(!fields.contains_key("falco.memory_rss_mb"));
}

#[test]
fn rates_count_from_the_snapshot_before() {
    let field = |figures: &Figures, name: &str| {
        Snapshot::take(figures).fields(Form::default()).get(name).map(Value::to_string)
    };
    let first = Figures { before: None, ..all() };
    assert_eq!(field(&first, "falco.evts_rate_sec"), None);
    assert_eq!(field(&first, "falco.num_evts_prev").unwrap(), "0");
    assert_eq!(field(&first, "scap.evts_rate_sec").unwrap(), "0.0");
    let second = all();
    assert_eq!(field(&second, "falco.evts_rate_sec").unwrap(), "100.0");
    assert_eq!(field(&second, "scap.evts_rate_sec").unwrap(), "100.0");
    assert_eq!(field(&second, "scap.evts_drop_rate_sec").unwrap(), "1.0");
    assert_eq!(field(&second, "scap.n_drops_perc").unwrap(), "1.0");
    // A clock that was set back makes no negative rate.
    let back = Figures { ts: 0, ..all() };
    assert_eq!(field(&back, "scap.evts_rate_sec").unwrap(), "0.0");
    assert_eq!(field(&back, "falco.duration_sec").unwrap(), "0");
}

#[test]
fn names_that_become_the_same_are_added_up() {
    let rules = Some(vec![rule("a b", &[], 1), rule("a-b", &[], 2)]);
    let snapshot = Snapshot::take(&Figures { rules, ..Figures::default() });
    assert_eq!(snapshot.fields(Form::default())["falco.rules.a_b"], Value::Uint(3));
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
    let text = Snapshot::take(&all()).prometheus(true);
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
        if metric.kind == Kind::Counter {
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
        ["| `evt.", "| `falco.", "| `scap.", "| `peregrine."]
            .iter()
            .any(|start| line.starts_with(start))
            && (line.contains("| `falcosecurity_")
                || line.contains("| `peregrine_")
                || line.contains("` |  |"))
    });
    assert_eq!(rows.count(), metrics().count(), "docs/metrics.md explains what is not there");
}
