//! A condition as it is written, and where its parts stand.

use std::ops::Range;

use peregrine_filter::{Expr, RULES_MAX_DEPTH, Span, parse};

use crate::decode::Decoded;
use crate::define::invalid;
use crate::expand::{Expanded, Lists};
use crate::{ErrorCode, Finding, Place};

/// A condition of a rule or macro: lists are in their places, macros are not.
pub(crate) struct Written<'d> {
    /// With the exceptions of a rule.
    pub(crate) text: String,
    pub(crate) expr: Expr,
    /// Without exceptions.
    own: &'d str,
    place: &'d Place,
    expanded: Expanded,
}

impl<'d> Written<'d> {
    /// Understands the condition `own` that stands at `place`; `text` is the same with exceptions.
    pub(crate) fn parse(
        own: &'d str,
        text: String,
        place: &'d Place,
        lists: &mut Lists,
    ) -> Decoded<Self> {
        let expanded = lists.expand(&text).map_err(|error| invalid(error.to_string(), place))?;
        match parse(&expanded.text, RULES_MAX_DEPTH) {
            Ok(expr) => Ok(Self { text, expr, own, place, expanded }),
            Err(error) => {
                let at = error.offset;
                let spot = place.in_condition(&expanded.text, at);
                let spot = show(spot, own, place, &expanded, at..at + 1);
                let code = ErrorCode::CompileCondition;
                Err(Box::new(Finding::error(code, error.to_string(), spot)))
            }
        }
    }

    /// The place of a part, for machines.
    pub(crate) fn spot(&self, span: Span) -> Place {
        self.place.in_condition(&self.text, span.start)
    }

    /// The same place for machines; people are shown the part in the file, if it can be found there.
    pub(crate) fn shown(&self, spot: Place, span: Span) -> Place {
        show(spot, self.own, self.place, &self.expanded, span.start..span.end)
    }

    /// Whether a word stands at a place.
    pub(crate) fn has(&self, word: &str, span: Span) -> bool {
        self.expanded.text.get(span.start..span.end) == Some(word)
    }
}

fn show(spot: Place, own: &str, place: &Place, expanded: &Expanded, part: Range<usize>) -> Place {
    let part = expanded.original(part);
    // With exceptions the condition stands between parentheses.
    let shift = usize::from(!expanded.is_of(own));
    match (part.start.checked_sub(shift), part.end.checked_sub(shift)) {
        (Some(start), Some(end)) if start <= own.len() => {
            spot.showing_part(place, own, start..end.min(own.len()))
        }
        _ => spot,
    }
}
