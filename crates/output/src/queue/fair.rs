//! The order of what waits, and what is lost when there is too much.
//!
//! Items leave in the order in which they came. **A loss falls on the rule that has most of the
//! queue**, in the measure whose limit is reached (bytes, or number of items), the new item
//! included. So a rule is never affected by another one that has more, and a rule with less than
//! `limit / rules in the queue` loses nothing. All operations take constant time, except that the
//! largest rule is searched for once after each removal from it, and only in a full queue.

use super::limits::{QueueLimits, WhenFull};

/// What a queue needs to know of its items.
pub(crate) trait Queued {
    /// A small number for the rule that the item is from.
    fn rule(&self) -> usize;

    /// Memory in bytes.
    fn memory(&self) -> usize;
}

/// A queue that is fair between rules.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    limits: QueueLimits,
    slots: Vec<Slot<T>>,
    /// Slots without an item, linked by `newer`.
    free: u32,
    all: Ends,
    /// By rule.
    shares: Vec<Share>,
    len: usize,
    bytes: usize,
    /// The largest rule in each measure; `None` if it must be searched for.
    largest: [Option<usize>; 2],
    taken: Taken,
}

/// Items that were taken and not yet settled. Their memory counts.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    bytes: usize,
    /// When the first of them came.
    since: Option<u64>,
}

/// What a rule has in the queue, and what it has lost.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    ends: Ends,
    len: usize,
    bytes: usize,
    lost: u64,
}

#[derive(Debug)]
struct Slot<T> {
    item: Option<T>,
    /// Milliseconds of some clock.
    at: u64,
    /// In the list of all items, and in that of the rule.
    links: [Ends; 2],
}

/// The two ends of a list; or the two neighbours of a slot in a list: the one towards the oldest,
/// and the one towards the newest.
#[derive(Clone, Copy, Debug)]
struct Ends {
    oldest: u32,
    newest: u32,
}

const NONE: u32 = u32::MAX;

impl Default for Ends {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE }
    }
}

#[derive(Clone, Copy)]
enum List {
    All,
    Rule,
}

/// What a limit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Items,
    Bytes,
}

/// Items lost by a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// No other rule had an item in the queue.
    pub(crate) full: u64,
    /// Other rules had fewer in the queue.
    pub(crate) over_share: u64,
    /// Whether the memory was the limit.
    pub(crate) by_memory: bool,
}

/// Slots that an empty queue keeps.
const KEPT_SLOTS: usize = 1024;

