//! What is at a place.

use std::ops::Range;

use peregrine_filter::{TokenKind, scan};
use peregrine_rules::{DefinitionKind, ItemId, OutlineItem, Written};

use crate::snapshot::Snapshot;

/// What is at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// The name of a list, macro or rule, where it is defined, changed or used.
    Name(DefinitionKind, String),
    /// A field, with its argument.
    Field(String),
    /// An operator or quantifier.
    Operator(String),
    /// A transformer.
    Transformer(String),
    /// A value of a field; empty without a field.
    Value { field: String, value: String },
    /// A key of an item.
    Key(String),
    /// A tag.
    Tag(String),
}

/// What is at a byte of a file, and its bytes in the part of the file.
pub(crate) fn symbol_at(
    snapshot: &Snapshot,
    file: usize,
    offset: usize,
) -> Option<(Symbol, usize, Range<usize>)> {
    let (id, start) = snapshot.item_at(file, offset)?;
    let item = snapshot.outline.item(id)?;
    let (symbol, range) = in_item(snapshot, id, item, offset - start)?;
    Some((symbol, id.file, range))
}

fn in_item(
    snapshot: &Snapshot,
    id: ItemId,
    item: &OutlineItem,
    at: usize,
) -> Option<(Symbol, Range<usize>)> {
    let touches = |range: &Range<usize>| range.start <= at && at <= range.end;
    let whole = |text: &Written| text.in_file(0..text.text.len()).filter(touches);
    if let Some(range) = whole(&item.name) {
        return Some((Symbol::Name(item.kind, item.name.text.clone()), range));
    }
    let references = snapshot.outline.references_in(id);
    if let Some(found) = references.into_iter().find(|found| touches(&found.range)) {
        return Some((Symbol::Name(found.kind, found.name), found.range));
    }
    if let Some(key) = item.keys.iter().find(|key| touches(&key.range)) {
        return Some((Symbol::Key(key.name.clone()), key.range.clone()));
    }
    if let Some(found) = item.condition.as_ref().and_then(|text| in_condition(text, at)) {
        return Some(found);
    }
    if let Some(found) = item.output.as_ref().and_then(|text| in_output(text, at)) {
        return Some(found);
    }
    let fields = item.exceptions.iter().flat_map(|exception| &exception.fields);
    for field in fields {
        if let Some(range) = whole(field) {
            return Some((Symbol::Field(field.text.clone()), range));
        }
    }
    let tag = item.tags.iter().find_map(|tag| Some((tag, whole(tag)?)));
    tag.map(|(tag, range)| (Symbol::Tag(tag.text.clone()), range))
}

fn in_condition(condition: &Written, at: usize) -> Option<(Symbol, Range<usize>)> {
    let at = condition.in_text(at)?;
    let tokens = scan(&condition.text).tokens;
    let word =
        |range: &Range<usize>| condition.text.get(range.clone()).unwrap_or_default().to_owned();
    let mut touched = tokens.iter().enumerate().rev().filter(|(_, token)| {
        token.kind != TokenKind::Punctuation && token.range.start <= at && at <= token.range.end
    });
    let (index, token) = touched.next()?;
    let field = |index: usize| {
        let before = tokens.get(..index)?;
        before.iter().rev().find(|token| token.kind == TokenKind::Field)
    };
    let symbol = match token.kind {
        TokenKind::Field => Symbol::Field(word(&with_argument(&condition.text, &token.range))),
        TokenKind::FieldArgument => {
            let field = field(index)?;
            Symbol::Field(word(&with_argument(&condition.text, &field.range)))
        }
        TokenKind::Operator => Symbol::Operator(word(&token.range)),
        TokenKind::Transformer => Symbol::Transformer(word(&token.range)),
        TokenKind::Macro => Symbol::Name(DefinitionKind::Macro, word(&token.range)),
        TokenKind::Value | TokenKind::Quoted => {
            let field = field(index).map(|field| word(&field.range)).unwrap_or_default();
            let value = word(&token.range);
            Symbol::Value { field, value: value.trim_matches(['"', '\'']).to_owned() }
        }
        TokenKind::Keyword | TokenKind::Punctuation | TokenKind::Unknown => return None,
    };
    Some((symbol, condition.in_file(token.range.clone())?))
}

fn in_output(output: &Written, at: usize) -> Option<(Symbol, Range<usize>)> {
    let at = output.in_text(at)?;
    let found = output_fields(&output.text).into_iter();
    let range = found.into_iter().find(|range| range.start <= at && at <= range.end)?;
    let name = output.text.get(range.clone())?.to_owned();
    Some((Symbol::Field(name), output.in_file(range)?))
}

/// The fields in an output, without their `%`.
pub(crate) fn output_fields(output: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (percent, _) in output.match_indices('%') {
        let rest = output.get(percent + 1..).unwrap_or_default();
        let width =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '*').len();
        let start = percent + 1 + width;
        let name = output.get(start..).unwrap_or_default();
        let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_')));
        let name =
            name.get(..length.unwrap_or(name.len())).unwrap_or_default().trim_end_matches('.');
        if name.contains('.') {
            found.push(with_argument(output, &(start..start + name.len())));
        }
    }
    found
}

/// A field with the argument in brackets that follows it.
fn with_argument(text: &str, field: &Range<usize>) -> Range<usize> {
    let rest = text.get(field.end..).unwrap_or_default();
    let argument = rest.strip_prefix('[').and_then(|rest| rest.find([']', '\n']));
    match argument {
        Some(length) if rest.get(length + 1..).is_some_and(|end| end.starts_with(']')) => {
            field.start..field.end + length + 2
        }
        _ => field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_fields() {
        let text = "a %proc.name. %20fd.name %proc.aname[2]) 100% %x %evt.arg.flags";
        let found: Vec<_> = output_fields(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["proc.name", "fd.name", "proc.aname[2]", "evt.arg.flags"]);
    }
}
