//! Where everything in rules files is written: for messages, linters and editors.
//!
//! The [`Loader`](crate::Loader) knows what items mean in the end; an [`Outline`] knows all places
//! that contribute to it. It is made from the texts alone, also where they have errors, and costs
//! nothing when it is not asked for.

mod file;
mod written;

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_diagnostics::{Label, Source};
use peregrine_filter::{TokenKind, scan};

pub(crate) use file::chunks;
pub use file::{
    DefinitionKind, Effect, FileOutline, Operation, OutlineException, OutlineItem, OutlineKey,
};
pub use written::Written;

use crate::expand::words;
use crate::literal::{literal, members};

/// The items of an ordered set of files.
///
/// ```
/// use peregrine_rules::{DefinitionKind, Outline};
///
/// let outline = Outline::read([("rules.yaml", "
/// - list: shells
///   items: [sh, bash]
/// - macro: shell
///   condition: proc.name in (shells)
/// ")]);
/// let [used] = &outline.references_to(DefinitionKind::List, "shells")[..] else { panic!() };
/// let label = outline.label(used);
/// assert_eq!((label.span.start.line, label.span.start.column), (4, 27));
/// ```
#[derive(Debug, Default)]
pub struct Outline {
    files: Vec<Arc<FileOutline>>,
    /// Items by kind and name, in the order of loading.
    by_name: HashMap<(DefinitionKind, String), Vec<ItemId>>,
}

/// An item of an [`Outline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId {
    /// Index of its file.
    pub file: usize,
    /// Its index in the file.
    pub item: usize,
}

/// A name in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The item that contains it.
    pub within: ItemId,
    /// What it names.
    pub kind: DefinitionKind,
    /// The name.
    pub name: String,
    /// Its bytes in the file.
    pub range: Range<usize>,
}

/// A name and its bytes in the file, if they are known.
type Named = (DefinitionKind, Option<Range<usize>>);

/// A text that several items contribute to, such as a condition with what is appended to it.
#[derive(Clone, Debug, Default)]
pub struct JoinedText<'o> {
    /// The text, as the loader compiles it.
    pub text: String,
    parts: Vec<JoinedPart<'o>>,
}

/// What an item contributes.
#[derive(Clone, Debug)]
struct JoinedPart<'o> {
    /// Offset of its first byte in the whole.
    at: usize,
    /// The part of the scalar that contributes.
    part: Range<usize>,
    item: ItemId,
    written: &'o Written,
}

impl Outline {
    /// The outline of these files, in the order of loading.
    #[must_use]
    pub fn new(files: Vec<Arc<FileOutline>>) -> Self {
        let mut by_name: HashMap<_, Vec<ItemId>> = HashMap::with_capacity(files.len());
        for (file, outline) in files.iter().enumerate() {
            for (index, item) in outline.items().iter().enumerate() {
                let id = ItemId { file, item: index };
                by_name.entry((item.kind, item.name.text.clone())).or_default().push(id);
            }
        }
        Self { files, by_name }
    }

    /// The outline of files with these names and texts, in the order of loading.
    #[must_use]
    pub fn read<N: Into<String>, T: Into<String>>(texts: impl IntoIterator<Item = (N, T)>) -> Self {
        let read = |(name, text)| Arc::new(FileOutline::read(Arc::new(Source::new(name, text))));
        Self::new(texts.into_iter().map(read).collect())
    }

    /// The files, in the order of loading.
    #[must_use]
    pub fn files(&self) -> &[Arc<FileOutline>] {
        &self.files
    }

    /// All items, in the order of loading.
    pub fn items(&self) -> impl Iterator<Item = (ItemId, &OutlineItem)> {
        self.files.iter().enumerate().flat_map(|(file, outline)| {
            let items = outline.items().iter().enumerate();
            items.map(move |(item, found)| (ItemId { file, item }, found))
        })
    }

