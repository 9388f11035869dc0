//! The text of a rules file in parts that are read separately, for editors: after a change, parts
//! with the same text keep what was read.

use std::ops::Range;
use std::sync::Arc;

use peregrine_diagnostics::Source;

use crate::keys::Item;
use crate::load::{Form, documents, warn_of_duplicate_keys};
use crate::outline::{FileOutline, chunks};
use crate::{DefinitionKind, Effect, Finding, LoadResult, Place, legacy};

/// A rules file, divided into its items. A file that can't be divided is one part.
///
/// ```
/// use std::sync::Arc;
///
/// use peregrine_rules::RulesText;
///
/// let before = RulesText::new("rules.yaml", "- list: a\n  items: [x]\n- list: b\n  items: []\n");
/// let after = before.changed("- list: b\n  items: []\n");
/// assert!(Arc::ptr_eq(&before.parts()[1].outline, &after.parts()[0].outline));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RulesText {
    name: String,
    parts: Vec<RulesPart>,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub struct RulesPart {
    /// Where it begins in the file, in bytes.
    pub start: usize,
    /// Its items, with places relative to its beginning.
    pub outline: Arc<FileOutline>,
    pub(crate) read: Arc<ReadPart>,
}

/// A part as it was read.
#[derive(Debug)]
pub(crate) struct ReadPart {
    pub(crate) file: Place,
    pub(crate) form: Form,
    /// What is wrong with its form.
    pub(crate) findings: Vec<Finding>,
    /// The rule that it defines, if it has one item and nothing is wrong.
    pub(crate) rule: Option<String>,
}

impl RulesPart {
    fn new(name: &str, text: &str, start: usize) -> Self {
        let source = Arc::new(Source::new(name, text));
        let file = Place::file(Arc::clone(&source));
        let mut result =
            LoadResult { name: name.to_owned(), findings: Vec::new(), schema_warnings: None };
        let form = documents(&file, &mut result);
        let mut findings = result.findings;
        let outline = match form.known && !findings.iter().any(Finding::is_error) {
            true => FileOutline::of(source, &form.documents),
            false => FileOutline::read(source),
        };
        if form.known {
            warn_of_duplicate_keys(&form.documents, &file, &mut findings);
        }
        let defined = match (form.documents.as_slice(), outline.items()) {
            ([document], [item]) if document.items().len() == 1 => Some(item),
            _ => None,
        };
        let rule = defined
            .filter(|item| item.kind == DefinitionKind::Rule && item.effect == Effect::Define)
            .filter(|_| findings.is_empty() && form.known && form.refused.is_empty())
            .map(|item| item.name.text.clone());
        let read = ReadPart { file, form, findings, rule };
        Self { start, outline: Arc::new(outline), read: Arc::new(read) }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.outline.source().text
    }
}

impl RulesText {
    /// Divides a file.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), parts: Vec::new() }.changed(text)
    }

    /// The file with another text. Parts at its beginning and end that have not changed are kept.
    #[must_use]
    pub fn changed(&self, text: &str) -> Self {
        let ranges = ranges(&self.name, text);
        let same = |(old, new): &(&RulesPart, &Range<usize>)| {
            text.get(Range::clone(new)).is_some_and(|new| old.text() == new)
        };
        let before = self.parts.iter().zip(&ranges).take_while(same).count();
        let room = self.parts.len().min(ranges.len()) - before;
        let (old, new) = (self.parts.iter().rev(), ranges.iter().rev());
        let after = old.zip(new).take(room).take_while(same).count();
        let reused = |index: usize| match index.checked_sub(ranges.len() - after) {
            Some(at) => self.parts.get(self.parts.len() - after + at),
            None => self.parts.get(index).filter(|_| index < before),
        };
        let parts = ranges.iter().enumerate().map(|(index, range)| {
            let text = || text.get(Range::clone(range)).unwrap_or_default();
            match reused(index) {
                Some(part) => RulesPart { start: range.start, ..part.clone() },
                None => RulesPart::new(&self.name, text(), range.start),
            }
        });
        let parts: Vec<_> = parts.collect();
        let divided = Self { name: self.name.clone(), parts };
        if divided.is_right(text) { divided } else { self.undivided(text) }
    }

    /// Name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parts. Their texts, one after the other, are the file.
    #[must_use]
    pub fn parts(&self) -> &[RulesPart] {
        &self.parts
    }

    /// Index of the part that a byte of the file lies in.
    #[must_use]
    pub fn part_at(&self, offset: usize) -> usize {
        self.parts.partition_point(|part| part.start <= offset).saturating_sub(1)
    }

    fn undivided(&self, text: &str) -> Self {
        let parts = match self.parts.as_slice() {
            [part] if part.text() == text => vec![part.clone()],
            _ => vec![RulesPart::new(&self.name, text, 0)],
        };
        Self { name: self.name.clone(), parts }
    }

    /// Whether the parts mean what the whole means: an alias may refer to an anchor of another
    /// part, and a file without items of ours is judged as a whole.
    fn is_right(&self, text: &str) -> bool {
        let ours = |part: &RulesPart| {
            let mut lines = part.text().lines().map(|line| line.trim_start_matches([' ', '-']));
            let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
            Item::ALL.iter().any(|item| line.is_some_and(|line| line.starts_with(item.key())))
        };
        self.parts.len() == 1
            || self.parts.iter().any(ours) && !(refers(text, b'&') && refers(text, b'*'))
    }
}

