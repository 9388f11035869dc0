//! Alerts and rules that wait until more is known of their container.
//!
//! What runtimes say of a container, and its account files, are found out off the event thread. An
//! alert that shows something of it is held until that is known, and so are the rules of an event
//! that depend on it; but no longer than a configured time. Then they go on with what is known.
//! Events never wait.
//!
//! What waits for a runtime keeps the order of all alerts: those of later events wait behind it. It
//! waits for a fixed time at most, so no container delays the alerts of others for longer.
//! What waits for accounts keeps the order of its container only.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::Alert;
use peregrine_limits::{
    HELD_ALERT_BYTES, HELD_ALERTS, Limit, UNDECIDED_EVENT_BYTES, UNDECIDED_EVENTS,
};
use peregrine_state::State;

use crate::{LateMatch, Match, MatchAlert, PendingAlert, Undecided};

/// Time between two searches for deadlines that have passed, in nanoseconds. A search takes time
/// for each of the held, and a container decides how many there are.
const SEARCH_INTERVAL: u64 = 10_000_000;
/// A deadline further ahead than it can be, by this many nanoseconds, shows that the clock has been
/// set back.
const CLOCK_STEP: u64 = 1_000_000_000;
/// Of the events whose rules depend on the same, this share is given up when there are too many.
const GIVEN_UP_SHARE: usize = 8;

/// Takes what is no longer held.
pub trait AlertSink {
    /// Takes an alert.
    fn submit(&mut self, alert: Alert);

    /// A rule matched an event of before. Returns the alert to be submitted.
    fn matched(&mut self, matched: &LateMatch<'_>) -> Option<MatchAlert>;
}

/// How long the held wait at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxWaits {
    /// For what runtimes say of a container.
    pub metadata: Duration,
    /// For its users and groups.
    pub accounts: Duration,
}

/// What was held so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldStats {
    /// Alerts sent before the users and groups of their container were read.
    pub incomplete: u64,
    /// Alerts sent before a runtime had described their container.
    pub without_metadata: u64,
    /// Events with rules that waited for a runtime to describe their container.
    pub undecided: u64,
    /// Those of them whose rules were decided without that.
    pub given_up: u64,
}

/// Holds alerts, and rules that are undecided, in the order of their events.
#[derive(Default)]
pub struct HeldAlerts {
    held: VecDeque<Held>,
    /// Number of the held of each container.
    by_container: HashMap<Arc<[u8]>, usize>,
    /// Number of events whose rules depend on the same, by [`Undecided::group`].
    by_group: HashMap<u64, usize>,
    /// Number of the held that wait for a runtime.
    blocking: usize,
    alerts: Usage,
    undecided: Usage,
    metadata_wait: u64,
    accounts_wait: u64,
    /// The earliest deadline; `u64::MAX` for none.
    deadline: u64,
    /// Time of the next search for deadlines, nanoseconds since the epoch.
    next_search: u64,
    stats: HeldStats,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    count: usize,
    bytes: usize,
}

struct Held {
    container: Arc<[u8]>,
    /// Nanoseconds since the epoch.
    metadata_deadline: u64,
    accounts_deadline: u64,
    /// What was missing when it was looked at last.
    missing: Option<Missing>,
    waiting: Waiting,
}

enum Waiting {
    /// Complete, but behind another.
    Alert(Alert),
    Pending(Box<PendingAlert>),
    Rules(Box<Undecided>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Metadata,
    Accounts,
}

/// What waits in front of an alert.
#[derive(Default)]
struct Ahead {
    any: bool,
    containers: HashSet<Arc<[u8]>>,
}

impl HeldAlerts {
    /// Holds nothing so far.
    pub fn new(waits: MaxWaits) -> Self {
        let mut held = Self { deadline: u64::MAX, ..Self::default() };
        held.set_max_waits(waits);
        held
    }

    /// Changes how long is waited from now on.
    pub fn set_max_waits(&mut self, MaxWaits { metadata, accounts }: MaxWaits) {
        let nanoseconds = |time: Duration| time.as_nanos().try_into().unwrap_or(u64::MAX);
        (self.metadata_wait, self.accounts_wait) = (nanoseconds(metadata), nanoseconds(accounts));
    }

