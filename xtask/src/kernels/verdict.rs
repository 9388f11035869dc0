//! The result of a check, parsed from its output.

use serde::{Deserialize, Serialize};

use super::options::Check;

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Success,
    /// With the reason in a line.
    Failed(String),
    /// With the reason in a line.
    Skipped(String),
}

impl Outcome {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Failed(reason) | Self::Skipped(reason) => Some(reason),
        }
    }
}

/// A finished check of a kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) check: Check,
    pub(super) outcome: Outcome,
    /// Time inside the virtual machine.
    pub(super) seconds: f64,
    /// Measurements: names and values.
    pub(super) facts: Vec<(String, String)>,
    /// Its output.
    pub(super) log: String,
}

impl Verdict {
    /// From the exit status of a check and its output.
    pub(super) fn of_check(check: Check, status: &str, seconds: f64, log: String) -> Self {
        // Ordinary tests print the first form when they are skipped, the event tests the second.
        let whole = ["skipped: ", "skipped\tprobe\tloads\t"];
        let why = |line| whole.iter().find_map(|start| said(line).strip_prefix(start));
        // A test that was skipped is none that the check depends on while others ran.
        let tests: usize = log.lines().filter_map(passed).sum();
        let reasons = log.lines().filter_map(why).count();
        let skipped = || log.lines().find_map(why).filter(|_| reasons >= tests);
        let outcome = match status {
            "0" => skipped().map_or(Outcome::Success, |why| Outcome::Skipped(why.into())),
            "137" => Outcome::Failed(format!("it did not end within {seconds:.0} s")),
            _ => Outcome::Failed(cause(&log).unwrap_or_else(|| format!("exit status {status}"))),
        };
        let facts = log.lines().filter_map(facts).flatten().collect();
        Self { check, outcome, seconds, facts, log }
    }

    /// The measurement with this name.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find_map(|(n, value)| (n == name).then_some(value.as_str()))
    }
}

/// A line without the prefix of its test's name.
fn said(line: &str) -> &str {
    line.rsplit("... ").next().unwrap_or(line)
}

/// The number of tests in the last line of a test program, skipped ones included.
fn passed(line: &str) -> Option<usize> {
    line.strip_prefix("test result: ok. ")?.split_once(" passed")?.0.parse().ok()
}

/// Names and values in a line `fact name=value …` or in the last line of the event tests.
fn facts(line: &str) -> Option<Vec<(String, String)>> {
    let line = said(line);
    let line = line.strip_prefix("fact ").or_else(|| line.strip_prefix("summary\t"))?;
    let pairs = line.split([' ', '\t']).filter_map(|word| word.split_once('='));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The first line that describes a failure.
fn cause(log: &str) -> Option<String> {
    let mut lines = log.lines();
    while let Some(line) = lines.next() {
        if let Some(row) = line.strip_prefix("FAILED\t") {
            return Some(row.replace('\t', ", "));
        }
        if line.contains(" panicked at ") {
            return lines.next().map(str::to_owned);
        }
    }
    let last = log.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: &str, log: &str) -> Verdict {
        Verdict::of_check(Check::Load, status, 1.0, log.into())
    }

    #[test]
    fn what_a_check_says_decides() {
        let good = verdict("0", "running 1 test\ntest x ... fact programs=87 load_ms=12\nok\n");
        assert_eq!((&good.outcome, good.fact("load_ms")), (&Outcome::Success, Some("12")));
        let outcome = |status, log| verdict(status, log).outcome;
        assert_eq!(outcome("0", "skipped: no BTF\n"), Outcome::Skipped("no BTF".into()));
        let partly = "skipped: no setpriv\ntest result: ok. 9 passed; 0 failed\n";
        assert_eq!(outcome("0", partly), Outcome::Success);
        let panic = "thread 'x' (9) panicked at a.rs:1:2:\nno such event\nnote: y\n";
        assert_eq!(outcome("101", panic), Outcome::Failed("no such event".into()));
        let rows = "ok\topen\tx\t3\nFAILED\tmount\troot\tflags expected 1, got 2\nsummary\tok=1\tfailed=1\n";
        assert_eq!(
            outcome("1", rows),
            Outcome::Failed("mount, root, flags expected 1, got 2".into())
        );
        let none = "skipped\tprobe\tloads\tneeds root\nsummary\ttests=1\tok=0\tskipped=1\n";
        assert_eq!(outcome("0", none), Outcome::Skipped("needs root".into()));
        assert_eq!(outcome("137", ""), Outcome::Failed("it did not end within 1 s".into()));
    }
}
