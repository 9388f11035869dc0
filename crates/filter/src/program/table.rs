//! All tests of one field with whole texts and with beginnings of texts, answered by one look.

use hashbrown::HashMap;

use crate::matcher::{ByteMatcher, Matcher, Order};

/// Answers of several tests for every text there may be.
///
/// Only the texts that tests name have answers of their own; others are told apart by the longest of the
/// beginnings that tests name.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    texts: HashMap<Box<[u8]>, Row>,
    // Sorted. Those that begin with another one come after it.
    beginnings: Vec<Beginning>,
    other: Row,
    // Rows of bits, one after the other; the first is that of no text at all.
    bits: Vec<u64>,
    words: usize,
}

#[derive(Debug)]
struct Beginning {
    text: Box<[u8]>,
    row: Row,
    /// The longest of the others that it begins with.
    shorter: Option<usize>,
}

/// The answers for one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(pub(super) u32);

impl Row {
    /// Without a text every answer is no.
    pub(super) const NONE: Self = Self(0);
}

/// One question that a table answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bit(pub(super) u16);

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Question<'m> {
    Test(&'m Matcher),
    /// Something made of questions before it.
    All(Vec<Bit>),
    Any(Vec<Bit>),
    Not(Bit),
}

/// Whether a table can answer a test.
pub(super) fn is_tabled(matcher: &Matcher) -> bool {
    matches!(
        matcher,
        Matcher::Bytes(
            ByteMatcher::Order { op: Order::Eq | Order::Ne, .. }
                | ByteMatcher::In(_)
                | ByteMatcher::StartsWith(_)
        )
    )
}

impl TextTable {
    /// The table for these questions, in the order of their bits.
    pub(super) fn new(questions: &[Question<'_>]) -> Self {
        let tests = questions.iter().map(|question| match question {
            Question::Test(Matcher::Bytes(matcher)) => Some(matcher),
            _ => None,
        });
        let mut table = Self { words: questions.len().div_ceil(64), ..Self::default() };
        table.new_row();
        table.other = table.new_row();
        for matcher in tests.clone().flatten() {
            if let ByteMatcher::StartsWith(text) = matcher {
                let (text, row, shorter) = (text.clone(), Row::NONE, None);
                table.beginnings.push(Beginning { text, row, shorter });
            }
            for text in named(matcher) {
                if !table.texts.contains_key(text) {
                    let row = table.new_row();
                    table.texts.insert(text.into(), row);
                }
            }
        }
        table.sort_beginnings();
        for (bit, (question, test)) in (0..).map(Bit).zip(questions.iter().zip(tests)) {
            match test {
                Some(test) => table.answer(bit, test),
                None => table.combine(bit, question),
            }
        }
        table
    }

    /// The answers for this text.
    pub(super) fn row(&self, text: &[u8]) -> Row {
        if let Some(row) = self.texts.get(text) {
            return *row;
        }
        let mut at = self.beginnings.partition_point(|beginning| *beginning.text <= *text);
        while let Some(beginning) = at.checked_sub(1).and_then(|at| self.beginnings.get(at)) {
            if text.starts_with(&beginning.text) {
                return beginning.row;
            }
            at = beginning.shorter.map_or(0, |shorter| shorter + 1);
        }
        self.other
    }

    /// All rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + use<> {
        (0..(self.bits.len() / self.words.max(1)) as u32).map(Row)
    }

    /// The answer of one test.
    #[inline]
    pub(super) fn has(&self, row: Row, bit: Bit) -> bool {
        let word = row.0 as usize * self.words + usize::from(bit.0 / 64);
        self.bits.get(word).is_some_and(|word| word >> (bit.0 % 64) & 1 != 0)
    }

    fn new_row(&mut self) -> Row {
        let row = Row((self.bits.len() / self.words.max(1)) as u32);
        self.bits.resize(self.bits.len() + self.words, 0);
        row
    }

    fn sort_beginnings(&mut self) {
        self.beginnings.sort_by(|a, b| a.text.cmp(&b.text));
        self.beginnings.dedup_by(|a, b| a.text == b.text);
        for at in 0..self.beginnings.len() {
            let row = self.new_row();
            let (before, rest) = self.beginnings.split_at_mut(at);
            let Some(this) = rest.first_mut() else { return };
            this.row = row;
            this.shorter = before.iter().rposition(|other| this.text.starts_with(&other.text));
        }
    }

