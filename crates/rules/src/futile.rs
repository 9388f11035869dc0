//! Parts of conditions and outputs that no event can fulfil: fields that never have a value, and
//! the direction of enter events, which do not exist any more.
//!
//! Conditions are looked at as they are written, so that the place is the macro or rule that holds
//! the part. A text search comes before any parsing: most files have no such part.

use std::collections::{HashMap, HashSet};

use peregrine_filter::{
    Check, Comparison, DEFAULT_MAX_DEPTH, Expr, ExprKind, Operand, OperandKind, Operator, Right,
    Vocabulary, parse,
};

use crate::define::{Definitions, MacroDef};
use crate::result::Explained;
use crate::{Cause, Finding, ItemKind, Place};

/// The field whose value is always `<`.
const DIRECTION: &str = "evt.dir";

/// Nesting of macros that is followed.
const MAX_MACROS: usize = 20;

/// Warns of fields that never have a value, in the items of a file, or in all. `vocabulary` gives
/// the fields of a source, or those of the first one.
pub(crate) fn warn_of_fields<'v, V: Vocabulary + 'v>(
    definitions: &Definitions,
    vocabulary: impl Fn(Option<&str>) -> Option<&'v V>,
    file: Option<&Place>,
    findings: &mut Vec<Finding>,
) {
    let is_in = |place: &Place| file.is_none_or(|file| place.is_in(file));
    let mut conditions = Vec::new();
    for def in definitions.macros.iter().filter(|def| is_in(&def.place)) {
        conditions.push((&def.condition, &def.condition_place, None));
    }
    for def in definitions.rules.iter().filter(|def| is_in(&def.place)) {
        let source = Some(def.source.as_str());
        conditions.push((&def.condition, &def.condition_place, source));
        if let Some(vocabulary) = vocabulary(source) {
            warn_of_output(&def.output, &def.output_place, vocabulary, findings);
        }
    }
    for (text, place, source) in conditions {
        let Some(vocabulary) = vocabulary(source) else { continue };
        if !vocabulary.may_lack_values(text) {
            continue;
        }
        let Ok(condition) = parse(text, DEFAULT_MAX_DEPTH) else { continue };
        for check in condition.checks() {
            each_operand(check, &mut |operand| {
                let OperandKind::Field(field) = &operand.node else { return };
                let resolved = vocabulary.resolve(&field.text());
                let Some(why) = resolved.ok().and_then(|it| vocabulary.never(&it.field)) else {
                    return;
                };
                let message = format!("`{}` never has a value: {}", field.name, why.0);
                let span = operand.span.start..operand.span.end;
                let place = place.clone().showing_part(place, text, span);
                let warning = Finding::new(Cause::ValuelessField, message, place);
                findings.push(warning.help(Some(why.1.to_owned())));
            });
        }
    }
}

fn warn_of_output<V: Vocabulary>(
    output: &str,
    place: &Place,
    vocabulary: &V,
    findings: &mut Vec<Finding>,
) {
    if !vocabulary.may_lack_values(output) {
        return;
    }
    for (percent, _) in output.match_indices('%') {
        let name = output.get(percent + 1..).unwrap_or_default();
        let Ok(resolved) = vocabulary.resolve(name) else { continue };
        let Some((why, remedy)) = vocabulary.never(&resolved.field) else { continue };
        let field = name.get(..resolved.len).unwrap_or_default();
        let message = format!("`%{field}` always prints `<NA>`: {why}");
        let part = percent..percent + 1 + resolved.len;
        let place = place.clone().showing_part(place, output, part);
        let warning = Finding::new(Cause::ValuelessField, message, place);
        findings.push(warning.help(Some(remedy.to_owned())));
    }
}

/// Fields and transformers on both sides of a test, those within transformers left out.
fn each_operand(check: &Check, visit: &mut impl FnMut(&Operand)) {
    visit(check.left());
    if let Check::Compare(Comparison { right: Right::Operand(right), .. }) = check {
        visit(right);
    }
}

/// Tells warnings about `evt.dir` apart: tests of enter events are never true, others always.
/// Both point at the condition that holds the test.
pub(crate) fn refine_directions(definitions: &Definitions, findings: &mut [Finding]) {
    let is_direction = |finding: &&mut Finding| {
        finding.cause == Cause::DeprecatedField && finding.field == Some(DIRECTION)
    };
    let mut written = Written { definitions, macros: HashMap::new(), searched: HashSet::new() };
    for finding in findings.iter_mut().filter(is_direction) {
        let steps = finding.place.steps().iter();
        let rule = steps.rev().find(|step| step.kind == ItemKind::Rule);
        let Some(def) = rule.and_then(|rule| definitions.rules.get(&rule.item)) else { continue };
        let Ok(condition) = parse(&def.condition, DEFAULT_MAX_DEPTH) else { continue };
        let value = written.value(&condition, 0);
        written.searched.clear();
        let Some(test) = written.test(&condition, &def.condition, &def.condition_place, 0) else {
            continue;
        };
        let Test { shown, never, place, holder } = test;
        let holder = holder.map(|name| format!(" in the macro `{name}`")).unwrap_or_default();
        let (message, help) = match (never, value) {
            (true, Some(false)) => (
                format!(
                    "this rule never matches: `{shown}`{holder} asks for the start of a call, which is no event any more"
                ),
                format!("remove `{shown}`: the event at the end of a call has all its parameters"),
            ),
            (true, _) => (
                format!(
                    "`{shown}`{holder} is never true: the start of a call is no event any more"
                ),
                format!("remove `{shown}`: the event at the end of a call has all its parameters"),
            ),
            (false, _) => (
                format!("`{shown}`{holder} is always true: every event is the end of a call"),
                format!("remove `{shown}`: nothing changes by it"),
            ),
        };
        if never {
            finding.cause = Cause::EnterEvents;
        }
        finding.help = Some(help);
        let labels = place.labels();
        finding.explained = Some(Box::new(Explained { message, labels, ..Explained::default() }));
    }
}

