//! What lints find.

use peregrine_diagnostics::{Fix, Label, Problem, Severity};
use peregrine_rules::DefinitionKind;

use super::lints::{Level, Lint};

/// Something that a lint found.
#[derive(Clone, Debug)]
pub struct LintFinding {
    /// The lint.
    pub lint: Lint,
    /// Kind of the item that it is about.
    pub kind: DefinitionKind,
    /// Name of that item.
    pub item: String,
    /// What was found and where.
    pub problem: Problem,
}

impl LintFinding {
    pub(crate) fn new(
        lint: Lint,
        kind: DefinitionKind,
        item: &str,
        message: impl Into<String>,
    ) -> Self {
        let problem = match lint.default_level() {
            Level::Deny => Problem::error(lint.code(), message),
            Level::Warn | Level::Allow => Problem::warning(lint.code(), message),
        };
        Self { lint, kind, item: item.to_owned(), problem }
    }

    pub(crate) fn rule(lint: Lint, rule: &str, message: impl Into<String>) -> Self {
        Self::new(lint, DefinitionKind::Rule, rule, message)
    }

    pub(crate) fn at(mut self, label: Option<Label>) -> Self {
        self.problem.labels.extend(label);
        self
    }

    pub(crate) fn related(mut self, label: Option<Label>, note: impl Into<String>) -> Self {
        if let Some(label) = label {
            self.problem = self.problem.related(label, note);
        }
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.problem = self.problem.help(help);
        self
    }

    pub(crate) fn fix(mut self, fix: Fix) -> Self {
        self.problem = self.problem.fix(fix);
        self
    }

    /// Reported at this level. `Allow` leaves it as it is.
    pub(crate) fn level(mut self, level: Level) -> Self {
        self.problem.severity = match level {
            Level::Deny => Severity::Error,
            Level::Warn | Level::Allow => Severity::Warning,
        };
        self
    }

    /// A key that stays the same when lines move: code, item and the text at the first place,
    /// blanks aside.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // FNV-1a: the key is kept in files, so it must not change with a version of a library.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut put = |text: &str| {
            for byte in text.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        put(self.lint.code());
        put(self.kind.name());
        put(&self.item);
        if let Some(label) = self.problem.labels.first() {
            let span = label.span.start.offset..label.span.end.offset;
            let text = label.source.text.get(span).unwrap_or_default();
            text.split_whitespace().for_each(put);
        }
        format!("{hash:016x}")
    }
}
