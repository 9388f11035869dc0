//! Sets of event types and of syscalls.

use crate::EventType;
use crate::event_type::SYSCALL_CODES;

/// A set of event types as a bitmap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventSet(Bits<{ EventType::COUNT.div_ceil(64) }>);

/// A set of codes of syscalls as a bitmap. Codes that have no name are in no set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeSet(Bits<{ SYSCALL_CODES.div_ceil(64) }>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Bits<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Bits<WORDS> {
    const EMPTY: Self = Self([0; WORDS]);

    fn insert(&mut self, bit: usize) {
        if let Some(word) = self.0.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    #[inline]
    fn contains(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| word & 1 << (bit % 64) != 0)
    }

    fn zip(self, other: Self, op: impl Fn(u64, u64) -> u64) -> Self {
        let mut words = self.0;
        for (word, other) in words.iter_mut().zip(other.0) {
            *word = op(*word, other);
        }
        Self(words)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }
}

impl EventSet {
    /// The empty set.
    pub const EMPTY: Self = Self(Bits::EMPTY);

    /// Every event type.
    pub fn all() -> Self {
        EventType::all().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, ty: EventType) {
        self.0.insert(ty as usize);
    }

    /// Whether it is in the set.
    #[inline]
    pub fn contains(&self, ty: EventType) -> bool {
        self.0.contains(ty as usize)
    }

    /// In either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0.zip(other.0, |a, b| a | b))
    }

    /// In both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0.zip(other.0, |a, b| a & b))
    }

    /// In this set and not in the other.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(self.0.zip(other.0, |a, b| a & !b))
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Members in order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = EventType> {
        EventType::all().filter(|&ty| self.contains(ty))
    }
}

impl CodeSet {
    /// The empty set.
    pub const EMPTY: Self = Self(Bits::EMPTY);

    /// Every syscall that has a name.
    pub fn all() -> Self {
        crate::syscall_names().map(|(code, _)| code).collect()
    }

    /// Adds one.
    pub fn insert(&mut self, code: u16) {
        self.0.insert(usize::from(code));
    }

    /// Whether it is in the set.
    #[inline]
    pub fn contains(&self, code: u16) -> bool {
        self.0.contains(usize::from(code))
    }

    /// In either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0.zip(other.0, |a, b| a | b))
    }

    /// In both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0.zip(other.0, |a, b| a & b))
    }

    /// In this set and not in the other.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(self.0.zip(other.0, |a, b| a & !b))
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Members in order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..SYSCALL_CODES as u16).filter(|&code| self.contains(code))
    }
}

impl FromIterator<EventType> for EventSet {
    fn from_iter<I: IntoIterator<Item = EventType>>(iter: I) -> Self {
        let mut set = Self::EMPTY;
        iter.into_iter().for_each(|ty| set.insert(ty));
        set
    }
}

impl std::fmt::Debug for EventSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u16> for CodeSet {
    fn from_iter<I: IntoIterator<Item = u16>>(iter: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(iter);
        set
    }
}

impl Extend<u16> for CodeSet {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, iter: I) {
        iter.into_iter().for_each(|code| self.insert(code));
    }
}

impl std::fmt::Debug for CodeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
