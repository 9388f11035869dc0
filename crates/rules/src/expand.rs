//! Expands the names of lists in conditions.
//!
//! Expansion works on the text, because a list may stand wherever a value may (`proc.name in
//! (shells, tmux)`, `fd.sport = ssh_port`) and the grammar cannot tell its name from a value.
//! Quoted strings are not expanded.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::budget::{Budget, TooLarge};
use crate::define::{ListDef, Named};
use crate::literal::{literal, quoted_end};

/// Deepest nesting of lists, possible through redefinitions.
const MAX_DEPTH: usize = 500;

/// All lists with nested lists resolved.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) budget: Budget,
    lists: Vec<List>,
    by_name: HashMap<String, usize>,
    /// Lists whose names contain delimiters; words of a condition cannot be looked up by them.
    odd_names: Vec<usize>,
}

/// A list with nested lists resolved.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) name: String,
    pub(crate) items: Vec<Arc<str>>,
    pub(crate) used: bool,
    /// Its items as written into conditions, and their number.
    pasted: String,
    pasted_items: usize,
}

/// A condition with lists expanded.
#[derive(Debug)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Length of the condition before expansion.
    len: usize,
    pieces: Vec<Piece>,
}

/// The origin of an expanded condition from some byte on.
#[derive(Debug)]
struct Piece {
    from: usize,
    /// Byte in the condition before expansion.
    original: usize,
    /// Length of the list's name, if this is an expanded list.
    name: Option<usize>,
}

impl Expanded {
    /// Whether it comes from this condition alone, without exceptions around it.
    pub(crate) fn is_of(&self, condition: &str) -> bool {
        self.len == condition.len()
    }

    /// Maps a span of the expanded text back to the text before expansion.
    pub(crate) fn original(&self, part: Range<usize>) -> Range<usize> {
        let last = part.end.saturating_sub(1).max(part.start);
        self.around(part.start).start..self.around(last).end
    }

    /// The names of the lists of a part of the expanded text, in the text before expansion.
    pub(crate) fn lists(&self, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let inside = move |piece: &&Piece| part.contains(&piece.from);
        let name = |piece: &Piece| Some(piece.original..piece.original + piece.name?);
        self.pieces.iter().filter(inside).filter_map(name)
    }

    /// The name of the list that a byte of the expanded text comes from.
    pub(crate) fn list_around(&self, at: usize) -> Option<Range<usize>> {
        let after = self.pieces.partition_point(|piece| piece.from <= at);
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        Some(piece.original..piece.original + piece.name?)
    }

    fn around(&self, at: usize) -> Range<usize> {
        let after = self.pieces.partition_point(|piece| piece.from <= at);
        match after.checked_sub(1).and_then(|before| self.pieces.get(before)) {
            None => at..at + 1,
            Some(Piece { original, name: Some(len), .. }) => *original..original + len,
            Some(Piece { from, original, name: None }) => {
                original + at - from..original + at - from + 1
            }
        }
    }
}

impl Lists {
    /// All lists. An error comes with the list that exceeds the budget.
    pub(crate) fn resolve(
        definitions: &Named<ListDef>,
        budget: Budget,
    ) -> Result<Self, (TooLarge, Arc<ListDef>)> {
        let mut resolver =
            Resolver { definitions, lists: HashMap::new(), used: Vec::new(), budget };
        for list in definitions.iter() {
            resolver.resolve(list, 0).map_err(|error| (error, Arc::clone(list)))?;
        }
        let Resolver { mut lists, used, budget, .. } = resolver;
        let mut all = Self::new(budget);
        for (at, definition) in definitions.iter().enumerate() {
            let name = definition.name.clone();
            if name.contains(is_delimiter) {
                all.odd_names.push(at);
            }
            let items = lists.remove(&name).flatten().unwrap_or_default();
            all.by_name.insert(name.clone(), at);
            all.lists.push(List { name, items, ..List::default() });
        }
        for name in used {
            all.mark_used(&name);
        }
        for (at, definition) in definitions.iter().enumerate().rev() {
            all.paste(at).map_err(|error| (error, Arc::clone(definition)))?;
        }
        Ok(all)
    }