impl<T: Queued> FairQueue<T> {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            free: NONE,
            all: Ends::default(),
            shares: Vec::new(),
            len: 0,
            bytes: 0,
            largest: [None; 2],
            taken: Taken::default(),
        }
    }

    /// What waits stays, also if it is more than that.
    pub(crate) fn set_limits(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of all that waits or is taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.taken.bytes
    }

    /// When the oldest came that waits or is taken.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let waiting = self.slots.get(self.all.oldest as usize).map(|slot| slot.at);
        self.taken.since.or(waiting)
    }

    /// Whether at least half of a limit is reached.
    pub(crate) fn is_half_full(&self) -> bool {
        let QueueLimits { alerts, bytes } = self.limits;
        alerts.is_some_and(|alerts| self.len >= alerts.get().div_ceil(2))
            || self.bytes() >= bytes.div_ceil(2)
    }

    /// Whether an item can be added without a loss. One that is larger than the queue fits into an
    /// empty one.
    pub(crate) fn fits(&self, item: &T) -> bool {
        self.exceeded(Self::cost(item)).is_none()
    }

    /// Adds an item, which came at this time.
    pub(crate) fn push(&mut self, item: T, at: u64, when_full: WhenFull) -> Losses {
        let (rule, cost) = (item.rule(), Self::cost(&item));
        self.share(rule);
        let mut losses = Losses::default();
        while let Some(measure) = self.exceeded(cost) {
            let victim = self.victim(rule, cost, measure);
            let share = self.shares[victim];
            // Of its own alerts, a rule loses an old one only if that makes room.
            let loses_new = victim == rule
                && (share.len == 0
                    || when_full != WhenFull::DropOldest
                    || cost + self.taken.bytes > self.limits.bytes);
            let others = victim != rule || self.len > share.len;
            *(if others { &mut losses.over_share } else { &mut losses.full }) += 1;
            losses.by_memory |= measure == Measure::Bytes;
            self.shares[victim].lost += 1;
            if loses_new {
                return losses;
            }
            self.remove(match when_full {
                WhenFull::DropOldest => share.ends.oldest,
                WhenFull::DropNewest | WhenFull::Block => share.ends.newest,
            });
        }
        self.append(item, rule, cost, at);
        losses
    }

    /// Moves the oldest items to `items`: not more than `max`, and not many bytes.
    pub(crate) fn take(&mut self, items: &mut Vec<T>, max: usize) {
        self.taken.since = self.taken.since.or(self.oldest());
        for _ in 0..max {
            let before = self.bytes;
            let Some(item) = self.remove(self.all.oldest) else { break };
            self.taken.bytes += before - self.bytes;
            items.push(item);
            if self.taken.bytes >= BATCH_BYTES {
                break;
            }
        }
        if self.is_empty() {
            // All slots are free.
            self.slots.clear();
            self.slots.shrink_to(KEPT_SLOTS);
            self.free = NONE;
        }
    }

    /// The items that were taken no longer occupy memory.
    pub(crate) fn settle(&mut self) {
        self.taken = Taken::default();
    }

    /// Drops all that waits.
    pub(crate) fn discard(&mut self) {
        while let Some(item) = self.remove(self.all.oldest) {
            self.count_lost(&item);
        }
    }

    /// Moves out all that waits, the oldest first.
    pub(crate) fn hand_over(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.remove(self.all.oldest)).collect()
    }

    /// Counts an item as a loss of its rule.
    pub(crate) fn count_lost(&mut self, item: &T) {
        self.share(item.rule()).lost += 1;
    }

    /// Losses by rule.
    pub(crate) fn lost_by_rule(&self) -> impl Iterator<Item = u64> {
        self.shares.iter().map(|share| share.lost)
    }

    fn share(&mut self, rule: usize) -> &mut Share {
        if self.shares.len() <= rule {
            self.shares.resize(rule + 1, Share::default());
        }
        &mut self.shares[rule]
    }

    fn cost(item: &T) -> usize {
        item.memory() + size_of::<Slot<T>>()
    }

    /// The limit that another item of this size would exceed.
    fn exceeded(&self, cost: usize) -> Option<Measure> {
        let QueueLimits { alerts, bytes } = self.limits;
        if self.is_empty() && self.taken.bytes == 0 {
            return None;
        }
        if alerts.is_some_and(|alerts| self.len >= alerts.get()) {
            return Some(Measure::Items);
        }
        (self.bytes() + cost > bytes).then_some(Measure::Bytes)
    }

    /// The rule that has most if `rule` has another item of this size. Among equals, `rule`.
    fn victim(&mut self, rule: usize, cost: usize, measure: Measure) -> usize {
        let own = self.shares[rule].amount(measure)
            + match measure {
                Measure::Items => 1,
                Measure::Bytes => cost,
            };
        let shares = &self.shares;
        let largest = self.largest[measure as usize].or_else(|| {
            let amounts = shares.iter().enumerate();
            amounts.max_by_key(|(_, share)| share.amount(measure)).map(|(rule, _)| rule)
        });
        self.largest[measure as usize] = largest;
        largest.filter(|&largest| self.shares[largest].amount(measure) > own).unwrap_or(rule)
    }

    fn append(&mut self, item: T, rule: usize, cost: usize, at: u64) {
        let slot = Slot { item: Some(item), at, links: [Ends::default(); 2] };
        let index = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let index = std::mem::replace(&mut self.free, free.links[0].newest);
                *free = slot;
                index
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let share = &mut self.shares[rule];
        link(&mut self.slots, &mut self.all, index, List::All);
        link(&mut self.slots, &mut share.ends, index, List::Rule);
        self.len += 1;
        self.bytes += cost;
        share.len += 1;
        share.bytes += cost;
        let share = *share;
        for measure in [Measure::Items, Measure::Bytes] {
            if let Some(largest) = &mut self.largest[measure as usize]
                && share.amount(measure) > self.shares[*largest].amount(measure)
            {
                *largest = rule;
            }
        }
    }

    /// Takes an item out. `None` if the slot is no slot.
    fn remove(&mut self, index: u32) -> Option<T> {
        let item = self.slots.get_mut(index as usize)?.item.take()?;
        let (rule, cost) = (item.rule(), Self::cost(&item));
        let share = &mut self.shares[rule];
        unlink(&mut self.slots, &mut self.all, index, List::All);
        unlink(&mut self.slots, &mut share.ends, index, List::Rule);
        self.len -= 1;
        self.bytes -= cost;
        share.len -= 1;
        share.bytes -= cost;
        for largest in &mut self.largest {
            *largest = largest.filter(|&largest| largest != rule);
        }
        self.slots[index as usize].links[0].newest = self.free;
        self.free = index;
        Some(item)
    }
}

/// Bytes that are taken at once, unless a single item has more.
const BATCH_BYTES: usize = 256 * 1024;

impl Share {
    fn amount(&self, measure: Measure) -> usize {
        match measure {
            Measure::Items => self.len,
            Measure::Bytes => self.bytes,
        }
    }
}

/// Adds a slot at the newest end of a list.
fn link<T>(slots: &mut [Slot<T>], ends: &mut Ends, index: u32, list: List) {
    let before = std::mem::replace(&mut ends.newest, index);
    slots[index as usize].links[list as usize] = Ends { oldest: before, newest: NONE };
    match slots.get_mut(before as usize) {
        Some(before) => before.links[list as usize].newest = index,
        None => ends.oldest = index,
    }
}

/// Removes a slot from a list.
fn unlink<T>(slots: &mut [Slot<T>], ends: &mut Ends, index: u32, list: List) {
    let Ends { oldest, newest } = slots[index as usize].links[list as usize];
    match slots.get_mut(oldest as usize) {
        Some(older) => older.links[list as usize].newest = newest,
        None => ends.oldest = newest,
    }
    match slots.get_mut(newest as usize) {
        Some(newer) => newer.links[list as usize].oldest = oldest,
        None => ends.newest = oldest,
    }
}

#[cfg(all(test, not(loom_queue)))]
mod tests;
