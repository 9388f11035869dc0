//! Merges several rings into one stream ordered by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::bpf::RingKind;
use crate::record::ts_of;
use crate::ring::Ring;

/// Longest time from an event's timestamp to its arrival in the ring, ns. An older event can be
/// delivered: no other ring can still receive an earlier one.
pub const WINDOW: u64 = 500_000;
/// A timestamp this far in the future, ns, shows that the clock has been set back since. Records
/// can be slightly in the future, because rings are read after the time was.
const FUTURE: u64 = 1_000_000_000;
/// The time of a record that is due immediately.
const AT_ONCE: u64 = 0;

/// Several rings read as one. At equal times, life-cycle events come first.
///
/// The order within a ring never changes: a cause always precedes its effect there, whatever the
/// timestamps say.
#[derive(Debug)]
pub struct Merge {
    rings: Vec<(RingKind, Ring)>,
    /// The rings with a known next record, by its time.
    heads: BinaryHeap<Reverse<Head>>,
    /// Whether the record of the first ring has been returned.
    given: bool,
    /// Indices of the other rings, which were empty at the last read.
    empty: Vec<usize>,
    /// All records up to this time have arrived.
    horizon: u64,
    /// A record of a later time than this was stamped before the clock was set back.
    future: u64,
    latest: u64,
    late: u64,
}

/// Time, kind and ring of a record. The order of the fields is that of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    ts: u64,
    kind: u8,
    ring: usize,
}

impl Merge {
    /// Of these rings.
    pub fn new(rings: Vec<(RingKind, Ring)>) -> Self {
        Self {
            empty: (0..rings.len()).collect(),
            heads: BinaryHeap::with_capacity(rings.len()),
            rings,
            given: false,
            horizon: 0,
            future: u64::MAX,
            latest: 0,
            late: 0,
        }
    }

    /// Advances to the next record that is due; returns whether there is one. The previous record
    /// is released to the kernel at some later time.
    pub fn advance(&mut self) -> bool {
        self.pass();
        if let Some(&Reverse(head)) = self.heads.peek()
            && head.ts <= self.horizon
        {
            self.late += u64::from(head.ts != AT_ONCE && head.ts < self.latest);
            self.latest = self.latest.max(head.ts);
            self.given = true;
        }
        self.given
    }

    /// The record that [`Merge::advance`] moved to; `None` if there was none.
    pub fn current(&mut self) -> Option<&[u8]> {
        let first = self.heads.peek().filter(|_| self.given)?;
        let (_, ring) = self.rings.get_mut(first.0.ring)?;
        ring.peek()
    }

    /// The time of the event that [`Merge::advance`] went to.
    pub fn ts(&self) -> u64 {
        self.latest
    }

    /// If no further event is due, all events up to this time have been delivered.
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Checks for new records, and releases the current one. `now` is the time on the event clock.
    pub fn refresh(&mut self, now: u64) {
        self.pass();
        self.horizon = now.saturating_sub(WINDOW);
        self.future = now.saturating_add(FUTURE);
        for ring in std::mem::take(&mut self.empty) {
            self.look(ring);
        }
    }

    /// The event clock was shifted by this many nanoseconds. Records stamped before keep their
    /// timestamps, and precede those stamped after.
    pub fn clock_set(&mut self, by: i64) {
        self.latest = self.latest.saturating_add_signed(by);
        self.future = self.future.saturating_add_signed(by);
        let mut heads = std::mem::take(&mut self.heads).into_vec();
        for Reverse(head) in &mut heads {
            head.ts = head.ts.saturating_add_signed(by);
        }
        self.heads = heads.into();
    }

    /// Releases all consumed memory to the kernel. Call it when idle.
    pub fn release(&mut self) {
        self.rings.iter_mut().for_each(|(_, ring)| ring.release());
    }

    /// Events delivered after a later one, because they took longer than [`WINDOW`] to reach their
    /// ring.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Releases the returned record.
    fn pass(&mut self) {
        if std::mem::take(&mut self.given)
            && let Some(mut first) = self.heads.peek_mut()
            && let Some((_, ring)) = self.rings.get_mut(first.0.ring)
        {
            ring.advance();
            match next_ts(ring, self.future) {
                Some(ts) => first.0.ts = ts,
                None => self.empty.push(PeekMut::pop(first).0.ring),
            }
        }
    }

    /// Enters a ring by the time of its next record, if it has one.
    fn look(&mut self, index: usize) {
        let Some((kind, ring)) = self.rings.get_mut(index) else { return };
        match next_ts(ring, self.future) {
            Some(ts) => {
                let kind = u8::from(*kind != RingKind::Lifecycle);
                self.heads.push(Reverse(Head { ts, kind, ring: index }));
            }
            None => self.empty.push(index),
        }
    }
}

