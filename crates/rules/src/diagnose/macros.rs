//! Names of macros that do not exist, or not yet.

use peregrine_diagnostics::{Fix, Label, Related, closest};
use peregrine_event::{EventType, syscall_names};
use peregrine_filter::{Check, Comparison, Expr, ExprKind, Operator, Right, Span};

use super::findings::Diagnosis;
use crate::condition::Written;
use crate::define::{Definitions, MacroDef, Order};
use crate::keys::Item;
use crate::macros::MacroError;
use crate::result::{Explained, Finding};
use crate::{Cause, Place};

/// The use of macros in a definition.
pub(crate) struct MacroUse<'w> {
    pub(crate) written: &'w Written<'w>,
    /// The place of the definition.
    pub(crate) place: &'w Place,
    /// The macro that uses them; `None` if a rule does.
    pub(crate) within: Option<&'w MacroDef>,
    /// Whether the macro at an index has been refused.
    pub(crate) refused: &'w [bool],
}

/// What is wrong with a name in a condition.
#[derive(Clone, Copy, PartialEq)]
enum Status {
    /// Nothing.
    Known,
    /// It was refused, which has been told.
    Refused,
    /// It is defined later.
    Later,
    /// It is the macro itself, or one that leads back to it.
    Loop,
    Undefined,
}

impl MacroUse<'_> {
    /// Whether one of the macros has been refused.
    pub(crate) fn is_of_refused(&self, definitions: &Definitions) -> bool {
        let names = self.written.expr.macros();
        names.into_iter().any(|name| self.status(name, definitions) == Status::Refused)
    }

    fn status(&self, name: &str, definitions: &Definitions) -> Status {
        let macros = &definitions.macros;
        let (Some(def), Some(at)) = (macros.get(name), macros.position(name)) else {
            return Status::Undefined;
        };
        let is_seen = self.within.is_none_or(|this| sees(this.order, def.order));
        match self.within {
            Some(this) if this.name == name => Status::Loop,
            Some(this) if !is_seen && leads_to(def, &this.name, definitions) => Status::Loop,
            _ if !is_seen => Status::Later,
            _ if self.refused.get(at).is_some_and(|refused| *refused) => Status::Refused,
            _ => Status::Known,
        }
    }
}

/// A macro sees those whose first definition precedes its own last one.
fn sees(this: Order, other: Order) -> bool {
    other.index < this.visibility
}

/// Whether a macro uses the one of this name, itself or through others.
fn leads_to(def: &MacroDef, name: &str, definitions: &Definitions) -> bool {
    let (mut left, mut seen) = (vec![def], Vec::new());
    while let Some(def) = left.pop() {
        let Ok(expr) = peregrine_filter::parse(&def.condition, 1000) else { continue };
        for used in expr.macros() {
            if used == name {
                return true;
            }
            if !seen.contains(&used.to_owned()) {
                seen.push(used.to_owned());
                left.extend(definitions.macros.get(used));
            }
        }
    }
    false
}

