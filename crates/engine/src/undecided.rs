//! Rules that depend on a container which is not described yet.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use peregrine_alert::{RuleId, RuleInfo};
use peregrine_event::Event;
use peregrine_fields::{Completed, Field, Frozen, Recording, View};
use peregrine_rules::Rule;
use peregrine_state::State;

use crate::compiled::{Decision, Matching};
use crate::pending_alert::{MatchAlert, PendingAlert};
use crate::{AlertTemplate, Generation, Throttle};

/// The rules of one event that may match, with the values of the event that they need.
///
/// At least one of their conditions depends on what the runtimes are still asked about.
pub struct Undecided {
    /// In the order of evaluation.
    rules: Box<[WaitingRule]>,
    frozen: Arc<Frozen>,
    generation: Arc<Generation>,
    ts: u64,
    num: u64,
    group: u64,
}

/// A rule that may match.
struct WaitingRule {
    index: usize,
    decision: Decision,
    /// Time of its match before.
    last_match: u64,
}

/// A rule that matched an event of before.
pub struct LateMatch<'a> {
    /// The rule's id.
    pub id: RuleId,
    /// The rule.
    pub rule: &'a Rule<Field>,
    /// Time of the event, in nanoseconds since the epoch.
    pub ts: u64,
    index: usize,
    last_match: u64,
    undecided: &'a Undecided,
    values: &'a Completed<'a>,
    state: &'a State,
}

impl Undecided {
    /// Rules of the event of this view, by position. `None` if none of them depends on anything
    /// unknown.
    #[cold]
    pub(crate) fn new(
        generation: &Arc<Generation>,
        view: &View<'_>,
        rules: Vec<(usize, Decision)>,
        last_match: impl Fn(RuleId) -> u64,
    ) -> Option<Self> {
        if rules.is_empty() {
            return None;
        }
        let Event { ts, num, .. } = *view.event();
        let recording = Recording::new(view);
        let (mut key, mut group) = (Vec::new(), DefaultHasher::new());
        for (index, decision) in &rules {
            // The rules are evaluated to record the values that they read; the results are ignored.
            if let Some((id, rule)) =
                generation.rule(*index).filter(|_| *decision == Decision::Open)
            {
                rule.filter.decide(&recording);
                id.hash(&mut group);
            }
            if let Some(template) = generation.template(*index) {
                template.render(ts, num, &recording);
            }
            if let Some(throttle) = generation.throttle(*index) {
                key.clear();
                throttle.key(&recording, &mut key);
            }
        }
        let waiting = |(index, decision)| {
            let last_match = last_match(generation.rule(index)?.0);
            Some(WaitingRule { index, decision, last_match })
        };
        let rules = rules.into_iter().filter_map(waiting).collect();
        let (frozen, generation) = (Arc::new(recording.freeze()?), Arc::clone(generation));
        Some(Self { rules, frozen, generation, ts, num, group: group.finish() })
    }

    /// Time of the event, in nanoseconds since the epoch.
    pub fn ts(&self) -> u64 {
        self.ts
    }

    /// The container that the rules depend on.
    pub fn container(&self) -> &Arc<[u8]> {
        self.frozen.container()
    }

    /// The same number for all events with which the same rules are open.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Memory that it occupies, in bytes: an estimate.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.rules) + self.frozen.memory()
    }

    /// Whether the runtimes are still asked.
    pub fn waits(&self, state: &State) -> bool {
        self.frozen.waits_for_metadata(state)
    }

    /// Decides the rules with what is known now; the rest counts as missing. Calls `matched` for
    /// each rule that matches.
    pub fn decide(&self, state: &State, mut matched: impl FnMut(&LateMatch<'_>)) {
        let settings = self.generation.settings();
        self.frozen.complete(state, &settings.run, |values| {
            for &WaitingRule { index, decision, last_match } in &self.rules {
                let Some((id, rule)) = self.generation.rule(index) else { continue };
                if decision == Decision::Matches || rule.filter.matches(values) {
                    let (undecided, ts) = (self, self.ts);
                    matched(&LateMatch {
                        id,
                        rule,
                        ts,
                        index,
                        last_match,
                        undecided,
                        values,
                        state,
                    });
                    if settings.matching == Matching::First {
                        return;
                    }
                }
            }
        });
    }
}

impl<'a> LateMatch<'a> {
    /// How many alerts of the rule are sent; `None` if all are.
    pub fn throttle(&self) -> Option<&'a Throttle<Field>> {
        self.undecided.generation.throttle(self.index)
    }

    /// What alerts of the rule have in common. `None` if the generation makes no alerts.
    pub fn rule_info(&self) -> Option<&'a Arc<RuleInfo>> {
        self.undecided.generation.template(self.index).map(AlertTemplate::rule)
    }

    /// The values of the event.
    pub fn values(&self) -> &'a Completed<'a> {
        self.values
    }

    /// The alert about this match. `None` if the generation makes no alerts.
    pub fn alert(&self) -> Option<MatchAlert> {
        let Self { undecided, index, last_match, .. } = *self;
        let Undecided { ts, num, frozen, generation, .. } = undecided;
        let template = generation.template(index)?;
        if frozen.waits_for_accounts(self.state) {
            let (frozen, generation) = (Arc::clone(frozen), Arc::clone(generation));
            let pending =
                PendingAlert::new(frozen, generation, index, (*ts, *num), Some(last_match));
            return Some(MatchAlert::Pending(Box::new(pending)));
        }
        Some(MatchAlert::Complete(template.render(*ts, *num, &self.values.after(last_match))))
    }
}
