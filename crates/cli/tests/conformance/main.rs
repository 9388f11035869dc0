//! Compares the answers of the reference engine (`conformance/` at the root) with those of the
//! program.
//!
//! The built program runs as a user would run it. A difference fails the test unless
//! `conformance/known-differences.yaml` lists it with its reason; so does a listed one that is
//! gone.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod alerts;
mod answers;
mod conditions;
mod corpus;
mod extract;
mod fields;
mod json;
mod part;
mod plugins;
mod program;
mod report;
mod upstream;

use corpus::folder;
use part::Part;

#[test]
fn plugins_in_libraries() {
    if let Some(report) = plugins::run("plugins") {
        report.finish();
    }
}

#[test]
fn every_field_of_every_event() {
    fields::run("fields", &Part::events()).finish();
}

#[test]
fn conditions_are_accepted_or_refused() {
    conditions::verdicts("verdicts", &Part::events()).finish();
}

#[test]
fn conditions_match_the_same_events() {
    conditions::matches("matches", &Part::events()).finish();
}

#[test]
fn every_field_of_events_in_containers() {
    fields::run("container-fields", &Part::containers()).finish();
}

#[test]
fn conditions_on_containers_are_accepted_or_refused() {
    conditions::verdicts("container-verdicts", &Part::containers()).finish();
}

#[test]
fn conditions_on_containers_match_the_same_events() {
    conditions::matches("container-matches", &Part::containers()).finish();
}

#[test]
fn rules_about_containers_raise_the_same_alerts() {
    alerts::run("container-alerts", &Part::containers()).finish();
}

#[test]
fn rules_files_are_validated_and_described() {
    folder("rules").finish();
}

#[test]
fn several_rules_files_work_together() {
    folder("rules-multi").finish();
}

#[test]
fn configurations_mean_the_same() {
    folder("config").finish();
}

#[test]
fn replays_print_the_same_alerts() {
    folder("alerts").finish();
}

#[test]
fn command_lines_have_the_same_answers() {
    folder("cli").finish();
}

/// The upstream rules are not part of this project: `PEREGRINE_UPSTREAM_RULES` names a folder with
/// `falco_rules.yaml`, `falco-incubating_rules.yaml` and `falco-sandbox_rules.yaml`.
#[test]
fn upstream_rules_raise_the_same_alerts() {
    match std::env::var_os(upstream::VARIABLE) {
        Some(folder) => upstream::run(folder.as_ref()).finish(),
        None => report::say(format_args!(
            "upstream rules: skipped, {} names no folder with them",
            upstream::VARIABLE
        )),
    }
}
