//! Which rules are asked about an event.

use std::ops::Range;

use peregrine_event::{EventSet, EventType};
use peregrine_fields::{EventTypes, Field, View};
use peregrine_rules::RuleSet;

/// Whether an event can match more than one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// The first rule that matches is the only one.
    #[default]
    First,
    /// Every rule is asked.
    All,
}

/// The active rules of a rule set, by event type, in the order in which they are tried.
#[derive(Debug)]
pub struct Dispatch {
    by_type: [Range<u32>; EventType::COUNT],
    rules: Vec<u32>,
}

impl Dispatch {
    /// Sorts the active rules of the source `syscall` by the event types that their conditions allow.
    pub fn new(rules: &RuleSet<Field>) -> Self {
        let active: Vec<(u32, EventSet)> = (0..)
            .zip(&rules.rules)
            .filter(|(_, rule)| rule.active && rule.source == "syscall")
            .map(|(index, rule)| {
                // Loading refuses conditions whose event types can't be told.
                let types = EventTypes::of(&rule.condition);
                let mut types = types.map_or_else(|_| EventSet::all(), |types| types.events);
                // An asynchronous event has a name of its own, which no test of `evt.type` knows.
                types.insert(EventType::AsynceventE);
                (index, types)
            })
            .collect();
        let mut sorted = Vec::new();
        let by_type = std::array::from_fn(|code| {
            let start = sorted.len() as u32;
            if let Some(ty) = EventType::from_code(code as u16) {
                let here = active.iter().filter(|(_, types)| types.contains(ty));
                sorted.extend(here.map(|(index, _)| *index));
            }
            start..sorted.len() as u32
        });
        Self { by_type, rules: sorted }
    }

    /// Rules to ask about an event of this type.
    pub fn rules(&self, ty: EventType) -> &[u32] {
        let Range { start, end } = self.by_type[ty as usize];
        self.rules.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Calls `hit` with the index of each rule that matches.
    pub(crate) fn matches(
        &self,
        rules: &RuleSet<Field>,
        matching: Matching,
        ty: EventType,
        view: &View<'_>,
        mut hit: impl FnMut(usize),
    ) {
        for &index in self.rules(ty) {
            let index = index as usize;
            let matched = rules.rules.get(index).is_some_and(|rule| rule.filter.matches(view));
            if matched {
                hit(index);
                if matching == Matching::First {
                    return;
                }
            }
        }
    }
}