    /// Whether nothing is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What was held so far.
    pub fn stats(&self) -> HeldStats {
        self.stats
    }

    /// Whether a deadline has passed, and it is time to look for it.
    #[inline]
    pub fn is_due(&self, now: u64) -> bool {
        !self.held.is_empty() && self.is_reached(self.deadline.max(self.next_search), now)
    }

    /// Adds the alert of a match. Submits it unless it has to wait.
    #[inline]
    pub fn add(&mut self, matched: &Match<'_>, alert: MatchAlert, sink: &mut dyn AlertSink) {
        match alert {
            MatchAlert::Complete(alert) if self.held.is_empty() => sink.submit(alert),
            alert => self.hold(matched, alert, sink),
        }
    }

    /// Adds the rules of an event that wait.
    #[cold]
    pub fn add_undecided(&mut self, rules: Undecided, state: &State, sink: &mut dyn AlertSink) {
        self.stats.undecided += 1;
        let (container, ts) = (Arc::clone(rules.container()), rules.ts());
        self.enter(ts, container, Waiting::Rules(Box::new(rules)), state, sink);
    }

    /// Decides and completes what can be, and submits it unless something in front of it waits.
    pub fn release(&mut self, now: u64, state: &State, sink: &mut dyn AlertSink) {
        self.next_search = now.saturating_add(SEARCH_INTERVAL);
        let mut ahead = Ahead::default();
        for held in self.take() {
            let Waiting::Rules(rules) = &held.waiting else {
                self.place(held, &mut ahead, now, state, sink);
                continue;
            };
            let waits = rules.waits(state);
            if waits && !self.is_reached(held.metadata_deadline, now) {
                ahead.any = true;
                self.keep(held);
                continue;
            }
            self.stats.given_up += u64::from(waits);
            for alert in decide(rules, state, sink) {
                let container = Arc::clone(&held.container);
                let alert = Held { container, waiting: alert.into(), ..held };
                self.place(alert, &mut ahead, now, state, sink);
            }
        }
    }

    /// Releases everything with what is known now.
    pub fn release_all(&mut self, state: &State, sink: &mut dyn AlertSink) {
        for held in self.take() {
            self.give_up(held.waiting, state, sink);
        }
    }

    #[cold]
    fn hold(&mut self, matched: &Match<'_>, alert: MatchAlert, sink: &mut dyn AlertSink) {
        let (state, ts) = (matched.view.state(), matched.event.ts);
        let id = matched.view.container_id();
        match (alert, self.by_container.get_key_value(id)) {
            (MatchAlert::Pending(alert), _) => {
                let container = Arc::clone(alert.container());
                self.enter(ts, container, Waiting::Pending(alert), state, sink);
            }
            (MatchAlert::Complete(alert), Some((container, _))) => {
                let container = Arc::clone(container);
                self.enter(ts, container, Waiting::Alert(alert), state, sink);
            }
            (MatchAlert::Complete(alert), None) if self.blocking > 0 => {
                self.enter(ts, id.into(), Waiting::Alert(alert), state, sink);
            }
            (MatchAlert::Complete(alert), None) => sink.submit(alert),
        }
    }

    /// Keeps what is about an event of this time.
    fn enter(
        &mut self,
        ts: u64,
        container: Arc<[u8]>,
        waiting: Waiting,
        state: &State,
        sink: &mut dyn AlertSink,
    ) {
        let missing = waiting.missing(state);
        let metadata_deadline = ts.saturating_add(self.metadata_wait);
        let accounts_deadline = ts.saturating_add(self.accounts_wait);
        let held = Held { container, metadata_deadline, accounts_deadline, missing, waiting };
        let is_late = held.deadline() <= ts;
        self.keep(held);
        self.limit_alerts(state, sink);
        self.limit_undecided(state, sink);
        if is_late {
            self.release(ts, state, sink);
        }
    }