    fn new(budget: Budget) -> Self {
        Self { budget, lists: Vec::new(), by_name: HashMap::new(), odd_names: Vec::new() }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, List> {
        self.lists.iter()
    }

    pub(crate) fn into_all(self) -> Vec<List> {
        self.lists
    }

    /// A condition with lists replaced by their items. Marks these lists as used.
    pub(crate) fn expand(&mut self, condition: &str) -> Result<Expanded, TooLarge> {
        let mut out = String::with_capacity(condition.len());
        let mut pieces = Vec::new();
        let mut rest = condition;
        while let Some(first) = rest.chars().next() {
            if is_delimiter(first) {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            }
            let end = word_end(rest);
            if let Some((list, len)) = self.list_at(rest, end) {
                if let Some(List { pasted, pasted_items, .. }) = self.lists.get(list) {
                    self.budget.items.take(*pasted_items)?;
                    self.budget.bytes.take(pasted.len())?;
                }
                let name = condition.len() - rest.len();
                rest = self.put(list, &mut out, rest.get(len..).unwrap_or_default(), |from| {
                    pieces.push(Piece { from, original: name, name: Some(len) });
                });
                let original = condition.len() - rest.len();
                pieces.push(Piece { from: out.len(), original, name: None });
            } else {
                let len = match first {
                    '"' | '\'' => {
                        quoted_end(rest.as_bytes(), first as u8).map_or(rest.len(), |end| end + 1)
                    }
                    _ => end,
                };
                let (word, after) = rest.split_at(len);
                out.push_str(word);
                rest = after;
            }
        }
        Ok(Expanded { text: out, len: condition.len(), pieces })
    }

    /// The list whose name starts `text` and is followed by a delimiter; the first delimiter is at
    /// `end`.
    fn list_at(&self, text: &str, end: usize) -> Option<(usize, usize)> {
        if let Some(&list) = text.get(..end).and_then(|word| self.by_name.get(word)) {
            return Some((list, end));
        }
        self.odd_names.iter().find_map(|&list| {
            let name = &self.lists.get(list)?.name;
            let after = text.strip_prefix(name.as_str())?;
            (after.is_empty() || after.starts_with(is_delimiter)).then_some((list, name.len()))
        })
    }

    /// Inserts the items of a list; returns the remainder of `rest`.
    ///
    /// Surrounding blanks collapse to one on each side, and without items an adjacent comma is
    /// removed, so that positions in the condition are those that tools expect.
    fn put<'t>(
        &mut self,
        list: usize,
        out: &mut String,
        rest: &'t str,
        at: impl FnOnce(usize),
    ) -> &'t str {
        let Some(list) = self.lists.get_mut(list) else { return rest };
        list.used = true;
        out.truncate(out.trim_end_matches(is_blank).len());
        let mut rest = rest.trim_start_matches(is_blank);
        if list.pasted.is_empty() {
            if out.ends_with(',') {
                out.pop();
            } else {
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
        }
        if !out.is_empty() {
            out.push(' ');
        }
        at(out.len());
        out.push_str(&list.pasted);
        out.push(' ');
        rest
    }

    /// Renders the text of a list that is used in conditions, once those after it are. The name of
    /// a list also refers to lists defined after it, although its items do not show this:
    /// conditions have always been expanded this way.
    fn paste(&mut self, at: usize) -> Result<(), TooLarge> {
        let (mut pasted, mut pasted_items) = (String::new(), 0);
        let mut later = Vec::new();
        for item in self.lists.get(at).map(|list| list.items.as_slice()).unwrap_or_default() {
            let inner = self.by_name.get(&**item).filter(|&&inner| inner > at);
            let (word, items) = match inner.and_then(|&inner| self.lists.get(inner)) {
                Some(inner) => {
                    later.push(inner.name.clone());
                    (inner.pasted.as_str().into(), inner.pasted_items)
                }
                None => (literal(item), 1),
            };
            if !pasted.is_empty() && !word.is_empty() {
                pasted.push_str(", ");
            }
            self.budget.items.take(items.saturating_sub(1))?;
            self.budget.bytes.take(word.len() + 2)?;
            pasted.push_str(&word);
            pasted_items += items;
        }
        for name in later {
            self.mark_used(&name);
        }
        if let Some(list) = self.lists.get_mut(at) {
            (list.pasted, list.pasted_items) = (pasted, pasted_items);
        }
        Ok(())
    }

