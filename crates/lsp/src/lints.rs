//! Lints. They take longer than an editor waits, so they run in a thread of their own while nothing
//! is typed.

use peregrine_authoring::lint::{Input, Settings, lint};
use peregrine_diagnostics::Problem;
use peregrine_engine::Matching;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader, Outline};

/// The lints of files that are loaded in this order, with their names and texts; none if one of
/// them has errors. Their places are in texts of these names.
pub(crate) fn find(
    texts: &[(String, String)],
    fields: &Fields,
    matching: Matching,
) -> Vec<Problem> {
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    let mut results = texts.iter().map(|(name, text)| loader.load(name, text.as_bytes()));
    if !results.all(|result| result.successful()) {
        return Vec::new();
    }
    let input = Input {
        written: &loader.written_conditions(),
        rules: loader.rules(),
        outline: &Outline::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
        fields,
        matching,
    };
    let findings = lint(input, &Settings::default()).findings;
    findings.into_iter().map(|finding| finding.problem).collect()
}
