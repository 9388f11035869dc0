//! Values that are accepted and probably are not meant as such: names of lists with a slip, names
//! of macros, typographic characters, a `~` behind `=`, numbers with a leading zero; and empty
//! lists.
//!
//! Conditions are looked at as they are written. A search of the text comes before any parsing.

mod names;
mod numbers;

use std::ops::Range;

use peregrine_diagnostics::Fix;
use peregrine_filter::{
    Check, Comparison, DEFAULT_MAX_DEPTH, Expr, ExprKind, OperandKind, Operator, Right, Span,
    Vocabulary, compile, list_items, odd_characters, parse,
};

use crate::define::Definitions;
use crate::expand::is_delimiter;
use crate::result::Explained;
use crate::text_parts::Parts;
use crate::{Cause, Finding, Place};

use names::{Meant, Similar};
use numbers::LeadingZeros;

/// How lists without items are written.
const EMPTY: [&str; 2] = ["()", "( )"];

/// An operator of other languages, which is read as `=` and the beginning of a value.
const MATCH: &str = "=~";

/// Warns of doubtful values in the items of a file, or in all. `vocabulary` gives the fields of a
/// source, or those of the first one.
pub(crate) fn warn_of_values<'v, V: Vocabulary + 'v>(
    definitions: &Definitions,
    vocabulary: impl Fn(Option<&str>) -> Option<&'v V>,
    file: Option<&Place>,
    findings: &mut Vec<Finding>,
) {
    let is_in = |place: &Place| file.is_none_or(|file| place.is_in(file));
    let macros = definitions.macros.iter().filter(|def| is_in(&def.place)).map(|def| {
        let (text, place, parts) = (&def.condition, &def.condition_place, &def.condition_parts);
        (Condition { text, place, parts }, None)
    });
    let rules = definitions.rules.iter().filter(|def| is_in(&def.place)).map(|def| {
        let (text, place, parts) = (&def.condition, &def.condition_place, &def.condition_parts);
        (Condition { text, place, parts }, Some(def.source.as_str()))
    });
    let mut similar = Similar::new(definitions);
    let mut zeros = LeadingZeros::new(definitions);
    for (condition, source) in macros.chain(rules) {
        let words = similar.words(condition.text);
        let signs = EMPTY.iter().chain(&[MATCH]).any(|sign| condition.text.contains(sign));
        let numbers = zeros.may_be_in(condition.text);
        if words.is_empty() && !signs && !numbers && condition.text.is_ascii() {
            continue;
        }
        let Some(vocabulary) = vocabulary(source) else { continue };
        let Ok(expr) = parse(condition.text, DEFAULT_MAX_DEPTH) else { continue };
        findings.extend(condition.odd_characters());
        if signs {
            condition.signs(&expr, vocabulary, findings);
        }
        if numbers {
            zeros.check(&condition, &expr, vocabulary, findings);
        }
        if words.is_empty() {
            continue;
        }
        let values = values(&expr, condition.text, vocabulary);
        for (word, meant) in words {
            if values.binary_search_by_key(&(word.start, word.end), |it| (it.start, it.end)).is_ok()
            {
                findings.push(condition.name(word, meant));
            }
        }
    }
    similar.warn_of_items(is_in, findings);
}

/// The condition of a macro or rule, without exceptions.
struct Condition<'d> {
    text: &'d str,
    place: &'d Place,
    parts: &'d Parts,
}

