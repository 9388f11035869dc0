//! No test, however odd, makes the program panic, and what is valid has the values that it gives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use peregrine_event::EventType;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scenario::{Demand, Outcome, RunSettings, Suite, SuiteSettings, TestFile, run};
use proptest::prelude::*;

const RULE: &str = "- {rule: r, desc: d, condition: 'evt.num > 0 and evt.type exists', output: '%evt.type', priority: INFO}\n";

fn outcomes(tests: &str) -> Vec<Outcome> {
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    loader.load("rules.yaml", RULE.as_bytes());
    let Ok(file) = TestFile::read("t.yaml", tests.as_bytes()) else { return Vec::new() };
    let cases: Vec<_> = file.tests.iter().collect();
    let settings = SuiteSettings { containers: true, ..SuiteSettings::default() };
    let suite = Suite::new(loader, &fields, settings, &Demand::of(&cases), |set| set);
    let results = run(&suite, &cases, &RunSettings::default());
    results.into_iter().map(|result| result.outcome).collect()
}

fn event_type() -> impl Strategy<Value = String> {
    let names: Vec<_> = EventType::all().map(|ty| ty.name().to_owned()).collect();
    prop::sample::select(names)
}

fn field() -> impl Strategy<Value = String> {
    let mut names: Vec<String> = peregrine_fields::table::classes()
        .iter()
        .flat_map(|class| class.fields.iter().map(|field| field.name.to_string()))
        .collect();
    names.extend(
        [
            "proc.parent",
            "proc.ancestors",
            "proc.fds",
            "proc",
            "users",
            "addresses",
            "fd.fresh",
            "fd.role",
            "evt.arg.fd",
            "evt.arg.res",
            "evt.arg.flags",
            "evt.arg.tuple",
            "proc.aname[3]",
            "proc.env[A]",
            "match",
        ]
        .map(str::to_owned),
    );
    prop::sample::select(names)
}

fn value() -> impl Strategy<Value = String> {
    let known = [
        "~",
        "0",
        "-1",
        "1",
        "4294967295",
        "18446744073709551615",
        "true",
        "no",
        "''",
        "sh",
        "/etc/x",
        "../x",
        "10.0.0.1",
        "'::1'",
        "'10.0.0.1:1->10.0.0.2:2'",
        "'1->2 /x'",
        "[]",
        "[a, b]",
        "[{}]",
        "{}",
        "{hex: 00ff}",
        "{hex: 0}",
        "{name: x}",
        "{a: {b: c}}",
        "{4: {type: file}}",
        "ipv4",
        "unix",
        "pipe",
        "host",
        "ENOENT",
        "O_CREAT|O_WRONLY",
        "'\\0'",
        "{alternative: 9, value: 1}",
        "[[1, 2], 3]",
    ];
    prop::sample::select(known.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn odd_events_make_problems_and_no_panics(
        tests in prop::collection::vec(
            prop::collection::vec((event_type(), prop::collection::vec((field(), value()), 0..6)), 1..4),
            1..12,
        ),
    ) {
        let mut text = String::new();
        for events in &tests {
            text += "- test: t\n  rules: r\n  match: true\n  given:\n";
            for (ty, fields) in events {
                text += &format!("    - evt.type: {ty}\n");
                for (name, value) in fields {
                    text += &format!("      {name}: {value}\n");
                }
            }
        }
        prop_assert_eq!(outcomes(&text).len(), tests.len());
    }

    #[test]
    fn odd_files_make_no_panics(text in "(- |  |test: |rules: r\n|given: |match: |for_each: |\\{|\\}|\\[|\\]|a|: |\n|\\$\\{a\\}|,|evt.type: |open|~){0,40}") {
        outcomes(&text);
    }
}

#[test]
fn what_grows_is_bounded() {
    let values: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    let values = values.join(", ");
    let text = format!(
        "- {{test: t, rules: r, for_each: {{a: [{values}], b: [{values}]}}, given: {{evt.type: open}}, match: true}}\n"
    );
    let outcomes = outcomes(&text);
    let [Outcome::Invalid(problems)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(problems[0].code, "T0601");
}
