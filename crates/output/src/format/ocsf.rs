//! Detection Findings of the Open Cybersecurity Schema Framework (<https://schema.ocsf.io>).

mod attack;
mod evidence;
mod values;

use peregrine_alert::{Alert, Priority, RuleKind};
use serde_json::{Map, Value as Json, json};

use super::context::LineContext;
use evidence::Evidence;
use values::json_value;

/// The version of the schema.
const VERSION: &str = "1.8.0";

/// Parts of the schema that the objects of a finding use.
const PROFILES: [&str; 3] = ["container", "host", "linux/linux_users"];

/// Values that findings have although the rule does not print them: who has acted.
pub(super) const CONTEXT: &[&str] = &[
    "proc.pid",
    "proc.name",
    "proc.exepath",
    "proc.cmdline",
    "proc.ppid",
    "proc.pname",
    "user.uid",
    "container.id",
];

/// Appends the finding about an alert.
pub(super) fn line(context: &LineContext, alert: &Alert, out: &mut Vec<u8>) {
    // Writing to memory can't fail.
    let _ = serde_json::to_writer(out, &finding(context, alert));
}

fn finding(context: &LineContext, alert: &Alert) -> Json {
    let (rule, subject) = (alert.rule(), alert.subject());
    let (severity_id, severity) = severity(alert.priority());
    let time = alert.time() / 1_000_000;
    let id = alert.id().to_string();
    let (evidence, unmapped) = evidence(context, alert);
    let attacks = attack::attacks(subject.tags());
    let mut finding_info = json!({
        "uid": &id,
        "title": subject.name(),
        "types": subject.tags(),
        "created_time": time,
        "data_sources": [subject.source()],
        "analytic": { "name": subject.name(), "type": "Rule", "type_id": 1 },
    });
    if !attacks.is_empty() {
        finding_info["attacks"] = attacks.into();
    }
    let mut finding = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Detection Finding",
        "class_uid": 2004,
        "device": {
            "hostname": rule.hostname(),
            "os": { "name": "Linux", "type": "Linux", "type_id": 200 },
            "type": "Unknown",
            "type_id": 0,
        },
        "finding_info": finding_info,
        "is_alert": subject.kind() == RuleKind::User,
        "message": String::from_utf8_lossy(alert.text()),
        "metadata": {
            "event_code": rule.name(),
            "product": {
                "name": "Peregrine",
                "vendor_name": "Peregrine",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "profiles": PROFILES,
            "uid": id,
            "version": VERSION,
        },
        "severity": severity,
        "severity_id": severity_id,
        "status": "New",
        "status_id": 1,
        "time": time,
        "type_name": "Detection Finding: Create",
        "type_uid": 200_401,
        "unmapped": unmapped,
    });
    if let Some(digest) = rule.digest() {
        finding["count"] = digest.count.min(i32::MAX as u64).into();
        finding["start_time"] = (digest.first / 1_000_000).into();
        finding["end_time"] = (digest.last / 1_000_000).into();
    }
    if let Some(evidence) = evidence {
        finding["evidences"] = json!([evidence]);
    }
    finding
}

/// What the fields say about process, user, file, connection and container, and the fields that
/// have no place there.
fn evidence(context: &LineContext, alert: &Alert) -> (Option<Json>, Map<String, Json>) {
    let mut evidence = Evidence::default();
    let mut unmapped = Map::new();
    unmapped.insert("priority".to_owned(), alert.priority().name().into());
    for (field, value) in alert.fields() {
        let Some(name) = context.fields.name(field) else { continue };
        if !evidence.add(field, Some(name), &value) {
            unmapped.insert(name.to_owned(), json_value(value));
        }
    }
    for (field, value) in alert.context() {
        if context.fields.name(field).is_some() {
            evidence.add(field, None, &value);
        }
    }
    let evidence = evidence.finish(|name, value| {
        unmapped.insert(name.to_owned(), value);
    });
    (evidence, unmapped)
}

fn severity(priority: Priority) -> (u8, &'static str) {
    match priority {
        Priority::Emergency => (6, "Fatal"),
        Priority::Alert | Priority::Critical => (5, "Critical"),
        Priority::Error => (4, "High"),
        Priority::Warning => (3, "Medium"),
        Priority::Notice => (2, "Low"),
        Priority::Informational | Priority::Debug => (1, "Informational"),
    }
}
