//! What a word means.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use peregrine_authoring::codes;
use peregrine_authoring::examples::Examples;
use peregrine_authoring::lint::Lint;
use peregrine_fields::Fields;
use peregrine_rules::{DefinitionKind, ItemId};

use crate::diagnose::Placed;
use crate::snapshot::Snapshot;
use crate::symbol::Symbol;
use crate::vocabulary::{self as words, KEYS};

/// Most lines of a definition that are shown.
const MOST_LINES: usize = 20;

/// Markdown about what is at a place.
pub(crate) fn hover(
    snapshot: &Snapshot,
    fields: &Fields,
    examples: &Examples,
    symbol: &Symbol,
) -> Option<String> {
    let word = |word: &str, page: &str| format!("**`{word}`**\n\n{page}");
    match symbol {
        Symbol::Field(name) => {
            let page = words::field_page(fields, name)?;
            Some(page + &of_capture(examples, name))
        }
        Symbol::Operator(op) => Some(word(op, words::operator_page(op)?)),
        Symbol::Transformer(name) => Some(word(name, words::transformer_page(name)?)),
        Symbol::Key(name) => Some(word(name, KEYS.iter().find(|key| key.name == name)?.about)),
        Symbol::Value { field, value } => {
            (field == "evt.type").then(|| words::event_page(value)).flatten()
        }
        Symbol::Name(kind, name) => definition(snapshot, *kind, name),
        Symbol::Tag(tag) => {
            let rules = snapshot
                .items()
                .filter(|(_, item)| item.tags.iter().any(|known| known.text == *tag));
            Some(format!("**`{tag}`** · tag of {} rules", rules.count()))
        }
    }
}

/// Markdown about the codes of the problems at a byte, whose messages the editor shows by itself.
pub(crate) fn problems(placed: &[Placed], offset: usize) -> String {
    let at = placed.iter().filter(|it| it.range.start <= offset && offset <= it.range.end);
    let codes: BTreeSet<_> = at.map(|it| it.problem.code).collect();
    let page = |code: &str| {
        let (title, meaning) = match Lint::of_code(code) {
            Some(lint) => (lint.title(), lint.page().meaning),
            None => {
                let page = codes::pages().find(|page| page.cause.id() == code)?;
                (page.cause.title(), page.meaning)
            }
        };
        Some(format!(
            "**{code}**: {title}\n\n{meaning}\n\n`peregrine code {code}` shows an example."
        ))
    };
    codes.into_iter().filter_map(page).collect::<Vec<_>>().join("\n\n")
}

/// Values that a field has in the capture that the options name.
fn of_capture(examples: &Examples, field: &str) -> String {
    let name = field.split('[').next().unwrap_or_default();
    let values = examples.values(name);
    if values.is_empty() {
        return String::new();
    }
    // In Markdown a backtick would end the value.
    let values: Vec<_> = values.iter().map(|it| format!("`{}`", it.replace('`', "'"))).collect();
    format!("\n\nIn the capture: {}", values.join(", "))
}

fn definition(snapshot: &Snapshot, kind: DefinitionKind, name: &str) -> Option<String> {
    let outline = &snapshot.outline;
    let (id, item) = outline.definition(kind, name)?;
    let mut page = format!("**`{name}`** · {}", kind.name());
    let comment = outline.files().get(id.file).and_then(|file| file.comment(item));
    let about = item.description.as_ref().map(|text| text.text.trim().to_owned()).or(comment);
    if let Some(about) = about {
        let _ = write!(page, "\n\n{about}");
    }
    let text = outline.files().get(id.file)?.source().text.get(item.range.clone())?;
    let mut lines = text.lines();
    let shown: Vec<_> = lines.by_ref().take(MOST_LINES).collect();
    let more = if lines.next().is_some() { "\n…" } else { "" };
    let _ = write!(page, "\n\n```yaml\n{}{more}\n```", shown.join("\n"));
    let changes: Vec<_> = outline
        .named(kind, name)
        .iter()
        .filter(|other| **other != id)
        .filter_map(|other| place(snapshot, *other))
        .collect();
    if !changes.is_empty() {
        let _ = write!(page, "\n\nAlso at {}", changes.join(", "));
    }
    Some(page)
}

/// The file and line of an item.
fn place(snapshot: &Snapshot, id: ItemId) -> Option<String> {
    let item = snapshot.outline.item(id)?;
    let spot = snapshot.spot(id.file, item.range.clone())?;
    let file = snapshot.files.get(spot.file)?;
    let name = file.rules.name().rsplit('/').next().unwrap_or_default();
    Some(format!("{name}:{}", file.text.line_of(spot.range.start) + 1))
}
