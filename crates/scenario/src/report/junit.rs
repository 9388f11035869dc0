//! Results as JUnit XML: a test suite for each file, a failure for what rules did, an error for
//! what can't be run.

use std::fmt::Write as _;

use peregrine_authoring::Paint;

use super::results::{Report, line};
use crate::{Outcome, TestResult};

pub(super) fn print(report: &Report) -> String {
    let (passed, failed, invalid) = report.counts();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let total = passed + failed + invalid;
    let _ = writeln!(
        out,
        "<testsuites name=\"peregrine rules test\" tests=\"{total}\" failures=\"{failed}\" errors=\"{invalid}\">"
    );
    let mut files: Vec<&str> = Vec::new();
    for result in &report.results {
        let name = result.label.source.name.as_str();
        if files.last() != Some(&name) && !files.contains(&name) {
            files.push(name);
        }
    }
    for file in files {
        let of_file: Vec<_> =
            report.results.iter().filter(|result| result.label.source.name == file).collect();
        suite(&mut out, file, &of_file);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, file: &str, results: &[&TestResult]) {
    let count = |wanted: fn(&Outcome) -> bool| {
        results.iter().filter(|result| wanted(&result.outcome)).count()
    };
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let invalid = count(|outcome| matches!(outcome, Outcome::Invalid(_)));
    let seconds: f64 = results.iter().map(|result| result.time.as_secs_f64()).sum();
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{invalid}\" time=\"{seconds:.6}\">",
        escaped(file),
        results.len(),
    );
    for result in results {
        case(out, file, result);
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, file: &str, result: &TestResult) {
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.6}\"",
        escaped(&result.rules.join(", ")),
        escaped(&result.name),
        escaped(file),
        line(result),
        result.time.as_secs_f64(),
    );
    let (element, message, text) = match &result.outcome {
        Outcome::Passed => {
            out.push_str("/>\n");
            return;
        }
        Outcome::Failed(failures) => {
            let mut text = String::new();
            for failure in failures {
                let _ = writeln!(text, "{}", failure.message);
                if let Some((expected, got)) = &failure.difference {
                    let _ = writeln!(text, "  expected: {expected}\n  got:      {got}");
                }
                if let Some(explanation) = &failure.explanation {
                    text += &explanation.to_text(Paint::new(false));
                }
            }
            let message = failures.first().map(|failure| failure.message.clone());
            ("failure", message.unwrap_or_default(), text)
        }
        Outcome::Invalid(problems) => {
            let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let message = problems.first().map(|problem| problem.message.clone());
            ("error", message.unwrap_or_default(), text.join("\n"))
        }
    };
    let (message, text) = (escaped(&message), escaped(&text));
    let _ = writeln!(
        out,
        ">\n      <{element} message=\"{message}\">{text}</{element}>\n    </testcase>"
    );
}

/// A text in which nothing is markup, without the control characters that XML can't have.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escaped("a<b & \"c\"\u{1b}[0m"), "a&lt;b &amp; &quot;c&quot;\u{fffd}[0m");
    }
}
