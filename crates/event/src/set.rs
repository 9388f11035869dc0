//! Sets of event types.

use crate::EventType;

const WORDS: usize = EventType::COUNT.div_ceil(64);

/// A set of event types as a bitmap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventSet([u64; WORDS]);

impl EventSet {
    /// The empty set.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Every event type.
    pub fn all() -> Self {
        EventType::all().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, ty: EventType) {
        self.0[ty as usize / 64] |= 1 << (ty as usize % 64);
    }

    /// Whether it is in the set.
    pub fn contains(&self, ty: EventType) -> bool {
        self.0[ty as usize / 64] & 1 << (ty as usize % 64) != 0
    }

    /// In either set.
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// In both sets.
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// In this set and not in the other.
    pub fn difference(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
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
