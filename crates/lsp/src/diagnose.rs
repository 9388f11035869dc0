//! Problems as diagnostics, and their fixes as edits.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use ls_types::{
    CodeAction, CodeActionKind, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity,
    DiagnosticTag, NumberOrString, TextEdit, Uri, WorkspaceEdit,
};
use peregrine_diagnostics::{Fix, Label, Problem, Severity, Source};
use peregrine_limits::LSP_DIAGNOSTICS;

use crate::cursor::ITEMS;
use crate::options::CodePages;
use crate::snapshot::{Snapshot, Spot};
use crate::text::Text;
use crate::workspace::File;

/// A problem with its place in a file.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) range: Range<usize>,
    pub(crate) problem: Problem,
}

/// Where the parts of a snapshot begin, by the text that they were read from.
pub(crate) struct Places<'s> {
    snapshot: &'s Snapshot,
    parts: HashMap<*const Source, usize>,
    pages: CodePages<'s>,
}

impl<'s> Places<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, pages: CodePages<'s>) -> Self {
        let outlines = snapshot.outline.files().iter().enumerate();
        let parts = outlines.map(|(part, outline)| (Arc::as_ptr(outline.source()), part)).collect();
        Self { snapshot, parts, pages }
    }

    /// The place of a label; `None` if it is in another text, such as a condition that was put
    /// together from several.
    pub(crate) fn spot(&self, label: &Label) -> Option<Spot> {
        let (start, end) = (label.span.start.offset, label.span.end.offset);
        let range = start..end.max(start);
        if let Some(part) = self.parts.get(&Arc::as_ptr(&label.source)) {
            return self.snapshot.spot(*part, range);
        }
        // Lints read whole files.
        let whole = |file: &Arc<File>| {
            file.rules.name() == label.source.name && file.text.as_str() == label.source.text
        };
        let file = self.snapshot.files.iter().position(whole)?;
        Some(Spot { file, range })
    }

    /// The problems of each file of the snapshot. One without a place in a file is at the beginning
    /// of the last file.
    pub(crate) fn sort(&self, problems: Vec<Problem>) -> Vec<Vec<Placed>> {
        let mut files: Vec<Vec<Placed>> = self.snapshot.files.iter().map(|_| Vec::new()).collect();
        let last = files.len().saturating_sub(1);
        for problem in problems {
            let spot = problem.labels.iter().find_map(|label| self.spot(label));
            let Spot { file, range } = spot.unwrap_or(Spot { file: last, range: 0..0 });
            let Some(found) = files.get_mut(file) else { continue };
            if found.len() >= LSP_DIAGNOSTICS.get() {
                LSP_DIAGNOSTICS.reach();
                continue;
            }
            found.push(Placed { range, problem });
        }
        files
    }

    /// A problem as the client shows it.
    pub(crate) fn diagnostic(&self, text: &Text, placed: &Placed) -> Diagnostic {
        let Placed { range, problem } = placed;
        let related = problem.related.iter().filter_map(|related| {
            let location = self.snapshot.location(&self.spot(&related.label)?)?;
            Some(DiagnosticRelatedInformation { location, message: related.note.clone() })
        });
        let others = problem.labels.iter().skip(1).filter_map(|label| {
            let location = self.snapshot.location(&self.spot(label)?)?;
            Some(DiagnosticRelatedInformation { location, message: "also here".to_owned() })
        });
        let related: Vec<_> = related.chain(others).collect();
        Diagnostic {
            related_information: Some(related).filter(|related| !related.is_empty()),
            ..diagnostic(text, range, problem, self.pages)
        }
    }

    /// The edits of a fix; `None` if one of them is in no file.
    fn edits(&self, fix: &Fix) -> Option<WorkspaceEdit> {
        let mut changes: BTreeMap<Uri, Vec<TextEdit>> = BTreeMap::new();
        for edit in &fix.edits {
            let spot = self.spot(&edit.label)?;
            let file = self.snapshot.files.get(spot.file)?;
            let edit = TextEdit { range: file.text.range(spot.range), new_text: edit.text.clone() };
            changes.entry(file.uri.clone()).or_default().push(edit);
        }
        Some(WorkspaceEdit::new(changes.into_iter().collect()))
    }

    /// The fixes of the problems that touch a range.
    pub(crate) fn actions(
        &self,
        text: &Text,
        placed: &[Placed],
        range: &Range<usize>,
    ) -> Vec<CodeAction> {
        let touches = |it: &&Placed| it.range.start <= range.end && range.start <= it.range.end;
        let action = |it: &Placed| {
            let fix = it.problem.fix.as_ref()?;
            Some(CodeAction {
                title: fix.title.clone(),
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: Some(vec![self.diagnostic(text, it)]),
                edit: Some(self.edits(fix)?),
                is_preferred: Some(fix.safe),
                ..CodeAction::default()
            })
        };
        placed.iter().filter(touches).filter_map(action).collect()
    }

    /// One action that applies all safe fixes of a file which do not overlap.
    pub(crate) fn fix_all(&self, placed: &[Placed]) -> Option<CodeAction> {
        let mut taken: Vec<(usize, Range<usize>)> = Vec::new();
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for fix in placed.iter().filter_map(|it| it.problem.fix.as_ref()).filter(|fix| fix.safe) {
            let spots: Option<Vec<_>> =
                fix.edits.iter().map(|edit| self.spot(&edit.label)).collect();
            let Some(spots) = spots else { continue };
            let overlaps = |spot: &Spot| {
                taken.iter().any(|(file, range)| {
                    *file == spot.file
                        && range.start <= spot.range.end
                        && spot.range.start <= range.end
                })
            };
            if spots.iter().any(overlaps) {
                continue;
            }
            taken.extend(spots.into_iter().map(|spot| (spot.file, spot.range)));
            let Some(edit) = self.edits(fix) else { continue };
            for (uri, edits) in edit.changes.into_iter().flatten() {
                changes.entry(uri).or_default().extend(edits);
            }
        }
        if changes.is_empty() {
            return None;
        }
        Some(CodeAction {
            title: "Apply all safe fixes".to_owned(),
            kind: Some(CodeActionKind::SOURCE_FIX_ALL),
            edit: Some(WorkspaceEdit::new(changes)),
            ..CodeAction::default()
        })
    }
}

