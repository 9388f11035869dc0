//! `L01`: conditions and parts of them that can't be true, or that change nothing.

use peregrine_rules::DefinitionKind;

use super::finding::LintFinding;
use super::lints::Lint;
use super::logic::solve::Solver;
use super::logic::tree::{Condition, Part, Term};
use super::model::{Model, shortened};

/// The parts of a longer conjunction or disjunction are not compared with each other.
const MAX_PARTS: usize = 500;

/// A part whose value is certain where it stands. Tests hold these against captures.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) part: Part,
    pub(crate) verdict: Verdict,
    /// What makes it certain, if it is one part.
    because: Option<Part>,
}

/// What is certain of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is an alternative that can't be true.
    Dead,
    /// The whole condition stays the same without it.
    Redundant,
}

/// Rules that can never match.
pub(crate) fn rules(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    for index in 0..model.rules.len() {
        let Some(rule) = model.rules.get(index) else { continue };
        let (own, name) = (rule.own, rule.rule.name.clone());
        if is_never(model, own) {
            found.push(never(model, own, &name));
        }
    }
}

/// Parts without effect.
pub(crate) fn parts(model: &mut Model<'_>, found: &mut Vec<LintFinding>) {
    for index in 0..model.macros.len() {
        let Some(known) = model.macros.get(index) else { continue };
        let (condition, name) = (known.condition, known.name.clone());
        let root = model.forest.root(condition);
        if constant(model, root).is_some() {
            continue;
        }
        for claim in claims(model, condition, root) {
            found.push(describe(model, &claim, |lint, message| {
                LintFinding::new(lint, DefinitionKind::Macro, &name, message)
            }));
        }
    }
    for index in 0..model.rules.len() {
        let Some(rule) = model.rules.get(index) else { continue };
        let (condition, own, name) = (rule.condition, rule.own, rule.rule.name.clone());
        if is_never(model, own) {
            continue;
        }
        for claim in claims(model, condition, own) {
            found.push(describe(model, &claim, |lint, message| {
                LintFinding::rule(lint, &name, message)
            }));
        }
    }
}

fn is_never(model: &mut Model<'_>, part: Part) -> bool {
    let mut solver = Solver::new(&model.atoms, &mut model.forest);
    solver.mark();
    solver.never(part)
}

/// What is certain of the parts that are written in a condition.
pub(crate) fn claims(model: &mut Model<'_>, condition: Condition, root: Part) -> Vec<Claim> {
    let solver = Solver::new(&model.atoms, &mut model.forest);
    let mut search = Search { solver, condition, claims: Vec::new(), around: Vec::new() };
    search.visit(root);
    search.claims
}

struct Search<'s, 'f> {
    solver: Solver<'s, 'f>,
    condition: Condition,
    claims: Vec<Claim>,
    /// What is assumed around the part that is visited.
    around: Vec<Part>,
}

impl Search<'_, '_> {
    fn visit(&mut self, part: Part) {
        match self.solver.forest.term(part).clone() {
            Term::All(parts) if parts.len() <= MAX_PARTS => self.visit_all(&parts),
            Term::Any(parts) if parts.len() <= MAX_PARTS => self.visit_any(&parts),
            _ => {}
        }
    }

    /// First what is superfluous, the last part first, then what is inside the parts that are left.
    fn visit_all(&mut self, parts: &[Part]) {
        let mut left: Vec<Part> = parts.to_vec();
        for part in parts.iter().rev() {
            if self.is_constant(*part) {
                continue;
            }
            let others: Vec<_> = left.iter().copied().filter(|other| other != part).collect();
            let (mark, before) = (self.solver.mark(), self.around.len());
            let same = others.iter().copied().find(|o| self.solver.forest.is_same(*o, *part));
            let possible = self.assume_units(&others);
            self.around.extend(&others);
            if possible && (same.is_some() || self.solver.always(*part)) {
                let because = same.or_else(|| self.because(*part, true));
                if self.is_worth_saying(*part, because) {
                    self.claim(*part, Verdict::Redundant, because);
                    left = others;
                }
            }
            self.around.truncate(before);
            self.solver.reset(&mark);
        }
        for part in left.clone() {
            if self.is_constant(part) {
                continue;
            }
            let others: Vec<_> = left.iter().copied().filter(|other| *other != part).collect();
            let (mark, before) = (self.solver.mark(), self.around.len());
            if self.assume_units(&others) {
                self.around.extend(&others);
                self.visit(part);
            }
            self.around.truncate(before);
            self.solver.reset(&mark);
        }
    }

