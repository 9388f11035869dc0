//! Alerts that wait for the accounts of their container.
//!
//! The files with the users and groups of a container are read off the event thread. An alert that
//! names one of them is held until they are known, and no longer than a configured time; then it goes
//! out with what was known when its rule matched. Alerts of one container keep their order, so those
//! behind a held one wait too. Events never wait.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::Alert;
use peregrine_engine::{Match, MatchAlert, PendingAlert};
use peregrine_state::State;

/// Alerts that are held at most; with more of them, the oldest goes out as it is.
const MAX_HELD: usize = 4096;

/// Holds alerts back.
pub(crate) struct HeldAlerts {
    held: VecDeque<Held>,
    max_wait: u64,
    incomplete: u64,
}

struct Held {
    container: Arc<[u8]>,
    /// Nanoseconds since the epoch.
    deadline: u64,
    alert: Waiting,
}

enum Waiting {
    /// For an alert before it.
    Behind(Alert),
    ForAccounts(Box<PendingAlert>),
}

impl HeldAlerts {
    /// Holds each alert for at most this time.
    pub(crate) fn new(max_wait: Duration) -> Self {
        let max_wait = max_wait.as_nanos().try_into().unwrap_or(u64::MAX);
        Self { held: VecDeque::new(), max_wait, incomplete: 0 }
    }

    /// Takes the alert of a match, and returns those that go out now.
    #[inline]
    pub(crate) fn add(&mut self, matched: &Match<'_>, alert: MatchAlert) -> Option<Alert> {
        match alert {
            MatchAlert::Complete(alert) if self.held.is_empty() => Some(alert),
            alert => self.hold(matched, alert),
        }
    }

    /// Whether something is to be released because it is this time.
    #[inline]
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.held.front().is_some_and(|held| held.deadline <= now)
    }

    /// Releases what has its answer or has waited long enough.
    pub(crate) fn release(&mut self, now: u64, state: &State, mut submit: impl FnMut(Alert)) {
        let mut waiting = HashSet::new();
        for held in std::mem::take(&mut self.held) {
            if waiting.contains(&held.container) {
                self.held.push_back(held);
                continue;
            }
            match held.alert {
                Waiting::Behind(alert) => submit(alert),
                Waiting::ForAccounts(alert) if alert.is_answered(state) => {
                    submit(alert.complete(state));
                }
                Waiting::ForAccounts(alert) if held.deadline <= now => {
                    self.incomplete += 1;
                    submit(alert.incomplete());
                }
                Waiting::ForAccounts(alert) => {
                    waiting.insert(Arc::clone(&held.container));
                    self.held.push_back(Held { alert: Waiting::ForAccounts(alert), ..held });
                }
            }
        }
    }

    /// Releases everything as it is.
    pub(crate) fn release_all(&mut self, submit: impl FnMut(Alert)) {
        let held = std::mem::take(&mut self.held);
        held.into_iter().map(|held| self.give_up(held)).for_each(submit);
    }

    /// Alerts that went out before the accounts of their container were known.
    pub(crate) fn incomplete(&self) -> u64 {
        self.incomplete
    }

    #[cold]
    fn hold(&mut self, matched: &Match<'_>, alert: MatchAlert) -> Option<Alert> {
        let (container, alert) = match alert {
            MatchAlert::Complete(alert) => {
                let id = matched.view.container_id();
                let Some(before) = self.held.iter().find(|held| *held.container == *id) else {
                    return Some(alert);
                };
                (Arc::clone(&before.container), Waiting::Behind(alert))
            }
            MatchAlert::Pending(alert) => {
                (Arc::clone(alert.container()), Waiting::ForAccounts(alert))
            }
        };
        let deadline = matched.event.ts.saturating_add(self.max_wait);
        self.held.push_back(Held { container, deadline, alert });
        if self.held.len() <= MAX_HELD {
            return None;
        }
        self.held.pop_front().map(|held| self.give_up(held))
    }

    fn give_up(&mut self, held: Held) -> Alert {
        match held.alert {
            Waiting::Behind(alert) => alert,
            Waiting::ForAccounts(alert) => {
                self.incomplete += 1;
                alert.incomplete()
            }
        }
    }
}
