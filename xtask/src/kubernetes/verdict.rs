//! Alerts against the pods that were created.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use super::workloads::{LABEL, NAMESPACE, REPOSITORY, TEAM};

/// A pod as the API server has it.
struct Pod {
    uid: String,
    /// Which of the workloads it belongs to.
    workload: String,
    containers: Vec<String>,
    /// Whether it belongs to a deployment.
    deployed: bool,
}

/// The pods that were created, by name.
pub(super) struct Created(BTreeMap<String, Pod>);

impl Created {
    /// From the list that kubectl gives.
    pub(super) fn of_list(json: &str) -> Result<Self> {
        let list: Value = serde_json::from_str(json)?;
        let items = list["items"].as_array().context("no pods")?;
        let pod = |item: &Value| {
            let word = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
            let name = word("/metadata/name")?.to_owned();
            let containers = item.pointer("/spec/containers")?.as_array()?;
            let named = |container: &Value| Some(container["name"].as_str()?.to_owned());
            let pod = Pod {
                uid: word("/metadata/uid")?.to_owned(),
                workload: name.split('-').next()?.to_owned(),
                containers: containers.iter().filter_map(named).collect(),
                deployed: name.starts_with("deployment-"),
            };
            Some((name, pod))
        };
        Ok(Self(items.iter().filter_map(pod).collect()))
    }
}

/// What was counted about one workload.
#[derive(Default)]
struct Row {
    containers: usize,
    /// Containers that each of the rules has fired for.
    fired: BTreeMap<&'static str, usize>,
    /// Alerts, and those with all values of the runtime, and of the API server.
    alerts: usize,
    complete: usize,
    enriched: usize,
}

/// The result.
pub(super) struct Verdict {
    rows: BTreeMap<String, Row>,
    /// Events of probes, and those of which it was told.
    probes: (usize, usize),
    /// What is wrong, by examples.
    wrong: Vec<String>,
    rights: Vec<(String, bool)>,
    /// Pods that were created while the program ran, and those that audit events told of.
    audited: (usize, usize),
    /// Whether the API server was asked.
    asks: bool,
}

const RULES: [&str; 3] = ["Marker", "Image", "Label"];
/// Examples of what is wrong that are shown.
const SHOWN: usize = 20;

impl Verdict {
    /// Compares alerts, one JSON object a line, with the pods.
    pub(super) fn new(created: &Created, alerts: &str, asks: bool) -> Self {
        let mut verdict = Self {
            rows: BTreeMap::new(),
            probes: (0, 0),
            wrong: Vec::new(),
            rights: Vec::new(),
            audited: (0, 0),
            asks,
        };
        let alerts: Vec<Value> =
            alerts.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let audited: BTreeSet<String> = (alerts.iter())
            .filter(|alert| alert["rule"] == "Audit")
            .map(|alert| field(alert, "ka.resp.name"))
            .collect();
        let mut fired: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
        for alert in &alerts {
            let Some(rule) = RULES.into_iter().find(|rule| alert["rule"] == **rule) else {
                if alert["rule"] == "Probe" {
                    verdict.probe(alert);
                }
                continue;
            };
            let (mut pod, container) =
                (field(alert, "k8s.pod.name"), field(alert, "container.name"));
            if pod.is_empty() {
                pod = field(alert, "k8smeta.pod.name");
            }
            fired.entry(rule).or_default().insert((pod.clone(), container));
            if rule == "Marker" {
                verdict.marker(created, &pod, alert);
            }
        }
        for (name, pod) in &created.0 {
            let row = verdict.rows.entry(pod.workload.clone()).or_default();
            row.containers += pod.containers.len();
            if pod.workload != "before" {
                let told = audited.contains(name);
                verdict.audited.0 += 1;
                verdict.audited.1 += usize::from(told);
                if !told {
                    verdict.wrong.push(format!("no audit event tells of {name}"));
                }
            }
            for rule in RULES {
                let fired = fired.get(rule);
                for container in &pod.containers {
                    let key = (name.clone(), container.clone());
                    if fired.is_some_and(|fired| fired.contains(&key)) {
                        *row.fired.entry(rule).or_default() += 1;
                    } else {
                        verdict.wrong.push(format!("{rule} did not fire for {name}/{container}"));
                    }
                }
            }
        }
        verdict
    }

    /// Whether the service account may what it should, and no more.
    pub(super) fn right(&mut self, verb: &str, what: &str, good: bool) {
        self.rights.push((format!("{verb} {what}"), good));
    }

