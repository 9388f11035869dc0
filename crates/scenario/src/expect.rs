//! Compares what rules did with what a test expects.

use std::collections::{BTreeMap, BTreeSet};

use peregrine_alert::{Alert, Value};
use peregrine_authoring::explain::Explanation;
use peregrine_diagnostics::{Problem, closest};

use crate::file::{Count, EventSpec, Test};
use crate::{Cause, Suite};

/// A rule that matched an event.
#[derive(Clone, Debug)]
pub(crate) struct Matched {
    /// Position of the rule.
    pub(crate) rule: usize,
    /// Number of the event.
    pub(crate) event: u64,
    /// The alert, for rules of the test.
    pub(crate) alert: Option<Alert>,
}

/// How a test failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is wrong, in one sentence.
    pub message: String,
    /// What was expected and what is there, if the two are texts.
    pub difference: Option<(String, String)>,
    /// How the condition of the rule got its value.
    pub explanation: Option<Explanation>,
}

/// What is wrong with the matches of a test.
///
/// # Errors
/// The test expects something that no alert of its rules has.
pub(crate) fn judge(
    suite: &Suite,
    test: &Test,
    events: &[EventSpec],
    rules: &[usize],
    matched: &[Matched],
    explained: &BTreeMap<(usize, u64), Explanation>,
) -> Result<Vec<Failure>, Vec<Problem>> {
    let judge = Judge { suite, test, events, matched, explained };
    let mut failures = Vec::new();
    let mut problems = Vec::new();
    for rule in rules {
        judge.count(*rule, &mut failures);
        judge.each_event(*rule, &mut failures);
        judge.output(*rule, &mut failures, &mut problems);
    }
    judge.others(rules, &mut failures, &mut problems);
    if problems.is_empty() { Ok(failures) } else { Err(problems) }
}

struct Judge<'a> {
    suite: &'a Suite,
    test: &'a Test,
    events: &'a [EventSpec],
    matched: &'a [Matched],
    explained: &'a BTreeMap<(usize, u64), Explanation>,
}

