//! One table for all tests of a field with whole texts and prefixes, or with suffixes.

use std::borrow::Cow;

use super::trie::Trie;
use crate::matcher::{ByteMatcher, Matcher, Order, Side};

/// The results of several queries for every text.
///
/// Texts fall into classes: one for each text that a query names, one for each prefix that a query
/// names (the texts with that as their longest named prefix), one for all others, and one for no
/// text. All texts of a class give the same results, so a lookup finds the class by one walk
/// through a trie and reads one bit. A table for suffixes reads texts from their ends; "prefix"
/// then means suffix.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    trie: Trie,
    /// Number of classes.
    count: u32,
    /// For each query, the bitmap of the classes for which it holds.
    results: Vec<u64>,
    /// Words of a bitmap.
    words: usize,
}

/// The texts and prefixes that queries name, as they are read, sorted, while the table is built.
#[derive(Debug)]
struct NamedTexts<'q> {
    from: Side,
    texts: Vec<(Cow<'q, [u8]>, TextClass)>,
    prefixes: Vec<(Cow<'q, [u8]>, TextClass)>,
}

/// A set of texts for which all queries of a table have the same results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextClass(pub(super) u32);

impl TextClass {
    /// There is no text: no test holds.
    pub(super) const NONE: Self = Self(0);
    /// The texts that no query names, as a whole or by a prefix.
    pub(super) const OTHER: Self = Self(1);
}

/// A query of a table, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueryId(pub(super) u16);

/// What a table is to decide for each text.
#[derive(Clone, Debug)]
pub(super) enum Query<'q> {
    Test(&'q Matcher),
    /// Whether the text has this prefix.
    HasPrefix(&'q [u8]),
    /// All of these queries, which stand before this one.
    All(Vec<QueryId>),
    Any(Vec<QueryId>),
    Not(QueryId),
}

impl<'q> Query<'q> {
    /// The prefix that it names.
    fn prefix(&self) -> Option<&'q [u8]> {
        match self {
            Self::Test(Matcher::Bytes(
                ByteMatcher::StartsWith(text) | ByteMatcher::EndsWith(text),
            )) => Some(text),
            Self::HasPrefix(text) => Some(text),
            _ => None,
        }
    }
}

/// The side from which a table must read texts to decide a test; `None` when none can.
pub(super) fn table_side(matcher: &Matcher) -> Option<Side> {
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
    /// The table for these queries.
    pub(super) fn new(from: Side, queries: &[Query<'_>]) -> Self {
        let mut named = NamedTexts { from, texts: Vec::new(), prefixes: Vec::new() };
        for query in queries {
            named.prefixes.extend(query.prefix().map(|text| (read(from, text), TextClass::NONE)));
            if let Query::Test(Matcher::Bytes(matcher)) = query {
                named
                    .texts
                    .extend(whole_texts(matcher).map(|text| (read(from, text), TextClass::NONE)));
            }
        }
        let mut classes = TextClass::OTHER.0 + 1..;
        for texts in [&mut named.texts, &mut named.prefixes] {
            texts.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            texts.dedup_by(|(a, _), (b, _)| a == b);
            texts
                .iter_mut()
                .zip(&mut classes)
                .for_each(|((_, class), next)| *class = TextClass(next));
        }
        let count = TextClass::OTHER.0 + 1 + (named.texts.len() + named.prefixes.len()) as u32;
        let words = count.div_ceil(64) as usize;
        let mut table = Self { count, words, ..Self::default() };
        table.results.reserve(words * queries.len());
        for query in queries {
            table.push(query, &named);
        }
        fn number<'t>((text, class): &'t (Cow<'_, [u8]>, TextClass)) -> (&'t [u8], u32) {
            (text, class.0)
        }
        let (texts, prefixes) = (named.texts.iter(), named.prefixes.iter());
        table.trie = Trie::new(from, texts.map(number), prefixes.map(number));
        table
    }

    /// The class of this text.
    #[inline]
    pub(super) fn class_of(&self, text: &[u8]) -> TextClass {
        self.trie.find(text).map_or(TextClass::OTHER, TextClass)
    }

    /// Whether there are queries.
    pub(super) fn has_queries(&self) -> bool {
        !self.results.is_empty()
    }

    /// Number of classes.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether a query holds for the texts of a class.
    #[inline]
    pub(super) fn has(&self, class: TextClass, query: QueryId) -> bool {
        let word = usize::from(query.0) * self.words + class.0 as usize / 64;
        self.results.get(word).is_some_and(|word| word >> (class.0 % 64) & 1 != 0)
    }

    /// The bitmap of the classes for which a query holds.
    pub(super) fn classes(&self, query: QueryId) -> &[u64] {
        let start = usize::from(query.0) * self.words;
        let classes = self.results.get(start..start + self.words);
        debug_assert!(classes.is_some(), "queries refer to earlier ones");
        classes.unwrap_or_default()
    }

    /// Appends the results of one query.
    fn push(&mut self, query: &Query<'_>, named: &NamedTexts<'_>) {
        let differs =
            matches!(query, Query::Test(Matcher::Bytes(ByteMatcher::Order { op: Order::Ne, .. })));
        let initial = if differs || matches!(query, Query::All(_)) { u64::MAX } else { 0 };
        let mut classes = vec![initial; self.words];
        let mut set = |class: TextClass, yes: bool| {
            if let Some(word) = classes.get_mut(class.0 as usize / 64) {
                *word = *word & !(1 << (class.0 % 64)) | u64::from(yes) << (class.0 % 64);
            }
        };
        if let Some(text) = query.prefix() {
            named.with_prefix(text).for_each(|class| set(class, true));
        }
        match query {
            Query::HasPrefix(_) => {}
            Query::Test(Matcher::Bytes(matcher)) => {
                whole_texts(matcher)
                    .filter_map(|text| named.text(text))
                    .for_each(|class| set(class, !differs));
                set(TextClass::NONE, false);
            }
            Query::Test(_) => {}
            Query::All(queries) => queries.iter().for_each(|query| {
                classes
                    .iter_mut()
                    .zip(self.classes(*query))
                    .for_each(|(classes, these)| *classes &= these);
            }),
            Query::Any(queries) => queries.iter().for_each(|query| {
                classes
                    .iter_mut()
                    .zip(self.classes(*query))
                    .for_each(|(classes, these)| *classes |= these);
            }),
            Query::Not(query) => {
                classes
                    .iter_mut()
                    .zip(self.classes(*query))
                    .for_each(|(classes, these)| *classes = !these);
            }
        }
        self.results.extend(classes);
    }
}

impl NamedTexts<'_> {
    fn text(&self, text: &[u8]) -> Option<TextClass> {
        let text = read(self.from, text);
        let at = self.texts.binary_search_by(|(known, _)| known.cmp(&text)).ok()?;
        self.texts.get(at).map(|(_, class)| *class)
    }

    /// The classes of texts with this prefix.
    fn with_prefix(&self, text: &[u8]) -> impl Iterator<Item = TextClass> {
        // Texts of the class of others have no named prefix but the empty one.
        let other = text.is_empty().then_some(TextClass::OTHER);
        let text = read(self.from, text);
        let classes = [&self.texts, &self.prefixes].into_iter().flat_map(move |named| {
            let start = named.partition_point(|(known, _)| *known < text);
            let same = named.iter().skip(start).take_while(|(known, _)| known.starts_with(&text));
            same.map(|(_, class)| *class).collect::<Vec<_>>()
        });
        classes.chain(other)
    }
}

/// A text as it is read from one of its sides.
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
        fn a_table_decides_what_its_tests_decide(
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
                tests.into_iter().partition(|test| table_side(test) == Some(Side::Start));
            prop_assert!(end.iter().all(|test| table_side(test) == Some(Side::End)));
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
