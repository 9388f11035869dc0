//! `L06`: what other engines, or older ones, do not read.

use peregrine_diagnostics::Label;
use peregrine_filter::{TokenKind, scan};
use peregrine_rules::{DefinitionKind, Effect, OutlineItem, Version};

use super::finding::LintFinding;
use super::lints::Lint;
use super::model::Model;

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

pub(crate) fn check(model: &Model<'_>, found: &mut Vec<LintFinding>) {
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
