//! Alerts that lack names of users and groups until the account files of a container are read.

use std::sync::Arc;

use peregrine_alert::{Alert, RuleInfo};
use peregrine_event::Event;
use peregrine_fields::{Field, Frozen, Recording};
use peregrine_state::State;

use crate::{AlertTemplate, Generation, Match, Throttle};

/// The alert about a match.
pub enum MatchAlert {
    /// All values are known.
    Complete(Alert),
    /// It names a user or group of a container whose accounts are requested but not known yet.
    Pending(Box<PendingAlert>),
}

/// An alert that can be rendered again when the accounts of its container are known.
pub struct PendingAlert {
    alert: Alert,
    ticket: u64,
    frozen: Frozen,
    generation: Arc<Generation>,
    index: usize,
    number: u64,
}

impl Match<'_> {
    /// How many alerts of the rule are sent; `None` if all are.
    #[inline]
    pub fn throttle(&self) -> Option<&Throttle<Field>> {
        self.generation.throttle(self.index)
    }

    /// What alerts of the rule have in common. `None` if the generation makes no alerts.
    pub fn rule_info(&self) -> Option<&Arc<RuleInfo>> {
        self.generation.template(self.index).map(AlertTemplate::rule)
    }

    /// The alert about this match, independent of event and state. `None` if the generation makes
    /// no alerts.
    pub fn alert(&self) -> Option<MatchAlert> {
        let template = self.generation.template(self.index)?;
        let Event { ts, num: number, .. } = *self.event;
        let Some(ticket) = self.view.pending_accounts() else {
            return Some(MatchAlert::Complete(template.render(ts, number, self.view)));
        };
        let recording = Recording::new(self.view);
        let alert = template.render(ts, number, &recording);
        let Some(frozen) = recording.freeze() else { return Some(MatchAlert::Complete(alert)) };
        let (generation, index) = (Arc::clone(self.generation), self.index);
        let pending = PendingAlert { alert, ticket, frozen, generation, index, number };
        Some(MatchAlert::Pending(Box::new(pending)))
    }
}

impl PendingAlert {
    /// The container whose accounts are missing.
    pub fn container(&self) -> &Arc<[u8]> {
        self.frozen.container()
    }

    /// Memory that it occupies, in bytes. An estimate: the values are kept once more than in an
    /// alert.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + 2 * self.alert.memory()
    }

    /// Whether the accounts have been read since the match.
    pub fn is_answered(&self, state: &State) -> bool {
        state.has_answer(self.container(), self.ticket)
    }

    /// The alert with the names that are known now.
    pub fn complete(mut self, state: &State) -> Alert {
        self.frozen.complete(state);
        match self.generation.template(self.index) {
            Some(template) => template.render(self.alert.time(), self.number, &self.frozen),
            None => self.alert,
        }
    }

    /// The alert as it was at the match.
    pub fn incomplete(self) -> Alert {
        self.alert
    }
}
