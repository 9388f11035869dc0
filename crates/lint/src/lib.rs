//! Lints: rules that load, but do not do what they seem to.
//!
//! [`lint`] looks at the whole set of rules that a configuration loads. A finding has a code that
//! never changes its meaning, the places it is about and a remedy. What is certain follows from the
//! logic of conditions and from what the types of events say about fields; the rest is what is
//! known of attackers, costs and triage.
//!
//! The crate may know rules, fields, events and the engine; it knows no live source, no output and
//! no configuration.
//!
//! ```
//! use peregrine_lint::{Input, Lint, Settings, lint};
//! use peregrine_engine::Matching;
//! use peregrine_fields::Fields;
//! use peregrine_rules::{EventSource, Loader, Outline};
//!
//! let text = "
//! - rule: Shell
//!   desc: a shell is started
//!   condition: evt.type = execve and proc.name = bash and proc.name = zsh
//!   output: shell %proc.cmdline (parent=%proc.pname user=%user.name)
//!   priority: NOTICE
//!   tags: [mitre_execution]
//! ";
//! let fields = Fields::syscall();
//! let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
//! assert!(loader.load("rules.yaml", text.as_bytes()).successful());
//! let input = Input {
//!     written: &loader.written_conditions(),
//!     rules: loader.rules(),
//!     outline: &Outline::read([("rules.yaml", text)]),
//!     fields: &fields,
//!     matching: Matching::First,
//! };
//! let report = lint(input, &Settings::default());
//! assert_eq!(report.findings[0].lint, Lint::NeverTrue);
//! assert!(report.findings[0].problem.message.contains("exclude each other"));
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod attack;
mod baseline;
mod bypass;
mod contradictions;
mod cost;
mod finding;
mod lints;
mod logic;
mod model;
mod pages;
mod portability;
mod report;
mod scope;
mod settings;
mod silence;
mod triage;
mod values;

pub use baseline::{Baseline, BaselineError};
pub use cost::{CostEstimate, EventMix, cost_estimates};
pub use finding::LintFinding;
pub use lints::{Level, Lint};
pub use model::Input;
pub use pages::Page;
pub use report::{ReportFormat, cost_table, report, summary};
pub use settings::{Settings, UnknownLint};

use peregrine_diagnostics::Severity;

use model::Model;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct LintReport {
    /// Findings, in the order of files and lines.
    pub findings: Vec<LintFinding>,
    /// Number of findings that comments silence.
    pub silenced: usize,
}

impl LintReport {
    /// Whether there is an error among the findings.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|it| it.problem.severity == Severity::Error)
    }
}

/// Looks at a set of rules.
#[must_use]
pub fn lint(input: Input<'_>, settings: &Settings) -> LintReport {
    let mut model = Model::new(input);
    let mut findings = Vec::new();
    contradictions::rules(&mut model, &mut findings);
    values::check(&model, &mut findings);
    scope::check(&mut model, &mut findings);
    cost::check(&model, &mut findings);
    bypass::check(&mut model, &mut findings);
    triage::check(&model, &mut findings);
    portability::check(&model, &mut findings);
    // Last, because it takes the most work, which is limited.
    contradictions::parts(&mut model, &mut findings);
    findings.retain(|finding| settings.level(finding.lint) != Level::Allow);
    let silenced = silence::apply(input.outline, settings, &mut findings);
    findings.retain(|finding| settings.level(finding.lint) != Level::Allow);
    let files: hashbrown::HashMap<&str, usize> = input
        .outline
        .files()
        .iter()
        .enumerate()
        .map(|(at, file)| (file.source().name.as_str(), at))
        .collect();
    findings.sort_by_key(|finding| {
        let label = finding.problem.labels.first();
        let place = label
            .map(|label| (files.get(label.source.name.as_str()).copied(), label.span.start.offset));
        (place, finding.lint)
    });
    let findings = findings.into_iter().map(|finding| {
        let level = settings.level(finding.lint);
        with_rule(&model, finding.level(level))
    });
    LintReport { findings: findings.collect(), silenced }
}

/// Names the rule that a finding is about where its place, in a macro, does not.
fn with_rule(model: &Model<'_>, finding: LintFinding) -> LintFinding {
    let outline = model.sources.input.outline;
    let Some(label) = finding.problem.labels.first() else { return finding };
    let file = outline.files().iter().find(|file| file.source().name == label.source.name);
    let item = file.and_then(|file| file.item_at(label.span.start.offset));
    let own = |item: &peregrine_rules::OutlineItem| {
        item.kind == finding.kind && item.name.text == finding.item
    };
    if item.is_none_or(own) {
        return finding;
    }
    let name = model.sources.name_label(finding.kind, &finding.item);
    let note = format!("this {} is concerned", finding.kind.name());
    finding.related(name, note)
}

#[cfg(test)]
mod tests;
