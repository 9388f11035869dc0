//! A condition as it is written, and what is said about its parts.

use std::ops::Range;

use peregrine_diagnostics::Fix;

use crate::result::Explained;
use crate::text_parts::Parts;
use crate::{Cause, Finding, Place};

/// The condition of a macro or rule, without exceptions.
pub(super) struct Condition<'d> {
    pub(super) text: &'d str,
    pub(super) place: &'d Place,
    pub(super) parts: &'d Parts,
}

impl Condition<'_> {
    /// A finding about a part.
    pub(super) fn finding(
        &self,
        cause: Cause,
        message: String,
        help: String,
        part: Range<usize>,
    ) -> Finding {
        let labels = self.parts.label(self.text, self.place, part).into_iter().collect();
        let place = self.place.in_condition(self.text, 0);
        let explained =
            Explained { message: message.clone(), labels, related: Vec::new(), fix: None };
        Finding::new(cause, message, place).help(Some(help)).explained(explained)
    }
}

impl Finding {
    /// Offers edits of a condition, if its text is in the file as it is.
    pub(super) fn with_fix(
        mut self,
        condition: &Condition<'_>,
        title: String,
        edits: &[(Range<usize>, String)],
    ) -> Self {
        let Condition { text, place, parts } = condition;
        let edit =
            |(part, new): &(Range<usize>, String)| parts.edit(text, place, part.clone(), new);
        let edits: Option<Vec<_>> = edits.iter().map(edit).collect();
        if let Some(explained) = &mut self.explained {
            explained.fix = edits.map(|edits| Fix::offered(title, edits));
        }
        self
    }
}
