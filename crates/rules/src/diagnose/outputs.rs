//! Outputs that do not compile, and what the configuration adds to them.

use peregrine_diagnostics::{Fix, Label};
use peregrine_filter::{
    Advice, Fault, Repair, Span, TemplateError, Vocabulary, advise_output, doubtful_output,
};

use super::findings::Diagnosis;
use crate::define::RuleDef;
use crate::result::{Explained, Finding};
use crate::sources::OutputAddition;
use crate::{Addition, Cause};

/// An output of a rule with the texts that the configuration adds.
pub(crate) struct Output<'a> {
    pub(crate) text: String,
    pub(crate) def: &'a RuleDef,
    pub(crate) additions: &'a [OutputAddition],
    /// Where each addition begins, and its index.
    pub(crate) added: Vec<(usize, usize)>,
    /// Length of the rule's own text.
    pub(crate) own: usize,
}

impl Output<'_> {
    /// Where a part is written, and the addition that it belongs to.
    fn label(&self, span: Span) -> (Option<Label>, Option<usize>) {
        let RuleDef { output, output_place, output_parts, .. } = self.def;
        let after = self.added.partition_point(|(from, _)| *from <= span.start);
        match after.checked_sub(1).and_then(|at| self.added.get(at)) {
            Some((from, index)) => {
                let part = span.start - from..span.end.saturating_sub(*from);
                let addition = self.additions.get(*index);
                (addition.and_then(|addition| addition.label(part)), Some(*index))
            }
            None => {
                let end = span.end.min(self.own);
                (output_parts.label(output, output_place, span.start.min(end)..end), None)
            }
        }
    }
}

impl Output<'_> {
    /// The edits of a repair of the rule's own text as those of the file.
    fn fix(&self, repair: Repair) -> Option<Fix> {
        let RuleDef { output, output_place, output_parts, .. } = self.def;
        let edit = |(span, new): (Span, String)| {
            output_parts.edit(output, output_place, span.start..span.end, &new)
        };
        let edits: Option<Vec<_>> = repair.edits.into_iter().map(edit).collect();
        Some(Fix { title: repair.title, edits: edits?, safe: repair.safe })
    }
}

impl Diagnosis<'_> {
    /// An output that does not compile.
    pub(crate) fn output<V: Vocabulary>(
        &mut self,
        output: &Output<'_>,
        error: &TemplateError,
        vocabulary: &V,
        findings: &mut Vec<Finding>,
    ) {
        let mut all = advise_output(&output.text, vocabulary);
        if all.is_empty() {
            all.push(general(error));
        }
        let mut first = Some(error.to_string());
        for advice in all {
            let (label, addition) = output.label(advice.span);
            // What the configuration does wrong is told once, whatever the number of rules.
            if addition.is_some_and(|index| !self.additions.insert(index)) {
                continue;
            }
            let message = first.take().unwrap_or_else(|| advice.message.clone());
            let place = output.def.output_place.clone();
            let mut finding = Finding::new(cause(advice.fault), message, place).help(advice.help);
            let named = addition.and_then(|index| output.additions.get(index));
            let text = match named {
                Some(OutputAddition { origin, .. }) if !origin.name.is_empty() => {
                    format!("{}: {}", origin.name, advice.message)
                }
                _ => advice.message,
            };
            // The configuration is not a rules file, which a fix could change.
            let repair = advice.repair.filter(|_| addition.is_none());
            let fix = repair.and_then(|repair| output.fix(repair));
            let labels = label.into_iter().collect();
            finding =
                finding.explained(Explained { message: text, labels, related: Vec::new(), fix });
            self.tell(finding, findings);
        }
    }

    /// What an output prints as it is, although a value seems to be meant.
    pub(crate) fn doubtful_output<V: Vocabulary>(
        &mut self,
        output: &Output<'_>,
        vocabulary: &V,
        findings: &mut Vec<Finding>,
    ) {
        if !self.may_explain() {
            return;
        }
        // What the configuration adds is not part of the rules.
        let own = output.text.get(..output.own).filter(|own| *own == output.def.output);
        for advice in own.map(|own| doubtful_output(own, vocabulary)).unwrap_or_default() {
            let Advice { fault, span, message, help, repair } = advice;
            let cause = match fault {
                Fault::FieldWithTail => Cause::FieldWithTail,
                _ => Cause::PrintedPlaceholder,
            };
            let labels = output.label(span).0.into_iter().collect();
            // Offered only: tools may parse alerts that contain the placeholder as it is.
            let fix = repair.and_then(|repair| output.fix(Repair { safe: false, ..repair }));
            let finding = Finding::new(cause, message.clone(), output.def.output_place.clone());
            let explained = Explained { message, labels, related: Vec::new(), fix };
            self.tell(finding.help(help).explained(explained), findings);
        }
    }

    /// An output field that the configuration adds, and that does not compile.
    pub(crate) fn extra_field<V: Vocabulary>(
        &mut self,
        def: &RuleDef,
        (index, addition, format): (usize, &OutputAddition, &str),
        error: &TemplateError,
        vocabulary: &V,
        findings: &mut Vec<Finding>,
    ) {
        if !self.additions.insert(index) {
            return;
        }
        let mut message = Some(error.to_string());
        // `%` stands in front of a field that is given without it.
        let shift = usize::from(matches!(addition.what, Addition::Raw(_)));
        let mut all = advise_output(format, vocabulary);
        if all.is_empty() {
            all.push(general(error));
        }
        for advice in all {
            let Span { start, end } = advice.span;
            let part = start.saturating_sub(shift)..end.saturating_sub(shift);
            let labels = addition.label(part).into_iter().collect();
            let message = message.take().unwrap_or_else(|| advice.message.clone());
            let finding = Finding::new(cause(advice.fault), message, def.output_place.clone());
            let message = match addition.origin.name.as_str() {
                "" => advice.message,
                name => format!("{name}: {}", advice.message),
            };
            let explained = Explained { message, labels, ..Explained::default() };
            findings.push(finding.help(advice.help).explained(explained));
        }
    }
}

fn general(error: &TemplateError) -> Advice {
    Advice {
        fault: Fault::Output,
        span: Span::default(),
        message: error.to_string(),
        help: None,
        repair: None,
    }
}

/// The cause of a mistake in an output.
pub(super) fn cause(fault: Fault) -> Cause {
    match fault {
        Fault::UnknownField => Cause::UnknownOutputField,
        Fault::PluginField => Cause::PluginOutputField,
        Fault::StrayPercent => Cause::StrayPercent,
        Fault::ForeignPlaceholder => Cause::ForeignPlaceholder,
        Fault::FieldArgument => Cause::OutputArgument,
        Fault::Transformer => Cause::OutputTransformer,
        _ => Cause::InvalidOutput,
    }
}
