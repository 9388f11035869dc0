//! The reaction to lost events: `syscall_event_drops` of the configuration.

mod token_bucket;

use peregrine_event::{EventCounters, LossClass};

use token_bucket::TokenBucket;

/// Nanoseconds of event time between two checks.
const INTERVAL: u64 = 1_000_000_000;
/// Alerts about life-cycle events per second in the long run: one in ten seconds.
const LIFECYCLE_RATE: f64 = 0.1;

/// An action after lost events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropAction {
    /// No action.
    Ignore,
    /// A line in the log.
    Log,
    /// An alert.
    Alert,
    /// The end of the program, with an error.
    Exit,
}

/// When something is done about lost events, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct DropPolicy {
    /// The actions; an empty list stands for [`DropAction::Ignore`].
    pub actions: Vec<DropAction>,
    /// Share of a second's events, lost and delivered, that must be exceeded: 0 to 1.
    pub threshold: f64,
    /// Actions per second in the long run.
    pub rate: f64,
    /// Actions before the rate applies.
    pub max_burst: f64,
    /// Acts as if an event were lost in each second, and has no threshold then.
    pub simulate: bool,
}

/// Checks the counters once per second of event time.
#[derive(Clone, Debug)]
pub struct DropMonitor {
    policy: DropPolicy,
    bucket: TokenBucket,
    /// Time after which the next check is due; 0 before the first event.
    due: u64,
    last: EventCounters,
    /// Life-cycle events that were lost since the last alert about them, by class.
    lifecycle: LifecycleLosses,
    lifecycle_bucket: TokenBucket,
    occurrences: u64,
    actions_taken: u64,
}

/// Lost events that create, replace or end processes, by class.
pub type LifecycleLosses = Vec<(LossClass, u64)>;

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Events and losses since the last check.
    pub new: EventCounters,
    /// Events lost since then, with the one that is simulated.
    pub drops: u64,
    /// What to do.
    pub reaction: Reaction,
    /// Lost life-cycle events to report now, whatever the threshold.
    pub lifecycle: LifecycleLosses,
}

/// What to do after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing: the losses are below the threshold.
    None,
    /// Nothing: the rate of actions is exceeded.
    Throttled,
    /// The actions of the policy.
    Act,
}

impl DropMonitor {
    /// A monitor that has seen no event.
    pub fn new(policy: DropPolicy) -> Self {
        Self {
            bucket: TokenBucket::new(policy.rate, policy.max_burst),
            policy,
            due: 0,
            last: EventCounters::default(),
            lifecycle: Vec::new(),
            lifecycle_bucket: TokenBucket::new(LIFECYCLE_RATE, 1.0),
            occurrences: 0,
            actions_taken: 0,
        }
    }

    /// Whether it is time for a [check](Self::check).
    #[inline]
    pub fn is_due(&self, ts: u64) -> bool {
        // A check that is further ahead than ever shows that the clock has been set back.
        self.due < ts || self.due > ts.saturating_add(2 * INTERVAL)
    }

    /// Starts the clock at this time, in nanoseconds, if it has not been started yet, and says
    /// whether it did.
    pub fn start(&mut self, ts: u64) -> bool {
        let first = self.due == 0;
        if first {
            self.due = ts.saturating_add(INTERVAL);
        }
        first
    }

    /// Checks the sum of the counters at this time, in nanoseconds.
    pub fn check(&mut self, ts: u64, counters: &EventCounters) -> Check {
        self.due = ts.saturating_add(INTERVAL);
        let new = counters.since(&self.last);
        self.last = *counters;
        let drops = new.lost() + u64::from(self.policy.simulate);
        let threshold = if self.policy.simulate { 0.0 } else { self.policy.threshold };
        let reaction = if drops == 0 || drops as f64 / new.events() as f64 <= threshold {
            Reaction::None
        } else {
            self.occurrences += 1;
            if self.bucket.claim(ts) {
                self.actions_taken += 1;
                Reaction::Act
            } else {
                Reaction::Throttled
            }
        };
        self.add_lifecycle(&new);
        let told = !self.lifecycle.is_empty() && self.lifecycle_bucket.claim(ts);
        let lifecycle = if told { std::mem::take(&mut self.lifecycle) } else { Vec::new() };
        Check { new, drops, reaction, lifecycle }
    }