/// Whether a text may have an anchor (`&name`) or an alias (`*name`).
fn refers(text: &str, mark: u8) -> bool {
    memchr::memchr_iter(mark, text.as_bytes()).any(|at| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + 1..).and_then(|after| after.chars().next());
        before.is_none_or(|c| c.is_whitespace() || matches!(c, '[' | '{' | ','))
            && after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    })
}

/// The bytes of the parts of a text.
fn ranges(name: &str, text: &str) -> Vec<Range<usize>> {
    let whole = || vec![Range { start: 0, end: text.len() }];
    let marker =
        |line: &str| line.starts_with("---") || line.starts_with("...") || line.starts_with('%');
    let mut items = chunks(text);
    let column = |range: &Range<usize>| {
        let line = text.get(range.clone()).unwrap_or_default();
        line.len() - line.trim_start_matches(' ').len()
    };
    let Some(first) = items.first_mut() else { return whole() };
    let before = text.get(..first.start).unwrap_or_default();
    let bare = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let columns = column(first);
    first.start = 0;
    let even = items.iter().skip(1).all(|item| column(item) == columns);
    if !before.lines().all(bare)
        || !even
        || text.lines().any(marker)
        || legacy::is_legacy(name, text)
    {
        return whole();
    }
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\
# Words.

- required_engine_version: 0.57.0
- list: l
  items:
  - a
  - b
# A comment.
- macro: m
  condition: >
    a.b in (l)
- rule: R
  desc: 'ü'
";

    #[test]
    fn unchanged_parts_are_kept() {
        let before = RulesText::new("f", TEXT);
        assert_eq!(before.parts().len(), 4);
        let after = before.changed(&TEXT.replace("a.b in", "a.c in"));
        let kept = |at: usize| Arc::ptr_eq(&before.parts()[at].outline, &after.parts()[at].outline);
        assert_eq!([0, 1, 2, 3].map(kept), [true, true, false, true]);
        assert_eq!(before.part_at(0), 0);
        assert_eq!(before.part_at(TEXT.find("a.b").unwrap()), 2);
        assert_eq!(before.part_at(TEXT.len()), 3);
    }

    #[test]
    fn files_that_depend_on_the_whole_are_one_part() {
        for text in [
            "",
            "# nothing\n",
            "a: b\n- rule: x\n",
            "- list: a\n  items: &x [b]\n- list: c\n  items: *x\n",
            "---\n- rule: a\n---\n- rule: b\n",
            "- name: web\n- name: db\n",
            "  - rule: a\n- rule: b\n",
        ] {
            assert_eq!(RulesText::new("f", text).parts().len(), 1, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_text_after_any_change(
            edits in proptest::collection::vec((0..TEXT.len(), 0..40_usize, "(- (list|rule|macro): [a-c]|\n|  |[a-cü&*'\"-]){0,4}"), 1..6),
        ) {
            let mut text = TEXT.to_owned();
            let mut parts = RulesText::new("f", &text);
            for (at, len, put) in edits {
                let start = text.floor_char_boundary(at.min(text.len()));
                let end = text.ceil_char_boundary((start + len).min(text.len()));
                text.replace_range(start..end, &put);
                parts = parts.changed(&text);
                let joined: String = parts.parts().iter().map(RulesPart::text).collect();
                prop_assert_eq!(&joined, &text);
                let fresh = RulesText::new("f", &text);
                let starts = |text: &RulesText| text.parts().iter().map(|part| part.start).collect::<Vec<_>>();
                prop_assert_eq!(starts(&parts), starts(&fresh));
                if peregrine_yaml::parse(&text).is_err() {
                    continue;
                }
                // Where the text is YAML, so are its parts, and they have the same items.
                let of_parts: Vec<_> = parts.parts().iter().flat_map(|part| {
                    let items = part.outline.items().iter();
                    items.map(|item| (item.name.text.clone(), part.start + item.range.start, item.condition.clone().map(|text| text.text)))
                }).collect();
                let whole = FileOutline::read(Arc::new(Source::new("f", text.as_str())));
                let of_whole: Vec<_> = whole.items().iter().map(|item| (item.name.text.clone(), item.range.start, item.condition.clone().map(|text| text.text))).collect();
                prop_assert_eq!(of_parts, of_whole);
            }
        }
    }
}