    fn visit_any(&mut self, parts: &[Part]) {
        let mut left: Vec<Part> = parts.to_vec();
        for part in parts.iter().rev() {
            if self.is_constant(*part) {
                continue;
            }
            let others: Vec<_> = left.iter().copied().filter(|other| other != part).collect();
            let mark = self.solver.mark();
            if self.solver.never(*part) {
                let because = self.because(*part, false);
                self.claim(*part, Verdict::Dead, because);
                left = others;
            } else if let Some(because) = self.covered(*part, &others)
                && self.is_worth_saying(*part, because)
            {
                self.claim(*part, Verdict::Redundant, because);
                left = others;
            }
            self.solver.reset(&mark);
        }
        for part in left {
            if !self.is_constant(part) {
                let mark = self.solver.mark();
                self.visit(part);
                self.solver.reset(&mark);
            }
        }
    }

    /// Whether an alternative is true only where others are, and which one covers it.
    fn covered(&mut self, part: Part, others: &[Part]) -> Option<Option<Part>> {
        let same = others.iter().copied().find(|other| self.solver.forest.is_same(*other, part));
        if same.is_some() {
            return Some(same);
        }
        let negations: Vec<_> = others.iter().map(|o| self.solver.forest.negation(*o)).collect();
        let mark = self.solver.mark();
        let covered = self.assume_units(&negations) && self.solver.never(part);
        self.solver.reset(&mark);
        if !covered {
            return None;
        }
        let covers = others.iter().zip(negations).find(|(_, negation)| {
            let mark = self.solver.mark();
            let covers = self.solver.assume(*negation) && self.solver.never(part);
            self.solver.reset(&mark);
            covers
        });
        Some(covers.map(|(other, _)| *other))
    }

    /// Assumes those parts that are no alternatives. `false` if they can't be true together.
    fn assume_units(&mut self, parts: &[Part]) -> bool {
        let is_unit = |part: &Part| !matches!(self.solver.forest.inner(*part), Term::Any(_));
        let units: Vec<_> = parts.iter().copied().filter(is_unit).collect();
        self.solver.assume_all(&units)
    }

    fn claim(&mut self, part: Part, verdict: Verdict, because: Option<Part>) {
        let here = |part: &Part| self.solver.forest.origin(*part).map(|origin| origin.condition);
        if here(&part) == Some(self.condition) {
            self.claims.push(Claim { part, verdict, because });
        }
    }

    /// The one part around that makes a part true, or false.
    fn because(&mut self, part: Part, holds: bool) -> Option<Part> {
        let around = self.around.clone();
        let mut alone = Solver::new(self.solver.atoms, self.solver.forest);
        around.into_iter().find(|cause| {
            let mark = alone.mark();
            let certain =
                alone.assume(*cause) && if holds { alone.always(part) } else { alone.never(part) };
            alone.reset(&mark);
            certain
        })
    }

    /// A test of the event type that other tests make superfluous says which events are meant.
    fn is_worth_saying(&self, part: Part, because: Option<Part>) -> bool {
        let about_type = |part| about_event_type(&self.solver, part);
        !about_type(part) || because.is_some_and(about_type)
    }

    /// Whether the part is the same for every event, by itself: a template to be filled, or
    /// reported where it is defined.
    fn is_constant(&mut self, part: Part) -> bool {
        let is_macro = matches!(self.solver.forest.term(part), Term::Macro(..));
        let mut alone = Solver::new(self.solver.atoms, self.solver.forest);
        let constant = alone.never(part) || alone.always(part);
        constant && (is_macro || is_template(&alone, part))
    }
}

