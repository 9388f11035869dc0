//! The result of reading a file, for people and for machines.

use std::fmt::Write as _;

use peregrine_diagnostics::{Problem, Severity};
use serde_json::{Value, json};

use crate::{ErrorCode, Place, WarningCode};

/// An error or warning about a file.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its severity.
    pub kind: FindingKind,
    /// The message.
    pub message: String,
    /// Its place.
    pub place: Place,
    /// The remedy, if known.
    pub help: Option<String>,
}

/// Severity of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The file is rejected.
    Error(ErrorCode),
    /// The file is accepted.
    Warning(WarningCode),
    /// The file is accepted, but uses a deprecated field.
    DeprecatedField(&'static str),
}

impl Finding {
    /// An error without a remedy.
    #[must_use]
    pub fn error(code: ErrorCode, message: impl Into<String>, place: Place) -> Self {
        Self { kind: FindingKind::Error(code), message: message.into(), place, help: None }
    }

    /// A warning without a remedy.
    #[must_use]
    pub fn warning(code: WarningCode, message: impl Into<String>, place: Place) -> Self {
        Self { kind: FindingKind::Warning(code), message: message.into(), place, help: None }
    }

    /// Adds a remedy.
    #[must_use]
    pub fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// Whether it makes the file be rejected.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.kind, FindingKind::Error(_))
    }

    /// Machine-readable name, such as `LOAD_UNUSED_MACRO`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            FindingKind::Error(code) => code.name(),
            FindingKind::Warning(code) => code.name(),
            FindingKind::DeprecatedField(_) => WarningCode::DeprecatedItem.name(),
        }
    }

    /// A short description of the kind.
    #[must_use]
    pub fn title(&self) -> String {
        match self.kind {
            FindingKind::Error(code) => code.title().to_owned(),
            FindingKind::Warning(code) => code.title().to_owned(),
            FindingKind::DeprecatedField(field) => {
                format!("{}: field '{field}'", WarningCode::DeprecatedItem.title())
            }
        }
    }

    fn to_json(&self) -> Value {
        let description = match self.kind {
            FindingKind::Error(code) => code.title(),
            FindingKind::Warning(code) => code.description(),
            FindingKind::DeprecatedField(_) => WarningCode::DeprecatedItem.description(),
        };
        let mut finding = json!({
            "code": self.code(),
            "codedesc": description,
            "message": self.message,
            "context": self.place.to_json(),
        });
        if let FindingKind::DeprecatedField(field) = self.kind
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
        let message = if self.message.is_empty() { self.title() } else { self.message.clone() };
        let severity = if self.is_error() { Severity::Error } else { Severity::Warning };
        let (labels, help) = (self.place.labels(), self.help.clone());
        Problem { severity, code: self.code(), message, labels, help }
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

    /// All warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.is_error())
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
        let verdict = match (self.successful(), self.findings.is_empty()) {
            (true, true) => "Ok",
            (true, false) => "Ok, with warnings",
            (false, _) => "Invalid",
        };
        match self.name.as_str() {
            "" => verdict.to_owned(),
            name => format!("{name}: {verdict}"),
        }
    }

    fn up_to_first_error(&self) -> impl Iterator<Item = &Finding> {
        let first = self.findings.iter().position(Finding::is_error);
        self.findings.iter().take(first.map_or(self.findings.len(), |at| at + 1))
    }
}
