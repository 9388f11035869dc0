//! A condition's text, its tree and the source places of its parts.

use std::ops::Range;
use std::sync::Arc;

use peregrine_filter::{Expr, RULES_MAX_DEPTH, Span, parse};

use crate::decode::{Decoded, failed};
use crate::expand::{Expanded, Lists};
use crate::{Cause, Place};

/// A condition of a rule or macro with lists expanded and macros not expanded.
pub(crate) struct Written<'d> {
    /// Including the exceptions of a rule.
    pub(crate) text: &'d str,
    pub(crate) expr: Arc<Expr>,
    /// Without exceptions.
    own: &'d str,
    place: &'d Place,
    pub(crate) expanded: Expanded,
}

impl<'d> Written<'d> {
    /// Parses the condition `own` at `place`; `text` is the same condition with exceptions. The
    /// result `earlier` is reused if its text is unchanged.
    pub(crate) fn parse(
        own: &'d str,
        text: &'d str,
        place: &'d Place,
        lists: &mut Lists,
        earlier: Option<&Resolved>,
    ) -> Decoded<Self> {
        let expanded = lists
            .expand(text)
            .map_err(|error| failed(Cause::ExpandsTooMuch, error.to_string(), place))?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.expanded == expanded.text) {
            let expr = Arc::clone(&earlier.written);
            return Ok(Self { text, expr, own, place, expanded });
        }
        match parse(&expanded.text, RULES_MAX_DEPTH) {
            Ok(expr) => Ok(Self { text, expr: Arc::new(expr), own, place, expanded }),
            Err(error) => {
                let at = error.offset;
                let spot = place.in_condition(&expanded.text, at);
                let spot = show(spot, own, place, &expanded, at..at + 1);
                Err(failed(Cause::Syntax, error.to_string(), &spot))
            }
        }
    }

    /// The place of a part, for machine-readable output.
    pub(crate) fn spot(&self, span: Span) -> Place {
        self.place.in_condition(self.text, span.start)
    }

    /// The same place for machine-readable output; the snippet shows the part in the file if it
    /// occurs there.
    pub(crate) fn shown(&self, spot: Place, span: Span) -> Place {
        show(spot, self.own, self.place, &self.expanded, span.start..span.end)
    }

    /// Whether a place holds a word.
    pub(crate) fn has(&self, word: &str, span: Span) -> bool {
        self.expanded.text.get(span.start..span.end) == Some(word)
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
}

impl Resolved {
    pub(crate) fn new(
        written: &Written<'_>,
        macros: Vec<(String, Arc<Expr>)>,
        condition: Arc<Expr>,
    ) -> Self {
        let (expanded, written) = (written.expanded.text.clone(), Arc::clone(&written.expr));
        Self { expanded, written, macros, condition }
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

    /// Nodes that macros have added: those of the whole condition, if there is any.
    pub(crate) fn nodes(&self) -> usize {
        let mut nodes = 0;
        if !self.macros.is_empty() {
            self.condition.walk(&mut |_| nodes += 1);
        }
        nodes
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
