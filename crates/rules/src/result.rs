//! The result of reading a file, for people and for machines.

use std::fmt::Write as _;

use peregrine_diagnostics::{Fix, Label, Problem, Related, Severity};
use serde_json::{Value, json};

use crate::{Cause, ErrorCode, Place, WarningCode};

/// An error or warning about a file.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its cause.
    pub cause: Cause,
    /// The message, in Falco's words where Falco has some.
    pub message: String,
    /// Its place.
    pub place: Place,
    /// The remedy, if known.
    pub help: Option<String>,
    /// The deprecated field that it is about.
    pub field: Option<&'static str>,
    /// What messages for people say beyond or instead of this.
    pub explained: Option<Box<Explained>>,
}

/// What messages for people say instead of Falco's, whose texts tools compare.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// The message; empty if Falco's is as good.
    pub message: String,
    /// The places it is about; empty if they are those of the finding.
    pub labels: Vec<Label>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// A change that mends it.
    pub fix: Option<Fix>,
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The file is rejected.
    Error(ErrorCode),
    /// The file is accepted.
    Warning(WarningCode),
    /// The file is accepted, and Falco gives no warning: results in its form do not show this one.
    Own,
}

impl Finding {
    /// A finding without a remedy.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>, place: Place) -> Self {
        let message = message.into();
        Self { cause, message, place, help: None, field: None, explained: None }
    }

    /// Adds a remedy.
    #[must_use]
    pub fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// Adds what messages for people say.
    #[must_use]
    pub fn explained(mut self, explained: Explained) -> Self {
        self.explained = Some(Box::new(explained));
        self
    }

    /// Whether it makes the file be rejected.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.cause.kind(), FindingKind::Error(_))
    }

    /// Whether results in Falco's form leave it out.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.cause.kind() == FindingKind::Own
    }

    /// The wider code that tools know, such as `LOAD_UNUSED_MACRO`.
    #[must_use]
    pub fn wider(&self) -> Option<&'static str> {
        match self.cause.kind() {
            FindingKind::Error(code) => Some(code.name()),
            FindingKind::Warning(code) => Some(code.name()),
            FindingKind::Own => None,
        }
    }

    /// The wider code, or that of the cause where there is none.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.wider().unwrap_or(self.cause.id())
    }

    /// A short description of the wider code.
    #[must_use]
    pub fn title(&self) -> String {
        let title = match self.cause.kind() {
            FindingKind::Error(code) => code.title(),
            FindingKind::Warning(code) => code.title(),
            FindingKind::Own => self.cause.title(),
        };
        match self.field {
            Some(field) => format!("{title}: field '{field}'"),
            None => title.to_owned(),
        }
    }

    fn to_json(&self) -> Value {
        let description = match self.cause.kind() {
            FindingKind::Error(code) => code.title(),
            FindingKind::Warning(code) => code.description(),
            FindingKind::Own => self.cause.title(),
        };
        let mut finding = json!({
            "code": self.code(),
            "codedesc": description,
            "message": self.message,
            "context": self.place.to_json(),
        });
        if let Some(field) = self.field
            && let Some(finding) = finding.as_object_mut()
        {
            finding.insert("deprecated_field".to_owned(), field.into());
        }
        finding
    }

    /// With the whole chain of places, in Falco's form.
    fn to_text(&self) -> String {
        format!(
            "{place}------\n{snippet}------\n{code} ({title}): {message}\n",
            place = self.place,
            snippet = self.place.snippet(),
            code = self.code(),
            title = self.title(),
            message = self.message,
        )
    }

    /// The finding as a problem, for messages and code scanners.
    #[must_use]
    pub fn to_problem(&self) -> Problem {
        let Explained { message, labels, related, fix } =
            self.explained.as_deref().cloned().unwrap_or_default();
        let message = match (message.is_empty(), self.message.is_empty()) {
            (false, _) => message,
            (true, false) => self.message.clone(),
            (true, true) => self.title(),
        };
        let severity = if self.is_error() { Severity::Error } else { Severity::Warning };
        let labels = if labels.is_empty() { self.place.labels() } else { labels };
        let (code, wider, help) = (self.cause.id(), self.wider(), self.help.clone());
        Problem { severity, code, wider, message, labels, related, help, fix }
    }
}

