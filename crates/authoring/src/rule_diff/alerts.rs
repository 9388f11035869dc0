//! The alerts of two sets of rules on the same events.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use peregrine_engine::{End, Engine, Match, Observer, Source, Step};
use peregrine_event::Event;
use peregrine_event::render::Buffers;

use crate::explain::printable;

/// Most examples for a rule.
const EXAMPLES: usize = 3;

/// The difference of the alerts on a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertDiff {
    /// Name of the capture.
    pub capture: String,
    /// Number of alerts of the old set and of the new one.
    pub totals: (u64, u64),
    /// The rules whose alerts differ, by name.
    pub rules: BTreeMap<String, RuleAlerts>,
}

/// Alerts of a rule that only one of the sets raises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleAlerts {
    /// Number of those of the old set only.
    pub gone: u64,
    /// Number of those of the new set only.
    pub new: u64,
    /// Number of those with another text.
    pub reworded: u64,
    /// The first of them: `-` or `+`, number of the event, text.
    pub examples: Vec<(char, u64, String)>,
}

/// Evaluates both sets on the same events: two engines, each with a source of the same records.
///
/// # Errors
/// When a source fails.
pub fn compare_alerts<S: Source>(
    capture: String,
    [old, new]: [&mut Engine; 2],
    [old_source, new_source]: [&mut S; 2],
    mut is_stopped: impl FnMut() -> bool,
) -> Result<AlertDiff, S::Error> {
    let mut diff = AlertDiff { capture, ..AlertDiff::default() };
    let (mut before, mut after) = (Alerts::default(), Alerts::default());
    loop {
        let ends = [
            old.step(old_source, &mut before, &mut ())?,
            new.step(new_source, &mut after, &mut ())?,
        ];
        diff.add(&mut before, &mut after);
        if ends.contains(&Step::End(End::Source)) || is_stopped() {
            return Ok(diff);
        }
    }
}

impl AlertDiff {
    /// Whether the alerts are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Adds the alerts about one event.
    fn add(&mut self, before: &mut Alerts, after: &mut Alerts) {
        self.totals.0 += before.0.len() as u64;
        self.totals.1 += after.0.len() as u64;
        if before.0 == after.0 {
            before.0.clear();
            after.0.clear();
            return;
        }
        for (rule, (event, text)) in std::mem::take(&mut before.0) {
            match after.0.remove(&rule) {
                Some((_, same)) if same == text => {}
                Some((_, other)) => {
                    let alerts = self.rules.entry(rule).or_default();
                    alerts.reworded += 1;
                    alerts.example('-', event, text);
                    alerts.example('+', event, other);
                }
                None => {
                    let alerts = self.rules.entry(rule).or_default();
                    alerts.gone += 1;
                    alerts.example('-', event, text);
                }
            }
        }
        for (rule, (event, text)) in std::mem::take(&mut after.0) {
            let alerts = self.rules.entry(rule).or_default();
            alerts.new += 1;
            alerts.example('+', event, text);
        }
    }
}

impl RuleAlerts {
    /// Keeps an alert, if there are not enough of its sign.
    fn example(&mut self, sign: char, event: u64, text: String) {
        let count = self.examples.iter().filter(|(known, _, _)| *known == sign).count();
        if count < EXAMPLES {
            self.examples.push((sign, event, text));
        }
    }
}

/// The alerts about one event: rule, number of the event, text.
#[derive(Default)]
struct Alerts(BTreeMap<String, (u64, String)>);

impl Observer for Alerts {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        let mut text = Vec::new();
        matched.rule.template.render(matched.view, Buffers::default(), &mut text);
        let alert = (matched.event.num, printable(&text));
        self.0.insert(matched.rule.name.clone(), alert);
    }
}
