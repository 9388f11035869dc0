//! Any text as a rules file to lint: looking takes bounded work, and each finding has its place in
//! the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_authoring::lint::{Baseline, Input, Settings, lint};
use peregrine_engine::Matching;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader, Outline};

fuzz_target!(|text: &str| {
    let fields = Fields::syscall();
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    if !loader.load("fuzz.yaml", text.as_bytes()).successful() {
        return;
    }
    let input = Input {
        written: &loader.written_conditions(),
        rules: loader.rules(),
        outline: &Outline::read([("fuzz.yaml", text)]),
        fields: &fields,
        matching: Matching::First,
    };
    let report = lint(input, &Settings::default());
    for finding in &report.findings {
        for label in &finding.problem.labels {
            let part = label.span.start.offset..label.span.end.offset;
            assert!(label.source.text.get(part).is_some(), "{finding:?}");
        }
        let _ = finding.problem.to_string();
    }
    let known = Baseline::of(&report.findings).write();
    let mut again = report.findings;
    let _ = Baseline::read(&known).map(|known| known.remove_from(&mut again));
    assert!(again.is_empty());
});