/// Whether a part of the tests under it is there to be replaced: it asks for event 0, or for a
/// value of an empty list.
fn is_template(solver: &Solver<'_, '_>, part: Part) -> bool {
    match solver.forest.term(part) {
        Term::Literal(literal) => solver.atoms.get(literal.atom).is_template(),
        Term::Macro(_, inner) => is_template(solver, *inner),
        Term::All(parts) | Term::Any(parts) => parts.iter().any(|part| is_template(solver, *part)),
    }
}

fn about_event_type(solver: &Solver<'_, '_>, part: Part) -> bool {
    match solver.forest.term(part) {
        Term::Literal(literal) => solver.atoms.get(literal.atom).is_about_type(),
        Term::Macro(_, inner) => about_event_type(solver, *inner),
        Term::All(parts) | Term::Any(parts) => {
            parts.iter().all(|part| about_event_type(solver, *part))
        }
    }
}

/// The value of a condition that is the same for every event.
pub(crate) fn constant(model: &mut Model<'_>, part: Part) -> Option<bool> {
    let mut solver = Solver::new(&model.atoms, &mut model.forest);
    solver.mark();
    if solver.never(part) {
        return Some(false);
    }
    solver.mark();
    solver.always(part).then_some(true)
}

/// A rule that can never match: the parts that exclude each other.
fn never(model: &mut Model<'_>, own: Part, name: &str) -> LintFinding {
    let mut core = model.conjuncts(own);
    let mut solver = Solver::new(&model.atoms, &mut model.forest);
    let mut at = 0;
    while at < core.len() {
        let without: Vec<_> =
            core.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, p)| *p).collect();
        let mark = solver.mark();
        let needed = solver.assume_all(&without);
        solver.reset(&mark);
        if needed {
            at += 1;
        } else {
            core = without;
        }
    }
    let template = core.iter().any(|part| is_template(&solver, *part));
    if let ([part], true) = (&core[..], template) {
        let text = model.text(*part);
        let message = format!("this rule can't match until what `{text}` stands for is filled");
        return LintFinding::rule(Lint::EmptyTemplate, name, message)
            .at(model.label(*part).or_else(|| model.label(own)))
            .help("fill the list or macro, or disable the rule where it is not used");
    }
    let shown: Vec<_> = core.iter().map(|part| format!("`{}`", model.text(*part))).collect();
    let message = match &shown[..] {
        [only] => format!("this rule can never match: {only} is never true"),
        [a, b] => format!("this rule can never match: {a} and {b} exclude each other"),
        _ => format!("this rule can never match: {} exclude each other", shown.join(", ")),
    };
    let mut parts = core.into_iter();
    let first = parts.next().unwrap_or(own);
    let kind = DefinitionKind::Rule;
    let label = model.label(first).or_else(|| model.sources.name_label(kind, name));
    let mut finding = LintFinding::rule(Lint::NeverTrue, name, message).at(label);
    for part in parts.take(3) {
        finding = finding.related(model.label(part), "excluded by this part");
    }
    finding
}

fn describe(
    model: &Model<'_>,
    claim: &Claim,
    finding: impl Fn(Lint, String) -> LintFinding,
) -> LintFinding {
    let Claim { part, verdict, because, .. } = claim;
    let text = model.text(*part);
    let negated = model.forest.is_negated(*part);
    let (lint, message, note) = match (verdict, negated) {
        (Verdict::Dead, false) => {
            (Lint::DeadPart, format!("`{text}` can never be true here"), "excluded by this part")
        }
        (Verdict::Dead, true) => {
            (Lint::DeadPart, format!("`{text}` is always true here"), "implied by this part")
        }
        (Verdict::Redundant, _) => {
            (Lint::RedundantPart, format!("`{text}` changes nothing here"), "this part covers it")
        }
    };
    let help = match (verdict, text.starts_with("not ")) {
        (Verdict::Redundant, true) => {
            "remove it; if more was to be negated, put it in parentheses: `not` binds tighter than `and` and `or`"
        }
        (Verdict::Redundant, false) => "remove it, or correct what was meant",
        (Verdict::Dead, _) => "correct it, or remove the alternative",
    };
    let mut finding = finding(lint, message).at(model.label(*part)).help(help);
    if let Some(because) = because {
        let note = format!("{note}: `{}`", shortened(&model.text(*because)));
        finding = finding.related(model.label(*because), note);
    }
    finding
}