    /// Submits an alert, or keeps it if it waits or one in front of it does.
    fn place(
        &mut self,
        held: Held,
        ahead: &mut Ahead,
        now: u64,
        state: &State,
        sink: &mut dyn AlertSink,
    ) {
        let Held { metadata_deadline, accounts_deadline, .. } = held;
        let waits = match &held.waiting {
            Waiting::Pending(alert) => {
                let metadata =
                    alert.waits_for_metadata(state) && !self.is_reached(metadata_deadline, now);
                let accounts =
                    || alert.waits_for_accounts(state) && !self.is_reached(accounts_deadline, now);
                let accounts = || accounts().then_some(Missing::Accounts);
                if metadata { Some(Missing::Metadata) } else { accounts() }
            }
            Waiting::Alert(_) | Waiting::Rules(_) => None,
        };
        match waits {
            Some(Missing::Metadata) => ahead.any = true,
            Some(Missing::Accounts) => drop(ahead.containers.insert(Arc::clone(&held.container))),
            None => {
                let Some(alert) = self.complete(held.waiting, state) else { return };
                if !ahead.any && !ahead.containers.contains(&held.container) {
                    return sink.submit(alert);
                }
                // It is complete: the container may be gone when its turn comes.
                let waiting = Waiting::Alert(alert);
                return self.keep(Held { missing: None, waiting, ..held });
            }
        }
        self.keep(Held { missing: waits, ..held });
    }

    /// An alert with what is known now.
    fn complete(&mut self, waiting: Waiting, state: &State) -> Option<Alert> {
        match waiting {
            Waiting::Alert(alert) => Some(alert),
            Waiting::Pending(alert) => {
                self.stats.without_metadata += u64::from(alert.waits_for_metadata(state));
                self.stats.incomplete += u64::from(alert.waits_for_accounts(state));
                alert.complete(state)
            }
            Waiting::Rules(_) => None,
        }
    }

    /// Submits with what is known now.
    fn give_up(&mut self, waiting: Waiting, state: &State, sink: &mut dyn AlertSink) {
        if let Waiting::Rules(rules) = waiting {
            self.stats.given_up += u64::from(rules.waits(state));
            for alert in decide(&rules, state, sink) {
                self.give_up(alert.into(), state, sink);
            }
        } else if let Some(alert) = self.complete(waiting, state) {
            sink.submit(alert);
        }
    }

    /// Holds no more alerts than allowed. Rules that wait make room for none.
    fn limit_alerts(&mut self, state: &State, sink: &mut dyn AlertSink) {
        while let Some(limit) = self.alerts.exceeded(&HELD_ALERTS, &HELD_ALERT_BYTES) {
            limit.reach();
            let is_alert = |held: &Held| !matches!(held.waiting, Waiting::Rules(_));
            let oldest = self.held.iter().position(is_alert);
            let Some(oldest) = oldest.and_then(|at| self.held.remove(at)) else { return };
            self.forget(&oldest);
            self.give_up(oldest.waiting, state, sink);
        }
    }

    /// Decides rules early when more events wait than allowed. One container can cause very many
    /// such events. The rules that most events wait for are decided first, so that these events
    /// do not push out those of other rules.
    fn limit_undecided(&mut self, state: &State, sink: &mut dyn AlertSink) {
        while let Some(limit) = self.undecided.exceeded(&UNDECIDED_EVENTS, &UNDECIDED_EVENT_BYTES) {
            limit.reach();
            let Some((&group, count)) = self.by_group.iter().max_by_key(|(_, count)| **count)
            else {
                return;
            };
            // Several at once, for each search takes time.
            let mut surplus = count.div_ceil(GIVEN_UP_SHARE);
            for held in self.take() {
                if surplus > 0 && held.group() == Some(group) {
                    surplus -= 1;
                    self.give_up(held.waiting, state, sink);
                } else {
                    self.keep(held);
                }
            }
        }
    }

