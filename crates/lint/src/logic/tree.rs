//! Conditions with macros in place, negations pushed down to the tests.

use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_filter::{Expr, ExprKind, Span};

use super::atoms::{Atoms, Literal};

/// A part of a condition, or its negation, by its index in a [`Forest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Part(u32);

/// A condition of a macro or rule, by its index among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Condition(pub(crate) u32);

/// Where a part is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) condition: Condition,
    /// In the text that was parsed.
    pub(crate) span: Span,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    Literal(Literal),
    All(Vec<Part>),
    Any(Vec<Part>),
    /// The condition of a macro.
    Macro(Condition, Part),
}

/// All parts of all conditions.
#[derive(Default)]
pub(crate) struct Forest {
    nodes: Vec<Node>,
    /// The negation of a part, once it was asked for.
    negations: HashMap<Part, Part>,
    /// For each condition, the whole of it.
    roots: Vec<Part>,
}

struct Node {
    term: Term,
    origin: Origin,
    /// Whether the part is the negation of what is written at its origin.
    negated: bool,
}

/// What a name of a macro stands for.
pub(crate) type Macros = HashMap<String, Condition>;

impl Forest {
    /// Adds a condition. Macros in it must have been added; one that was not is `None`.
    pub(crate) fn add(
        &mut self,
        expr: &Expr,
        macros: &Macros,
        atoms: &mut Atoms<'_>,
    ) -> Option<Condition> {
        let condition = Condition(self.roots.len() as u32);
        let root = self.build(expr, false, condition, macros, atoms)?;
        self.roots.push(root);
        Some(condition)
    }

    /// The whole of a condition.
    pub(crate) fn root(&self, condition: Condition) -> Part {
        self.roots.get(condition.0 as usize).copied().unwrap_or(Part(0))
    }

    pub(crate) fn term(&self, part: Part) -> &Term {
        static NOTHING: Term = Term::Any(Vec::new());
        self.nodes.get(part.0 as usize).map_or(&NOTHING, |node| &node.term)
    }

    pub(crate) fn origin(&self, part: Part) -> Option<Origin> {
        self.nodes.get(part.0 as usize).map(|node| node.origin)
    }

    /// Whether a part is the negation of what is written at its origin.
    pub(crate) fn is_negated(&self, part: Part) -> bool {
        self.nodes.get(part.0 as usize).is_some_and(|node| node.negated)
    }

    /// The part without the macros that it is the condition of.
    pub(crate) fn inner(&self, part: Part) -> &Term {
        let mut term = self.term(part);
        while let Term::Macro(_, inner) = term {
            term = self.term(*inner);
        }
        term
    }

    /// Whether two parts are the same, wherever they are written.
    pub(crate) fn is_same(&self, a: Part, b: Part) -> bool {
        let same = |a: &[Part], b: &[Part]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.is_same(*a, *b))
        };
        a == b
            || match (self.inner(a), self.inner(b)) {
                (Term::Literal(a), Term::Literal(b)) => a == b,
                (Term::All(a), Term::All(b)) | (Term::Any(a), Term::Any(b)) => same(a, b),
                _ => false,
            }
    }

    /// The negation of a part, if it was asked for before.
    pub(crate) fn known_negation(&self, part: Part) -> Option<Part> {
        self.negations.get(&part).copied()
    }

    /// The negation of a part.
    pub(crate) fn negation(&mut self, part: Part) -> Part {
        if let Some(known) = self.negations.get(&part) {
            return *known;
        }
        let term = match self.term(part).clone() {
            Term::Literal(Literal { atom, holds }) => {
                Term::Literal(Literal { atom, holds: !holds })
            }
            Term::All(parts) => Term::Any(self.negations(&parts)),
            Term::Any(parts) => Term::All(self.negations(&parts)),
            Term::Macro(condition, inner) => Term::Macro(condition, self.negation(inner)),
        };
        let Some(node) = self.nodes.get(part.0 as usize) else { return part };
        let node = Node { term, origin: node.origin, negated: !node.negated };
        let negation = self.push(node);
        self.negations.insert(part, negation);
        self.negations.insert(negation, part);
        negation
    }

    fn negations(&mut self, parts: &[Part]) -> Vec<Part> {
        parts.iter().map(|part| self.negation(*part)).collect()
    }

    fn push(&mut self, node: Node) -> Part {
        self.nodes.push(node);
        Part(self.nodes.len() as u32 - 1)
    }

    fn build(
        &mut self,
        expr: &Expr,
        negated: bool,
        condition: Condition,
        macros: &Macros,
        atoms: &mut Atoms<'_>,
    ) -> Option<Part> {
        let term = match &expr.node {
            ExprKind::Not(inner) => {
                let part = self.build(inner, !negated, condition, macros, atoms)?;
                // The place of the negation, not of what it negates.
                if let Some(node) = self.nodes.get_mut(part.0 as usize) {
                    node.origin.span = expr.span;
                    node.negated = false;
                }
                return Some(part);
            }
            ExprKind::Check(check) => {
                Term::Literal(Literal { atom: atoms.add(&Arc::clone(check)), holds: !negated })
            }
            ExprKind::Macro(name) => {
                let called = *macros.get(name)?;
                let root = self.root(called);
                Term::Macro(called, if negated { self.negation(root) } else { root })
            }
            ExprKind::And(children) | ExprKind::Or(children) => {
                let build = |child| self.build(child, negated, condition, macros, atoms);
                let parts = children.iter().map(build).collect::<Option<Vec<_>>>()?;
                match matches!(expr.node, ExprKind::And(_)) != negated {
                    true => Term::All(parts),
                    false => Term::Any(parts),
                }
            }
        };
        let origin = Origin { condition, span: expr.span };
        Some(self.push(Node { term, origin, negated }))
    }
}
