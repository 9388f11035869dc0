//! All tests of one field with whole texts and with beginnings of texts, answered by one look.

use hashbrown::HashMap;

use super::trie::Trie;
use crate::matcher::{ByteMatcher, Matcher, Order};

/// Answers of several tests for every text there may be.
///
/// Only the texts that tests name have answers of their own; others are told apart by the longest of the
/// beginnings that tests name.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    rows: Trie,
    other: Row,
    // Rows of bits, one after the other; the first is that of no text at all.
    bits: Vec<u64>,
    words: usize,
}

/// The texts and beginnings that tests name, while the table is made.
#[derive(Debug, Default)]
struct Named<'m> {
    texts: HashMap<&'m [u8], Row>,
    beginnings: HashMap<&'m [u8], Row>,
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
    pub(super) fn new<'q>(questions: &[Question<'q>]) -> Self {
        let tests = questions.iter().map(|question| match question {
            Question::Test(Matcher::Bytes(matcher)) => Some(matcher),
            _ => None,
        });
        let mut table = Self { words: questions.len().div_ceil(64), ..Self::default() };
        table.new_row();
        table.other = table.new_row();
        let mut known = Named::default();
        for matcher in tests.clone().flatten() {
            if let ByteMatcher::StartsWith(text) = matcher {
                known.beginnings.entry(text).or_insert_with(|| table.new_row());
            }
            for text in named(matcher) {
                known.texts.entry(text).or_insert_with(|| table.new_row());
            }
        }
        for (bit, (question, test)) in (0..).map(Bit).zip(questions.iter().zip(tests)) {
            match test {
                Some(test) => table.answer(bit, test, &known),
                None => table.combine(bit, question),
            }
        }
        let number = |(text, row): (&&'q [u8], &Row)| (*text, row.0);
        table.rows = Trie::new(known.texts.iter().map(number), known.beginnings.iter().map(number));
        table
    }

    /// The answers for this text.
    #[inline]
    pub(super) fn row(&self, text: &[u8]) -> Row {
        self.rows.find(text).map_or(self.other, Row)
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

    /// Sets the answers of one test.
    fn answer(&mut self, bit: Bit, matcher: &ByteMatcher, known: &Named<'_>) {
        let (words, bits) = (self.words, &mut self.bits);
        let mut set = |row: Row, yes: bool| set(bits, words, row, bit, yes);
        let all = known.texts.iter().chain(&known.beginnings);
        match matcher {
            ByteMatcher::StartsWith(text) => {
                set(self.other, text.is_empty());
                all.for_each(|(known, row)| set(*row, known.starts_with(text)));
            }
            ByteMatcher::Order { op: Order::Ne, than } => {
                set(self.other, true);
                all.for_each(|(_, row)| set(*row, true));
                known.texts.get(&**than).into_iter().for_each(|row| set(*row, false));
            }
            _ => named(matcher).filter_map(|t| known.texts.get(t)).for_each(|r| set(*r, true)),
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