impl Diagnosis<'_> {
    /// Macros of a condition that can't be expanded: the error of Falco, and all other names that
    /// do not exist. What only follows from a macro that was refused is not told.
    pub(crate) fn macros(
        &mut self,
        it: &MacroUse<'_>,
        error: &MacroError,
        span: Span,
        findings: &mut Vec<Finding>,
    ) {
        let definitions = self.definitions;
        let written = it.written;
        let place = |span: Span| it.place.in_condition(written.text, span.start);
        let mut names: Vec<(&str, Span)> = Vec::new();
        written.expr.walk(&mut |expr| {
            if let ExprKind::Macro(name) = &expr.node
                && !names.iter().any(|(known, _)| known == name)
            {
                names.push((name, expr.span));
            }
        });
        let mut first = Some((error.to_string(), place(span)));
        let mut told = Vec::new();
        for (name, at) in names {
            let status = it.status(name, definitions);
            if matches!(status, Status::Known | Status::Refused) {
                continue;
            }
            let is_first = match error {
                MacroError::Undefined(wrong) | MacroError::Loop(wrong) => wrong == name,
                MacroError::TooDeep | MacroError::TooLarge(_) => false,
            };
            let falco = if is_first { first.take() } else { None };
            let (message, spot) = falco
                .unwrap_or_else(|| (MacroError::Undefined(name.to_owned()).to_string(), place(at)));
            let finding = self.macro_(
                it,
                (name, at),
                status,
                Finding::new(Cause::UndefinedMacro, message, spot),
            );
            told.push((is_first, finding));
        }
        // Of macros that were refused only what they do wrong themselves is told.
        if let Some((message, spot)) = first
            && !it.is_of_refused(definitions)
        {
            let cause = match error {
                MacroError::Undefined(_) => Cause::UndefinedMacro,
                MacroError::Loop(_) => Cause::MacroLoop,
                MacroError::TooDeep => Cause::MacrosTooDeep,
                MacroError::TooLarge(_) => Cause::ExpandsTooMuch,
            };
            told.insert(0, (true, Finding::new(cause, message, spot)));
        }
        self.tell_all(told, findings);
    }

    /// The finding about one name.
    fn macro_(
        &mut self,
        it: &MacroUse<'_>,
        (name, at): (&str, Span),
        status: Status,
        mut finding: Finding,
    ) -> Finding {
        let definitions = self.definitions;
        let Written { authored, expanded, .. } = it.written;
        let mut explained = Explained {
            labels: authored.label(expanded, at.start..at.end).into_iter().collect(),
            ..Explained::default()
        };
        let defined = definitions.macros.get(name).map(|def| &def.place);
        let defined = defined.and_then(|place| place.labels().into_iter().next());
        match status {
            Status::Loop => {
                finding.cause = Cause::MacroLoop;
                let this = it.within.map(|def| def.name.as_str()).unwrap_or_default();
                if this == name {
                    explained.message = format!("the macro `{name}` refers to itself");
                } else {
                    explained.message =
                        format!("the macros `{this}` and `{name}` refer to each other");
                    explained.related =
                        related(defined, format!("`{name}` refers back to `{this}`"));
                }
                finding.help =
                    Some("write the shared part as a macro of its own, which both use".to_owned());
            }
            Status::Later => {
                finding.cause = Cause::MacroTooLate;
                explained.message = format!("the macro `{name}` is defined only after this one");
                explained.related = related(defined, format!("`{name}` is defined here"));
                finding.help = Some(format!(
                    "move `{name}` in front of its use; a macro sees only those above it, a rule sees all"
                ));
            }
            _ => self.undefined(it, (name, at), &mut finding, &mut explained),
        }
        finding.explained(explained)
    }

    fn undefined(
        &self,
        it: &MacroUse<'_>,
        (name, at): (&str, Span),
        finding: &mut Finding,
        explained: &mut Explained,
    ) {
        let definitions = self.definitions;
        explained.message = format!("no macro is named `{name}`");
        if matches!(name, "and" | "or" | "not") {
            finding.cause = Cause::WordAlone;
            explained.message = format!("a condition is missing beside `{name}`");
            finding.help = Some(format!("write one, or remove `{name}`"));
            return;
        }
        if let Some(withheld) = definitions.withheld(Item::Macro, name) {
            finding.help = Some(withheld);
            return;
        }
        if matches!(name, "true" | "false" | "never" | "always") {
            let (help, instead) = match name {
                "true" | "always" => ("is always true", "evt.num >= 0"),
                _ => ("is never true", "evt.num = 0"),
            };
            finding.help = Some(format!("a condition that {help} is `{instead}`"));
            return;
        }
        if let Some(nearest) = closest(name, definitions.macros.names()) {
            finding.help = Some(format!("did you mean the macro `{nearest}`?"));
            let Written { authored, expanded, .. } = it.written;
            let edit = authored.edit(expanded, at.start..at.end, nearest);
            explained.fix = edit.map(|edit| Fix::offered(format!("write `{nearest}`"), vec![edit]));
            return;
        }
        if let Some(list) = definitions.lists.get(name) {
            finding.help = Some(format!(
                "`{}` is a list: compare a field with it, `FIELD in ({name})`",
                list.name
            ));
            return;
        }
        if let Some(field) = compared_before(&it.written.expr, name) {
            finding.help =
                Some(format!("to compare with several values write `{field} in (…, {name})`"));
            return;
        }
        if let Some(nearest) = closest(name, definitions.lists.names()) {
            finding.help = Some(format!(
                "did you mean the list `{nearest}`? Compare a field with it: `FIELD in ({nearest})`"
            ));
            return;
        }
        let is_event = EventType::all().any(|ty| ty.name() == name)
            || syscall_names().any(|(_, syscall)| syscall == name);
        if is_event {
            let longer = definitions.macros.names().filter(|known| known.starts_with(name)).min();
            let or = longer.map(|known| format!("; or did you mean the macro `{known}`?"));
            let or = or.unwrap_or_default();
            finding.help =
                Some(format!("`{name}` is an event type: write `evt.type = {name}`{or}"));
            return;
        }
        finding.help = Some(format!(
            "define it with `- macro: {name}`, in this file or one that is loaded earlier; names of fields have a dot"
        ));
    }
}

fn related(label: Option<Label>, note: String) -> Vec<Related> {
    label.into_iter().map(|label| Related { label, note: note.clone() }).collect()
}

/// The field of the comparison in front of `or name`: `proc.name = a or b`.
fn compared_before(expr: &Expr, name: &str) -> Option<String> {
    let mut found = None;
    expr.walk(&mut |expr| {
        let ExprKind::Or(children) = &expr.node else { return };
        for pair in children.windows(2) {
            let [before, this] = pair else { continue };
            // The comparison may be the end of a conjunction.
            let before = match &before.node {
                ExprKind::And(children) => children.last().unwrap_or(before),
                _ => before,
            };
            if let (ExprKind::Check(check), ExprKind::Macro(macro_)) = (&before.node, &this.node)
                && let Check::Compare(Comparison {
                    left,
                    op: Operator::Eq | Operator::EqEq,
                    right: Right::Value(_),
                    ..
                }) = &**check
                && macro_ == name
            {
                left.each_field(&mut |field| {
                    found.get_or_insert_with(|| field.text());
                });
            }
        }
    });
    found
}
