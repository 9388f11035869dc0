//! Every field of every event of some captures.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answers::lines;
use crate::json::apart;
use crate::part::Part;
use crate::program::{Place, each};
use crate::report::Report;

/// The values of a field by event, as runs of equal values.
#[derive(Deserialize)]
struct Column {
    field: String,
    runs: Vec<(usize, Value)>,
    /// Numbers of the events, as ranges; none if all have a value to compare.
    events: Option<Vec<(u64, u64)>>,
}

impl Column {
    fn values(&self) -> impl Iterator<Item = &Value> {
        self.runs.iter().flat_map(|(count, value)| std::iter::repeat_n(value, *count))
    }
}

/// Compares all fields; one answer is one field of one capture.
pub(crate) fn run(group: &'static str, part: &Part) -> Report {
    let mut report = Report::new(group);
    let reports = each(&part.captures("fields"), |capture| compare(group, part, capture));
    reports.into_iter().for_each(|part| report.merge(part));
    report
}

fn compare(group: &'static str, part: &Part, capture: &str) -> Report {
    let (config, rules) = (part.argument("fields/config.yaml"), part.argument("fields/rules.yaml"));
    let file = part.replay(capture);
    let outcome = Place::new().run(["-c", &config, "-r", &rules, "-o", &file], []);
    let mut report = Report::new(group);
    report.add(format!("{group}/{capture} run"), (outcome.code != 0).then(|| outcome.error()));

    let events: Vec<Map<String, Value>> =
        outcome.stdout.lines().filter_map(output_fields).collect();
    let by_number: HashMap<u64, &Map<String, Value>> =
        events.iter().filter_map(|event| Some((event.get("evt.num")?.as_u64()?, event))).collect();
    let columns: Vec<Column> = lines(part.file(format!("fields/{capture}.jsonl.gz")));
    let all: Vec<u64> = columns[0].values().filter_map(Value::as_u64).collect();
    for column in &columns {
        let some = column.events.as_ref();
        let some = some.map(|ranges| ranges.iter().flat_map(|&(a, b)| a..=b).collect());
        let numbers = some.unwrap_or_else(|| all.clone());
        assert_eq!(numbers.len(), column.values().count(), "{capture} {}", column.field);
        let open = part.open(capture, &column.field);
        let mut wrong = 0;
        let mut example = String::new();
        for (number, want) in numbers.iter().zip(column.values()) {
            let got = by_number.get(number).and_then(|event| event.get(&column.field));
            let equal = got.is_some_and(|got| open.contains(number) || same(want, got));
            if !equal {
                if wrong == 0 {
                    let got = got.map_or("(not there)".to_owned(), Value::to_string);
                    example = format!("event {number}{}", apart(&want.to_string(), &got));
                }
                wrong += 1;
            }
        }
        let difference = (wrong > 0).then(|| format!("{wrong} times, first in {example}"));
        report.add(format!("{group}/{capture} {}", column.field), difference);
    }
    report
}

fn output_fields(line: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str::<Value>(line).ok()?.get_mut("output_fields")?.take() {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Fractions may differ in insignificant digits.
fn same(want: &Value, got: &Value) -> bool {
    let is_fraction = |value: &Value| value.is_f64();
    match (want.as_f64(), got.as_f64()) {
        (Some(a), Some(b)) if is_fraction(want) || is_fraction(got) => {
            (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-9)
        }
        _ => want == got,
    }
}
