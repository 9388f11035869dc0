//! `L06`: what other engines, or older ones, do not read.

use peregrine_diagnostics::Label;
use peregrine_filter::{TokenKind, scan};
use peregrine_rules::{
    DefinitionKind, Effect, Operation, Outline, OutlineItem, Version, Written, is_pasted_alike,
};

use super::finding::LintFinding;
use super::lints::Lint;
use super::model::{Model, shortened};

/// A feature of the language, and the first engine that has it.
struct Feature {
    version: Version,
    /// The release of Falco with that engine.
    release: &'static str,
    what: &'static str,
}

const fn feature(minor: u32, release: &'static str, what: &'static str) -> Feature {
    Feature { version: Version { major: 0, minor, patch: 0 }, release, what }
}

const OVERRIDE: Feature = feature(31, "0.37.0", "`override`");
const CAPTURE: Feature = feature(57, "0.42.0", "`capture`");
const QUANTIFIER: Feature = feature(62, "0.44.0", "a quantifier (`oneof`, `anyof`, `allof`)");
const BYTE_ESCAPE: Feature = feature(63, "0.45.0", "an escape of a byte (`\\x…`)");

/// Fields that Falco reads otherwise in conditions: the beginning of the name, and how.
const FIELDS: [(&str, &str); 2] = [
    (
        "evt.type.is.",
        "is 1 for one event type of this name only, and system calls may have several",
    ),
    (
        "evt.deltatime",
        "is the time since the condition was evaluated before, not since the last event",
    ),
];

pub(crate) fn check(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    for (id, item) in model.sources.input.outline.items() {
        let at = |range| model.sources.input.outline.label_in(id.file, range);
        differences(item, at, found);
        nested_lists(model.sources.input.outline, item, at, found);
    }
    versions(model, found);
}

/// What this engine accepts and Falco refuses or reads differently.
fn differences(
    item: &OutlineItem,
    at: impl Fn(std::ops::Range<usize>) -> Label,
    found: &mut Vec<LintFinding>,
) {
    let mut put = |range, message: String, help: &str| {
        let finding = LintFinding::new(Lint::NotPortable, item.kind, &item.name.text, message);
        found.push(finding.at(Some(at(range))).help(help));
    };
    let place = |text: &Written, part| text.in_file(part).unwrap_or_else(|| text.range.clone());
    if let Some(output) = &item.output
        && let Some(sign) = percent_sign(&output.text)
    {
        put(
            place(output, sign),
            "Falco has no way to write a percent sign, and refuses `%%`".to_owned(),
            "write `percent` if Falco is to load this rule",
        );
    }
    if let Some(output) = &item.output
        && let Some(start) = output.text.find("%len(")
    {
        put(
            place(output, start..start + "%len".len()),
            "Falco prints `<NA>` for `%len(…)`".to_owned(),
            "compare the length in the condition, where Falco knows it",
        );
    }
    if let Some(condition) = &item.condition {
        for token in scan(&condition.text).tokens {
            let text = condition.text.get(token.range.clone()).unwrap_or_default();
            let known = FIELDS.iter().find(|(field, _)| text.starts_with(field));
            if let (TokenKind::Field, Some((_, how))) = (token.kind, known) {
                let help = "compare something else if Falco is to evaluate this condition";
                put(place(condition, token.range), format!("in Falco, `{text}` {how}"), help);
            }
        }
    }
    if item.operation("exceptions") == Some(Operation::Replace) {
        for exception in item.exceptions.iter().filter(|it| it.comps.is_empty()) {
            if exception.fields.len() > 1 {
                let key = exception.fields.first().map_or(&exception.range, |field| &field.range);
                let message = "Falco refuses an exception without `comps` here".to_owned();
                put(key.clone(), message, "write the operators: `comps: [=, …]`");
            }
        }
    }
    // A value of an exception may be a list by itself: `(a, b)`.
    let is_list_alike = |value: &str| {
        value.trim_matches(['(', ')']).split(',').all(|part| is_pasted_alike(part.trim()))
    };
    let values = item.exceptions.iter().flat_map(|exception| &exception.values);
    let values = values.filter(|value| !is_list_alike(&value.text));
    let items = item.items.iter().filter(|value| !is_pasted_alike(&value.text));
    for value in items.chain(values.filter(|value| !is_pasted_alike(&value.text))) {
        let message = match value.text.is_empty() {
            true => "Falco leaves an empty value out".to_owned(),
            false => format!(
                "Falco pastes `{}` into the condition without quotes, which breaks it or changes its meaning",
                shortened(&value.text)
            ),
        };
        put(
            value.range.clone(),
            message,
            "put the value between double quotes of its own: `'\"…\"'`",
        );
    }
}

/// The first `%%` of an output that stands for a percent sign.
fn percent_sign(output: &str) -> Option<std::ops::Range<usize>> {
    let start = output.find("%%")?;
    Some(start..start + "%%".len())
}

/// Lists in lists in lists, of which Falco resolves the first level.
fn nested_lists(
    outline: &Outline,
    item: &OutlineItem,
    at: impl Fn(std::ops::Range<usize>) -> Label,
    found: &mut Vec<LintFinding>,
) {
    let list = |name: &str| outline.definition(DefinitionKind::List, name).map(|(_, list)| list);
    for inner in &item.items {
        let Some(middle) = list(&inner.text) else { continue };
        let innermost = middle.items.iter().find(|it| list(&it.text).is_some());
        let Some(innermost) = innermost else { continue };
        let message = format!(
            "Falco does not resolve `{}`, a list in a list in this list: it stays a text",
            innermost.text
        );
        found.push(
            LintFinding::new(Lint::NotPortable, item.kind, &item.name.text, message)
                .at(Some(at(inner.range.clone())))
                .help(format!("add `{}` to this list, too", innermost.text)),
        );
    }
}

fn versions(model: &Model<'_>, found: &mut Vec<LintFinding>) {
    let outline = model.sources.input.outline;
    let required = model.sources.input.rules.engine_version;
    if required == Version::default() {
        return;
    }
    for (id, item) in outline.items() {
        for (feature, label) in features(item, |range| outline.label_in(id.file, range)) {
            if feature.version <= required {
                continue;
            }
            let message = format!(
                "{} needs engine version {} (Falco {}), but the files require only {required}",
                feature.what, feature.version, feature.release
            );
            found.push(
                LintFinding::new(Lint::EngineVersion, item.kind, &item.name.text, message)
                    .at(Some(label))
                    .help(format!("set `required_engine_version: {}`", feature.version)),
            );
            // One finding for each item is enough.
            break;
        }
    }
}

fn features(
    item: &OutlineItem,
    label: impl Fn(std::ops::Range<usize>) -> Label,
) -> Vec<(Feature, Label)> {
    let mut found = Vec::new();
    if item.effect == Effect::Override
        && let Some(key) = item.key("override")
    {
        found.push((OVERRIDE, label(key.range.clone())));
    }
    if item.kind == DefinitionKind::Rule
        && let Some(key) = item.key("capture")
    {
        found.push((CAPTURE, label(key.range.clone())));
    }
    if let Some(condition) = &item.condition {
        for token in scan(&condition.text).tokens {
            let text = condition.text.get(token.range.clone()).unwrap_or_default();
            let feature = match token.kind {
                TokenKind::Operator if matches!(text, "oneof" | "anyof" | "allof") => QUANTIFIER,
                TokenKind::Quoted if text.contains("\\x") => BYTE_ESCAPE,
                _ => continue,
            };
            let range = condition.in_file(token.range).unwrap_or_else(|| condition.range.clone());
            found.push((feature, label(range)));
        }
    }
    found
}
