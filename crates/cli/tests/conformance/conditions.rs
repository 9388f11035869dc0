//! Conditions: whether they are accepted, and what they match.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::answers::{lines, path};
use crate::program::{Place, each};
use crate::report::Report;

#[derive(Deserialize)]
struct Condition {
    condition: String,
    /// Code of the error; none if the condition is accepted.
    error: Option<String>,
    /// By capture, numbers of the matching events, as ranges.
    #[serde(default)]
    matches: BTreeMap<String, Vec<(u64, u64)>>,
}

fn conditions() -> Vec<(usize, Condition)> {
    lines("conditions.jsonl.gz").into_iter().enumerate().collect()
}

/// A rule with the condition, named by its number.
fn rule((number, condition): &(usize, Condition)) -> String {
    let condition = Value::from(condition.condition.as_str());
    format!(
        "- rule: '{number}'\n  desc: d\n  condition: {condition}\n  output: '%evt.num'\n  \
         priority: DEBUG\n  warn_evttypes: false\n"
    )
}

/// Validates each condition by itself.
pub(crate) fn verdicts() -> Report {
    let conditions = conditions();
    let config = path("fields/config.yaml");
    let config = config.to_str().unwrap();
    let verdicts = each(&conditions, |condition| {
        let place = Place::new();
        place.write("rule.yaml", rule(condition));
        let arguments = ["-c", config, "-o", "engine.kind=nodriver", "-V", "rule.yaml"];
        let answer: Value =
            serde_json::from_str(&place.run(arguments, []).stdout).unwrap_or_default();
        let errors = answer["falco_load_results"][0]["errors"].as_array()?;
        Some(errors.first().and_then(|error| Some(error["code"].as_str()?.to_owned())))
    });
    let mut report = Report::new("verdicts");
    for ((number, condition), got) in conditions.iter().zip(verdicts) {
        let Condition { condition, error: want, .. } = condition;
        let difference = (got.as_ref() != Some(want))
            .then(|| format!("want {want:?}, got {got:?} for {condition}"));
        report.add(format!("verdicts/{number}"), difference);
    }
    report
}

/// Replays captures with one rule per condition.
pub(crate) fn matches() -> Report {
    let conditions: Vec<_> =
        conditions().into_iter().filter(|(_, condition)| condition.error.is_none()).collect();
    let captures: BTreeSet<&String> =
        conditions.iter().flat_map(|(_, condition)| condition.matches.keys()).collect();
    let rules: String = conditions.iter().map(rule).collect();
    let captures: Vec<_> = captures.into_iter().collect();
    let found = each(&captures, |capture| replay(capture, &rules));

    let mut report = Report::new("matches");
    for (capture, found) in captures.iter().zip(found) {
        for (number, condition) in &conditions {
            let Some(ranges) = condition.matches.get(*capture) else { continue };
            let want: BTreeSet<u64> = ranges.iter().flat_map(|&(a, b)| a..=b).collect();
            let got = found.get(number).cloned().unwrap_or_default();
            let first = |set: BTreeSet<u64>| set.into_iter().take(4).collect::<Vec<_>>();
            let difference = (want != got).then(|| {
                let (missing, extra) = (first(&want - &got), first(&got - &want));
                format!("missing {missing:?}, extra {extra:?} for {}", condition.condition)
            });
            report.add(format!("matches/{number} {capture}"), difference);
        }
    }
    report
}

/// By rule, the numbers of the matching events.
fn replay(capture: &str, rules: &str) -> BTreeMap<usize, BTreeSet<u64>> {
    let place = Place::new();
    place.write("rules.yaml", rules);
    let config = path("fields/config.yaml");
    let file = format!("engine.replay.capture_file={{SCAP}}/{capture}.scap");
    let options = ["-o", "rule_matching=all", "-r", "rules.yaml", "-o", file.as_str()];
    let arguments = ["-c", config.to_str().unwrap()].into_iter().chain(options);
    let mut found = BTreeMap::<usize, BTreeSet<u64>>::new();
    for line in place.run(arguments, []).stdout.lines() {
        let Ok(alert) = serde_json::from_str::<Value>(line) else { continue };
        let rule = alert["rule"].as_str().and_then(|name| name.parse().ok());
        if let (Some(rule), Some(event)) = (rule, alert["output_fields"]["evt.num"].as_u64()) {
            found.entry(rule).or_default().insert(event);
        }
    }
    found
}
