//! The results of a run.

use crate::{Coverage, Outcome, Suite, TestResult};

/// The results of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The results, in the order of files and tests.
    pub results: Vec<TestResult>,
    /// The coverage of the rules.
    pub coverage: Option<Coverage>,
    /// Whether the coverage is shown.
    pub shows_coverage: bool,
    /// The least coverage in percent.
    pub min_coverage: Option<f64>,
}

impl Report {
    /// Adds the results of tests, and the coverage of `covered` rules by them.
    pub fn add(&mut self, suite: &Suite, results: Vec<TestResult>, covered: &[String]) {
        let coverage = Coverage::new(suite, &results, covered);
        self.results.extend(results);
        let all = self.coverage.get_or_insert_default();
        all.rules.extend(coverage.rules);
        all.untested.extend(coverage.untested);
    }

    /// Whether all tests passed, and cover enough.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let passed = |result: &TestResult| matches!(result.outcome, Outcome::Passed);
        self.results.iter().all(passed) && !self.covers_too_little()
    }

    pub(super) fn covers_too_little(&self) -> bool {
        let percent = self.coverage.as_ref().map(Coverage::percent);
        matches!((percent, self.min_coverage), (Some(percent), Some(least)) if percent < least)
    }

    /// Numbers of tests that passed, failed and are invalid.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Outcome) -> bool| {
            self.results.iter().filter(|result| wanted(&result.outcome)).count()
        };
        (
            count(|outcome| matches!(outcome, Outcome::Passed)),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Invalid(_))),
        )
    }
}

/// The line of a test, counted from 1.
pub(super) fn line(result: &TestResult) -> usize {
    result.label.span.start.line + 1
}
