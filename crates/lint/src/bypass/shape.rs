//! Rules as what they require and what they exclude.

use std::borrow::Cow;

use peregrine_filter::{Operator, Text};

use crate::logic::atoms::Atom;
use crate::logic::solve::Solver;
use crate::logic::tree::{Part, Term};
use crate::model::Model;

/// A rule as what it requires and what it excludes.
pub(crate) struct Shape {
    pub(crate) name: String,
    /// Parts of which all must be true, as they are written.
    pub(crate) requires: Vec<Part>,
    /// What must not be the case: exclusions without their `not`, and exceptions.
    pub(crate) excludes: Vec<Exclusion>,
}

/// Something that a rule excludes.
#[derive(Clone, Copy)]
pub(crate) struct Exclusion {
    /// What is excluded.
    pub(crate) condition: Part,
    /// The part of the rule that says so.
    pub(crate) place: Part,
}

impl Shape {
    /// `None` for a rule that can't match.
    pub(crate) fn of(model: &mut Model<'_>, at: usize) -> Option<Self> {
        let rule = model.rules.get(at)?;
        let (name, own) = (rule.rule.name.clone(), rule.own);
        let exceptions: Vec<_> = rule.exceptions.iter().map(|(_, part)| *part).collect();
        let mut solver = Solver::new(&model.atoms, &mut model.forest);
        solver.mark();
        if solver.never(own) {
            return None;
        }
        let (mut requires, mut excludes) = (Vec::new(), Vec::new());
        for place in model.conjuncts(own) {
            if !only_negative(model, place) {
                requires.push(place);
                continue;
            }
            let condition = model.forest.negation(place);
            // A template that is not filled excludes nothing.
            let mut solver = Solver::new(&model.atoms, &mut model.forest);
            solver.mark();
            if !solver.never(condition) {
                excludes.push(Exclusion { condition, place });
            }
        }
        excludes
            .extend(exceptions.into_iter().map(|part| Exclusion { condition: part, place: part }));
        Some(Self { name, requires, excludes })
    }

    /// Whether a part that the rule requires, each alternative of it, has a test that counts.
    pub(crate) fn required(&self, model: &Model<'_>, counts: Counts<'_>) -> Option<Part> {
        self.requires.iter().find_map(|part| every_way(model, *part, counts))
    }
}

/// Which tests count for a question.
pub(crate) type Counts<'c> = &'c dyn Fn(&Atom) -> bool;

/// The first test that counts, if a part can't be true without one.
pub(crate) fn every_way(model: &Model<'_>, part: Part, counts: Counts<'_>) -> Option<Part> {
    match model.forest.inner(part) {
        Term::Literal(literal) => {
            (literal.holds && counts(model.atoms.get(literal.atom))).then_some(part)
        }
        Term::All(parts) => parts.iter().find_map(|part| every_way(model, *part, counts)),
        Term::Any(parts) => {
            let mut each = parts.iter().map(|part| every_way(model, *part, counts));
            let first = each.next()??;
            each.all(|way| way.is_some()).then_some(first)
        }
        Term::Macro(..) => None,
    }
}

/// Whether a part can be true by tests that count alone.
pub(crate) fn some_way(model: &Model<'_>, part: Part, counts: Counts<'_>) -> bool {
    match model.forest.inner(part) {
        Term::Literal(literal) => {
            let atom = model.atoms.get(literal.atom);
            counts(atom) && !(literal.holds && atom.is_template())
        }
        Term::All(parts) => parts.iter().all(|part| some_way(model, *part, counts)),
        Term::Any(parts) => parts.iter().any(|part| some_way(model, *part, counts)),
        Term::Macro(..) => false,
    }
}

/// Whether a part has no test that must hold.
fn only_negative(model: &Model<'_>, part: Part) -> bool {
    let mut negative = true;
    model.each_literal(part, &mut |literal, _| {
        let atom = model.atoms.get(literal.atom);
        let differs = atom.operator() == Some(Operator::Ne);
        // That a value is there is a requirement, however it is written.
        negative &= literal.holds == differs && !atom.is_about_absence();
    });
    negative
}

/// The literals of an atom as texts.
pub(crate) fn texts(atom: &Atom) -> impl Iterator<Item = Cow<'_, str>> {
    atom.literals().iter().map(Text::to_str)
}
