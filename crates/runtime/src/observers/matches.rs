//! What becomes of matches: they are throttled, counted and recorded, and their alerts submitted.

use std::sync::Arc;

use peregrine_alert::{Alert, RuleId, RuleInfo};
use peregrine_engine::held::AlertSink;
use peregrine_engine::{LateMatch, Match, MatchAlert, Throttle};
use peregrine_fields::Field;
use peregrine_filter::Supplier;
use peregrine_output::{Outputs, Summary};
use peregrine_rules::Rule;
use peregrine_telemetry::{Heartbeat, Phase};

use super::recorder::Recorder;
use super::throttle::AlertThrottle;

/// Where matches go.
pub(super) struct Matches<'a> {
    pub(super) throttle: &'a mut AlertThrottle,
    pub(super) summary: &'a mut Summary,
    pub(super) recorder: &'a mut Recorder,
    pub(super) outputs: &'a Outputs,
    pub(super) heartbeat: &'a Heartbeat,
    /// Time, in nanoseconds since the epoch.
    pub(super) now: u64,
}

/// A match, early or late.
struct Found<'a> {
    id: RuleId,
    rule: &'a Rule<Field>,
    throttle: Option<(&'a Throttle<Field>, &'a Arc<RuleInfo>)>,
    /// Time of the event.
    ts: u64,
}

impl Matches<'_> {
    /// Takes a match of the current event. Returns the alert about it, if that is to be sent.
    #[inline]
    pub(super) fn take(&mut self, matched: &Match<'_>) -> Option<MatchAlert> {
        let Match { id, rule, event, view, .. } = *matched;
        let throttle = matched.throttle().zip(matched.rule_info());
        self.admit(&Found { id, rule, throttle, ts: event.ts }, view, || matched.alert())
    }

    #[inline]
    fn admit<S>(
        &mut self,
        found: &Found<'_>,
        values: &S,
        alert: impl FnOnce() -> Option<MatchAlert>,
    ) -> Option<MatchAlert>
    where
        S: Supplier<Field> + ?Sized,
    {
        let Found { id, rule, throttle, ts } = *found;
        let (outputs, heartbeat) = (self.outputs, self.heartbeat);
        let admitted = throttle.is_none_or(|(throttle, info)| {
            let submit = |digest| submit(outputs, heartbeat, digest);
            self.throttle.admits(id, info, throttle, ts, values, submit)
        });
        let alert = if admitted { Some(alert()?) } else { None };
        self.summary.count(id, rule.priority);
        if !admitted {
            self.summary.count_suppressed(id);
        }
        self.recorder.matched(self.now, rule);
        alert
    }
}

impl AlertSink for Matches<'_> {
    fn submit(&mut self, alert: Alert) {
        submit(self.outputs, self.heartbeat, alert);
    }

    fn matched(&mut self, matched: &LateMatch<'_>) -> Option<MatchAlert> {
        let LateMatch { id, rule, ts, .. } = *matched;
        let throttle = matched.throttle().zip(matched.rule_info());
        self.admit(&Found { id, rule, throttle, ts }, matched.values(), || matched.alert())
    }
}

/// Queues an alert. In a replay, the thread may wait for an output.
pub(super) fn submit(outputs: &Outputs, heartbeat: &Heartbeat, alert: Alert) {
    heartbeat.during(Phase::SubmittingAlert, || outputs.submit(alert));
}
