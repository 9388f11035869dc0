//! Results for people.

use std::fmt::Write as _;

use peregrine_authoring::Paint;

use super::results::{Report, line};
use super::style::Style;
use crate::{Coverage, Failure, Outcome, TestResult};

pub(super) fn print(report: &Report, style: Style) -> String {
    let mut out = String::new();
    let mut file = None;
    for result in &report.results {
        let name = &result.label.source.name;
        let passed = matches!(result.outcome, Outcome::Passed);
        if file != Some(name) {
            file = Some(name);
            let of_file = report.results.iter().filter(|other| other.label.source.name == *name);
            let count = of_file.count();
            let _ = writeln!(out, "{name}: {count} {}", plural(count, "test"));
        }
        if passed && !style.verbose && result.notes.is_empty() {
            continue;
        }
        let (word, colour) = match result.outcome {
            Outcome::Passed => ("ok  ", GREEN),
            Outcome::Failed(_) => ("FAIL", RED),
            Outcome::Invalid(_) => ("BAD ", RED),
        };
        let _ = writeln!(out, "  {} {}", style.paint(word, colour), result.name);
        for note in &result.notes {
            let _ = writeln!(out, "       note: {note}");
        }
    }
    for result in &report.results {
        match &result.outcome {
            Outcome::Passed => {}
            Outcome::Failed(failures) => failed(&mut out, result, failures, style),
            Outcome::Invalid(problems) => {
                heading(&mut out, result, style);
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                let _ = writeln!(out, "{}", problems.join("\n").trim_end());
            }
        }
    }
    if let Some(coverage) = report.coverage.as_ref().filter(|_| report.shows_coverage) {
        covered(&mut out, coverage, style);
    }
    summary(&mut out, report, style);
    out
}

const RED: &str = "31";
const GREEN: &str = "32";
const BOLD: &str = "1";

fn heading(out: &mut String, result: &TestResult, style: Style) {
    let place = format!("{}:{}", result.label.source.name, line(result));
    let _ = writeln!(out, "\n{}  ({place})", style.paint(&result.name, BOLD));
}

fn failed(out: &mut String, result: &TestResult, failures: &[Failure], style: Style) {
    heading(out, result, style);
    for failure in failures {
        let _ = writeln!(out, "  {}", failure.message);
        if let Some((expected, got)) = &failure.difference {
            let _ = writeln!(out, "    expected: {expected}\n    got:      {got}");
        }
        if let Some(explanation) = &failure.explanation {
            let text = explanation.to_text(Paint::new(style.colour));
            for line in text.lines() {
                let _ = writeln!(out, "{}", format!("  {line}").trim_end());
            }
        }
    }
}

/// Gaps of one rule that are shown.
const SHOWN: usize = 20;

fn covered(out: &mut String, coverage: &Coverage, style: Style) {
    let _ = writeln!(out, "\ncoverage of conditions: {:.0} %", coverage.percent());
    for rule in &coverage.rules {
        let (tests, percent) = (rule.tests, rule.percent());
        let _ = writeln!(
            out,
            "  {percent:>3.0} %  {}  ({} of {} values, {tests} {})",
            style.paint(&rule.rule, BOLD),
            rule.covered,
            rule.total,
            plural(tests, "test"),
        );
        for gap in rule.gaps.iter().take(SHOWN) {
            let place = gap.place.as_ref().map(|(file, line)| format!("  ({file}:{line})"));
            let missing = if gap.missing { "true: " } else { "false:" };
            let _ = writeln!(
                out,
                "         never {missing} {}{}",
                gap.condition,
                place.unwrap_or_default()
            );
        }
        if let Some(more @ 1..) = rule.gaps.len().checked_sub(SHOWN) {
            let _ = writeln!(out, "         and {more} more");
        }
    }
    for rule in &coverage.untested {
        let _ = writeln!(out, "    0 %  {}  (no test)", style.paint(rule, BOLD));
    }
}

fn summary(out: &mut String, report: &Report, style: Style) {
    let (passed, failed, invalid) = report.counts();
    let mut parts = vec![format!("{passed} passed")];
    parts.extend((failed > 0).then(|| format!("{failed} failed")));
    parts.extend((invalid > 0).then(|| format!("{invalid} can't be run")));
    let word = match report.is_good() {
        true => style.paint("ok", GREEN),
        false => style.paint("FAILED", RED),
    };
    let _ = writeln!(out, "\n{word}: {}", parts.join(", "));
    if let (true, Some(least)) = (report.covers_too_little(), report.min_coverage) {
        let percent = report.coverage.as_ref().map_or(0.0, Coverage::percent);
        let _ = writeln!(out, "the coverage is {percent:.1} %, less than {least} %");
    }
}

pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