    /// Sets the answers of one test.
    fn answer(&mut self, bit: Bit, matcher: &ByteMatcher) {
        let (words, bits) = (self.words, &mut self.bits);
        let mut set = |row: Row, yes: bool| set(bits, words, row, bit, yes);
        match matcher {
            ByteMatcher::StartsWith(text) => {
                set(self.other, text.is_empty());
                let texts = self.texts.iter().map(|(known, row)| (known, *row));
                let beginnings = self.beginnings.iter().map(|known| (&known.text, known.row));
                texts.chain(beginnings).for_each(|(known, row)| set(row, known.starts_with(text)));
            }
            ByteMatcher::Order { op: Order::Ne, than } => {
                set(self.other, true);
                let beginnings = self.beginnings.iter().map(|known| known.row);
                self.texts.values().copied().chain(beginnings).for_each(|row| set(row, true));
                self.texts.get(than).into_iter().for_each(|row| set(*row, false));
            }
            _ => named(matcher).filter_map(|text| self.texts.get(text)).for_each(|r| set(*r, true)),
        }
    }
}

impl TextTable {
    /// Sets the answers that follow from others.
    fn combine(&mut self, bit: Bit, question: &Question<'_>) {
        for row in self.rows() {
            let yes = match question {
                Question::Test(_) => false,
                Question::All(bits) => bits.iter().all(|bit| self.has(row, *bit)),
                Question::Any(bits) => bits.iter().any(|bit| self.has(row, *bit)),
                Question::Not(bit) => !self.has(row, *bit),
            };
            set(&mut self.bits, self.words, row, bit, yes);
        }
    }
}

fn set(bits: &mut [u64], words: usize, row: Row, bit: Bit, yes: bool) {
    if let Some(word) = bits.get_mut(row.0 as usize * words + usize::from(bit.0 / 64)) {
        *word = *word & !(1 << (bit.0 % 64)) | u64::from(yes) << (bit.0 % 64);
    }
}

/// The whole texts that a test names.
fn named(matcher: &ByteMatcher) -> impl Iterator<Item = &[u8]> {
    let (one, several) = match matcher {
        ByteMatcher::Order { than, .. } => (Some(&**than), None),
        ByteMatcher::In(texts) => (None, Some(texts.iter())),
        _ => (None, None),
    };
    one.into_iter().chain(several.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::literal::Literal;
    use crate::{Operator, Value};

    fn matcher(op: Operator, texts: &[&str]) -> Matcher {
        let literals = texts.iter().map(|text| Literal::Bytes(text.as_bytes().into())).collect();
        Matcher::new(op, None, literals).unwrap()
    }

    proptest! {
        #[test]
        fn a_table_answers_as_its_tests_do(
            tests in prop::collection::vec(
                (
                    prop::sample::select(vec![
                        Operator::Eq, Operator::Ne, Operator::In, Operator::StartsWith,
                    ]),
                    prop::collection::vec("[ab/]{0,4}", 1..4),
                ),
                1..80,
            ),
            texts in prop::collection::vec("[ab/]{0,6}", 1..20),
        ) {
            let tests: Vec<_> = tests
                .iter()
                .map(|(op, texts)| {
                    matcher(*op, &texts.iter().map(String::as_str).collect::<Vec<_>>())
                })
                .collect();
            prop_assert!(tests.iter().all(is_tabled));
            let mut questions: Vec<_> = tests.iter().map(Question::Test).collect();
            let all: Vec<_> = (0..tests.len() as u16).map(Bit).collect();
            let (any, not) = (Bit(tests.len() as u16 + 1), Bit(tests.len() as u16 + 2));
            questions.extend([Question::All(all.clone()), Question::Any(all), Question::Not(any)]);
            let table = TextTable::new(&questions);
            for text in &texts {
                let row = table.row(text.as_bytes());
                let mut expected = Vec::new();
                for (bit, test) in (0..).map(Bit).zip(&tests) {
                    let holds = test.matches(Value::Text(text.as_bytes()), &bumpalo::Bump::new());
                    prop_assert_eq!(table.has(row, bit), holds, "{:?} {:?}", text, test);
                    prop_assert!(!table.has(Row::NONE, bit));
                    expected.push(holds);
                }
                prop_assert_eq!(table.has(row, Bit(tests.len() as u16)), !expected.contains(&false));
                prop_assert_eq!(table.has(row, any), expected.contains(&true));
                prop_assert_eq!(table.has(row, not), !expected.contains(&true));
                prop_assert!(table.has(Row::NONE, not) && !table.has(Row::NONE, any));
            }
        }
    }
}
