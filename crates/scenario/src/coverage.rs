//! Which parts of conditions were true and which were false in tests.

use std::collections::BTreeMap;

use peregrine_authoring::explain::{ConditionTree, NodeKind, Trace};

use crate::{Suite, TestResult};

/// For each rule and node of its condition, whether it was false and whether it was true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits(BTreeMap<usize, Vec<[bool; 2]>>);

/// The coverage of rules by tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Rules with tests, by name.
    pub rules: Vec<RuleCoverage>,
    /// Rules without a test.
    pub untested: Vec<String>,
}

/// The coverage of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCoverage {
    /// Name of the rule.
    pub rule: String,
    /// Number of its tests.
    pub tests: usize,
    /// Values that its conditions had.
    pub covered: usize,
    /// Values that its conditions can have.
    pub total: usize,
    /// Conditions that had only one of their values, or none.
    pub gaps: Vec<Gap>,
}

/// A condition that never had one of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The condition.
    pub condition: String,
    /// The value that it never had.
    pub missing: bool,
    /// The file and line where it is written.
    pub place: Option<(String, usize)>,
}

impl Hits {
    pub(crate) fn add(&mut self, rule: usize, tree: &ConditionTree, trace: &Trace) {
        let hits = self.0.entry(rule).or_insert_with(|| vec![[false; 2]; tree.len()]);
        for (node, hits) in hits.iter_mut().enumerate() {
            match trace.value(node) {
                Some(false) => *hits = [true, hits[1]],
                Some(true) => *hits = [hits[0], true],
                None => {}
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        for (rule, others) in &other.0 {
            let hits = self.0.entry(*rule).or_insert_with(|| vec![[false; 2]; others.len()]);
            for (hit, other) in hits.iter_mut().zip(others) {
                *hit = [hit[0] | other[0], hit[1] | other[1]];
            }
        }
    }
}

impl Coverage {
    /// The coverage of these rules by the results of their tests.
    #[must_use]
    pub fn new(suite: &Suite, results: &[TestResult], rules: &[String]) -> Self {
        let mut hits = Hits::default();
        results.iter().for_each(|result| hits.merge(&result.hits));
        let mut coverage = Self { rules: Vec::new(), untested: Vec::new() };
        for rule in rules {
            let tests = results.iter().filter(|result| result.rules.contains(rule)).count();
            let position = suite.position(rule);
            let tree = position.and_then(|position| suite.tree(position));
            match (tests, position, tree) {
                (1.., Some(position), Some(tree)) => {
                    let hits = hits.0.get(&position).map(Vec::as_slice).unwrap_or_default();
                    coverage.rules.push(RuleCoverage::new(rule, tests, tree, hits));
                }
                _ => coverage.untested.push(rule.clone()),
            }
        }
        coverage
    }

    /// Of all values that conditions can have, how many they had, in percent; 0 where a rule has no
    /// test counts like a rule of average size.
    #[must_use]
    pub fn percent(&self) -> f64 {
        let (covered, total) = self
            .rules
            .iter()
            .fold((0, 0), |(covered, total), rule| (covered + rule.covered, total + rule.total));
        let rules = self.rules.len() + self.untested.len();
        if rules == 0 || total == 0 {
            return if self.untested.is_empty() { 100.0 } else { 0.0 };
        }
        let tested = self.rules.len() as f64 / rules as f64;
        100.0 * tested * covered as f64 / total as f64
    }
}

impl RuleCoverage {
    fn new(rule: &str, tests: usize, tree: &ConditionTree, hits: &[[bool; 2]]) -> Self {
        let mut coverage =
            Self { rule: rule.to_owned(), tests, covered: 0, total: 0, gaps: Vec::new() };
        for (index, node) in tree.nodes().enumerate() {
            let NodeKind::Test(_) = node.kind else { continue };
            let [was_false, was_true] = hits.get(index).copied().unwrap_or_default();
            let condition = node.text();
            // That other events are no concern of the rule needs no test.
            let of_type = condition.starts_with("evt.type") || condition.starts_with("evt.dir");
            for (value, had) in [(true, was_true), (false, was_false || of_type)] {
                coverage.total += 1;
                coverage.covered += usize::from(had);
                if !had {
                    let place = node
                        .place()
                        .map(|label| (label.source.name.clone(), label.span.start.line + 1));
                    coverage.gaps.push(Gap { condition: condition.clone(), missing: value, place });
                }
            }
        }
        coverage
    }

    /// Values that conditions had, in percent of those they can have.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.total == 0 { 100.0 } else { 100.0 * self.covered as f64 / self.total as f64 }
    }
}