impl Condition<'_> {
    fn name(&self, word: Range<usize>, meant: Meant<'_>) -> Finding {
        let written = self.text.get(word.clone()).unwrap_or_default();
        let (cause, message, help) = meant.explain(written);
        let finding = self.finding(cause, message, help, word.clone());
        match meant.replacement() {
            Some((title, list)) => finding.with_fix(self, title, &[(word, list)]),
            None => finding,
        }
    }

    /// Empty lists, and values that begin with a part of an operator.
    fn signs<V: Vocabulary>(&self, expr: &Expr, vocabulary: &V, findings: &mut Vec<Finding>) {
        expr.walk(&mut |part| {
            let ExprKind::Check(check) = &part.node else { return };
            let Check::Compare(Comparison { op, right, .. }) = &**check else { return };
            let Span { start, end } = right.span();
            let finding = match right {
                // A macro that consists of it is there to be replaced.
                Right::List(list) if list.node.is_empty() && !std::ptr::eq(part, expr) => {
                    self.empty_list(start..end)
                }
                Right::Value(_) if *op == Operator::Eq && self.is_match(start) => {
                    self.sign_in_value(start..end)
                }
                _ => return,
            };
            if compile(part, vocabulary).is_ok() {
                findings.push(finding);
            }
        });
    }

    fn empty_list(&self, list: Range<usize>) -> Finding {
        let message = "this list is empty, and no value is in it".to_owned();
        let help = "write its items, or the name of a list, which other files may append to";
        self.finding(Cause::EmptyList, message, help.to_owned(), list)
    }

    fn sign_in_value(&self, value: Range<usize>) -> Finding {
        let sign = value.start.saturating_sub(1)..value.start + 1;
        let before = self.text.get(..sign.start).unwrap_or_default();
        let operator = if before.ends_with(is_delimiter) { "regex " } else { " regex " };
        let written = self.text.get(value).unwrap_or_default();
        let message = format!("`=~` is not an operator: this compares with the text `{written}`");
        let help = format!(
            "write `regex` for a regular expression, and `= \"{written}\"` if this text is meant"
        );
        self.finding(Cause::SignInValue, message, help, sign.clone()).with_fix(
            self,
            "write `regex`".to_owned(),
            &[(sign, operator.to_owned())],
        )
    }

    /// Whether `=~` is written here, `~` being the first character of a value. `~/` is a path.
    fn is_match(&self, value: usize) -> bool {
        let (before, rest) = self.text.split_at_checked(value).unwrap_or_default();
        before.ends_with('=') && rest.starts_with('~') && !rest.starts_with("~/")
    }

    fn odd_characters(&self) -> Option<Finding> {
        let advice = odd_characters(self.text)?;
        let message = "a typographic or invisible character is part of this value".to_owned();
        let part = |span: Span| span.start..span.end;
        let help = advice.help.unwrap_or_default();
        let help = format!("{help}, or put plain quotes around the value if it is meant");
        let finding = self.finding(Cause::OddValue, message, help, part(advice.span));
        let Some(repair) = advice.repair else { return Some(finding) };
        let edits: Vec<_> =
            repair.edits.into_iter().map(|(span, text)| (part(span), text)).collect();
        Some(finding.with_fix(self, repair.title, &edits))
    }

    fn finding(&self, cause: Cause, message: String, help: String, part: Range<usize>) -> Finding {
        let labels = self.parts.label(self.text, self.place, part).into_iter().collect();
        let place = self.place.in_condition(self.text, 0);
        let explained =
            Explained { message: message.clone(), labels, related: Vec::new(), fix: None };
        Finding::new(cause, message, place).help(Some(help)).explained(explained)
    }
}

impl Finding {
    /// Offers edits of a condition, if its text is in the file as it is.
    fn with_fix(
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

/// Where the unquoted values of tests stand that compile, in the order of the text. Those of event
/// types are left out, because they are known names.
fn values<V: Vocabulary>(expr: &Expr, text: &str, vocabulary: &V) -> Vec<Span> {
    let mut found = Vec::new();
    expr.walk(&mut |part| {
        let ExprKind::Check(check) = &part.node else { return };
        let Check::Compare(Comparison { left, right, .. }) = &**check else { return };
        let is_event_type =
            matches!(&left.node, OperandKind::Field(field) if field.name == "evt.type");
        if is_event_type || matches!(right, Right::Operand(_)) || compile(part, vocabulary).is_err()
        {
            return;
        }
        found.extend(list_items(text, right.span()));
    });
    found
}