    /// At the end of a run: lost life-cycle events that are not reported yet.
    pub fn finish(&mut self, counters: &EventCounters) -> LifecycleLosses {
        self.add_lifecycle(&counters.since(&self.last));
        std::mem::take(&mut self.lifecycle)
    }

    fn add_lifecycle(&mut self, new: &EventCounters) {
        if self.policy.ignores() {
            return;
        }
        for class in LossClass::ALL.into_iter().filter(|class| class.is_lifecycle()) {
            let lost = new.lost_in(class);
            match self.lifecycle.iter_mut().find(|(known, _)| *known == class) {
                Some((_, sum)) => *sum += lost,
                None if lost > 0 => self.lifecycle.push((class, lost)),
                None => {}
            }
        }
    }

    /// Changes the policy. What is counted stays; another rate begins with a full burst.
    pub fn set_policy(&mut self, policy: DropPolicy) {
        if (policy.rate, policy.max_burst) != (self.policy.rate, self.policy.max_burst) {
            self.bucket = TokenBucket::new(policy.rate, policy.max_burst);
        }
        self.policy = policy;
    }

    /// The policy.
    pub fn policy(&self) -> &DropPolicy {
        &self.policy
    }

    /// Checks whose losses exceeded the threshold.
    pub fn occurrences(&self) -> u64 {
        self.occurrences
    }

    /// Times that the actions were taken.
    pub fn actions_taken(&self) -> u64 {
        self.actions_taken
    }
}

impl DropPolicy {
    /// Whether the policy includes this action.
    pub fn has(&self, action: DropAction) -> bool {
        self.actions.contains(&action)
    }

    /// Whether nothing at all is to be done.
    pub fn ignores(&self) -> bool {
        self.actions.iter().all(|action| *action == DropAction::Ignore)
    }
}

#[cfg(test)]
mod tests {
    use peregrine_event::{LossCause, LossClass};

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_700_000_000 * SECOND;

    fn policy() -> DropPolicy {
        DropPolicy {
            actions: vec![DropAction::Log, DropAction::Alert],
            threshold: 0.1,
            rate: 0.03333,
            max_burst: 1.0,
            simulate: false,
        }
    }

    fn counters(seen: u64, lost: u64) -> EventCounters {
        let mut counters = EventCounters::default();
        counters.seen[LossClass::Open as usize] = seen;
        counters.lost[LossClass::Open as usize][LossCause::RingFull as usize] = lost;
        counters
    }

    /// Seconds in which something is done, when in each of `seconds` all events are lost.
    fn acts(policy: DropPolicy, seconds: u64) -> Vec<u64> {
        let mut monitor = DropMonitor::new(policy);
        let (mut acts, mut throttled) = (Vec::new(), 0);
        assert!(monitor.start(START) && !monitor.start(START + SECOND));
        for second in 1..=seconds {
            // A check is due after the second is over.
            let ts = START + second * (SECOND + 1);
            assert!(!monitor.is_due(ts - 1) && monitor.is_due(ts));
            match monitor.check(ts, &counters(second, second)).reaction {
                Reaction::Act => acts.push(second),
                Reaction::Throttled => throttled += 1,
                Reaction::None => {}
            }
        }
        assert_eq!((monitor.occurrences(), monitor.actions_taken()), (seconds, acts.len() as u64));
        assert_eq!(throttled, seconds - monitor.actions_taken());
        acts
    }

    #[test]
    fn checks_go_on_when_the_clock_is_set_back() {
        let mut monitor = DropMonitor::new(policy());
        monitor.start(START);
        monitor.check(START + SECOND, &counters(1, 0));
        // Events can be a little late.
        assert!(!monitor.is_due(START + SECOND - 1) && !monitor.is_due(START));
        assert!(monitor.is_due(START - 1));
        let check = monitor.check(START - 3600 * SECOND, &counters(10, 9));
        assert_eq!(check.reaction, Reaction::Act);
        assert!(!monitor.is_due(START - 3600 * SECOND + 1));
    }

    #[test]
    fn the_threshold_must_be_exceeded() {
        let mut monitor = DropMonitor::new(DropPolicy { max_burst: 10.0, ..policy() });
        monitor.start(START);
        let mut check = |second: u64, seen, lost| {
            let check = monitor.check(START + second * 2 * SECOND, &counters(seen, lost));
            (check.drops, check.reaction)
        };
        // What was lost before the first event counts for the first second.
        assert_eq!(check(1, 1000, 500), (500, Reaction::Act));
        assert_eq!(check(2, 2000, 600), (100, Reaction::None));
        assert_eq!(check(3, 3000, 701), (101, Reaction::Act));
        assert_eq!(check(4, 4000, 701), (0, Reaction::None));
        assert_eq!((monitor.occurrences(), monitor.actions_taken()), (2, 2));
    }