/// A test of the direction, where it is written.
struct Test {
    shown: String,
    never: bool,
    place: Place,
    /// The macro that holds it.
    holder: Option<String>,
}

/// Conditions as they are written.
struct Written<'d> {
    definitions: &'d Definitions,
    /// Values of macros.
    macros: HashMap<String, Option<bool>>,
    /// Macros that have been searched.
    searched: HashSet<String>,
}

impl<'d> Written<'d> {
    /// Whether a condition is always true or always false, as far as the direction decides it.
    fn value(&mut self, condition: &Expr, depth: usize) -> Option<bool> {
        if depth > MAX_MACROS {
            return None;
        }
        match &condition.node {
            ExprKind::And(all) => {
                let values: Vec<_> = all.iter().map(|one| self.value(one, depth)).collect();
                match () {
                    () if values.contains(&Some(false)) => Some(false),
                    () => values.iter().all(|value| *value == Some(true)).then_some(true),
                }
            }
            ExprKind::Or(any) => {
                let values: Vec<_> = any.iter().map(|one| self.value(one, depth)).collect();
                match () {
                    () if values.contains(&Some(true)) => Some(true),
                    () => values.iter().all(|value| *value == Some(false)).then_some(false),
                }
            }
            ExprKind::Not(inner) => self.value(inner, depth).map(|value| !value),
            ExprKind::Check(check) => direction(check),
            ExprKind::Macro(name) => {
                if let Some(known) = self.macros.get(name) {
                    return *known;
                }
                let value = self.parsed(name).and_then(|(inner, _)| self.value(&inner, depth + 1));
                self.macros.insert(name.clone(), value);
                value
            }
        }
    }

    /// The first test of the direction, those that are never true before others.
    fn test(&mut self, condition: &Expr, text: &str, place: &Place, depth: usize) -> Option<Test> {
        if depth > MAX_MACROS {
            return None;
        }
        let mut found = None;
        each_check(condition, &mut |part, check| {
            let Some(value) = direction(check) else { return };
            let known = found.as_ref().is_some_and(|test: &Test| test.never || value);
            if !known {
                let span = part.span.start..part.span.end;
                let shown = text.get(span.clone()).unwrap_or_default().trim().to_owned();
                let place = place.clone().showing_part(place, text, span);
                found = Some(Test { shown, never: !value, place, holder: None });
            }
        });
        for name in condition.macros() {
            if found.as_ref().is_some_and(|test| test.never) {
                break;
            }
            if !self.searched.insert(name.to_owned()) {
                continue;
            }
            let Some((inner, def)) = self.parsed(name) else { continue };
            let test = self.test(&inner, &def.condition, &def.condition_place, depth + 1);
            if let Some(test) = test.filter(|test| test.never || found.is_none()) {
                let holder = test.holder.or_else(|| Some(name.to_owned()));
                found = Some(Test { holder, ..test });
            }
        }
        found
    }

    fn parsed(&self, name: &str) -> Option<(Expr, &'d MacroDef)> {
        let def = self.definitions.macros.get(name)?;
        Some((parse(&def.condition, DEFAULT_MAX_DEPTH).ok()?, def))
    }
}

/// Whether a test of the direction is true of every event or of none; `None` of other tests.
fn direction(check: &Check) -> Option<bool> {
    let Check::Compare(Comparison { left, op, right, .. }) = check else { return None };
    let OperandKind::Field(field) = &left.node else { return None };
    if field.name != DIRECTION {
        return None;
    }
    let has = right.literals().iter().any(|text| text.as_bytes() == b"<");
    match op {
        Operator::Eq | Operator::EqEq | Operator::In => Some(has),
        Operator::Ne => Some(!has),
        _ => None,
    }
}

fn each_check<'e>(condition: &'e Expr, visit: &mut impl FnMut(&'e Expr, &'e Check)) {
    match &condition.node {
        ExprKind::And(parts) | ExprKind::Or(parts) => {
            parts.iter().for_each(|part| each_check(part, visit));
        }
        ExprKind::Not(inner) => each_check(inner, visit),
        ExprKind::Check(check) => visit(condition, check),
        ExprKind::Macro(_) => {}
    }
}