    /// Whether all is as it should be.
    pub(super) fn is_good(&self) -> bool {
        let complete = |row: &Row| row.alerts == row.complete && row.alerts == row.enriched;
        let (probes, told) = self.probes;
        self.wrong.is_empty()
            && self.rows.values().all(complete)
            && probes == told
            && probes > 0
            && self.rights.iter().all(|(_, good)| *good)
    }

    fn marker(&mut self, created: &Created, name: &str, alert: &Value) {
        let pod = created.0.get(name);
        let workload = pod.map_or("unknown", |pod| &pod.workload).to_owned();
        let uid = pod.map_or("", |pod| &pod.uid);
        let args = field(alert, "proc.args");
        let container = args.trim_start_matches("/marker/");
        let bad = |wanted: &[(&str, &str)]| {
            let bad = wanted.iter().find(|(key, value)| field(alert, key) != *value);
            bad.map(|(key, value)| format!("{key}={} instead of {value}", field(alert, key)))
        };
        let told = bad(&[
            ("k8s.pod.name", name),
            ("k8s.pod.uid", uid),
            ("container.name", container),
            ("container.image.repository", REPOSITORY),
            ("container.image.tag", "local"),
            ("k8s.ns.name", NAMESPACE),
            (&format!("k8s.pod.label[{}]", LABEL.0), LABEL.1),
        ]);
        let host = field(alert, "container.id");
        let begun = field(alert, "container.start_ts");
        let told = told.or_else(|| (host == "host" || host.is_empty()).then(|| "host".to_owned()));
        let told = told.or_else(|| begun.is_empty().then(|| "no container.start_ts".to_owned()));
        let team = format!("k8smeta.ns.label[{}]", TEAM.0);
        let enriched = [
            ("k8smeta.pod.name", name),
            ("k8smeta.pod.uid", uid),
            ("k8smeta.ns.name", NAMESPACE),
            (&team, TEAM.1),
        ];
        let mut lacks = if self.asks { bad(&enriched) } else { None };
        if self.asks && pod.is_some_and(|pod| pod.deployed) {
            for key in ["k8smeta.rs.name", "k8smeta.deployment.name", "k8smeta.svc.name"] {
                if field(alert, key).is_empty() {
                    lacks.get_or_insert(format!("no {key}"));
                }
            }
        }
        let row = self.rows.entry(workload).or_default();
        row.alerts += 1;
        row.complete += usize::from(told.is_none());
        row.enriched += usize::from(lacks.is_none());
        for problem in told.into_iter().chain(lacks) {
            self.wrong.push(format!("{name} {args}: {problem}"));
        }
    }

    /// The kubelet runs the commands of probes as children of the runtime, not of the container.
    fn probe(&mut self, alert: &Value) {
        if !field(alert, "k8s.pod.name").starts_with("probed-") {
            return;
        }
        let kind =
            if field(alert, "proc.args") == "/etc/passwd" { "liveness" } else { "readiness" };
        let told = field(alert, &format!("proc.is_container_{kind}_probe")) == "true";
        self.probes.0 += 1;
        self.probes.1 += usize::from(told);
        if !told {
            let name = field(alert, "k8s.pod.name");
            self.wrong.push(format!("a {kind} probe of {name} is not told"));
        }
    }
}

/// A value of an alert as text; empty when there is none.
fn field(alert: &Value, name: &str) -> String {
    match &alert["output_fields"][name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:12} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9}",
            "workload", "containers", "Marker", "Image", "Label", "alerts", "complete", "enriched"
        )?;
        for (name, row) in &self.rows {
            let fired = RULES.map(|rule| row.fired.get(rule).copied().unwrap_or_default());
            let [marker, image, label] = fired;
            writeln!(
                f,
                "{name:12} {:>10} {marker:>8} {image:>8} {label:>8} {:>8} {:>9} {:>9}",
                row.containers, row.alerts, row.complete, row.enriched
            )?;
        }
        writeln!(f, "probes: {} of {} told", self.probes.1, self.probes.0)?;
        writeln!(f, "audit: {} of {} new pods told", self.audited.1, self.audited.0)?;
        for (what, good) in &self.rights {
            writeln!(f, "may {what}: {}", if *good { "as it should" } else { "WRONG" })?;
        }
        for wrong in self.wrong.iter().take(SHOWN) {
            writeln!(f, "wrong: {wrong}")?;
        }
        match self.wrong.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more"),
        }
    }
}
