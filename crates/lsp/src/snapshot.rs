//! Files that are loaded together, at one moment.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use ls_types::Location;
use peregrine_rules::{DefinitionKind, Effect, ItemId, Outline, OutlineItem};

use crate::workspace::File;

/// Files in the order of loading, and the outline of their parts.
pub(crate) struct Snapshot {
    pub(crate) files: Vec<Arc<File>>,
    /// The parts of all files: their numbers are the files of the outline.
    pub(crate) outline: Outline,
    /// For each part its file, and where it begins there.
    origins: Vec<(usize, usize)>,
}

/// A place: bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) file: usize,
    pub(crate) range: Range<usize>,
}

impl Snapshot {
    pub(crate) fn new(files: Vec<Arc<File>>) -> Self {
        let (mut origins, mut outlines) = (Vec::new(), Vec::new());
        for (index, file) in files.iter().enumerate() {
            for part in file.rules.parts() {
                origins.push((index, part.start));
                outlines.push(Arc::clone(&part.outline));
            }
        }
        Self { files, outline: Outline::new(outlines), origins }
    }

    /// Whether these are its files, unchanged.
    pub(crate) fn is_of(&self, files: &[Arc<File>]) -> bool {
        let known = self.files.iter().map(Arc::as_ptr);
        known.eq(files.iter().map(Arc::as_ptr))
    }

    /// Index of a file.
    pub(crate) fn index(&self, file: &Arc<File>) -> Option<usize> {
        self.files.iter().position(|known| Arc::ptr_eq(known, file))
    }

    /// The part that a byte of a file lies in, and where the part begins.
    pub(crate) fn part_at(&self, file: usize, offset: usize) -> Option<(usize, usize)> {
        let first = self.origins.iter().position(|(of, _)| *of == file)?;
        let part = first + self.files.get(file)?.rules.part_at(offset);
        let (_, start) = self.origins.get(part)?;
        Some((part, *start))
    }

    /// The item that a byte of a file lies in, and where its part begins.
    pub(crate) fn item_at(&self, file: usize, offset: usize) -> Option<(ItemId, usize)> {
        let (part, start) = self.part_at(file, offset)?;
        let outline = self.outline.files().get(part)?;
        let inside = offset.checked_sub(start)?;
        let found = outline.item_at(inside)?;
        let item = outline.items().iter().position(|item| std::ptr::eq(item, found))?;
        Some((ItemId { file: part, item }, start))
    }

    /// Bytes of a part as bytes of its file.
    pub(crate) fn spot(&self, part: usize, range: Range<usize>) -> Option<Spot> {
        let &(file, start) = self.origins.get(part)?;
        Some(Spot { file, range: start + range.start..start + range.end })
    }

    pub(crate) fn location(&self, spot: &Spot) -> Option<Location> {
        let file = self.files.get(spot.file)?;
        Some(Location { uri: file.uri.clone(), range: file.text.range(spot.range.clone()) })
    }

    /// The names of the items that define or change what has this name.
    pub(crate) fn names_of(&self, kind: DefinitionKind, name: &str) -> Vec<(ItemId, Spot)> {
        let ids = self.outline.named(kind, name).iter();
        ids.filter_map(|id| {
            let item = self.outline.item(*id)?;
            let range = item.name.in_file(0..item.name.text.len())?;
            Some((*id, self.spot(id.file, range)?))
        })
        .collect()
    }

    /// All uses of a name.
    pub(crate) fn uses_of(&self, kind: DefinitionKind, name: &str) -> Vec<Spot> {
        let references = self.outline.references_to(kind, name);
        let spots = references.into_iter().filter_map(|it| self.spot(it.within.file, it.range));
        spots.collect()
    }

    /// All items with the place of each.
    pub(crate) fn items(&self) -> impl Iterator<Item = (ItemId, &OutlineItem)> {
        self.outline.items()
    }
}

/// Which siblings define what a file uses and does not define itself.
pub(crate) fn needed(file: &Arc<File>, siblings: &[Arc<File>]) -> BTreeSet<usize> {
    let mut chosen = BTreeSet::new();
    if siblings.is_empty() {
        return chosen;
    }
    let all = Snapshot::new(siblings.to_vec());
    loop {
        let files = chosen.iter().filter_map(|at| siblings.get(*at).cloned());
        let snapshot = Snapshot::new(files.chain([Arc::clone(file)]).collect());
        let before = chosen.len();
        chosen.extend(missing(&snapshot).iter().filter_map(|(kind, name)| {
            let (id, _) = all.outline.definition(*kind, name)?;
            Some(all.origins.get(id.file)?.0)
        }));
        if chosen.len() == before {
            return chosen;
        }
    }
}

/// Names that files use and do not define. Any word of a condition could be the name of a list, so
/// all of them are among these.
fn missing(snapshot: &Snapshot) -> BTreeSet<(DefinitionKind, String)> {
    let outline = &snapshot.outline;
    let mut found = BTreeSet::new();
    for (id, item) in outline.items() {
        if item.effect != Effect::Define {
            found.insert((item.kind, item.name.text.clone()));
        }
        let macros = outline.references_in(id).into_iter();
        found.extend(macros.map(|reference| (reference.kind, reference.name)));
        let condition = item.condition.iter().map(|condition| condition.text.as_str());
        let entries = item.items.iter().map(|entry| entry.text.as_str());
        let values = item.exceptions.iter().flat_map(|exception| &exception.values);
        let values = values.map(|value| value.text.as_str());
        for text in condition.chain(values) {
            let words = text.split([' ', '\n', '\t', '(', ')', ',', '=']);
            let names = words.filter(|word| !word.is_empty() && !word.contains('.'));
            found.extend(names.map(|word| (DefinitionKind::List, word.to_owned())));
        }
        found.extend(entries.map(|entry| (DefinitionKind::List, entry.to_owned())));
    }
    found.retain(|(kind, name)| outline.definition(*kind, name).is_none());
    found
}
