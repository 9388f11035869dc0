//! Processes that delayed a reader: for a while they are asked only for what they can't delay.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

/// For how long a process is suspect.
const TERM: Duration = Duration::from_secs(60);
/// Processes of one control group after which all of it is suspect.
const MANY: u32 = 3;
/// Processes, and control groups, that are remembered.
const MAX: usize = 1024;

/// Suspect processes and control groups.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    pids: HashMap<i64, Instant>,
    groups: HashMap<Vec<u8>, (u32, Instant)>,
}

impl Suspects {
    /// A process has delayed a reader. `group` is the text of its list of control groups.
    pub(crate) fn add(&mut self, pid: i64, group: Vec<u8>, now: Instant) {
        self.pids.retain(|_, until| now < *until);
        self.groups.retain(|_, (_, until)| now < *until);
        if self.pids.len() < MAX {
            self.pids.insert(pid, now + TERM);
        }
        if !group.is_empty() && (self.groups.len() < MAX || self.groups.contains_key(&group)) {
            let (count, until) = self.groups.entry(group).or_insert((0, now));
            *count += 1;
            *until = now + TERM;
        }
    }

    /// Whether a process is suspect. Its list of control groups is read only where it matters.
    pub(crate) fn contains(&self, pid: i64, now: Instant, group: impl FnOnce() -> Vec<u8>) -> bool {
        let is_suspect = |&(count, until): &(u32, Instant)| count >= MANY && now < until;
        self.pids.get(&pid).is_some_and(|until| now < *until)
            || self.groups.values().any(is_suspect)
                && self.groups.get(&group()).is_some_and(is_suspect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_suspects_is_suspect() {
        let mut suspects = Suspects::default();
        let now = Instant::now();
        let group = |name: &str| name.as_bytes().to_vec();
        for pid in [1, 2] {
            suspects.add(pid, group("a"), now);
            suspects.add(pid + 10, Vec::new(), now);
        }
        assert!(suspects.contains(1, now, || group("a")));
        assert!(!suspects.contains(3, now, || unreachable!("no group is suspect")));
        suspects.add(4, group("a"), now);
        assert!(suspects.contains(3, now, || group("a")));
        assert!(!suspects.contains(3, now, || group("b")));
        assert!(!suspects.contains(3, now, Vec::new));
        assert!(!suspects.contains(1, now + TERM, || group("a")));
    }
}
