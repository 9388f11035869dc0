//! Conditions: whether they are accepted, and what they match.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::answers::lines;
use crate::part::Part;
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

fn conditions(part: &Part) -> Vec<(usize, Condition)> {
    lines(part.file("conditions.jsonl.gz")).into_iter().enumerate().collect()
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
pub(crate) fn verdicts(group: &'static str, part: &Part) -> Report {
    let conditions = conditions(part);
    let config = part.argument("fields/config.yaml");
    let verdicts = each(&conditions, |condition| {
        let place = Place::new();
        place.write("rule.yaml", rule(condition));
        let arguments = ["-c", &config, "-o", "engine.kind=nodriver", "-V", "rule.yaml"];
        let answer: Value =
            serde_json::from_str(&place.run(arguments, []).stdout).unwrap_or_default();
        let errors = answer["falco_load_results"][0]["errors"].as_array()?;
        Some(errors.first().and_then(|error| Some(error["code"].as_str()?.to_owned())))
    });
    let mut report = Report::new(group);
    for ((number, condition), got) in conditions.iter().zip(verdicts) {
        let Condition { condition, error: want, .. } = condition;
        let difference = (got.as_ref() != Some(want))
            .then(|| format!("want {want:?}, got {got:?} for {condition}"));
        report.add(format!("{group}/{number}"), difference);
    }
    report
}

/// Replays captures with one rule per condition.
pub(crate) fn matches(group: &'static str, part: &Part) -> Report {
    let conditions: Vec<_> =
        conditions(part).into_iter().filter(|(_, condition)| condition.error.is_none()).collect();
    let captures: BTreeSet<&String> =
        conditions.iter().flat_map(|(_, condition)| condition.matches.keys()).collect();
    let rules: String = conditions.iter().map(rule).collect();
    let captures: Vec<_> = captures.into_iter().collect();
    let found = each(&captures, |capture| replay(part, capture, &rules));

    let mut report = Report::new(group);
    for (capture, found) in captures.iter().zip(found) {
        let doubtful = part.doubtful(capture);
        for (number, condition) in &conditions {
            let Some(ranges) = condition.matches.get(*capture) else { continue };
            let want: BTreeSet<u64> = ranges.iter().flat_map(|&(a, b)| a..=b).collect();
            let got = found.get(number).cloned().unwrap_or_default();
            let (want, got) = (&want - &doubtful, &got - &doubtful);
            let first = |set: BTreeSet<u64>| set.into_iter().take(4).collect::<Vec<_>>();
            let difference = (want != got).then(|| {
                let (missing, extra) = (first(&want - &got), first(&got - &want));
                format!("missing {missing:?}, extra {extra:?} for {}", condition.condition)
            });
            report.add(format!("{group}/{number} {capture}"), difference);
        }
    }
    report
}

/// By rule, the numbers of the matching events.
fn replay(part: &Part, capture: &str, rules: &str) -> BTreeMap<usize, BTreeSet<u64>> {
    let place = Place::new();
    place.write("rules.yaml", rules);
    let (config, file) = (part.argument("fields/config.yaml"), part.replay(capture));
    let options = ["-o", "rule_matching=all", "-r", "rules.yaml", "-o", file.as_str()];
    let arguments = ["-c", config.as_str()].into_iter().chain(options);
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
