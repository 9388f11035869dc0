//! A problem, as text and as JSON.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::{Fix, Snippet, Source, Span};

/// Whether the text can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The text can't be used.
    Error,
    /// The text can be used, but probably does not do what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`: the word of all three forms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A part of a text that a problem is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The text.
    pub source: Arc<Source>,
    /// The part.
    pub span: Span,
}

impl Label {
    /// A part of a text, by its bytes.
    #[must_use]
    pub fn bytes(source: Arc<Source>, range: Range<usize>) -> Self {
        let span = source.span(range);
        Self { source, span }
    }

    /// Name of the text, start and end. Lines and columns count from 1 (columns in characters),
    /// offsets from 0 (in bytes).
    pub(crate) fn to_json(&self) -> Value {
        let position = |offset: usize| {
            let (line, column) = self.source.line_and_column(offset);
            json!({ "line": line, "column": column, "offset": offset })
        };
        let (start, end) = self.range();
        json!({ "file": self.source.name, "start": position(start), "end": position(end) })
    }

    /// The part in bytes, in order even if the span is not.
    pub(crate) fn range(&self) -> (usize, usize) {
        let start = self.span.start.offset;
        (start, self.span.end.offset.max(start))
    }
}

/// Something wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the text can be used all the same.
    pub severity: Severity,
    /// The code of its cause, such as `E0401` or `CONFIG_UNKNOWN_KEY`.
    pub code: &'static str,
    /// The wider code that other tools know such problems by, such as
    /// `LOAD_ERR_COMPILE_CONDITION`.
    pub wider: Option<&'static str>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where; the first one is the place to go to. Empty when no text is to blame.
    pub labels: Vec<Label>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// What would be right.
    pub help: Option<String>,
    /// A change that makes it right.
    pub fix: Option<Fix>,
}

/// A place that helps to understand a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The place.
    pub label: Label,
    /// What is there: `the macro is defined here`.
    pub note: String,
}

impl Problem {
    /// An error without a place.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            wider: None,
            message: message.into(),
            labels: Vec::new(),
            related: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// Adds a place that helps to understand it.
    #[must_use]
    pub fn related(mut self, label: Label, note: impl Into<String>) -> Self {
        self.related.push(Related { label, note: note.into() });
        self
    }

    /// Adds a change that makes it right.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// Says what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The snippets of all labels with the help below the last one, then those of related places;
    /// without a label the help alone.
    #[must_use]
    pub fn snippets(&self) -> String {
        let help = self.help.as_deref();
        let mut text = String::new();
        match self.labels.split_last() {
            Some((last, others)) => {
                for label in others {
                    text += &Snippet::new(&label.source, label.span).to_string();
                }
                text += &Snippet::new(&last.source, last.span).help(help).to_string();
            }
            None => text += &help.map(|help| format!("help: {help}\n")).unwrap_or_default(),
        }
        for Related { label, note } in &self.related {
            text += &format!("note: {note}\n{}", Snippet::new(&label.source, label.span));
        }
        text
    }

    /// One line, for logs: `file:line:column: message (help)`.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = String::new();
        if let Some(label) = self.labels.first() {
            line = format!("{}: ", label.source.place(label.range().0));
        }
        line += &self.message;
        match &self.help {
            Some(help) => format!("{line} ({help})"),
            None => line,
        }
    }

    /// `severity`, `code`, `wider`, `message`, `locations` (`file`, `start`, `end`), `related`
    /// (`location`, `note`), `help` and `fix` (`title`, `safe`, `edits`); null where there is none.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let locations: Value = self.labels.iter().map(Label::to_json).collect();
        let related = |it: &Related| json!({ "location": it.label.to_json(), "note": it.note });
        let related: Value = self.related.iter().map(related).collect();
        json!({
            "severity": self.severity.name(),
            "code": self.code,
            "wider": self.wider,
            "message": self.message,
            "locations": locations,
            "related": related,
            "help": self.help,
            "fix": self.fix.as_ref().map(Fix::to_json),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} [{}]", self.severity.name(), self.message, self.code)?;
        f.write_str(&self.snippets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_stands_below_the_last_snippet() {
        let source = Arc::new(Source::new("f", "one two"));
        let problem = Problem::warning("CODE", "odd").help("better");
        assert_eq!(problem.to_string(), "warning: odd [CODE]\nhelp: better\n");
        let problem = problem.at(Label::bytes(source.clone(), 0..3)).at(Label::bytes(source, 4..7));
        let text = problem.snippets();
        assert_eq!(text.matches("help: better").count(), 1);
        assert!(text.ends_with("= help: better\n"), "{text}");
    }

    #[test]
    fn one_line_has_place_message_and_help() {
        let source = Arc::new(Source::new("f.yaml", "a: 1\nb: 2\n"));
        let problem = Problem::warning("CODE", "odd");
        assert_eq!(problem.to_line(), "odd");
        let problem = problem.at(Label::bytes(source, 5..6)).help("better");
        assert_eq!(problem.to_line(), "f.yaml:2:1: odd (better)");
    }

    #[test]
    fn json_counts_as_editors_do() {
        let source = Arc::new(Source::new("f", "a\nüber x"));
        let json = Problem::error("CODE", "wrong").at(Label::bytes(source, 8..9)).to_json();
        assert_eq!(
            json["locations"][0],
            json!({
                "file": "f",
                "start": { "line": 2, "column": 6, "offset": 8 },
                "end": { "line": 2, "column": 7, "offset": 9 },
            })
        );
        assert_eq!((&json["severity"], &json["help"]), (&json!("error"), &Value::Null));
    }

    proptest::proptest! {
        #[test]
        fn any_span_has_all_forms(text in "[a-bü\n]{0,12}", start in 0..20_usize, end in 0..20_usize) {
            let source = Arc::new(Source::new("f", text));
            let problem = Problem::error("CODE", "wrong").at(Label::bytes(source, start..end));
            let _ = (problem.to_string(), problem.to_json());
        }
    }
}
