//! Comparisons with literals, prepared at compile time.

use std::cmp::Ordering;
use std::net::IpAddr;

use bumpalo::Bump;
use hashbrown::HashSet;
use memchr::memmem::Finder;

use crate::literal::{Literal, Net};
use crate::paths::PathSet;
use crate::regex::{Regex, RegexError};
use crate::{Operator, Quantifier, Value, glob};

/// A comparison of one value with literals.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Never,
    Number { op: Order, than: u64 },
    Numbers(HashSet<u64>),
    Double { op: Order, than: f64 },
    Doubles(Box<[f64]>),
    Bytes(ByteMatcher),
    Ip { equal: bool, addr: IpAddr },
    Ips(HashSet<IpAddr>),
    Net { inside: bool, net: Net },
    Nets(Box<[Net]>),
    Quantified(Quantifier, Box<[Matcher]>),
}

/// Where a part of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It is the whole text.
    Whole,
    /// The text starts with it.
    Prefix,
    /// The text ends with it.
    Suffix,
}

/// A side of a text, from which it is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// From the first byte on.
    #[default]
    Start,
    /// From the last byte back.
    End,
}

/// A comparison of a text or a buffer.
#[derive(Clone, Debug)]
pub(crate) enum ByteMatcher {
    Order { op: Order, than: Box<[u8]> },
    Contains(Box<Finder<'static>>),
    ContainsFolded(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob { pattern: Box<[u8]>, fold: bool },
    Regex(Box<Regex>),
    In(Texts),
    Below(Box<PathSet>),
}

/// How two values must be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Order {
    pub(crate) fn of(op: Operator) -> Option<Self> {
        Some(match op {
            Operator::Eq | Operator::EqEq => Self::Eq,
            Operator::Ne => Self::Ne,
            Operator::Lt => Self::Lt,
            Operator::Le => Self::Le,
            Operator::Gt => Self::Gt,
            Operator::Ge => Self::Ge,
            _ => return None,
        })
    }

    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }

    /// For numbers that may have no order: NaN differs from everything.
    pub(crate) fn holds_partially(self, ordering: Option<Ordering>) -> bool {
        match ordering {
            Some(ordering) => self.holds(ordering),
            None => self == Self::Ne,
        }
    }
}

/// A set of texts: few are compared one by one, many are hashed. Lengths exclude most texts before.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    shortest: usize,
    longest: usize,
    few: Box<[Box<[u8]>]>,
    many: HashSet<Box<[u8]>>,
}

impl Texts {
    const FEW: usize = 4;

    fn new(texts: Vec<Box<[u8]>>) -> Self {
        let shortest = texts.iter().map(|t| t.len()).min().unwrap_or(usize::MAX);
        let longest = texts.iter().map(|t| t.len()).max().unwrap_or(0);
        if texts.len() <= Self::FEW {
            Self { shortest, longest, few: texts.into(), many: HashSet::new() }
        } else {
            Self { shortest, longest, few: Box::default(), many: texts.into_iter().collect() }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.few.iter().chain(&self.many).map(|text| &**text)
    }

    fn contains(&self, text: &[u8]) -> bool {
        (self.shortest..=self.longest).contains(&text.len())
            && (self.few.iter().any(|t| **t == *text)
                || !self.many.is_empty() && self.many.contains(text))
    }
}

impl Matcher {
    /// A comparison with literals. Operators that take one literal use the first.
    pub(crate) fn new(
        op: Operator,
        quantifier: Option<Quantifier>,
        literals: Vec<Literal>,
    ) -> Result<Self, RegexError> {
        match (quantifier, op) {
            _ if literals.is_empty() => Ok(Self::Never),
            (Some(Quantifier::AnyOf), Operator::Eq | Operator::EqEq)
            | (None, Operator::In | Operator::Intersects) => Ok(Self::any_of(literals)),
            (None, Operator::PMatch) => Ok(Self::below(literals)),
            (None, _) => {
                literals.into_iter().next().map_or(Ok(Self::Never), |first| Self::one(op, first))
            }
            (Some(quantifier), _) => {
                let each: Result<Vec<_>, _> =
                    literals.into_iter().map(|literal| Self::one(op, literal)).collect();
                Ok(Self::Quantified(quantifier, each?.into()))
            }
        }
    }

    fn one(op: Operator, literal: Literal) -> Result<Self, RegexError> {
        let order = Order::of(op);
        Ok(match (literal, order) {
            (Literal::Number(than), Some(op)) => Self::Number { op, than },
            (Literal::Double(than), Some(op)) => Self::Double { op, than },
            (Literal::Ip(addr), Some(op)) => Self::Ip { equal: op == Order::Eq, addr },
            (Literal::Net(net), Some(op)) => Self::Net { inside: op == Order::Eq, net },
            (Literal::Bytes(bytes), _) => Self::Bytes(ByteMatcher::new(op, bytes)?),
            (other, None) => Self::any_of(vec![other]),
        })
    }

