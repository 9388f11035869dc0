//! Decides that parts of conditions can't be true.
//!
//! A part is assumed to be true together with what stands around it. Its tests restrict the types
//! of events and the values of fields; where nothing is left, the assumption is wrong. Alternatives
//! are tried one by one but not in combination, so not every contradiction is found. What is found
//! is certain.

use hashbrown::HashMap;
use peregrine_event::EventSet;

use super::atoms::{Atoms, Literal};
use super::tree::{Forest, Part, Term};

/// How many parts one question may visit. Beyond, nothing is found.
const MAX_STEPS: usize = 200_000;

/// Assumptions about an event.
pub(crate) struct Solver<'a, 'f> {
    pub(crate) atoms: &'a Atoms<'f>,
    pub(crate) forest: &'a mut Forest,
    types: EventSet,
    /// What is assumed, by subject.
    facts: HashMap<usize, Vec<Literal>>,
    /// The subjects of the facts, in the order in which these were added.
    trail: Vec<usize>,
    /// Alternatives that are assumed as a whole.
    assumed: Vec<Part>,
    steps: usize,
}

/// A state of the assumptions to return to.
pub(crate) struct Mark {
    types: EventSet,
    len: usize,
    assumed: usize,
}

impl<'a, 'f> Solver<'a, 'f> {
    pub(crate) fn new(atoms: &'a Atoms<'f>, forest: &'a mut Forest) -> Self {
        let types = atoms.universe();
        let (facts, trail, assumed) = (HashMap::new(), Vec::new(), Vec::new());
        Self { atoms, forest, types, facts, trail, assumed, steps: MAX_STEPS }
    }

    pub(crate) fn mark(&mut self) -> Mark {
        self.steps = MAX_STEPS;
        self.here()
    }

    fn here(&self) -> Mark {
        Mark { types: self.types, len: self.trail.len(), assumed: self.assumed.len() }
    }

    pub(crate) fn reset(&mut self, mark: &Mark) {
        for subject in self.trail.drain(mark.len..) {
            if let Some(facts) = self.facts.get_mut(&subject) {
                facts.pop();
            }
        }
        self.types = mark.types;
        self.assumed.truncate(mark.assumed);
    }

    /// Whether a part can't be true under the assumptions. `true` is certain.
    pub(crate) fn never(&mut self, part: Part) -> bool {
        if let Term::Any(parts) = self.forest.inner(part) {
            // One that can be true is enough.
            return parts.clone().into_iter().all(|part| self.never(part));
        }
        let mark = self.here();
        let possible = self.assume(part);
        self.reset(&mark);
        !possible
    }

    /// Whether a part is true whenever the assumptions are.
    pub(crate) fn always(&mut self, part: Part) -> bool {
        let negation = self.forest.negation(part);
        self.never(negation)
    }

    /// Assumes that a part is true. `false` if it can't be.
    pub(crate) fn assume(&mut self, part: Part) -> bool {
        // The negation of what is assumed as a whole: a macro that is used twice.
        if self.forest.known_negation(part).is_some_and(|other| self.assumed.contains(&other)) {
            return false;
        }
        match self.forest.term(part).clone() {
            Term::Literal(literal) => self.assume_literal(literal),
            Term::Macro(_, inner) => self.assume(inner),
            Term::Any(parts) => {
                self.assumed.push(part);
                self.assume_any(&parts)
            }
            Term::All(parts) => self.assume_all(&parts),
        }
    }

    /// Assumes that all parts are true: what is certain first, then alternatives, until these add
    /// nothing.
    pub(crate) fn assume_all(&mut self, parts: &[Part]) -> bool {
        let mut open = Vec::new();
        for part in parts {
            if matches!(self.forest.inner(*part), Term::Any(_)) {
                open.push(*part);
            } else if !self.assume(*part) {
                return false;
            }
        }
        for _ in 0..2 {
            let before = (self.types, self.trail.len());
            if !open.iter().all(|part| self.assume(*part)) {
                return false;
            }
            if before == (self.types, self.trail.len()) || open.len() < 2 {
                break;
            }
        }
        true
    }

    fn assume_any(&mut self, parts: &[Part]) -> bool {
        let (mut only, mut left, mut types) = (None, 0, EventSet::EMPTY);
        for part in parts {
            let mark = self.here();
            let possible = self.assume(*part);
            let of_part = self.types;
            self.reset(&mark);
            if possible {
                only = Some(*part);
                left += 1;
                types = types.union(of_part);
            }
        }
        match (left, only) {
            (0, _) => false,
            (1, Some(only)) => self.assume(only),
            _ => {
                self.types = self.types.intersection(types);
                !self.types.is_empty()
            }
        }
    }

    fn assume_literal(&mut self, literal: Literal) -> bool {
        let Some(steps) = self.steps.checked_sub(1) else { return true };
        self.steps = steps;
        let types = self.types.intersection(self.atoms.types(literal));
        if types.is_empty() {
            return false;
        }
        let subject = self.atoms.get(literal.atom).subject;
        let facts = self.facts.entry(subject).or_default();
        if !self.atoms.work(1 + facts.len()) {
            return true;
        }
        if !facts.contains(&literal) {
            facts.push(literal);
            self.trail.push(subject);
            if !self.atoms.possible(facts) {
                return false;
            }
        }
        self.types = types;
        true
    }
}
