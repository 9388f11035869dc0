//! The forms in which findings are printed.

use std::fmt::Write;

use peregrine_diagnostics::{Problem, Severity, Tool, sarif};
use serde_json::{Value, json};

use super::cost::CostEstimate;
use super::finding::LintFinding;
use super::silence::item_name;

/// Form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanners.
    Sarif,
    /// Commands of GitHub workflows, which show findings beside the lines of a change.
    Github,
}

/// Findings in one of the forms.
#[must_use]
pub fn report(findings: &[LintFinding], format: ReportFormat, tool: Tool<'_>) -> String {
    match format {
        ReportFormat::Text => {
            let mut text = String::new();
            for finding in findings {
                // Writing into a string does not fail.
                let _ = writeln!(text, "{}", finding.problem);
            }
            text
        }
        ReportFormat::Json => {
            let findings: Vec<_> = findings.iter().map(json_of).collect();
            format!("{:#}\n", json!({ "findings": findings }))
        }
        ReportFormat::Sarif => {
            let problems: Vec<Problem> = findings.iter().map(|it| it.problem.clone()).collect();
            format!("{:#}\n", sarif(tool, &problems))
        }
        ReportFormat::Github => findings.iter().map(github).collect(),
    }
}

/// How many errors and warnings there are, in words.
#[must_use]
pub fn summary(findings: &[LintFinding]) -> String {
    let errors = findings.iter().filter(|it| it.problem.severity == Severity::Error).count();
    let count = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let warnings = findings.len() - errors;
    format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
}

/// A table of what rules are expected to cost.
#[must_use]
pub fn cost_table(costs: &[CostEstimate]) -> String {
    let measured = costs.iter().any(|cost| cost.events.is_some());
    let events = if measured { "  events" } else { "" };
    let mut table = format!("   cost  types{events}  rule\n");
    for cost in costs {
        let events = match cost.events {
            Some((events, all)) if all > 0 => {
                format!("  {:>5.1}%", events as f64 * 100.0 / all as f64)
            }
            Some(_) => "      -".to_owned(),
            None => String::new(),
        };
        let _ =
            writeln!(table, "{:>7.1}  {:>5}{events}  {}", cost.per_event, cost.types, cost.rule);
    }
    table
}

fn json_of(finding: &LintFinding) -> Value {
    let mut json = finding.problem.to_json();
    if let Some(members) = json.as_object_mut() {
        members.insert("item".to_owned(), item_name(finding.kind, &finding.item).into());
        members.insert("fingerprint".to_owned(), finding.fingerprint().into());
    }
    json
}

fn github(finding: &LintFinding) -> String {
    let Problem { severity, code, message, labels, help, .. } = &finding.problem;
    let mut place = String::new();
    if let Some(label) = labels.first() {
        let (start, end) = (label.span.start.offset, label.span.end.offset);
        let (line, column) = label.source.line_and_column(start);
        let (end_line, end_column) = label.source.line_and_column(end.max(start));
        let file = escaped(&label.source.name, true);
        place = format!("file={file},line={line},endLine={end_line},");
        if end_line == line {
            place += &format!("col={column},endColumn={end_column},");
        }
    }
    let help = help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {help}"));
    let title = escaped(&format!("{code} {}", item_name(finding.kind, &finding.item)), true);
    let message = escaped(&format!("{message}{help}"), false);
    format!("::{} {place}title={title}::{message}\n", severity.name())
}

/// A text in a command of a workflow.
fn escaped(text: &str, in_property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if in_property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}