    fn any_of(literals: Vec<Literal>) -> Self {
        macro_rules! all {
            ($kind:ident) => {
                literals.into_iter().filter_map(|literal| match literal {
                    Literal::$kind(value) => Some(value),
                    _ => None,
                })
            };
        }
        match literals.first() {
            None => Self::Never,
            Some(Literal::Number(_)) => Self::Numbers(all!(Number).collect()),
            Some(Literal::Double(_)) => Self::Doubles(all!(Double).collect()),
            Some(Literal::Ip(_)) => Self::Ips(all!(Ip).collect()),
            Some(Literal::Net(_)) => Self::Nets(all!(Net).collect()),
            Some(Literal::Bytes(_)) => {
                Self::Bytes(ByteMatcher::In(Texts::new(all!(Bytes).collect())))
            }
        }
    }

    fn below(literals: Vec<Literal>) -> Self {
        let mut paths = PathSet::default();
        for literal in &literals {
            if let Literal::Bytes(path) = literal {
                paths.insert(path);
            }
        }
        Self::Bytes(ByteMatcher::Below(Box::new(paths)))
    }

    /// Its cost, in units of a comparison of two numbers.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::Never | Self::Number { .. } | Self::Double { .. } | Self::Ip { .. } => 1,
            Self::Numbers(_) | Self::Ips(_) | Self::Net { .. } => 3,
            Self::Doubles(doubles) => doubles.len() as u32,
            Self::Nets(nets) => 3 * nets.len() as u32,
            Self::Quantified(_, each) => each.iter().map(Self::cost).sum(),
            Self::Bytes(matcher) => match matcher {
                ByteMatcher::Order { .. }
                | ByteMatcher::StartsWith(_)
                | ByteMatcher::EndsWith(_) => 2,
                ByteMatcher::In(_) => 4,
                ByteMatcher::Contains(_) | ByteMatcher::Below(_) => 10,
                ByteMatcher::ContainsFolded(_) | ByteMatcher::Glob { .. } => 30,
                ByteMatcher::Regex(_) => 200,
            },
        }
    }

    /// Probability that it holds: a guess. Rules look for what is unusual.
    pub(crate) fn likelihood(&self) -> f32 {
        match self {
            Self::Never => 0.0,
            // Flags are set as often as not.
            Self::Number { op: Order::Eq, than: 0 | 1 } => 0.5,
            Self::Number { op: Order::Eq, .. } | Self::Numbers(_) => 0.1,
            Self::Number { op: Order::Ne, .. } => 0.9,
            Self::Number { .. } | Self::Double { .. } | Self::Doubles(_) => 0.5,
            Self::Ip { equal, .. } | Self::Net { inside: equal, .. } => {
                if *equal {
                    0.1
                } else {
                    0.9
                }
            }
            Self::Ips(_) | Self::Nets(_) => 0.1,
            Self::Quantified(Quantifier::AllOf, _) => 0.05,
            Self::Quantified(..) => 0.2,
            Self::Bytes(matcher) => match matcher {
                ByteMatcher::Order { op: Order::Eq, .. } => 0.04,
                ByteMatcher::Order { op: Order::Ne, .. } => 0.96,
                ByteMatcher::Order { .. } => 0.5,
                ByteMatcher::In(_) => 0.08,
                _ => 0.05,
            },
        }
    }

    /// Whether it holds for the value. A value of another type than the literals satisfies nothing.
    #[inline]
    pub(crate) fn matches(&self, value: Value<'_>, scratch: &Bump) -> bool {
        match (self, value) {
            // The most frequent ones; those of numbers are inlined.
            (Self::Number { op, than }, Value::Int(v)) => op.holds(v.cmp(&(*than as i64))),
            (Self::Number { op, than }, Value::Uint(v)) => op.holds(v.cmp(than)),
            (Self::Number { op, than }, Value::Bool(v)) => op.holds(u64::from(v).cmp(than)),
            (Self::Bytes(matcher), Value::Text(text) | Value::Bytes(text)) => {
                matcher.matches(text, scratch)
            }
            _ => self.matches_other(value, scratch),
        }
    }

    fn matches_other(&self, value: Value<'_>, scratch: &Bump) -> bool {
        match (self, value) {
            (Self::Numbers(set), Value::Int(v)) => set.contains(&(v as u64)),
            (Self::Numbers(set), Value::Uint(v)) => set.contains(&v),
            (Self::Numbers(set), Value::Bool(v)) => set.contains(&u64::from(v)),
            (Self::Double { op, than }, Value::Double(v)) => {
                op.holds_partially(v.partial_cmp(than))
            }
            (Self::Doubles(set), Value::Double(v)) => set.contains(&v),
            (Self::Ip { equal, addr }, Value::Ip(v)) => (v == *addr) == *equal,
            (Self::Ips(set), Value::Ip(v)) => set.contains(&v),
            (Self::Net { inside, net }, Value::Ip(v)) => net.contains(v) == *inside,
            (Self::Nets(nets), Value::Ip(v)) => nets.iter().any(|net| net.contains(v)),
            (Self::Quantified(quantifier, each), v) => {
                let mut verdicts = each.iter().map(|matcher| matcher.matches(v, scratch));
                match quantifier {
                    Quantifier::OneOf => verdicts.filter(|holds| *holds).take(2).count() == 1,
                    Quantifier::AnyOf => verdicts.any(|holds| holds),
                    Quantifier::AllOf => verdicts.all(|holds| holds),
                }
            }
            _ => false,
        }
    }
}

