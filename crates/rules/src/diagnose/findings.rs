//! Findings from advice, each told once.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashSet;
use peregrine_diagnostics::{Fix, Label, Related, closest};
use peregrine_filter::{Advice, Fault, Names, Repair, Span};

use crate::condition::Authored;
use crate::define::Definitions;
use crate::expand::Expanded;
use crate::outline::FileOutline;
use crate::result::{Explained, Finding};
use crate::{Cause, DefinitionKind, Place};

/// How many problems of one condition are told.
pub(super) const MOST_OF_ONE: usize = 20;

/// How many problems are told with places of their own. Looking for a place reads the file.
const MOST_EXPLAINED: usize = 500;

/// What has been told about a set of rules.
pub(crate) struct Diagnosis<'a> {
    pub(super) definitions: &'a Definitions,
    /// Problems reported so far: the cause, the address of the file, the byte. A mistake in a macro
    /// is reported once, whatever the number of rules that use it.
    told: HashSet<(Cause, usize, usize)>,
    /// Indices of the additions of the configuration whose mistakes have been reported.
    pub(super) additions: HashSet<usize>,
    explained: usize,
}

impl<'a> Diagnosis<'a> {
    pub(crate) fn new(definitions: &'a Definitions) -> Self {
        let (told, additions) = (HashSet::new(), HashSet::new());
        Self { definitions, told, additions, explained: 0 }
    }

    /// Whether more may be explained; counts it.
    pub(super) fn may_explain(&mut self) -> bool {
        self.explained += 1;
        self.explained <= MOST_EXPLAINED
    }

    /// A finding from advice. `falco` is its message and place, where Falco has one.
    pub(crate) fn finding(
        &mut self,
        advice: Advice,
        falco: Option<(String, Place)>,
        authored: Authored<'_>,
        expanded: &Expanded,
    ) -> Finding {
        let Advice { fault, span, message, help, repair } = advice;
        let part = span.start..span.end;
        let (falco, place) = falco.unwrap_or_else(|| {
            let place = authored.place.in_condition(authored.own, 0);
            (message.clone(), place)
        });
        let finding = Finding::new(cause(fault), falco, place).help(help);
        if !self.may_explain() {
            return finding.explained(Explained { message, ..Explained::default() });
        }
        let labels = authored.label(expanded, part.clone()).into_iter().collect();
        let related = self.list_item(authored, expanded, part).into_iter().collect();
        let fix = repair.and_then(|repair| in_file(repair, authored, expanded));
        finding.explained(Explained { message, labels, related, fix })
    }

    /// Adds findings, the marked one first: it has the error of Falco, wherever it stands.
    pub(super) fn tell_all(&mut self, mut all: Vec<(bool, Finding)>, findings: &mut Vec<Finding>) {
        if let Some(first) = all.iter().position(|(is_first, _)| *is_first) {
            let (_, finding) = all.remove(first);
            self.tell(finding, findings);
        }
        for (_, finding) in all {
            self.tell(finding, findings);
        }
    }

    /// Adds a finding, unless the same was told before.
    pub(crate) fn tell(&mut self, finding: Finding, findings: &mut Vec<Finding>) {
        let label = finding.explained.as_ref().and_then(|explained| explained.labels.first());
        let is_new = label.is_none_or(|label| {
            let source = Arc::as_ptr(&label.source).addr();
            self.told.insert((finding.cause, source, label.span.start.offset))
        });
        if is_new {
            findings.push(finding);
        }
    }

    /// Where an item of a list is written, if a part of the expanded text comes from a list.
    fn list_item(
        &self,
        authored: Authored<'_>,
        expanded: &Expanded,
        part: Range<usize>,
    ) -> Option<Related> {
        let word = expanded.text.get(part.clone())?;
        let item = word.trim_matches(['"', '\'']);
        let name = expanded.list_around(part.start)?;
        let shift = usize::from(!expanded.is_of(authored.own));
        let name =
            authored.own.get(name.start.checked_sub(shift)?..name.end.checked_sub(shift)?)?;
        let def = self.definitions.lists.get(name)?;
        let source = def.place.labels().into_iter().next()?.source;
        let outline = FileOutline::read(Arc::clone(&source));
        let lists = outline.items().iter().filter(|it| it.kind == DefinitionKind::List);
        let items = lists.filter(|list| list.name.text == name).flat_map(|list| &list.items);
        let range =
            items.filter(|it| it.text == item).find_map(|it| it.in_file(0..it.text.len()))?;
        let label = Label::bytes(source, range);
        Some(Related { label, note: format!("`{item}` is an item of the list `{name}`") })
    }
}

/// The edits of a repair as those of the file. `None` if the text of the condition is not written
/// there as it is.
fn in_file(repair: Repair, authored: Authored<'_>, expanded: &Expanded) -> Option<Fix> {
    let Repair { title, edits, safe } = repair;
    let edit = |(span, text): (Span, String)| authored.edit(expanded, span.start..span.end, &text);
    let edits: Option<Vec<_>> = edits.into_iter().map(edit).collect();
    Some(Fix { title, edits: edits?, safe })
}

/// The lists and macros of a set of rules.
pub(crate) struct RuleNames<'a>(pub(crate) &'a Definitions);

impl Names for RuleNames<'_> {
    fn similar_list(&self, name: &str) -> Option<String> {
        closest(name, self.0.lists.names()).map(str::to_owned)
    }

    fn similar_macro(&self, name: &str) -> Option<String> {
        closest(name, self.0.macros.names()).map(str::to_owned)
    }
}

/// The cause of a mistake in a condition.
fn cause(fault: Fault) -> Cause {
    match fault {
        Fault::Syntax => Cause::Syntax,
        Fault::ForeignOperator => Cause::ForeignOperator,
        Fault::MissingOperator => Cause::MissingOperator,
        Fault::MissingValue => Cause::MissingValue,
        Fault::MissingCondition => Cause::MissingCondition,
        Fault::Unbalanced => Cause::Unbalanced,
        Fault::UnclosedQuote => Cause::UnclosedText,
        Fault::InvalidEscape => Cause::InvalidEscape,
        Fault::ListForm => Cause::ListForm,
        Fault::OddCharacter => Cause::OddCharacter,
        Fault::Template => Cause::TemplateInCondition,
        Fault::LooseValue => Cause::LooseValue,
        Fault::TooDeep => Cause::TooDeep,
        Fault::UnknownField => Cause::UnknownField,
        Fault::PluginField => Cause::PluginField,
        Fault::UnknownEventType => Cause::UnknownEventType,
        Fault::UndefinedList => Cause::UndefinedList,
        Fault::InvalidAddress => Cause::InvalidAddress,
        Fault::InvalidNumber => Cause::InvalidNumber,
        Fault::InvalidBoolean => Cause::InvalidBoolean,
        Fault::InvalidValue => Cause::InvalidTest,
        Fault::OperatorOfType => Cause::OperatorOfType,
        Fault::FieldArgument => Cause::FieldArgument,
        Fault::Transformer => Cause::Transformer,
        Fault::InvalidRegex => Cause::InvalidRegex,
        Fault::RightSide => Cause::RightSide,
        Fault::StrayPercent | Fault::ForeignPlaceholder | Fault::Output | Fault::FieldWithTail => {
            Cause::Syntax
        }
    }
}