    /// An item.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<&OutlineItem> {
        self.files.get(id.file)?.items().get(id.item)
    }

    /// All items that define, change or enable what has this name.
    #[must_use]
    pub fn named(&self, kind: DefinitionKind, name: &str) -> &[ItemId] {
        let found = self.by_name.get(&(kind, name.to_owned()));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// All names of a kind, in no order.
    pub fn names(&self, kind: DefinitionKind) -> impl Iterator<Item = &str> {
        let keys = self.by_name.keys().filter(move |(of, _)| *of == kind);
        keys.map(|(_, name)| name.as_str())
    }

    /// The definition that counts: the last one.
    #[must_use]
    pub fn definition(&self, kind: DefinitionKind, name: &str) -> Option<(ItemId, &OutlineItem)> {
        let ids = self.named(kind, name).iter().rev();
        let mut items = ids.filter_map(|id| Some((*id, self.item(*id)?)));
        items.find(|(_, item)| item.effect == Effect::Define)
    }

    /// The condition of a macro or rule with all that is appended to it or replaces it.
    #[must_use]
    pub fn condition(&self, kind: DefinitionKind, name: &str) -> Option<JoinedText<'_>> {
        self.joined(kind, name, "condition", |item| item.condition.as_ref())
    }

    /// The output of a rule with all that is appended to it or replaces it.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<JoinedText<'_>> {
        self.joined(DefinitionKind::Rule, name, "output", |item| item.output.as_ref())
    }

    /// Names in conditions, items of lists and values of exceptions of an item, in source order.
    /// Names of lists are only those of existing lists: any word could be one.
    #[must_use]
    pub fn references_in(&self, within: ItemId) -> Vec<Reference> {
        let Some(item) = self.item(within) else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(condition) = &item.condition {
            found.extend(self.macros_in(condition));
            found.extend(self.lists_in(condition));
        }
        let is_list = |entry: &&Written| self.is_list(&entry.text);
        let whole = |entry: &Written| (DefinitionKind::List, entry.in_file(0..entry.text.len()));
        found.extend(item.items.iter().filter(is_list).map(whole));
        // Only what goes into the condition without quotes can be a name.
        let verbatim = |value: &&Written| {
            *literal(&value.text) == value.text || *members(&value.text) == value.text
        };
        let values = item.exceptions.iter().flat_map(|exception| &exception.values);
        found.extend(values.filter(verbatim).flat_map(|value| self.lists_in(value)));
        let text = self.files.get(within.file).map_or("", |file| file.source().text.as_str());
        let reference = |(kind, range): (_, Option<Range<usize>>)| {
            let range = range?;
            let name = text.get(range.clone())?.to_owned();
            Some(Reference { within, kind, name, range })
        };
        let mut found: Vec<_> = found.into_iter().filter_map(reference).collect();
        found.sort_by_key(|reference| reference.range.start);
        found
    }

    fn macros_in(&self, condition: &Written) -> Vec<Named> {
        let tokens = scan(&condition.text).tokens.into_iter();
        let macros = tokens.filter(|token| token.kind == TokenKind::Macro);
        let word = |range: &Range<usize>| condition.text.get(range.clone()).unwrap_or_default();
        macros
            .map(|token| token.range)
            .filter(|range| !self.is_list(word(range)))
            .map(|range| (DefinitionKind::Macro, condition.in_file(range)))
            .collect()
    }

    fn lists_in(&self, text: &Written) -> Vec<Named> {
        let word = |range: &Range<usize>| text.text.get(range.clone()).unwrap_or_default();
        let lists = words(&text.text).into_iter().filter(|range| self.is_list(word(range)));
        lists.map(|range| (DefinitionKind::List, text.in_file(range))).collect()
    }

    fn is_list(&self, name: &str) -> bool {
        !self.named(DefinitionKind::List, name).is_empty()
    }

    /// All uses of a name, without the items that define or change it.
    #[must_use]
    pub fn references_to(&self, kind: DefinitionKind, name: &str) -> Vec<Reference> {
        let mentions = |item: &OutlineItem| {
            let texts = item.condition.iter().chain(&item.items);
            let values = item.exceptions.iter().flat_map(|exception| &exception.values);
            texts.chain(values).any(|text| text.text.contains(name))
        };
        let items = self.items().filter(|(_, item)| mentions(item));
        let references = items.flat_map(|(id, _)| self.references_in(id));
        references.filter(|found| found.kind == kind && found.name == name).collect()
    }

    /// The place of a name, for messages.
    #[must_use]
    pub fn label(&self, reference: &Reference) -> Label {
        self.label_in(reference.within.file, reference.range.clone())
    }

    /// Bytes of a file, for messages.
    #[must_use]
    pub fn label_in(&self, file: usize, range: Range<usize>) -> Label {
        match self.files.get(file) {
            Some(file) => file.label(range),
            None => Label::bytes(Arc::default(), range),
        }
    }

    fn joined<'o>(
        &'o self,
        kind: DefinitionKind,
        name: &str,
        key: &str,
        text: impl Fn(&'o OutlineItem) -> Option<&'o Written>,
    ) -> Option<JoinedText<'o>> {
        let mut joined: Option<JoinedText<'o>> = None;
        for &id in self.named(kind, name) {
            let Some(item) = self.item(id) else { continue };
            let written = text(item);
            if item.effect == Effect::Define {
                let joined = joined.insert(JoinedText::default());
                if let Some(written) = written {
                    joined.put(id, written, defined_part(key, &written.text));
                }
            }
            let (Some(joined), Some(written)) = (&mut joined, written) else { continue };
            let all = 0..written.text.len();
            match item.operation(key) {
                Some(Operation::Append) if !written.text.is_empty() => {
                    joined.text.push(' ');
                    joined.put(id, written, all);
                }
                Some(Operation::Replace) => {
                    *joined = JoinedText::default();
                    joined.put(id, written, all);
                }
                Some(Operation::Append) | None => {}
            }
        }
        joined
    }
}

/// The part of a text that its definition uses: outputs are trimmed.
fn defined_part(key: &str, text: &str) -> Range<usize> {
    if key != "output" {
        return 0..text.len();
    }
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let start = text.len() - text.trim_start_matches(blank).len();
    start..text.trim_end_matches(blank).len().max(start)
}

impl<'o> JoinedText<'o> {
    /// Where a part of the text is written: the item and its bytes in the file. `None` if several
    /// items contribute to the part, or if its place is unknown.
    #[must_use]
    pub fn in_file(&self, part: Range<usize>) -> Option<(ItemId, Range<usize>)> {
        let after = self.parts.partition_point(|found| found.at <= part.start);
        let found = self.parts.get(after.checked_sub(1)?)?;
        let inside = |at: usize| Some(at.checked_sub(found.at)? + found.part.start);
        let part = inside(part.start)?..inside(part.end)?;
        if part.end > found.part.end {
            return None;
        }
        Some((found.item, found.written.in_file(part)?))
    }

    /// The items that contribute to it.
    pub fn items(&self) -> impl Iterator<Item = ItemId> {
        self.parts.iter().map(|part| part.item)
    }

    fn put(&mut self, item: ItemId, written: &'o Written, part: Range<usize>) {
        let text = written.text.get(part.clone()).unwrap_or_default();
        self.parts.push(JoinedPart { at: self.text.len(), part, item, written });
        self.text.push_str(text);
    }
}

#[cfg(test)]
mod tests;