impl ByteMatcher {
    fn new(op: Operator, literal: Box<[u8]>) -> Result<Self, RegexError> {
        Ok(match op {
            Operator::Contains | Operator::BContains => {
                Self::Contains(Box::new(Finder::new(&literal).into_owned()))
            }
            Operator::IContains => Self::ContainsFolded(literal.to_ascii_lowercase().into()),
            Operator::StartsWith | Operator::BStartsWith => Self::StartsWith(literal),
            Operator::EndsWith => Self::EndsWith(literal),
            Operator::Glob | Operator::IGlob => {
                Self::Glob { pattern: literal, fold: op == Operator::IGlob }
            }
            Operator::Regex => {
                Self::Regex(Box::new(Regex::new(&String::from_utf8_lossy(&literal))?))
            }
            Operator::In | Operator::Intersects => Self::In(Texts::new(vec![literal])),
            Operator::PMatch => {
                let mut paths = PathSet::default();
                paths.insert(&literal);
                Self::Below(Box::new(paths))
            }
            Operator::Eq | Operator::EqEq => Self::Order { op: Order::Eq, than: literal },
            Operator::Ne => Self::Order { op: Order::Ne, than: literal },
            Operator::Lt => Self::Order { op: Order::Lt, than: literal },
            Operator::Le => Self::Order { op: Order::Le, than: literal },
            Operator::Gt => Self::Order { op: Order::Gt, than: literal },
            Operator::Ge => Self::Order { op: Order::Ge, than: literal },
        })
    }

    /// Texts of which one is at the anchor of every text for which the comparison holds.
    pub(crate) fn literals(&self) -> Option<(Anchor, Vec<&[u8]>)> {
        Some(match self {
            Self::Order { op: Order::Eq, than } => (Anchor::Whole, vec![than]),
            Self::In(texts) => (Anchor::Whole, texts.iter().collect()),
            Self::StartsWith(text) => (Anchor::Prefix, vec![text]),
            Self::EndsWith(text) => (Anchor::Suffix, vec![text]),
            Self::Glob { pattern, fold: false } => {
                let is_special = |byte: &u8| b"*?[]\\".contains(byte);
                let (first, last) = (
                    pattern.split(is_special).next().unwrap_or_default(),
                    pattern.rsplit(is_special).next().unwrap_or_default(),
                );
                if first.is_empty() {
                    (Anchor::Suffix, vec![last])
                } else {
                    (Anchor::Prefix, vec![first])
                }
            }
            _ => return None,
        })
    }

    fn matches(&self, text: &[u8], scratch: &Bump) -> bool {
        match self {
            Self::Order { op: Order::Eq, than } => *text == **than,
            Self::Order { op: Order::Ne, than } => *text != **than,
            Self::Order { op, than } => op.holds(text.cmp(than)),
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::ContainsFolded(needle) => contains_folded(text, needle),
            Self::StartsWith(prefix) => text.starts_with(prefix),
            Self::EndsWith(suffix) => text.ends_with(suffix),
            Self::Glob { pattern, fold } => glob::matches(pattern, text, *fold),
            Self::Regex(regex) => regex.matches(text, scratch),
            Self::In(texts) => texts.contains(text),
            Self::Below(paths) => paths.covers(text),
        }
    }
}

/// Whether the text contains the needle, ignoring the case of ASCII letters.
pub(crate) fn contains_folded(text: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    let (low, up) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(low, up, text).any(|at| {
        text.get(at..at + needle.len()).is_some_and(|found| found.eq_ignore_ascii_case(needle))
    })
}
