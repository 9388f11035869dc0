//! Definitions, uses and new names.

use std::collections::HashMap;

use ls_types::{Location, TextEdit, Uri, WorkspaceEdit};
use peregrine_rules::{DefinitionKind, Effect};
use thiserror::Error;

use crate::snapshot::{Snapshot, Spot};
use crate::symbol::Symbol;

/// Why a name can't be changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum RenameError {
    #[error("only names of lists, macros and rules can be changed")]
    NoName,
    #[error("a {0} `{1}` exists already")]
    Exists(&'static str, String),
    #[error(
        "`{0}` is not a name that conditions can refer to: letters, digits and `_`, a letter first"
    )]
    Macro(String),
    #[error(
        "`{0}` is not a name of a list: it must be a word without blanks, quotes, parentheses, commas and `=`"
    )]
    List(String),
    #[error("a name must have a character that is not blank, and no line break")]
    Empty,
}

/// Where a name is defined, or changed if nothing defines it.
pub(crate) fn definitions(snapshot: &Snapshot, symbol: &Symbol) -> Vec<Location> {
    let Symbol::Name(kind, name) = symbol else { return Vec::new() };
    let all = snapshot.names_of(*kind, name);
    let defines = |id| snapshot.outline.item(id).is_some_and(|item| item.effect == Effect::Define);
    let defining: Vec<_> = all.iter().filter(|(id, _)| defines(*id)).collect();
    let found = if defining.is_empty() { all.iter().collect() } else { defining };
    found.into_iter().filter_map(|(_, spot)| snapshot.location(spot)).collect()
}

/// Where a name is used; with its definitions and changes if `declared`.
pub(crate) fn references(snapshot: &Snapshot, symbol: &Symbol, declared: bool) -> Vec<Spot> {
    let Symbol::Name(kind, name) = symbol else { return Vec::new() };
    let mut spots = snapshot.uses_of(*kind, name);
    let names = snapshot.names_of(*kind, name).into_iter();
    spots.extend(names.filter_map(|(id, spot)| {
        let item = snapshot.outline.item(id)?;
        (declared || item.effect != Effect::Define).then_some(spot)
    }));
    spots.sort_by_key(|spot| (spot.file, spot.range.start));
    spots
}

/// The edits that give a list, macro or rule another name, in all files.
pub(crate) fn rename(
    snapshot: &Snapshot,
    symbol: &Symbol,
    new: &str,
) -> Result<WorkspaceEdit, RenameError> {
    let Symbol::Name(kind, name) = symbol else { return Err(RenameError::NoName) };
    let new = new.trim();
    check(*kind, new)?;
    if new != name && !snapshot.outline.named(*kind, new).is_empty() {
        return Err(RenameError::Exists(kind.name(), new.to_owned()));
    }
    let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
    for spot in references(snapshot, symbol, true) {
        let Some(file) = snapshot.files.get(spot.file) else { continue };
        let new_text = written(file.text.as_str(), &spot, new);
        let edit = TextEdit { range: file.text.range(spot.range), new_text };
        changes.entry(file.uri.clone()).or_default().push(edit);
    }
    Ok(WorkspaceEdit::new(changes))
}

fn check(kind: DefinitionKind, new: &str) -> Result<(), RenameError> {
    let owned = || new.to_owned();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match kind {
        _ if new.is_empty() || new.contains(['\n', '\r']) => Err(RenameError::Empty),
        DefinitionKind::Macro
            if !new.starts_with(|c: char| c.is_ascii_alphabetic()) || !new.chars().all(word) =>
        {
            Err(RenameError::Macro(owned()))
        }
        DefinitionKind::Macro if matches!(new, "and" | "or" | "not") => {
            Err(RenameError::Macro(owned()))
        }
        DefinitionKind::List
            if new.contains(|c: char| c.is_whitespace() || "()'\"=,#:[]{}&*!|>%@`".contains(c)) =>
        {
            Err(RenameError::List(owned()))
        }
        _ => Ok(()),
    }
}

/// A name as it must be written at a place: within quotes it is escaped, and without them it is
/// quoted where YAML would read it as something else.
fn written(text: &str, spot: &Spot, new: &str) -> String {
    let before = text.get(..spot.range.start).and_then(|before| before.chars().next_back());
    match before {
        Some('"') => new.replace('\\', "\\\\").replace('"', "\\\""),
        Some('\'') => new.replace('\'', "''"),
        _ if is_plain(new) => new.to_owned(),
        _ => format!("\"{}\"", new.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// Whether YAML reads a text without quotes as this text.
fn is_plain(text: &str) -> bool {
    let document = format!("- rule: {text}\n");
    let read = peregrine_rules::Outline::read([("name", document)]);
    read.items().next().is_some_and(|(_, item)| item.name.text == text)
}
