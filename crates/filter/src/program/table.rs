//! All tests of one field with whole texts and with beginnings of texts, or with their ends, answered by one look.

use std::borrow::Cow;

use super::Side;
use super::trie::Trie;
use crate::matcher::{ByteMatcher, Matcher, Order};

/// Answers of several questions for every text there may be. Texts may be read from their ends, so that these are what
/// is called beginnings here.
///
/// Only the texts that questions name have answers of their own; others are told apart by the longest of the
/// beginnings that questions name.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    rows: Trie,
    count: u32,
    // For each question, a bitmap of the rows with which the answer is yes.
    answers: Vec<u64>,
    words: usize,
}

/// The texts and beginnings that questions name, as they are read, in order, while the table is made.
#[derive(Debug)]
struct Named<'q> {
    from: Side,
    texts: Vec<(Cow<'q, [u8]>, Row)>,
    beginnings: Vec<(Cow<'q, [u8]>, Row)>,
}

/// The answers for one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row(pub(super) u32);

impl Row {
    /// Without a text every answer is no.
    pub(super) const NONE: Self = Self(0);
    /// Of a text that no question names, and that begins with none that one does.
    pub(super) const OTHER: Self = Self(1);
}

/// One question that a table answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bit(pub(super) u16);

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Question<'q> {
    Test(&'q Matcher),
    /// Whether the text begins so.
    Begins(&'q [u8]),
    /// Something made of questions before it.
    All(Vec<Bit>),
    Any(Vec<Bit>),
    Not(Bit),
}

impl<'q> Question<'q> {
    /// The beginning of texts that it is about.
    fn beginning(&self) -> Option<&'q [u8]> {
        match self {
            Self::Test(Matcher::Bytes(
                ByteMatcher::StartsWith(text) | ByteMatcher::EndsWith(text),
            )) => Some(text),
            Self::Begins(text) => Some(text),
            _ => None,
        }
    }
}

/// The end of texts from which a table must read them to answer a test, if it can.
pub(super) fn answering(matcher: &Matcher) -> Option<Side> {
    let Matcher::Bytes(matcher) = matcher else { return None };
    match matcher {
        ByteMatcher::Order { op: Order::Eq | Order::Ne, .. }
        | ByteMatcher::In(_)
        | ByteMatcher::StartsWith(_) => Some(Side::Start),
        ByteMatcher::EndsWith(_) => Some(Side::End),
        _ => None,
    }
}

impl TextTable {
    /// The table for these questions, in the order of their bits.
    pub(super) fn new(from: Side, questions: &[Question<'_>]) -> Self {
        let mut named = Named { from, texts: Vec::new(), beginnings: Vec::new() };
        for question in questions {
            named.beginnings.extend(question.beginning().map(|text| (read(from, text), Row::NONE)));
            if let Question::Test(Matcher::Bytes(matcher)) = question {
                named.texts.extend(whole_texts(matcher).map(|text| (read(from, text), Row::NONE)));
            }
        }
        let mut rows = Row::OTHER.0 + 1..;
        for texts in [&mut named.texts, &mut named.beginnings] {
            texts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            texts.dedup_by(|(a, _), (b, _)| a == b);
            texts.iter_mut().zip(&mut rows).for_each(|((_, row), next)| *row = Row(next));
        }
        let count = Row::OTHER.0 + 1 + (named.texts.len() + named.beginnings.len()) as u32;
        let words = count.div_ceil(64) as usize;
        let mut table = Self { count, words, ..Self::default() };
        table.answers.reserve(words * questions.len());
        for question in questions {
            table.answer(question, &named);
        }
        fn number<'t>((text, row): &'t (Cow<'_, [u8]>, Row)) -> (&'t [u8], u32) {
            (text, row.0)
        }
        let (texts, beginnings) = (named.texts.iter(), named.beginnings.iter());
        table.rows = Trie::new(from, texts.map(number), beginnings.map(number));
        table
    }

    /// The answers for this text.
    #[inline]
    pub(super) fn row(&self, text: &[u8]) -> Row {
        self.rows.find(text).map_or(Row::OTHER, Row)
    }

    /// Whether there are questions.
    pub(super) fn is_asked(&self) -> bool {
        !self.answers.is_empty()
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// The answer of one question.
    #[inline]
    pub(super) fn has(&self, row: Row, bit: Bit) -> bool {
        let word = usize::from(bit.0) * self.words + row.0 as usize / 64;
        self.answers.get(word).is_some_and(|word| word >> (row.0 % 64) & 1 != 0)
    }

    /// The rows with which the answer to a question is yes.
    pub(super) fn rows(&self, bit: Bit) -> &[u64] {
        let start = usize::from(bit.0) * self.words;
        self.answers.get(start..start + self.words).unwrap_or_default()
    }

    /// Appends the answers to one question, which may follow from those before it.
    fn answer(&mut self, question: &Question<'_>, named: &Named<'_>) {
        let differs = matches!(
            question,
            Question::Test(Matcher::Bytes(ByteMatcher::Order { op: Order::Ne, .. }))
        );
        let at_first = if differs || matches!(question, Question::All(_)) { u64::MAX } else { 0 };
        let mut rows = vec![at_first; self.words];
        let mut set = |row: Row, yes: bool| {
            if let Some(word) = rows.get_mut(row.0 as usize / 64) {
                *word = *word & !(1 << (row.0 % 64)) | u64::from(yes) << (row.0 % 64);
            }
        };
        if let Some(text) = question.beginning() {
            named.beginning_with(text).for_each(|row| set(row, true));
        }
        match question {
            Question::Begins(_) => {}
            Question::Test(Matcher::Bytes(matcher)) => {
                whole_texts(matcher)
                    .filter_map(|text| named.text(text))
                    .for_each(|row| set(row, !differs));
                set(Row::NONE, false);
            }
            Question::Test(_) => {}
            Question::All(bits) => bits.iter().for_each(|bit| {
                rows.iter_mut().zip(self.rows(*bit)).for_each(|(rows, these)| *rows &= these);
            }),
            Question::Any(bits) => bits.iter().for_each(|bit| {
                rows.iter_mut().zip(self.rows(*bit)).for_each(|(rows, these)| *rows |= these);
            }),
            Question::Not(bit) => {
                rows.iter_mut().zip(self.rows(*bit)).for_each(|(rows, these)| *rows = !these);
            }
        }
        self.answers.extend(rows);
    }
}

impl Named<'_> {
    fn text(&self, text: &[u8]) -> Option<Row> {
        let text = read(self.from, text);
        let at = self.texts.binary_search_by(|(known, _)| known.cmp(&text)).ok()?;
        self.texts.get(at).map(|(_, row)| *row)
    }

    /// The rows of texts that begin so.
    fn beginning_with(&self, text: &[u8]) -> impl Iterator<Item = Row> {
        // That of all others begins with nothing that is named, but for that which everything begins with.
        let other = text.is_empty().then_some(Row::OTHER);
        let text = read(self.from, text);
        let rows = [&self.texts, &self.beginnings].into_iter().flat_map(move |named| {
            let start = named.partition_point(|(known, _)| *known < text);
            let same = named.iter().skip(start).take_while(|(known, _)| known.starts_with(&text));
            same.map(|(_, row)| *row).collect::<Vec<_>>()
        });
        rows.chain(other)
    }
}

/// A text as it is read from one of its ends.
fn read(from: Side, text: &[u8]) -> Cow<'_, [u8]> {
    match from {
        Side::Start => Cow::Borrowed(text),
        Side::End => text.iter().rev().copied().collect(),
    }
}

/// The whole texts that a test names.
fn whole_texts(matcher: &ByteMatcher) -> impl Iterator<Item = &[u8]> {
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
                        Operator::Eq, Operator::Ne, Operator::In, Operator::StartsWith, Operator::EndsWith,
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
            let (start, end): (Vec<_>, Vec<_>) =
                tests.into_iter().partition(|test| answering(test) == Some(Side::Start));
            prop_assert!(end.iter().all(|test| answering(test) == Some(Side::End)));
            for (from, tests) in [(Side::Start, start), (Side::End, end)] {
                let mut questions: Vec<_> = tests.iter().map(Question::Test).collect();
                let all: Vec<_> = (0..tests.len() as u16).map(Bit).collect();
                let (any, not) = (Bit(tests.len() as u16 + 1), Bit(tests.len() as u16 + 2));
                questions.extend([Question::All(all.clone()), Question::Any(all), Question::Not(any)]);
                let table = TextTable::new(from, &questions);
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
}