    fn mark_used(&mut self, name: &str) {
        if let Some(list) = self.by_name.get(name).and_then(|&at| self.lists.get_mut(at)) {
            list.used = true;
        }
    }
}

/// Resolves nested lists.
struct Resolver<'d> {
    definitions: &'d Named<ListDef>,
    /// Resolved lists; `None` while in progress.
    lists: HashMap<String, Option<Vec<Arc<str>>>>,
    used: Vec<String>,
    budget: Budget,
}

impl<'d> Resolver<'d> {
    /// A list sees the lists whose first definition precedes its own last definition. Through
    /// redefinitions two lists may see each other; the second occurrence is then taken as a value.
    fn resolve(&mut self, list: &'d ListDef, depth: usize) -> Result<(), TooLarge> {
        if self.lists.contains_key(&list.name) {
            return Ok(());
        }
        self.lists.insert(list.name.clone(), None);
        let mut items = Vec::new();
        for item in &list.items {
            let inner = self
                .definitions
                .get(item)
                .filter(|inner| inner.order.index < list.order.visibility && depth < MAX_DEPTH);
            if let Some(inner) = inner {
                self.resolve(inner, depth + 1)?;
            }
            match inner.and_then(|inner| self.lists.get(&inner.name)?.as_ref()) {
                Some(inner_items) => {
                    self.budget.items.take(inner_items.len())?;
                    items.extend_from_slice(inner_items);
                    self.used.push(item.clone());
                }
                None => items.push(item.as_str().into()),
            }
        }
        self.lists.insert(list.name.clone(), Some(items));
        Ok(())
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The words of a condition that can be names of lists, as [`Lists::expand`] splits them.
pub(crate) fn words(condition: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(rest) = condition.get(at..)
        && let Some(first) = rest.chars().next()
    {
        at += match first {
            first if is_delimiter(first) => first.len_utf8(),
            '"' | '\'' => {
                quoted_end(rest.as_bytes(), first as u8).map_or(rest.len(), |end| end + 1)
            }
            _ => {
                let end = word_end(rest);
                found.push(at..at + end);
                end
            }
        };
    }
    found
}

/// End of the word at the start of a text.
fn word_end(text: &str) -> usize {
    let ends = |byte: u8| byte.is_ascii() && is_delimiter(char::from(byte));
    text.bytes().position(ends).unwrap_or(text.len())
}

pub(crate) fn is_delimiter(c: char) -> bool {
    is_blank(c) || matches!(c, '(' | ')' | ',' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_before_and_after_lists_are_known() {
        let mut lists = Lists::new(Budget::new(0, 0));
        let items = vec!["a".into(), "long item".into()];
        lists.by_name.insert("l".into(), 0);
        lists.lists.push(List { name: "l".into(), items, ..List::default() });
        lists.paste(0).unwrap();
        let condition = "p.n in (x, l) and \"l\" = l";
        let expanded = lists.expand(condition).unwrap();
        assert_eq!(expanded.text, "p.n in (x, a, \"long item\" ) and \"l\" = a, \"long item\" ");
        let original = |part: &str| {
            let at = expanded.text.find(part).unwrap();
            condition.get(expanded.original(at..at + part.len()))
        };
        assert_eq!(original("p.n"), Some("p.n"));
        assert_eq!(original("\"l\" ="), Some("\"l\" ="));
        assert_eq!(original("long"), Some("l"));
        assert_eq!(original("and"), Some("and"));
        assert_eq!(original("(x, a, \"long item\" )"), Some("(x, l)"));
    }
}
