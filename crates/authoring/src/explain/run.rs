//! Explains events while they go by.

use std::ops::ControlFlow;

use peregrine_engine::{Match, Observer};
use peregrine_event::Event;
use peregrine_fields::{Field, Fields, View};
use peregrine_rules::Rule;

use super::event::EventFields;
use super::explanation::{Explanation, Place};
use super::misses::{concerns, nearest};
use super::report::{EventReport, MissReport, RuleReport};
use super::tree::ConditionTree;
use super::why_not::{WhyNot, failing};

/// The furthest miss that is shown, in tests.
const MAX_DISTANCE: usize = 3;

/// A rule in reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHead {
    /// Its name.
    pub name: String,
    /// Priority of its alerts.
    pub priority: String,
    /// Where it is defined.
    pub place: Option<Place>,
    /// The event types that it is about, as a text.
    pub types: String,
}

/// Which events are explained.
#[derive(Debug)]
pub enum Wanted {
    /// The event with this number.
    Number(u64),
    /// Those that satisfy the condition of this rule.
    Condition(Box<Rule<Field>>),
    /// Those that match one of the rules.
    Matching,
    /// All of them.
    Every,
}

impl Wanted {
    /// Whether an event satisfies the condition; those without a condition are satisfied by all.
    fn allows(&self, view: &View<'_>) -> bool {
        match self {
            Self::Number(number) => view.event().num == *number,
            Self::Condition(rule) => concerns(rule, view.event()) && rule.filter.matches(view),
            Self::Matching | Self::Every => true,
        }
    }
}

/// A rule with its condition as a tree.
pub type Explained<'r> = (&'r Rule<Field>, &'r ConditionTree);

/// Explains the first events that are wanted, as an observer of an engine.
pub struct Explainer<'r, F> {
    rules: Vec<Explained<'r>>,
    /// Whether one rule is asked about, which is explained also where it does not match.
    pub single: bool,
    fields: EventFields,
    wanted: Wanted,
    limit: usize,
    misses: usize,
    report: F,
    /// Events so far.
    pub events: u64,
    /// How many of them were explained.
    pub explained: usize,
}

impl<'r, F: FnMut(EventReport)> Explainer<'r, F> {
    /// Calls `report` for the first `limit` wanted events, with at most `misses` nearest misses.
    pub fn new(
        rules: Vec<Explained<'r>>,
        fields: &Fields,
        wanted: Wanted,
        (limit, misses): (usize, usize),
        report: F,
    ) -> Self {
        let (single, fields) = (false, EventFields::new(fields));
        let (events, explained) = (0, 0);
        Self { rules, single, fields, wanted, limit, misses, report, events, explained }
    }

    /// Why no event was explained, if none was.
    #[must_use]
    pub fn nothing(&self) -> Option<String> {
        if self.explained > 0 {
            return None;
        }
        let (events, subject) = (self.events, if self.single { "the rule" } else { "any rule" });
        Some(match &self.wanted {
            _ if events == 0 => "there was no event".to_owned(),
            Wanted::Number(number) => {
                format!("there is no event {number} among {events} that rules are evaluated for")
            }
            Wanted::Condition(_) => format!("none of {events} events satisfies the condition"),
            Wanted::Matching if self.single => {
                format!("none of {events} events matches {subject}; --why-not tells the reasons")
            }
            Wanted::Matching | Wanted::Every => {
                format!("none of {events} events matches {subject}")
            }
        })
    }

    fn explain(&mut self, view: &View<'_>) {
        let rules = self.rules.iter().copied();
        let found = nearest(rules, view, if self.single { 1 } else { self.misses }, MAX_DISTANCE);
        if matches!(self.wanted, Wanted::Matching) && found.matches.is_empty() {
            return;
        }
        let explained: Vec<_> = match self.single {
            true => self.rules.iter().collect(),
            false => found.matches.iter().filter_map(|index| self.rules.get(*index)).collect(),
        };
        let rule = |(rule, tree): &Explained<'_>| RuleReport {
            head: RuleHead::of(rule, tree),
            concerned: concerns(rule, view.event()),
            explanation: Explanation::new(tree, &tree.evaluate(view), view),
        };
        let rules = explained.into_iter().map(rule).collect();
        let miss = |miss: &super::Miss| {
            let (rule, tree) = self.rules.get(miss.rule)?;
            Some(MissReport {
                head: RuleHead::of(rule, tree),
                distance: miss.flips.count,
                failing: failing(tree, &miss.trace, &miss.flips, view),
            })
        };
        let shown = if self.single { &[] } else { found.misses.as_slice() };
        let report = EventReport {
            event: self.fields.summary(view),
            rules,
            misses: shown.iter().filter_map(miss).collect(),
            total: self.rules.len(),
            other_types: found.other_types,
        };
        self.explained += 1;
        (self.report)(report);
    }

    fn is_done(&self) -> bool {
        self.explained >= self.limit
    }
}

impl<F: FnMut(EventReport)> Observer for Explainer<'_, F> {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        if self.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn evaluating(&mut self, view: &View<'_>) {
        self.events += 1;
        if self.wanted.allows(view) {
            self.explain(view);
        }
    }

    fn matched(&mut self, _: &Match<'_>) {}
}

/// Counts for all wanted events why a rule does not match, as an observer of an engine.
pub struct WhyNotRun<'r> {
    rule: &'r Rule<Field>,
    wanted: Wanted,
    /// The counts.
    pub why_not: WhyNot<'r>,
}

impl<'r> WhyNotRun<'r> {
    /// Counts for this rule; keeps at most `limit` of the closest events.
    #[must_use]
    pub fn new((rule, tree): Explained<'r>, fields: &Fields, wanted: Wanted, limit: usize) -> Self {
        Self { rule, wanted, why_not: WhyNot::new(tree, fields, limit) }
    }

    /// The rule.
    #[must_use]
    pub fn head(&self) -> RuleHead {
        RuleHead::of(self.rule, self.why_not.tree())
    }
}

impl Observer for WhyNotRun<'_> {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn evaluating(&mut self, view: &View<'_>) {
        if self.wanted.allows(view) {
            self.why_not.add(self.rule, view);
        }
    }

    fn matched(&mut self, _: &Match<'_>) {}
}

impl RuleHead {
    fn of(rule: &Rule<Field>, tree: &ConditionTree) -> Self {
        const SHOWN: usize = 8;
        let names = rule.event_types.as_ref().map(peregrine_fields::EventTypes::names);
        let names: Vec<_> = names.into_iter().flatten().collect();
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let names: Vec<_> = names.into_iter().take(SHOWN).collect();
        Self {
            name: rule.name.clone(),
            priority: rule.priority.to_string(),
            place: tree.item().map(Place::of),
            types: format!("{}{more}", names.join(", ")),
        }
    }
}
