//! Pages of codes have examples that have the problem.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use peregrine_event::source::SourceNames;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scenario::{
    Cause, Demand, Outcome, RunSettings, Suite, SuiteSettings, TestFile, run,
};

const RULES: &str = "\
- rule: Hashes read
  desc: The file of password hashes is opened.
  condition: evt.type in (open, openat) and fd.num >= 0 and fd.name = /etc/shadow
  output: Hashes read | file=%fd.name
  priority: WARNING
- rule: Secret read
  desc: A secret is read.
  condition: evt.num > 0
  output: Secret read
  priority: WARNING
  source: k8s_audit
";

/// The codes of the problems of the first test.
fn codes(text: &str) -> Vec<&'static str> {
    let file = match TestFile::read("rules.test.yaml", text.as_bytes()) {
        Ok(file) => file,
        Err(problem) => return vec![problem.code],
    };
    let cases: Vec<_> = file.tests.iter().collect();
    let fields = Fields::syscall();
    let id = SourceNames::default().intern("k8s_audit").unwrap();
    let audit = EventSource { id, name: "k8s_audit".to_owned(), vocabulary: fields.clone() };
    let sources = vec![EventSource::syscall(fields.clone()), audit];
    let mut loader = Loader::new(sources, Vec::new());
    assert!(loader.load("rules.yaml", RULES.as_bytes()).successful());
    let settings = SuiteSettings::default();
    let suite = Suite::new(loader, &fields, settings, &Demand::of(&cases), |set| set);
    let results = run(&suite, &cases, &RunSettings::default());
    match &results[0].outcome {
        Outcome::Passed => Vec::new(),
        Outcome::Invalid(problems) => problems.iter().map(|problem| problem.code).collect(),
        Outcome::Failed(_) => vec!["failed"],
    }
}

#[test]
fn every_example_has_its_problem_and_the_mended_one_passes() {
    let without = Cause::ALL.iter().filter(|cause| cause.example().is_none());
    let without: Vec<_> = without.map(|cause| cause.id()).collect();
    assert_eq!(without, ["T0402", "T0601"], "these need a capture and a very long file");
    for cause in Cause::ALL {
        let Some((wrong, right)) = cause.example() else { continue };
        assert_eq!(codes(wrong), [cause.id()], "{wrong}");
        if !right.is_empty() {
            assert_eq!(codes(right), [""; 0], "{right}");
        }
    }
}