/// The time of the next record of a ring. A record that is too short to have a time is due
/// immediately, so that it is discarded, and so is one that was stamped before the clock was set
/// back.
fn next_ts(ring: &mut Ring, future: u64) -> Option<u64> {
    ring.peek().map(|record| ts_of(record).filter(|ts| *ts <= future).unwrap_or(AT_ONCE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::testing::Producer;

    fn rings(count: usize) -> (Vec<Producer>, Merge) {
        let kernel: Vec<_> = (0..count).map(|_| Producer::new(4096)).collect();
        let kind = |index| if index == 0 { RingKind::Lifecycle } else { RingKind::Data };
        let ring = |(index, kernel): (usize, &Producer)| (kind(index), kernel.ring());
        let rings = kernel.iter().enumerate().map(ring).collect();
        (kernel, Merge::new(rings))
    }

    fn record(cpu: u16, ts: u64) -> Vec<u8> {
        [&cpu.to_ne_bytes()[..], &ts.to_le_bytes()].concat()
    }

    fn take(merge: &mut Merge) -> Option<(u16, u64)> {
        if !merge.advance() {
            return None;
        }
        let (cpu, event) = merge.current()?.split_first_chunk().unwrap();
        Some((u16::from_ne_bytes(*cpu), u64::from_le_bytes(event.try_into().unwrap())))
    }

    #[test]
    fn life_comes_first_at_the_same_time() {
        let (mut kernel, mut merge) = rings(3);
        kernel[2].push(&record(2, 50), 0);
        kernel[1].push(&record(1, 40), 0);
        kernel[1].push(&record(1, 60), 0);
        kernel[0].push(&record(0, 50), 0);
        merge.refresh(60 + WINDOW);
        let all: Vec<_> = std::iter::from_fn(|| take(&mut merge)).collect();
        assert_eq!(all, [(1, 40), (0, 50), (2, 50), (1, 60)]);
        assert_eq!(merge.current(), None);
        assert_eq!(merge.late(), 0);
    }

    #[test]
    fn events_wait_for_earlier_ones_that_may_be_on_their_way() {
        let (mut kernel, mut merge) = rings(2);
        kernel[0].push(&record(0, 1000), 0);
        merge.refresh(1000 + WINDOW - 1);
        assert_eq!(take(&mut merge), None);
        kernel[1].push(&record(1, 900), 0);
        merge.refresh(1000 + WINDOW);
        assert_eq!(take(&mut merge), Some((1, 900)));
        assert_eq!(take(&mut merge), Some((0, 1000)));
        kernel[1].push(&record(1, 800), 0);
        merge.refresh(1001 + WINDOW);
        assert_eq!((take(&mut merge), merge.late()), (Some((1, 800)), 1));
    }

    #[test]
    fn scraps_are_given_out_so_that_they_go_away() {
        let (mut kernel, mut merge) = rings(1);
        kernel[0].push(&[1], 0);
        kernel[0].push(&record(0, 5), 0);
        merge.refresh(5 + WINDOW);
        assert!(merge.advance());
        assert_eq!(merge.current(), Some(&[1][..]));
        assert_eq!(take(&mut merge), Some((0, 5)));
    }

    #[test]
    fn a_clock_set_back_delays_no_event() {
        const HOUR: u64 = 3600 * 1_000_000_000;
        let (mut kernel, mut merge) = rings(2);
        kernel[0].push(&record(0, 2 * HOUR), 0);
        merge.refresh(2 * HOUR + WINDOW);
        assert_eq!(take(&mut merge), Some((0, 2 * HOUR)));
        kernel[0].push(&record(0, 2 * HOUR + 1), 0);
        kernel[0].push(&record(0, HOUR + 2), 0);
        kernel[1].push(&record(1, HOUR + 3), 0);
        merge.clock_set(-(HOUR as i64));
        merge.refresh(HOUR + 3 + WINDOW);
        let all: Vec<_> = std::iter::from_fn(|| take(&mut merge)).collect();
        assert_eq!(all, [(0, 2 * HOUR + 1), (0, HOUR + 2), (1, HOUR + 3)]);
        assert_eq!((merge.late(), merge.ts()), (0, HOUR + 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 48 })
        })]

        #[test]
        fn nothing_is_lost_and_time_does_not_go_back(
            events in prop::collection::vec((0..4_usize, 0..200_u64, any::<bool>()), 0..80),
        ) {
            let (mut kernel, mut merge) = rings(4);
            let (mut now, mut got) = (WINDOW, Vec::new());
            for &(ring, step, read) in &events {
                now += step;
                kernel[ring].push(&record(ring as u16, now), 0);
                if read {
                    merge.refresh(now);
                    got.extend(std::iter::from_fn(|| take(&mut merge)));
                }
            }
            merge.refresh(now + WINDOW);
            got.extend(std::iter::from_fn(|| take(&mut merge)));
            prop_assert_eq!(got.len(), events.len());
            prop_assert!(got.is_sorted_by_key(|&(_, ts)| ts));
            prop_assert_eq!(merge.late(), 0);
        }
    }
}
