//! Alerts of the upstream rules, all enabled.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::{lines, path};
use crate::json::unordered;
use crate::program::{Place, each};
use crate::report::Report;

/// Environment variable that names the directory of the rules.
pub(crate) const VARIABLE: &str = "PEREGRINE_UPSTREAM_RULES";

const FILES: [&str; 3] =
    ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];

#[derive(Deserialize)]
struct Answers {
    capture: String,
    alerts: Vec<Value>,
}

/// Compares the alerts, capture by capture, with the rules in `folder`.
pub(crate) fn run(folder: &Path) -> Report {
    let answers: Vec<Answers> = lines("upstream/alerts.jsonl.gz");
    let mut report = Report::new("upstream");
    let differences = each(&answers, |answers| compare(answers, folder));
    for (answers, difference) in answers.iter().zip(differences) {
        report.add(format!("upstream/{}", answers.capture), difference);
    }
    report
}

fn compare(answers: &Answers, folder: &Path) -> Option<String> {
    let config = path("upstream/config.yaml").into_os_string();
    let file = format!("engine.replay.capture_file={{SCAP}}/{}.scap", answers.capture);
    let mut arguments: Vec<OsString> = vec!["-c".into(), config, "-o".into(), file.into()];
    for file in FILES {
        arguments.extend(["-r".into(), folder.join(file).canonicalize().unwrap().into()]);
    }
    let outcome = Place::new().run(arguments.iter().filter_map(|word| word.to_str()), []);
    if outcome.code != 0 {
        return Some(outcome.error());
    }
    let got: Vec<Value> = outcome.alerts().map(essence).collect();
    unordered(&answers.alerts, &got)
}

/// The recorded part of an alert. Fields that the reference takes from a plugin are left out.
fn essence(mut alert: Value) -> Value {
    if let Some(fields) = alert["output_fields"].as_object_mut() {
        fields.retain(|name, _| !name.starts_with("container.") && !name.starts_with("k8s."));
    }
    json!({
        "rule": alert["rule"], "time": alert["time"], "priority": alert["priority"],
        "tags": alert["tags"], "output_fields": alert["output_fields"],
    })
}
