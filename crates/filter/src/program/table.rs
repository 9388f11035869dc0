//! All tests of one field with whole texts and with beginnings of texts, or with their ends, answered by one look.

use std::borrow::Cow;

use super::trie::Trie;
use crate::matcher::{ByteMatcher, Matcher, Order, Side};

/// Answers of several queries for every text there may be. Texts may be read from their ends, so that these are what
/// is called beginnings here.
///
/// Only the texts that queries name have answers of their own; others are told apart by the longest of the
/// beginnings that queries name.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    classes: Trie,
    count: u32,
    // For each query, a bitmap of the classes with which the answer is yes.
    answers: Vec<u64>,
    words: usize,
}

/// The texts and beginnings that queries name, as they are read, in order, while the table is made.
#[derive(Debug)]
struct NamedTexts<'q> {
    from: Side,
    texts: Vec<(Cow<'q, [u8]>, TextClass)>,
    beginnings: Vec<(Cow<'q, [u8]>, TextClass)>,
}

/// The answers for one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextClass(pub(super) u32);

impl TextClass {
    /// Without a text every answer is no.
    pub(super) const NONE: Self = Self(0);
    /// Of a text that no query names, and that begins with none that one does.
    pub(super) const OTHER: Self = Self(1);
}

/// One query that a table answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueryId(pub(super) u16);

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Query<'q> {
    Test(&'q Matcher),
    /// Whether the text begins so.
    Begins(&'q [u8]),
    /// Something made of queries before it.
    All(Vec<QueryId>),
    Any(Vec<QueryId>),
    Not(QueryId),
}

impl<'q> Query<'q> {
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
    /// The table for these queries, in the order of their bits.
    pub(super) fn new(from: Side, queries: &[Query<'_>]) -> Self {
        let mut named = NamedTexts { from, texts: Vec::new(), beginnings: Vec::new() };
        for query in queries {
            named
                .beginnings
                .extend(query.beginning().map(|text| (read(from, text), TextClass::NONE)));
            if let Query::Test(Matcher::Bytes(matcher)) = query {
                named
                    .texts
                    .extend(whole_texts(matcher).map(|text| (read(from, text), TextClass::NONE)));
            }
        }
        let mut classes = TextClass::OTHER.0 + 1..;
        for texts in [&mut named.texts, &mut named.beginnings] {
            texts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            texts.dedup_by(|(a, _), (b, _)| a == b);
            texts
                .iter_mut()
                .zip(&mut classes)
                .for_each(|((_, class), next)| *class = TextClass(next));
        }
        let count = TextClass::OTHER.0 + 1 + (named.texts.len() + named.beginnings.len()) as u32;
        let words = count.div_ceil(64) as usize;
        let mut table = Self { count, words, ..Self::default() };
        table.answers.reserve(words * queries.len());
        for query in queries {
            table.answer(query, &named);
        }
        fn number<'t>((text, class): &'t (Cow<'_, [u8]>, TextClass)) -> (&'t [u8], u32) {
            (text, class.0)
        }
        let (texts, beginnings) = (named.texts.iter(), named.beginnings.iter());
        table.classes = Trie::new(from, texts.map(number), beginnings.map(number));
        table
    }

    /// The answers for this text.
    #[inline]
    pub(super) fn class_of(&self, text: &[u8]) -> TextClass {
        self.classes.find(text).map_or(TextClass::OTHER, TextClass)
    }

    /// Whether there are queries.
    pub(super) fn is_asked(&self) -> bool {
        !self.answers.is_empty()
    }

    /// How many classes there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// The answer of one query.
    #[inline]
    pub(super) fn has(&self, class: TextClass, bit: QueryId) -> bool {
        let word = usize::from(bit.0) * self.words + class.0 as usize / 64;
        self.answers.get(word).is_some_and(|word| word >> (class.0 % 64) & 1 != 0)
    }

    /// The classes with which the answer to a query is yes.
    pub(super) fn classes(&self, bit: QueryId) -> &[u64] {
        let start = usize::from(bit.0) * self.words;
        self.answers.get(start..start + self.words).unwrap_or_default()
    }

    /// Appends the answers to one query, which may follow from those before it.
    fn answer(&mut self, query: &Query<'_>, named: &NamedTexts<'_>) {
        let differs =
            matches!(query, Query::Test(Matcher::Bytes(ByteMatcher::Order { op: Order::Ne, .. })));
        let at_first = if differs || matches!(query, Query::All(_)) { u64::MAX } else { 0 };
        let mut classes = vec![at_first; self.words];
        let mut set = |class: TextClass, yes: bool| {
            if let Some(word) = classes.get_mut(class.0 as usize / 64) {
                *word = *word & !(1 << (class.0 % 64)) | u64::from(yes) << (class.0 % 64);
            }
        };
        if let Some(text) = query.beginning() {
            named.beginning_with(text).for_each(|class| set(class, true));
        }
        match query {
            Query::Begins(_) => {}
            Query::Test(Matcher::Bytes(matcher)) => {
                whole_texts(matcher)
                    .filter_map(|text| named.text(text))
                    .for_each(|class| set(class, !differs));
                set(TextClass::NONE, false);
            }
            Query::Test(_) => {}
            Query::All(bits) => bits.iter().for_each(|bit| {
                classes
                    .iter_mut()
                    .zip(self.classes(*bit))
                    .for_each(|(classes, these)| *classes &= these);
            }),
            Query::Any(bits) => bits.iter().for_each(|bit| {
                classes
                    .iter_mut()
                    .zip(self.classes(*bit))
                    .for_each(|(classes, these)| *classes |= these);
            }),
            Query::Not(bit) => {
                classes
                    .iter_mut()
                    .zip(self.classes(*bit))
                    .for_each(|(classes, these)| *classes = !these);
            }
        }
        self.answers.extend(classes);
    }
}

impl NamedTexts<'_> {
    fn text(&self, text: &[u8]) -> Option<TextClass> {
        let text = read(self.from, text);
        let at = self.texts.binary_search_by(|(known, _)| known.cmp(&text)).ok()?;
        self.texts.get(at).map(|(_, class)| *class)
    }

    /// The classes of texts that begin so.
    fn beginning_with(&self, text: &[u8]) -> impl Iterator<Item = TextClass> {
        // That of all others begins with nothing that is named, but for that which everything begins with.
        let other = text.is_empty().then_some(TextClass::OTHER);
        let text = read(self.from, text);
        let classes = [&self.texts, &self.beginnings].into_iter().flat_map(move |named| {
            let start = named.partition_point(|(known, _)| *known < text);
            let same = named.iter().skip(start).take_while(|(known, _)| known.starts_with(&text));
            same.map(|(_, class)| *class).collect::<Vec<_>>()
        });
        classes.chain(other)
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
                let mut queries: Vec<_> = tests.iter().map(Query::Test).collect();
                let all: Vec<_> = (0..tests.len() as u16).map(QueryId).collect();
                let (any, not) = (QueryId(tests.len() as u16 + 1), QueryId(tests.len() as u16 + 2));
                queries.extend([Query::All(all.clone()), Query::Any(all), Query::Not(any)]);
                let table = TextTable::new(from, &queries);
                for text in &texts {
                    let class = table.class_of(text.as_bytes());
                    let mut expected = Vec::new();
                    for (bit, test) in (0..).map(QueryId).zip(&tests) {
                        let holds = test.matches(Value::Text(text.as_bytes()), &bumpalo::Bump::new());
                        prop_assert_eq!(table.has(class, bit), holds, "{:?} {:?}", text, test);
                        prop_assert!(!table.has(TextClass::NONE, bit));
                        expected.push(holds);
                    }
                    prop_assert_eq!(table.has(class, QueryId(tests.len() as u16)), !expected.contains(&false));
                    prop_assert_eq!(table.has(class, any), expected.contains(&true));
                    prop_assert_eq!(table.has(class, not), !expected.contains(&true));
                    prop_assert!(table.has(TextClass::NONE, not) && !table.has(TextClass::NONE, any));
                }
            }
        }
    }
}
