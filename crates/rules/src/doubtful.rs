//! Values that are accepted and probably are not meant as such: names of lists with a slip, names
//! of macros, typographic characters, a `~` behind `=`, numbers with a leading zero, wildcards and
//! what else other languages expand; and empty lists.
//!
//! Conditions are looked at as they are written. A search of the text comes before any parsing.

mod condition;
mod expanded;
mod names;
mod numbers;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_filter::{
    Check, Comparison, DEFAULT_MAX_DEPTH, Expr, ExprKind, OperandKind, Operator, Right, Span,
    Vocabulary, compile, list_items, odd_characters, parse,
};

use crate::define::{Definitions, RuleDef};
use crate::expand::is_delimiter;
use crate::{Cause, Finding, Place};

use condition::Condition;
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
    let mut search = Search::new(definitions);
    search.macros(&vocabulary, is_in, findings);
    for def in definitions.rules.iter().filter(|def| is_in(&def.place)) {
        search.rule(def, &vocabulary, findings);
    }
    search.similar.warn_of_items(is_in, findings);
}

/// What was found in rules that have not changed since the last check.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Stands for the lists and the names of macros, which findings depend on.
    names: u64,
    /// By the address of the rule.
    rules: HashMap<usize, (Arc<RuleDef>, Vec<Finding>)>,
}

impl Memo {
    /// The same as the function, for items that are mostly those of the last call.
    pub(crate) fn warn_of_values<'v, V: Vocabulary + 'v>(
        &mut self,
        definitions: &Definitions,
        vocabulary: impl Fn(Option<&str>) -> Option<&'v V>,
        file: Option<&Place>,
        findings: &mut Vec<Finding>,
    ) {
        let is_in = |place: &Place| file.is_none_or(|file| place.is_in(file));
        let mut search = Search::new(definitions);
        search.macros(&vocabulary, is_in, findings);
        let names = names(definitions);
        let mut known = std::mem::take(&mut self.rules);
        if std::mem::replace(&mut self.names, names) != names {
            known.clear();
        }
        for def in definitions.rules.iter().filter(|def| is_in(&def.place)) {
            let address = Arc::as_ptr(def).addr();
            let (def, found) = known.remove(&address).unwrap_or_else(|| {
                let mut found = Vec::new();
                search.rule(def, &vocabulary, &mut found);
                (Arc::clone(def), found)
            });
            findings.extend_from_slice(&found);
            self.rules.insert(address, (def, found));
        }
        search.similar.warn_of_items(is_in, findings);
    }
}

/// A number for what findings in rules depend on besides the rule.
fn names(definitions: &Definitions) -> u64 {
    let mut hasher = DefaultHasher::new();
    for list in definitions.lists.iter() {
        (&list.name, &list.items).hash(&mut hasher);
    }
    definitions.macros.iter().for_each(|def| def.name.hash(&mut hasher));
    hasher.finish()
}

/// Looks for doubtful values.
struct Search<'d> {
    similar: Similar<'d>,
    zeros: LeadingZeros<'d>,
}

impl<'d> Search<'d> {
    fn new(definitions: &'d Definitions) -> Self {
        Self { similar: Similar::new(definitions), zeros: LeadingZeros::new(definitions) }
    }

    fn macros<'v, V: Vocabulary + 'v>(
        &mut self,
        vocabulary: impl Fn(Option<&str>) -> Option<&'v V>,
        is_in: impl Fn(&Place) -> bool,
        findings: &mut Vec<Finding>,
    ) {
        let definitions = self.similar.definitions();
        for def in definitions.macros.iter().filter(|def| is_in(&def.place)) {
            let (text, place, parts) = (&def.condition, &def.condition_place, &def.condition_parts);
            self.condition(&Condition { text, place, parts }, vocabulary(None), findings);
        }
    }

    fn rule<'v, V: Vocabulary + 'v>(
        &mut self,
        def: &'d RuleDef,
        vocabulary: impl Fn(Option<&str>) -> Option<&'v V>,
        findings: &mut Vec<Finding>,
    ) {
        let (text, place, parts) = (&def.condition, &def.condition_place, &def.condition_parts);
        let condition = Condition { text, place, parts };
        self.condition(&condition, vocabulary(Some(def.source.as_str())), findings);
    }

    fn condition<V: Vocabulary>(
        &mut self,
        condition: &Condition<'d>,
        vocabulary: Option<&V>,
        findings: &mut Vec<Finding>,
    ) {
        let text = condition.text;
        let words = self.similar.words(text);
        let signs = EMPTY.iter().chain(&[MATCH]).any(|sign| text.contains(sign));
        let numbers = self.zeros.may_be_in(text);
        let expanded = expanded::may_be_in(text);
        if words.is_empty() && !signs && !numbers && !expanded && text.is_ascii() {
            return;
        }
        let Some(vocabulary) = vocabulary else { return };
        let Ok(expr) = parse(text, DEFAULT_MAX_DEPTH) else { return };
        findings.extend(condition.odd_characters());
        if signs {
            condition.signs(&expr, vocabulary, findings);
        }
        if expanded {
            expanded::check(condition, &expr, vocabulary, findings);
        }
        if numbers {
            self.zeros.check(condition, &expr, vocabulary, findings);
        }
        if words.is_empty() {
            return;
        }
        let values = values(&expr, text, vocabulary);
        for (word, meant) in words {
            if values.binary_search_by_key(&(word.start, word.end), |it| (it.start, it.end)).is_ok()
            {
                findings.push(condition.name(word, meant));
            }
        }
    }
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