/// The result of reading a file.
#[derive(Clone, Debug)]
pub struct LoadResult {
    /// Name of the file.
    pub name: String,
    /// All findings, in the order of reading.
    pub findings: Vec<Finding>,
    /// Violations of the schema; `None` if the text could not be parsed.
    pub schema_warnings: Option<Vec<String>>,
}

impl LoadResult {
    /// Whether the file is accepted.
    #[must_use]
    pub fn successful(&self) -> bool {
        !self.findings.iter().any(Finding::is_error)
    }

    /// All errors.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_error())
    }

    /// All warnings that Falco gives too.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.is_error() && !finding.is_own())
    }

    /// One entry of `falco_load_results`: findings before the first error, and this error. Tools
    /// rely on reading having stopped there; [`explanation`](Self::explanation) continues.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.up_to_first_error().partition(|finding| finding.is_error());
        let list = |findings: Vec<&Finding>| -> Value {
            findings.into_iter().map(Finding::to_json).collect()
        };
        let mut result = json!({
            "name": self.name,
            "successful": self.successful(),
            "errors": list(errors),
            "warnings": list(warnings),
        });
        if let (Some(warnings), Some(result)) = (&self.schema_warnings, result.as_object_mut()) {
            result.insert("schema_valid".to_owned(), warnings.is_empty().into());
            result.insert("schema_warnings".to_owned(), warnings.as_slice().into());
        }
        result
    }

    /// A short form: the codes only.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = self.headline();
        if let Some(warnings) = self.schema_warnings.as_deref().filter(|w| !w.is_empty()) {
            let _ = write!(text, "\n {} schema warnings: [{}]", warnings.len(), warnings.join(" "));
        }
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.up_to_first_error().partition(|finding| finding.is_error());
        for (findings, word) in [(errors, "errors"), (warnings, "warnings")] {
            if !findings.is_empty() {
                let codes: Vec<String> =
                    findings.iter().map(|f| format!("{} ({})", f.code(), f.title())).collect();
                let _ = write!(text, "\n {} {word}: [{}]", codes.len(), codes.join(" "));
            }
        }
        text
    }

    /// Findings up to the first error, in Falco's wording.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.headline();
        if let Some(warnings) = self.schema_warnings.as_deref().filter(|w| !w.is_empty()) {
            let _ = writeln!(text, "\n{} Schema warnings:", warnings.len());
            for warning in warnings {
                let _ = writeln!(text, "------\n{warning}");
            }
            text.push_str("------\n");
        }
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.up_to_first_error().partition(|finding| finding.is_error());
        for (findings, word) in [(errors, "Errors"), (warnings, "Warnings")] {
            if !findings.is_empty() {
                let _ = writeln!(text, "\n{} {word}:", findings.len());
                text.extend(findings.into_iter().map(Finding::to_text));
            }
        }
        text
    }

    /// All errors and warnings of the file as problems.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.findings.iter().map(Finding::to_problem)
    }

    /// All errors and warnings of the file, each with its source line and, if known, a remedy.
    #[must_use]
    pub fn explanation(&self) -> String {
        self.problems().map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n")
    }

    fn headline(&self) -> String {
        let verdict = match (self.successful(), self.findings.iter().all(Finding::is_own)) {
            (true, true) => "Ok",
            (true, false) => "Ok, with warnings",
            (false, _) => "Invalid",
        };
        match self.name.as_str() {
            "" => verdict.to_owned(),
            name => format!("{name}: {verdict}"),
        }
    }

    /// Findings that Falco has too, up to the first error.
    fn up_to_first_error(&self) -> impl Iterator<Item = &Finding> {
        let first = self.findings.iter().position(Finding::is_error);
        let shown = self.findings.iter().take(first.map_or(self.findings.len(), |at| at + 1));
        shown.filter(|finding| !finding.is_own())
    }
}
