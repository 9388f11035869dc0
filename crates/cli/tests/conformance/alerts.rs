//! Alerts of rules about containers, with their texts and fields.

use serde_json::{Value, json};

use crate::answers::lines;
use crate::json::unordered;
use crate::part::Part;
use crate::program::{Place, each};
use crate::report::Report;

/// Compares the alerts; one answer is one capture.
pub(crate) fn run(group: &'static str, part: &Part) -> Report {
    let captures = part.captures("alerts");
    let mut report = Report::new(group);
    let differences = each(&captures, |capture| compare(part, capture));
    for (capture, difference) in captures.iter().zip(differences) {
        report.add(format!("{group}/{capture}"), difference);
    }
    report
}

fn compare(part: &Part, capture: &str) -> Option<String> {
    let (config, rules) = (part.argument("alerts/config.yaml"), part.argument("alerts/rules.yaml"));
    let file = part.replay(capture);
    let outcome = Place::new().run(["-c", &config, "-r", &rules, "-o", &file], []);
    if outcome.code != 0 {
        return Some(outcome.error());
    }
    let doubtful = part.doubtful(capture);
    let is_clear = |alert: &Value| {
        let number = alert["output_fields"]["evt.num"].as_u64();
        number.is_some_and(|number| !doubtful.contains(&number))
    };
    let want: Vec<Value> = lines(part.file(format!("alerts/{capture}.jsonl.gz")));
    let [want, got] = [want, outcome.alerts().collect()]
        .map(|alerts| alerts.into_iter().filter(is_clear).map(essence).collect::<Vec<_>>());
    unordered(&want, &got)
}

/// What is compared of an alert.
fn essence(alert: Value) -> Value {
    json!({
        "rule": alert["rule"], "time": alert["time"], "priority": alert["priority"],
        "tags": alert["tags"], "output": alert["output"], "output_fields": alert["output_fields"],
    })
}
