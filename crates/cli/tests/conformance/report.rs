//! Counts equal answers, and compares the others with the list of known differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Write};

use crate::answers;

const KNOWN: &str = "known-differences.yaml";

/// Compared answers.
pub(crate) struct Report {
    group: &'static str,
    compared: usize,
    /// The difference, by the name of the answer.
    differences: BTreeMap<String, String>,
}

impl Report {
    /// An empty report. `group` is the prefix of the names of all its answers, up to a slash.
    pub(crate) fn new(group: &'static str) -> Self {
        Self { group, compared: 0, differences: BTreeMap::new() }
    }

    /// Adds an answer: equal, or different as described.
    pub(crate) fn add(&mut self, answer: String, difference: Option<String>) {
        self.compared += 1;
        if let Some(difference) = difference {
            self.differences.insert(answer, difference);
        }
    }

    /// Adds the counts of another report.
    pub(crate) fn merge(&mut self, other: Self) {
        self.compared += other.compared;
        self.differences.extend(other.differences);
    }

    /// Prints how many answers are equal.
    ///
    /// # Panics
    ///
    /// If the differences are not the known ones.
    pub(crate) fn finish(self) {
        let Self { group, compared, differences } = self;
        let agree = compared - differences.len();
        say(format_args!("{group}: {agree} of {compared} answers are equal"));
        let known = known(group);
        let mut complaint = String::new();
        for (answer, difference) in differences.iter().filter(|(name, _)| !known.contains(*name)) {
            complaint += &format!("{answer} differs: {difference}\n");
        }
        for answer in known.iter().filter(|name| !differences.contains_key(*name)) {
            complaint += &format!("{answer} is equal or gone: take it off the list\n");
        }
        assert!(complaint.is_empty(), "not as {KNOWN} says:\n{complaint}");
        assert!(compared > 0, "nothing was compared");
    }
}

/// Prints a line that is shown for passing tests too: the test harness captures what tests print.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "conformance: {message}");
}

/// Names of the answers of a group that are known to differ. Each is listed under a reason.
fn known(group: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(answers::path(KNOWN)).unwrap();
    let documents = peregrine_yaml::parse(&text).unwrap();
    let mut known = BTreeSet::new();
    for entry in documents.iter().filter_map(peregrine_yaml::Node::as_seq).flatten() {
        let reason = entry.get("reason").and_then(peregrine_yaml::Node::as_str);
        assert!(reason.is_some_and(|reason| !reason.is_empty()), "a difference without a reason");
        for answer in entry.get("answers").unwrap().as_seq().unwrap() {
            let answer = answer.as_str().unwrap();
            if answer.split('/').next() == Some(group) {
                assert!(known.insert(answer.to_owned()), "{answer} is listed twice");
            }
        }
    }
    known
}
