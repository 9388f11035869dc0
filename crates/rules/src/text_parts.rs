//! Where the parts of a condition or output are written: definitions, appends and overrides each
//! bring one.

use std::ops::Range;

use peregrine_diagnostics::{Edit, Label};

use crate::Place;

/// The parts that came after the definition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts(Vec<Part>);

#[derive(Clone, Debug)]
struct Part {
    /// Offset of its first byte in the whole text.
    from: usize,
    /// `None` for a text that is in no scalar.
    place: Option<Place>,
}

impl Parts {
    /// A part that begins at a byte of the whole.
    pub(crate) fn append(&mut self, from: usize, place: Option<Place>) {
        self.0.push(Part { from, place });
    }

    /// A part that takes the place of all others.
    pub(crate) fn replace(&mut self, place: Option<Place>) {
        self.0 = vec![Part { from: 0, place }];
    }

    /// Where a range of the whole text is written. `first` is the place of the definition.
    pub(crate) fn label(&self, text: &str, first: &Place, range: Range<usize>) -> Option<Label> {
        self.find(text, first, range).map(|(label, _)| label)
    }

    /// An edit of the file that changes a range of the whole text. `None` if the file has it in
    /// another form, such as with escapes.
    pub(crate) fn edit(
        &self,
        text: &str,
        first: &Place,
        range: Range<usize>,
        new: &str,
    ) -> Option<Edit> {
        let (label, place) = self.find(text, first, range.clone())?;
        let Label { source, span } = &label;
        let written = source.text.get(span.start.offset..span.end.offset)?;
        let same = text.get(range)? == written;
        let new = place.as_written(span.start.offset, new).filter(|_| same)?;
        Some(Edit::new(label, new))
    }

    fn find<'p>(
        &'p self,
        text: &str,
        first: &'p Place,
        range: Range<usize>,
    ) -> Option<(Label, &'p Place)> {
        let after = self.0.partition_point(|part| part.from <= range.start);
        let end = self.0.get(after).map_or(text.len(), |next| next.from);
        let (from, place) = match after.checked_sub(1).and_then(|at| self.0.get(at)) {
            Some(part) => (part.from, part.place.as_ref()?),
            None => (0, first),
        };
        let own = text.get(from..end)?.trim_end();
        let to = range.end.min(from + own.len()).max(range.start);
        Some((place.part_of(own, range.start - from..to - from)?, place))
    }
}
