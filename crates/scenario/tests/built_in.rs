//! The tests of the built-in rules pass, and cover their conditions.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;

use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scenario::report::{Format, Report, Style};
use peregrine_scenario::{Demand, RunSettings, Suite, SuiteSettings, Texts, plan, read_tests, run};

#[test]
fn tests_of_the_built_in_rules_pass() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wiring/assets/rules.yaml");
    let files = read_tests(&[rules.to_string_lossy().into_owned()], &Texts::new()).unwrap();
    let fields = Fields::syscall().with_containers(true);
    let mut report = Report { shows_coverage: true, ..Report::default() };
    for planned in plan(files, &[], false) {
        let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
        for (name, text) in planned.texts(&Texts::new()).unwrap() {
            assert!(loader.load(&name, &text).successful());
        }
        let cases: Vec<_> = planned.cases("").collect();
        let settings = SuiteSettings { containers: true, ..SuiteSettings::default() };
        let suite = Suite::new(loader, &fields, settings, &Demand::of(&cases), |set| set);
        let results = run(&suite, &cases, &RunSettings::default());
        report.add(&suite, results, &planned.covered);
    }
    let text = report.print(Format::Text, Style::default());
    assert!(report.is_good() && report.results.len() > 40, "{text}");
    let coverage = report.coverage.unwrap();
    assert!(coverage.untested.is_empty() && coverage.percent() >= 95.0, "{text}");
}
