//! Tests of rules: events that people write, run through state and engine.
//!
//! A [`TestFile`] has the tests of a file. Their events are given in the words of the field table
//! and become a snapshot and wire events, which go through the same state and engine as a capture
//! does. A field that would not have its value on a real machine makes the test invalid; nothing is
//! pretended. [`run`] runs tests against a [`Suite`] of rules, [`Coverage`] counts which parts of
//! conditions were true and which false, [`report`] prints results, and [`record`] turns an event
//! of a capture into a test.
//!
//! This crate may know rules, fields, events, the engine and capture files; it knows no live
//! source, no output and no configuration.
//!
//! ```
//! use peregrine_fields::Fields;
//! use peregrine_rules::{EventSource, Loader};
//! use peregrine_scenario::{Demand, Outcome, RunSettings, Suite, SuiteSettings, TestFile, run};
//!
//! let text = b"
//! - rule: Shell
//!   desc: A shell is started.
//!   condition: evt.type = execve and proc.name in (sh, bash) and proc.pname = nginx
//!   output: shell %proc.cmdline
//!   priority: NOTICE
//! - test: a web server starts a shell
//!   rules: Shell
//!   given: {evt.type: execve, proc.name: sh, proc.args: [-c, id], proc.pname: nginx}
//!   match: true
//!   output: shell sh -c id
//! ";
//! let fields = Fields::syscall();
//! let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
//! loader.load("rules.yaml", text);
//! let file = TestFile::read("rules.yaml", text).unwrap();
//! let cases: Vec<_> = file.tests.iter().collect();
//! let suite = Suite::new(loader, &fields, SuiteSettings::default(), &Demand::of(&cases), |set| set);
//! let results = run(&suite, &cases, &RunSettings::default());
//! assert!(matches!(results[0].outcome, Outcome::Passed));
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod cause;
mod check;
mod coverage;
mod expect;
mod file;
mod plan;
pub mod record;
pub mod report;
mod run;
mod script;
mod suite;
mod world;

pub use cause::Cause;
pub use coverage::{Coverage, Gap, RuleCoverage};
pub use expect::Failure;
pub use file::{
    Case, Count, EventSpec, Expected, Given, Invalid, Named, RecordedEvents, Test, TestFile,
};
pub use plan::{FilesError, PlannedSuite, Texts, plan, read_tests};
pub use run::{Outcome, RunSettings, TestResult, run};
pub use suite::{Demand, Suite, SuiteSettings};