    #[test]
    fn with_no_threshold_every_loss_counts() {
        let mut monitor = DropMonitor::new(DropPolicy { threshold: 0.0, ..policy() });
        monitor.start(START);
        let check = monitor.check(START + 2 * SECOND, &counters(1_000_000, 1));
        assert_eq!((check.drops, check.reaction), (1, Reaction::Act));
        let check = monitor.check(START + 4 * SECOND, &counters(2_000_000, 1));
        assert_eq!((check.drops, check.reaction), (0, Reaction::None));
    }

    #[test]
    fn a_burst_then_one_each_time_the_bucket_has_filled() {
        // The default rate is a little less than one in thirty seconds.
        assert_eq!(acts(policy(), 100), [1, 32, 63, 94]);
        let burst = DropPolicy { rate: 0.1, max_burst: 3.0, ..policy() };
        assert_eq!(acts(burst, 35), [1, 2, 3, 11, 21, 31]);
        let early = DropPolicy { max_burst: 10.0, ..policy() };
        assert_eq!(acts(early, 50), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 32]);
    }

    #[test]
    fn lost_lifecycle_events_are_told_of_below_the_threshold_and_summed_between_alerts() {
        let policy = DropPolicy { threshold: 1.0, actions: vec![DropAction::Exit], ..policy() };
        let lose = |monitor: &mut DropMonitor, second: u64, forks, exits| {
            let mut all = counters(1_000_000 * second, 0);
            all.lost[LossClass::CloneFork as usize][LossCause::RingFull as usize] = forks;
            all.lost[LossClass::ProcExit as usize][LossCause::Bug as usize] = exits;
            let check = monitor.check(START + second * SECOND, &all);
            assert_eq!(check.reaction, Reaction::None);
            check.lifecycle
        };
        let mut monitor = DropMonitor::new(policy.clone());
        monitor.start(START);
        assert_eq!(lose(&mut monitor, 1, 0, 0), []);
        assert_eq!(lose(&mut monitor, 2, 1, 0), [(LossClass::CloneFork, 1)]);
        assert_eq!(lose(&mut monitor, 4, 3, 0), []);
        assert_eq!(lose(&mut monitor, 6, 3, 5), []);
        let both = [(LossClass::CloneFork, 2), (LossClass::ProcExit, 5)];
        assert_eq!(lose(&mut monitor, 13, 3, 5), both);
        assert_eq!(lose(&mut monitor, 30, 3, 5), []);
        assert_eq!(lose(&mut monitor, 31, 4, 5), [(LossClass::CloneFork, 1)]);
        assert_eq!(lose(&mut monitor, 32, 5, 5), []);
        let mut all = monitor.last;
        all.lost[LossClass::Execve as usize][LossCause::RingFull as usize] = 2;
        let rest = monitor.finish(&all);
        assert_eq!(rest, [(LossClass::CloneFork, 1), (LossClass::Execve, 2)]);

        for actions in [vec![], vec![DropAction::Ignore]] {
            let mut monitor = DropMonitor::new(DropPolicy { actions, ..policy.clone() });
            monitor.start(START);
            assert_eq!(lose(&mut monitor, 2, 1, 1), []);
        }
    }

    #[test]
    fn a_bucket_too_small_for_one_never_acts() {
        assert!(acts(DropPolicy { rate: 1.0, max_burst: 0.5, ..policy() }, 10).is_empty());
    }

    #[test]
    fn a_simulation_loses_one_event_a_second() {
        let mut monitor =
            DropMonitor::new(DropPolicy { simulate: true, threshold: 1.0, ..policy() });
        assert!(monitor.start(START) && !monitor.start(START + SECOND));
        // As in a replay, where nobody counts events.
        let check = monitor.check(START + 2 * SECOND, &counters(0, 0));
        assert_eq!((check.drops, check.new.lost(), check.reaction), (1, 0, Reaction::Act));
        let check = monitor.check(START + 4 * SECOND, &counters(1000, 0));
        assert_eq!((check.drops, check.reaction), (1, Reaction::Throttled));
    }
}