    fn keep(&mut self, held: Held) {
        *self.by_container.entry(Arc::clone(&held.container)).or_default() += 1;
        if let Some(group) = held.group() {
            *self.by_group.entry(group).or_default() += 1;
        }
        self.usage(&held).add(&held);
        self.blocking += usize::from(held.missing == Some(Missing::Metadata));
        self.deadline = self.deadline.min(held.deadline());
        self.held.push_back(held);
    }

    /// It is no longer held.
    fn forget(&mut self, held: &Held) {
        count_down(&mut self.by_container, &held.container);
        if let Some(group) = held.group() {
            count_down(&mut self.by_group, &group);
        }
        self.usage(held).remove(held);
        self.blocking -= usize::from(held.missing == Some(Missing::Metadata));
    }

    /// Takes all of them; those that stay are to be kept again.
    fn take(&mut self) -> VecDeque<Held> {
        self.by_container.clear();
        self.by_group.clear();
        (self.alerts, self.undecided, self.blocking) = (Usage::default(), Usage::default(), 0);
        self.deadline = u64::MAX;
        std::mem::take(&mut self.held)
    }

    fn usage(&mut self, held: &Held) -> &mut Usage {
        match held.waiting {
            Waiting::Rules(_) => &mut self.undecided,
            Waiting::Alert(_) | Waiting::Pending(_) => &mut self.alerts,
        }
    }

    /// Whether a deadline is reached. If the clock has been set back since it was set, it is.
    #[inline]
    fn is_reached(&self, deadline: u64, now: u64) -> bool {
        let ahead = self.metadata_wait.max(self.accounts_wait).max(SEARCH_INTERVAL);
        deadline <= now || deadline > now.saturating_add(ahead).saturating_add(CLOCK_STEP)
    }
}

/// Decides the rules of an event. Returns the alerts of those that match.
fn decide(rules: &Undecided, state: &State, sink: &mut dyn AlertSink) -> Vec<MatchAlert> {
    let mut alerts = Vec::new();
    rules.decide(state, |matched| alerts.extend(sink.matched(matched)));
    alerts
}

/// One less of a key.
fn count_down<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Held {
    /// When it is looked at again; `u64::MAX` for one that only waits for others.
    fn deadline(&self) -> u64 {
        match self.missing {
            Some(Missing::Metadata) => self.metadata_deadline,
            Some(Missing::Accounts) => self.accounts_deadline,
            None => u64::MAX,
        }
    }

    fn group(&self) -> Option<u64> {
        match &self.waiting {
            Waiting::Rules(rules) => Some(rules.group()),
            Waiting::Alert(_) | Waiting::Pending(_) => None,
        }
    }

    /// Bytes in memory.
    fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.waiting {
                Waiting::Alert(alert) => alert.memory(),
                Waiting::Pending(alert) => alert.memory(),
                Waiting::Rules(rules) => rules.memory(),
            }
    }
}

impl Waiting {
    fn missing(&self, state: &State) -> Option<Missing> {
        let (metadata, accounts) = match self {
            Self::Alert(_) => (false, false),
            Self::Pending(it) => (it.waits_for_metadata(state), it.waits_for_accounts(state)),
            Self::Rules(_) => (true, false),
        };
        let accounts = accounts.then_some(Missing::Accounts);
        if metadata { Some(Missing::Metadata) } else { accounts }
    }
}

impl From<MatchAlert> for Waiting {
    fn from(alert: MatchAlert) -> Self {
        match alert {
            MatchAlert::Complete(alert) => Self::Alert(alert),
            MatchAlert::Pending(alert) => Self::Pending(alert),
        }
    }
}

impl Usage {
    fn add(&mut self, held: &Held) {
        self.count += 1;
        self.bytes += held.memory();
    }

    fn remove(&mut self, held: &Held) {
        self.count -= 1;
        self.bytes -= held.memory();
    }

    fn exceeded(self, count: &'static Limit, bytes: &'static Limit) -> Option<&'static Limit> {
        let used = [(self.count, count), (self.bytes, bytes)];
        used.into_iter().find_map(|(used, limit)| (used > limit.get()).then_some(limit))
    }
}

#[cfg(test)]
mod tests;
