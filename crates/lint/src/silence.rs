//! Comments that silence findings: `# lint: allow(L0401) the reason`.
//!
//! Above an item or on its first line, a comment is about the whole item; behind something else, it
//! is about its line.

use std::ops::Range;

use peregrine_diagnostics::Label;
use peregrine_rules::{DefinitionKind, FileOutline, Outline, OutlineItem};

use super::finding::LintFinding;
use super::lints::{Level, Lint};
use super::settings::Settings;

/// Longest list of codes in a comment, in bytes.
const MAX_CODES: usize = 1000;

/// Codes that a comment silences.
struct Allow<'o> {
    lint: Lint,
    /// The code in the comment.
    label: Label,
    file: &'o FileOutline,
    item: &'o OutlineItem,
    /// The line, if it is not about the whole item.
    line: Option<usize>,
    used: bool,
}

/// Removes the findings that comments silence, and adds those about the comments. Returns the
/// number of removed ones.
pub(crate) fn apply(
    outline: &Outline,
    settings: &Settings,
    findings: &mut Vec<LintFinding>,
) -> usize {
    let mut unknown = Vec::new();
    let mut allows = Vec::new();
    for file in outline.files() {
        read(file, &mut allows, &mut unknown);
    }
    let before = findings.len();
    findings.retain(|finding| {
        let mut silenced = false;
        for allow in allows.iter_mut().filter(|allow| allow.covers(finding)) {
            allow.used = true;
            silenced = true;
        }
        !silenced
    });
    let silenced = before - findings.len();
    for allow in allows {
        // A lint that is not looked at finds nothing either.
        if !allow.used && settings.level(allow.lint) != Level::Allow {
            let message = format!("`{}` silences nothing here", allow.lint);
            let (kind, name) = (allow.item.kind, &allow.item.name.text);
            findings.push(
                LintFinding::new(Lint::UnneededAllow, kind, name, message)
                    .at(Some(allow.label))
                    .help("remove it; a comment above an item is about the item, one behind something about its line"),
            );
        }
    }
    findings.extend(unknown);
    silenced
}

impl Allow<'_> {
    fn covers(&self, finding: &LintFinding) -> bool {
        if finding.lint != self.lint {
            return false;
        }
        let label = finding.problem.labels.first();
        let here = label.filter(|label| label.source.name == self.file.source().name);
        if let Some(line) = self.line {
            return here.is_some_and(|label| label.span.start.line == line);
        }
        let inside = |label: &Label| {
            let Range { start, end } = self.item.range.clone();
            (start..=end).contains(&label.span.start.offset)
        };
        here.is_some_and(inside)
            || finding.kind == self.item.kind && finding.item == self.item.name.text
    }
}

fn read<'o>(file: &'o FileOutline, allows: &mut Vec<Allow<'o>>, unknown: &mut Vec<LintFinding>) {
    let text = &file.source().text;
    for (at, _) in text.match_indices("allow(") {
        let Some(hash) = comment_before(file, text, at) else { continue };
        let start = at + "allow(".len();
        let rest = text.get(start..).unwrap_or_default();
        let rest = rest.lines().next().unwrap_or_default();
        let Some(codes) = rest.split(')').next().filter(|codes| codes.len() < rest.len()) else {
            continue;
        };
        let Some((item, whole)) = subject(file, text, hash) else { continue };
        let line = file.label(hash..hash + 1).span.start.line;
        let mut offset = start;
        for code in codes.get(..codes.len().min(MAX_CODES)).unwrap_or_default().split(',') {
            let begin = offset + (code.len() - code.trim_start().len());
            let label = file.label(begin..begin + code.trim().len());
            offset += code.len() + 1;
            match Lint::of_code(code.trim()) {
                Some(lint) => {
                    let line = (!whole).then_some(line);
                    allows.push(Allow { lint, label, file, item, line, used: false });
                }
                None => {
                    let message = format!("there is no lint `{}`", code.trim());
                    let (kind, name) = (item.kind, &item.name.text);
                    unknown.push(
                        LintFinding::new(Lint::UnknownAllow, kind, name, message)
                            .at(Some(label))
                            .help("codes are separated by commas: `# lint: allow(L0401, L0402) reason`"),
                    );
                }
            }
        }
    }
}

/// The `#` of the comment `# lint: ` directly before a byte.
fn comment_before(file: &FileOutline, text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?.trim_end_matches([' ', '\t']);
    let before = before.strip_suffix("lint:")?.trim_end_matches([' ', '\t']);
    let hash = before.strip_suffix('#')?.len();
    let begins =
        matches!(text.as_bytes().get(hash.wrapping_sub(1)), None | Some(b' ' | b'\t' | b'\n'));
    (begins && !in_scalar(file, hash)).then_some(hash)
}

/// Whether a byte lies in a text, where `#` begins no comment.
fn in_scalar(file: &FileOutline, at: usize) -> bool {
    let Some(item) = file.item_at(at) else { return false };
    let texts = item.condition.iter().chain(&item.output).chain(&item.description);
    let texts = texts.chain(&item.items).chain(&item.tags).chain([&item.name]);
    let mut ranges = texts.map(|text| text.range.clone());
    ranges.any(|range| range.contains(&at))
}

/// The item that a comment is about, and whether it is about all of it.
fn subject<'o>(file: &'o FileOutline, text: &str, hash: usize) -> Option<(&'o OutlineItem, bool)> {
    let line = text.get(..hash)?.rfind('\n').map_or(0, |newline| newline + 1);
    let alone = text.get(line..hash)?.trim().is_empty();
    let within =
        file.items().iter().find(|item| (item.range.start..item.range.end).contains(&hash));
    if let Some(item) = within {
        let on_first_line = (line..hash).contains(&item.range.start);
        return Some((item, alone || on_first_line));
    }
    if alone {
        let next = file.items().iter().find(|item| item.range.start > hash)?;
        return Some((next, true));
    }
    // Behind the last line of an item.
    let last = file.items().iter().rev().find(|item| item.range.start < hash)?;
    Some((last, (line..hash).contains(&last.range.start)))
}

/// The kind and name of an item, as findings show them.
pub(crate) fn item_name(kind: DefinitionKind, name: &str) -> String {
    format!("{} {name}", kind.name())
}