impl Judge<'_> {
    fn of(&self, rule: usize) -> impl Iterator<Item = &Matched> {
        self.matched.iter().filter(move |matched| matched.rule == rule)
    }

    fn failure(&self, message: String, rule: usize, event: Option<u64>) -> Failure {
        let explanation = match event {
            Some(event) => self.explained.get(&(rule, event)).cloned(),
            // What a test is about usually comes last.
            None => {
                let of_rule = self.explained.iter().filter(|((of, _), _)| *of == rule);
                of_rule.map(|(_, explanation)| explanation).next_back().cloned()
            }
        };
        Failure { message, difference: None, explanation }
    }

    /// The rules that matched instead, as the end of a sentence.
    fn instead(&self) -> String {
        let names: BTreeSet<_> = self.matched.iter().map(|it| self.suite.name(it.rule)).collect();
        match names.len() {
            0 => "; no other rule did".to_owned(),
            _ => {
                let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
                format!("; these did: {}", names.join(", "))
            }
        }
    }

    fn count(&self, rule: usize, failures: &mut Vec<Failure>) {
        let (name, count) = (self.suite.name(rule), self.of(rule).count() as u64);
        let message = match self.test.expected.count {
            Count::Some if count == 0 => {
                format!("`{name}` did not match{}", self.instead())
            }
            Count::None if count > 0 => format!("`{name}` matched, though it must not"),
            Count::Exactly(wanted) if count != wanted => {
                format!("`{name}` matched {}, not {wanted}", times(count))
            }
            _ => return,
        };
        let event = self.of(rule).map(|matched| matched.event).next();
        failures.push(self.failure(message, rule, event));
    }

    /// Events that tell for themselves whether the rules match.
    fn each_event(&self, rule: usize, failures: &mut Vec<Failure>) {
        for (number, event) in (1..).zip(self.events) {
            let Some(wanted) = event.matched else { continue };
            let got = self.of(rule).any(|matched| matched.event == number);
            if wanted != got {
                let what = if got { "matched, though it must not" } else { "did not match" };
                let message = format!("`{}` {what} event {number}", self.suite.name(rule));
                failures.push(self.failure(message, rule, Some(number)));
            }
        }
    }

    fn output(&self, rule: usize, failures: &mut Vec<Failure>, problems: &mut Vec<Problem>) {
        let expected = &self.test.expected;
        // Of several alerts one must be as expected; the first is compared in failures.
        let alerts = || self.of(rule).filter_map(|matched| matched.alert.as_ref());
        let Some(first) = alerts().next() else { return };
        let name = self.suite.name(rule);
        let fits = |alert: &Alert| {
            let text = String::from_utf8_lossy(alert.text()).into_owned();
            let fields = expected.output_fields.iter();
            expected.output.as_ref().is_none_or(|output| text.contains(output))
                && fields
                    .clone()
                    .all(|(field, value)| self.field(alert, &field.name) == Some(value.clone()))
        };
        for (field, _) in &expected.output_fields {
            if self.field(first, &field.name).is_none() {
                let message = format!("the output of `{name}` has no field `{}`", field.name);
                let problem = Cause::UnknownOutputField.at(&field.label, message);
                let names = || first.fields().map(|(name, _)| name);
                problems.push(match closest(&field.name, names()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => {
                        problem.help(format!("it has: {}", names().collect::<Vec<_>>().join(", ")))
                    }
                });
            }
        }
        if !problems.is_empty() || alerts().any(fits) {
            return;
        }
        for (field, wanted) in &expected.output_fields {
            let got = self.field(first, &field.name).flatten();
            if got != *wanted {
                let shown =
                    |value: &Option<String>| value.clone().unwrap_or_else(|| "no value".to_owned());
                failures.push(Failure {
                    message: format!(
                        "the output field `{}` of `{name}` has another value",
                        field.name
                    ),
                    difference: Some((shown(wanted), shown(&got))),
                    explanation: None,
                });
            }
        }
        let text = String::from_utf8_lossy(first.text()).into_owned();
        if let Some(output) = expected.output.as_ref().filter(|output| !text.contains(*output)) {
            failures.push(Failure {
                message: format!("the output of `{name}` does not contain the text"),
                difference: Some((output.clone(), text)),
                explanation: None,
            });
        }
    }

    /// A field of an alert as text; the inner `None` is no value.
    fn field(&self, alert: &Alert, name: &str) -> Option<Option<String>> {
        alert.fields().find(|(field, _)| *field == name).map(|(_, value)| text(value))
    }

    fn others(&self, rules: &[usize], failures: &mut Vec<Failure>, problems: &mut Vec<Problem>) {
        let Some(wanted) = &self.test.expected.others else { return };
        for rule in wanted {
            if self.suite.position(&rule.name).is_none() {
                let message = format!("there is no rule `{}`", rule.name);
                let problem = Cause::UnknownRule.at(&rule.label, message);
                problems.push(match closest(&rule.name, self.suite.rules()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
        let wanted: BTreeSet<_> = wanted.iter().map(|rule| rule.name.as_str()).collect();
        let got = self.matched.iter().map(|it| it.rule).filter(|rule| !rules.contains(rule));
        let got: BTreeSet<_> = got.map(|rule| self.suite.name(rule)).collect();
        if wanted != got {
            let list = |names: &BTreeSet<&str>| match names.is_empty() {
                true => "none".to_owned(),
                false => names.iter().copied().collect::<Vec<_>>().join(", "),
            };
            failures.push(Failure {
                message: "other rules matched than expected".to_owned(),
                difference: Some((list(&wanted), list(&got))),
                explanation: None,
            });
        }
    }
}

fn times(count: u64) -> String {
    match count {
        0 => "no event".to_owned(),
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    }
}

/// A value as a test writes it; `None` for no value.
pub(crate) fn text(value: Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::List(values) => values.filter_map(text).collect::<Vec<_>>().join(","),
    })
}
