//! A condition's text, its tree and the source places of its parts.

use std::ops::Range;
use std::sync::Arc;

use peregrine_diagnostics::{Edit, Label};
use peregrine_filter::{Expr, ParseError, RULES_MAX_DEPTH, Span, parse};

use crate::Place;
use crate::budget::TooLarge;
use crate::define::{MacroDef, RuleDef};
use crate::exception::{self, Exception};
use crate::expand::{Expanded, Lists};
use crate::text_parts::Parts;

/// The condition of a rule or macro as its author wrote it, and where.
#[derive(Clone, Copy)]
pub(crate) struct Authored<'d> {
    pub(crate) own: &'d str,
    pub(crate) place: &'d Place,
    parts: &'d Parts,
    exceptions: &'d [Exception],
}

impl<'d> Authored<'d> {
    pub(crate) fn of_macro(def: &'d MacroDef) -> Self {
        let MacroDef { condition, condition_place, condition_parts, .. } = def;
        Self { own: condition, place: condition_place, parts: condition_parts, exceptions: &[] }
    }

    pub(crate) fn of_rule(def: &'d RuleDef) -> Self {
        let RuleDef { condition, condition_place, condition_parts, exceptions, .. } = def;
        Self { own: condition, place: condition_place, parts: condition_parts, exceptions }
    }

    /// Where a part of the expanded text is written: the words themselves, the name of the list
    /// that they come from, or the exception.
    pub(crate) fn label(&self, expanded: &Expanded, part: Range<usize>) -> Option<Label> {
        match self.own_part(expanded, part.clone()) {
            Some(own) => self.parts.label(self.own, self.place, own),
            None => {
                let at = expanded.original(part).start;
                let exception = exception::at(self.own, self.exceptions, at)?;
                exception.place.labels().into_iter().next()
            }
        }
    }

    /// An edit of the file that changes a part of the expanded text. `None` if the part is not
    /// written there with the same bytes, such as where it comes from a list.
    pub(crate) fn edit(&self, expanded: &Expanded, part: Range<usize>, new: &str) -> Option<Edit> {
        let own = self.own_part(expanded, part.clone())?;
        let text = expanded.text.get(part.clone())?;
        let own = if part.is_empty() { own.start..own.start } else { own };
        let is_same = self.own.get(own.clone())? == text;
        self.parts.edit(self.own, self.place, own, new).filter(|_| is_same)
    }

    /// A part of the expanded text in the text without exceptions.
    fn own_part(&self, expanded: &Expanded, part: Range<usize>) -> Option<Range<usize>> {
        let part = expanded.original(part);
        // A condition with exceptions is enclosed in parentheses.
        let shift = usize::from(!expanded.is_of(self.own));
        let (start, end) = (part.start.checked_sub(shift)?, part.end.checked_sub(shift)?);
        (start <= self.own.len()).then(|| start..end.min(self.own.len()))
    }
}

/// A condition of a rule or macro with lists expanded and macros not expanded.
pub(crate) struct Written<'d> {
    /// Including the exceptions of a rule.
    pub(crate) text: &'d str,
    pub(crate) expr: Arc<Expr>,
    pub(crate) authored: Authored<'d>,
    pub(crate) expanded: Expanded,
}

/// Why a condition can't be read.
pub(crate) enum Unparsed {
    TooLarge(TooLarge),
    Syntax { expanded: Expanded, error: ParseError },
}

impl<'d> Written<'d> {
    /// Parses a condition; `text` is the same condition with exceptions. The result `earlier` is
    /// reused if its text is unchanged.
    pub(crate) fn parse(
        authored: Authored<'d>,
        text: &'d str,
        lists: &mut Lists,
        earlier: Option<&Resolved>,
    ) -> Result<Self, Unparsed> {
        let expanded = lists.expand(text).map_err(Unparsed::TooLarge)?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.expanded == expanded.text) {
            let expr = Arc::clone(&earlier.written);
            return Ok(Self { text, expr, authored, expanded });
        }
        match parse(&expanded.text, RULES_MAX_DEPTH) {
            Ok(expr) => Ok(Self { text, expr: Arc::new(expr), authored, expanded }),
            Err(error) => Err(Unparsed::Syntax { expanded, error }),
        }
    }

    /// The place of a part, for machine-readable output.
    pub(crate) fn spot(&self, span: Span) -> Place {
        self.authored.place.in_condition(self.text, span.start)
    }
}

/// A condition with lists and macros expanded, and its inputs.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Its text with lists expanded.
    expanded: String,
    /// The tree of that text.
    written: Arc<Expr>,
    /// The expanded macros, as they were at that time.
    macros: Vec<(String, Arc<Expr>)>,
    /// The tree with macros expanded.
    pub(crate) condition: Arc<Expr>,
    /// Nodes that macros have added: those of the whole condition, if there is any.
    pub(crate) nodes: usize,
}

impl Resolved {
    pub(crate) fn new(
        written: &Written<'_>,
        macros: Vec<(String, Arc<Expr>)>,
        condition: Arc<Expr>,
    ) -> Self {
        let (expanded, written) = (written.expanded.text.clone(), Arc::clone(&written.expr));
        let mut nodes = 0;
        if !macros.is_empty() {
            condition.walk(&mut |_| nodes += 1);
        }
        Self { expanded, written, macros, condition, nodes }
    }

    /// Whether expanding again would give the same result.
    pub(crate) fn holds<'m>(
        &self,
        written: &Written<'_>,
        visible: impl Fn(&str) -> Option<&'m Arc<Expr>>,
    ) -> bool {
        let same = |(name, then): &(String, Arc<Expr>)| {
            visible(name).is_some_and(|now| Arc::ptr_eq(then, now))
        };
        Arc::ptr_eq(&self.written, &written.expr) && self.macros.iter().all(same)
    }

    /// Names of the expanded macros.
    pub(crate) fn macros(&self) -> impl Iterator<Item = &str> {
        self.macros.iter().map(|(name, _)| name.as_str())
    }
}

/// `spot`, shown as the part of the file where a part of the expanded text is written.
pub(crate) fn show(
    spot: Place,
    own: &str,
    place: &Place,
    expanded: &Expanded,
    part: Range<usize>,
) -> Place {
    let part = expanded.original(part);
    // A condition with exceptions is enclosed in parentheses.
    let shift = usize::from(!expanded.is_of(own));
    match (part.start.checked_sub(shift), part.end.checked_sub(shift)) {
        (Some(start), Some(end)) if start <= own.len() => {
            spot.showing_part(place, own, start..end.min(own.len()))
        }
        _ => spot,
    }
}
