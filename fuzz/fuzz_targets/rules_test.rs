#![no_main]
//! Files of tests are read, and their tests run against a rule that matches every event.

use libfuzzer_sys::fuzz_target;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scenario::{Demand, RunSettings, Suite, SuiteSettings, TestFile, run};

const RULE: &[u8] = b"- {rule: r, desc: d, condition: evt.num > 0, output: '%evt.args', priority: INFO}";

fuzz_target!(|text: &[u8]| {
    let Ok(file) = TestFile::read("fuzz.yaml", text) else { return };
    let cases: Vec<_> = file.tests.iter().take(8).collect();
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    loader.load("rules.yaml", RULE);
    let settings = SuiteSettings { containers: true, ..SuiteSettings::default() };
    let suite = Suite::new(loader, &fields, settings, &Demand::of(&cases), |set| set);
    let settings = RunSettings { threads: std::num::NonZero::new(1), ..RunSettings::default() };
    let _ = run(&suite, &cases, &settings);
});
