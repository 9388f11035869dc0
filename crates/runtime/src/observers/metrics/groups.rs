//! Which control groups the events come from, estimated from a sample.

use std::collections::HashMap;

use peregrine_event::Event;
use peregrine_limits::LOSS_CGROUPS;
use peregrine_state::State;

/// Events between two samples on average; a power of two.
const MEAN: u64 = 128;
/// The group of events beyond the limit of groups.
const OTHERS: &str = "(others)";

/// Counts events by control group. One event of 128 stands for those since the one before. The
/// distance between two samples is random, so that no load hides by its rhythm.
#[derive(Debug)]
pub(crate) struct GroupSampler {
    /// Events until the next sample.
    left: u64,
    /// Events that the next sample stands for.
    gap: u64,
    random: u64,
    groups: HashMap<String, u64>,
}

impl GroupSampler {
    pub(crate) fn new() -> Self {
        Self { left: 1, gap: 1, random: 0x9e37_79b9_7f4a_7c15, groups: HashMap::new() }
    }

    /// An event has been applied to the state.
    #[inline]
    pub(crate) fn done(&mut self, event: &Event<'_>, state: &State) {
        self.left -= 1;
        if self.left == 0 {
            self.sample(event.tid, state);
        }
    }

    /// Events of each group.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, u64)> {
        self.groups.iter().map(|(group, events)| (group.as_str(), *events))
    }

    #[cold]
    fn sample(&mut self, tid: i64, state: &State) {
        let thread = state.tree().by_tid(tid);
        self.add(thread.map_or(b"(unknown)", |thread| group_of(thread.cgroups.iter())));
        self.next_gap();
    }

    fn next_gap(&mut self) {
        // xorshift
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.gap = 1 + self.random % (2 * MEAN - 1);
        self.left = self.gap;
    }

    fn add(&mut self, group: &[u8]) {
        let mut group = String::from_utf8_lossy(group);
        if self.groups.len() >= LOSS_CGROUPS.get() && !self.groups.contains_key(&*group) {
            LOSS_CGROUPS.reach();
            group = OTHERS.into();
        }
        *self.groups.entry(group.into_owned()).or_default() += self.gap;
    }
}

/// The deepest path of texts such as `memory=/system.slice`: a controller that is not used in a
/// group is that of a group above.
fn group_of<'a>(cgroups: impl Iterator<Item = &'a [u8]>) -> &'a [u8] {
    let path = |text: &'a [u8]| text.get(text.iter().position(|&byte| byte == b'=')? + 1..);
    cgroups.filter_map(path).max_by_key(|path| path.len()).unwrap_or(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_group_counts() {
        let group = |texts: &[&'static str]| group_of(texts.iter().map(|text| text.as_bytes()));
        assert_eq!(
            group(&["cpuset=/", "memory=/a.slice/b.service", "io=/a.slice"]),
            b"/a.slice/b.service"
        );
        assert_eq!(group(&["broken"]), b"/");
        assert_eq!(group(&[]), b"/");
    }

    #[test]
    fn samples_stand_for_all_events_and_groups_are_bounded() {
        let mut sampler = GroupSampler::new();
        let mut events = 0;
        for number in 0..LOSS_CGROUPS.get() + 10 {
            sampler.add(format!("/{number}").as_bytes());
            events += sampler.gap;
            sampler.next_gap();
            assert!(sampler.gap > 0 && sampler.gap < 2 * MEAN);
        }
        assert_eq!(sampler.groups().map(|(_, events)| events).sum::<u64>(), events);
        assert_eq!(sampler.groups().count(), LOSS_CGROUPS.get() + 1);
        let mean = events / (LOSS_CGROUPS.get() as u64 + 10);
        assert!(mean.abs_diff(MEAN) < MEAN / 8, "{mean}");
    }
}
