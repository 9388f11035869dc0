//! Results as JSON.

use peregrine_authoring::explain::Explanation;
use peregrine_diagnostics::Problem;
use serde_json::{Value, json};

use super::results::{Report, line};
use crate::{Coverage, Outcome, TestResult};

pub(super) fn value(report: &Report) -> Value {
    let (passed, failed, invalid) = report.counts();
    json!({
        "passed": passed,
        "failed": failed,
        "invalid": invalid,
        "successful": report.is_good(),
        "tests": report.results.iter().map(test).collect::<Value>(),
        "coverage": report.coverage.as_ref().filter(|_| report.shows_coverage).map(coverage),
    })
}

fn test(result: &TestResult) -> Value {
    let (outcome, failures, problems) = match &result.outcome {
        Outcome::Passed => ("passed", Value::Array(Vec::new()), Value::Array(Vec::new())),
        Outcome::Failed(failures) => {
            let failure = |failure: &crate::Failure| {
                let (expected, got) = failure.difference.clone().unzip();
                json!({
                    "message": failure.message,
                    "expected": expected,
                    "got": got,
                    "explanation": failure.explanation.as_ref().map(Explanation::to_json),
                })
            };
            ("failed", failures.iter().map(failure).collect(), Value::Array(Vec::new()))
        }
        Outcome::Invalid(problems) => {
            ("invalid", Value::Array(Vec::new()), problems.iter().map(Problem::to_json).collect())
        }
    };
    json!({
        "name": result.name,
        "file": result.label.source.name,
        "line": line(result),
        "rules": result.rules,
        "outcome": outcome,
        "failures": failures,
        "problems": problems,
        "notes": result.notes,
    })
}

fn coverage(coverage: &Coverage) -> Value {
    let rules = coverage.rules.iter().map(|rule| {
        let gaps = rule.gaps.iter().map(|gap| {
            let (file, line) = gap.place.clone().unzip();
            json!({ "condition": gap.condition, "never": gap.missing, "file": file, "line": line })
        });
        json!({
            "rule": rule.rule,
            "tests": rule.tests,
            "covered": rule.covered,
            "total": rule.total,
            "percent": rounded(rule.percent()),
            "gaps": gaps.collect::<Value>(),
        })
    });
    json!({
        "percent": rounded(coverage.percent()),
        "rules": rules.collect::<Value>(),
        "untested": coverage.untested,
    })
}

fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}
