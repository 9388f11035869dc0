//! Conditions that can't be read, or do not compile.

use hashbrown::HashSet;
use peregrine_fields::EventTypeError;
use peregrine_filter::{
    Advice, CompileError, ExprKind, Fault, RULES_MAX_DEPTH, Vocabulary, advise_check, compile,
};

use super::findings::{Diagnosis, MOST_OF_ONE, RuleNames};
use super::syntax;
use crate::condition::{Authored, Unparsed, Written};
use crate::decode::failed;
use crate::define::MacroDef;
use crate::expand::Lists;
use crate::result::{Explained, Finding};
use crate::sources::EventSource;
use crate::{Cause, Place};

impl<'a> Diagnosis<'a> {
    /// A condition that can't be read. `vocabulary` is given if the event source is known.
    pub(crate) fn unparsed<V: Vocabulary>(
        &mut self,
        authored: Authored<'_>,
        unparsed: &Unparsed,
        vocabulary: Option<&V>,
        findings: &mut Vec<Finding>,
    ) {
        let (expanded, error) = match unparsed {
            Unparsed::TooLarge(error) => {
                let cause = Cause::ExpandsTooMuch;
                return findings.push(*failed(cause, error.to_string(), authored.place));
            }
            Unparsed::Syntax { expanded, error } => (expanded, error),
        };
        let place = authored.place.in_condition(&expanded.text, error.offset);
        let mut falco = Some((error.to_string(), place));
        for advice in syntax::all(&expanded.text, error, vocabulary, self) {
            let finding = self.finding(advice, falco.take(), authored, expanded);
            self.tell(finding, findings);
        }
    }

    /// A condition whose macros are known, but that does not compile.
    pub(crate) fn uncompiled<V: Vocabulary>(
        &mut self,
        written: &Written<'_>,
        error: &CompileError,
        source: &EventSource<V>,
        lists: &mut Lists,
        findings: &mut Vec<Finding>,
    ) {
        let place = written.spot(error.span);
        let mut falco = Some((error, place));
        let mut all = Vec::new();
        self.tests(written, source, &mut falco, &mut all);
        for def in self.macros_of(written) {
            let authored = Authored::of_macro(def);
            if let Ok(written) = Written::parse(authored, authored.own, lists, None) {
                self.tests(&written, source, &mut falco, &mut all);
            }
        }
        if let Some((error, place)) = falco {
            let fault = Advice {
                fault: Fault::TooDeep,
                span: error.span,
                message: error.to_string(),
                help: None,
                repair: None,
            };
            let place = Some((error.to_string(), place));
            let finding = self.finding(fault, place, written.authored, &written.expanded);
            all.insert(0, (true, finding));
        }
        self.tell_all(all, findings);
    }

    /// A condition whose event types can't be known in advance.
    pub(crate) fn event_types(
        &mut self,
        written: &Written<'_>,
        error: &EventTypeError,
        findings: &mut Vec<Finding>,
    ) {
        let (EventTypeError::Transformed { span } | EventTypeError::Field { span }) = *error;
        let message = match error {
            EventTypeError::Transformed { .. } => "event types are compared without transformers",
            EventTypeError::Field { .. } => "event types are compared with names, not with a field",
        };
        let help = "rules are chosen by their event types before an event is looked at: write `evt.type in (…)`";
        let (cause, place) = (Cause::EventTypeForm, written.spot(span));
        let Written { authored, expanded, .. } = written;
        let labels = authored.label(expanded, span.start..span.end).into_iter().collect();
        let explained = Explained { message: message.to_owned(), labels, ..Explained::default() };
        let finding = Finding::new(cause, error.to_string(), place).help(Some(help.to_owned()));
        self.tell(finding.explained(explained), findings);
    }

    /// Tests that do not compile on their own, of a condition that is refused for another reason.
    pub(crate) fn other_tests<V: Vocabulary>(
        &mut self,
        written: &Written<'_>,
        source: &EventSource<V>,
        findings: &mut Vec<Finding>,
    ) {
        let mut all = Vec::new();
        self.tests(written, source, &mut None, &mut all);
        self.tell_all(all, findings);
    }

    /// All tests of a condition that do not compile. The one that has the error of Falco is marked.
    fn tests<V: Vocabulary>(
        &mut self,
        written: &Written<'_>,
        source: &EventSource<V>,
        falco: &mut Option<(&CompileError, Place)>,
        all: &mut Vec<(bool, Finding)>,
    ) {
        let mut tests = Vec::new();
        written.expr.walk(&mut |expr| {
            if matches!(expr.node, ExprKind::Check(_)) {
                tests.push(expr);
            }
        });
        let limit = all.len() + MOST_OF_ONE;
        for test in tests {
            let Err(error) = compile(test, &source.vocabulary) else { continue };
            let names = RuleNames(self.definitions);
            let text = &written.expanded.text;
            let mut first = match falco.take() {
                Some((wanted, place)) if *wanted == error => Some((error.to_string(), place)),
                other => {
                    *falco = other;
                    None
                }
            };
            if all.len() >= limit && first.is_none() {
                continue;
            }
            for advice in advise_check(text, test, &source.vocabulary, &names) {
                let is_first = first.is_some();
                let finding =
                    self.finding(advice, first.take(), written.authored, &written.expanded);
                all.push((is_first, finding));
            }
        }
    }

    /// The macros that a condition uses, each once, with those that these use.
    fn macros_of(&self, written: &Written<'_>) -> Vec<&'a MacroDef> {
        let macros = &self.definitions.macros;
        let (mut found, mut names) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        names.extend(written.expr.macros().into_iter().map(str::to_owned));
        while let Some(name) = names.pop() {
            if let Some(def) = macros.get(&name)
                && seen.insert(name)
            {
                found.push(def);
                let parsed = peregrine_filter::parse(&def.condition, RULES_MAX_DEPTH);
                let inner = parsed.iter().flat_map(|expr| expr.macros());
                names.extend(inner.map(str::to_owned));
            }
        }
        found
    }
}