/// A problem as the client shows it, without other places.
pub(crate) fn diagnostic(
    text: &Text,
    range: &Range<usize>,
    problem: &Problem,
    pages: CodePages<'_>,
) -> Diagnostic {
    let severity = match problem.severity {
        Severity::Error => DiagnosticSeverity::ERROR,
        Severity::Warning => DiagnosticSeverity::WARNING,
    };
    let message = match &problem.help {
        Some(help) => format!("{}\nhelp: {help}", problem.message),
        None => problem.message.clone(),
    };
    let tag = match problem.wider {
        Some("LOAD_UNUSED_MACRO" | "LOAD_UNUSED_LIST") => Some(DiagnosticTag::UNNECESSARY),
        Some("LOAD_DEPRECATED_ITEM") => Some(DiagnosticTag::DEPRECATED),
        _ => None,
    };
    Diagnostic {
        range: text.range(shown(text, range, tag == Some(DiagnosticTag::UNNECESSARY))),
        severity: Some(severity),
        code: Some(NumberOrString::String(problem.code.to_owned())),
        code_description: pages.page(problem.code),
        source: Some("peregrine".to_owned()),
        message,
        tags: tag.map(|tag| vec![tag]),
        ..Diagnostic::default()
    }
}

/// The bytes that are underlined: of a whole item its first line, unless it is shown as unused, and
/// an empty place grows to a character, so that it can be seen.
fn shown(text: &Text, range: &Range<usize>, unused: bool) -> Range<usize> {
    let all = text.as_str();
    let rest = all.get(range.start..).unwrap_or_default();
    if range.is_empty() {
        let next = rest.chars().next().filter(|c| *c != '\n');
        return range.start..range.start + next.map_or(0, char::len_utf8);
    }
    if !unused && ITEMS.iter().any(|key| rest.starts_with(key)) {
        let line = rest.lines().next().unwrap_or_default();
        return range.start..range.end.min(range.start + line.trim_end().len());
    }
    let content = text.get(range.clone()).trim_end();
    range.start..range.start + content.len().max(1)
}
