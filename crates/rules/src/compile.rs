//! Compiles definitions into executable rules.

use std::sync::Arc;

use peregrine_fields::{EventTypeError, EventTypes};
use peregrine_filter::{
    CompileErrorKind, Expr, ExprKind, Filter, Span, TestCache, Vocabulary, compile_with,
};

use crate::budget::{Budget, Room};
use crate::condition::{Authored, Resolved, Written};
use crate::decode::failed;
use crate::define::{Definitions, MacroDef, RuleDef};
use crate::diagnose::{Diagnosis, MacroUse};
use crate::exception::with_exceptions;
use crate::expand::Lists;
use crate::macros::{self, MacroError};
use crate::memo::{Kept, Memo, Slot};
use crate::outputs::{self, Refused};
use crate::result::Finding;
use crate::rule_set::{List, Macro, Rule, RuleSet};
use crate::sources::{EventSource, OutputAddition};
use crate::{Cause, Place, deprecated};

/// A rule that matches more event types than this is reported as matching nearly all.
const MANY_EVENT_TYPES: usize = 100;

/// Name of the syscall event source.
const SYSCALL: &str = "syscall";

/// A compiled condition and, for syscall sources, the events for which it can be true.
struct Program<F> {
    filter: Filter<F>,
    event_types: Option<EventTypes>,
}

/// Macros with their conditions, and whether each is refused.
#[derive(Default)]
struct Macros {
    macros: Vec<Macro>,
    refused: Vec<bool>,
}

/// Inputs and accumulators of the compilation of a rule.
struct Work<'w, 'd, F> {
    lists: &'w mut Lists,
    macros: &'w mut Macros,
    tests: &'w mut TestCache<F>,
    diagnosis: &'w mut Diagnosis<'d>,
    findings: &'w mut Vec<Finding>,
}

pub(crate) struct Compiler<'a, V> {
    sources: &'a [EventSource<V>],
    additions: &'a [OutputAddition],
    definitions: &'a Definitions,
    /// Whether rules without errors are kept beside others with errors.
    lenient: bool,
}

impl<'a, V: Vocabulary> Compiler<'a, V> {
    pub(crate) fn new(
        sources: &'a [EventSource<V>],
        additions: &'a [OutputAddition],
        definitions: &'a Definitions,
    ) -> Self {
        Self { sources, additions, definitions, lenient: false }
    }

    /// Keeps rules without errors, and what can be reused of them, although others have errors.
    pub(crate) fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Replaces the contents of `set` with all current rules, macros and lists; on errors `set`
    /// stays unchanged, and the answer is false. Results of the compilation that produced `set` are
    /// reused where they still apply.
    pub(crate) fn compile(
        &self,
        set: &mut RuleSet<V::Field>,
        known: &mut Memo<V::Field>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let compiled = self.try_compile(set, known, findings);
        let is_new = compiled.is_some();
        // If it fails leniently, the set and what is known of its rules stay.
        if is_new || !self.lenient {
            *known = compiled.unwrap_or_default();
        }
        is_new
    }

    /// What can be reused of the new set; `None` if it stays as it is.
    fn try_compile(
        &self,
        set: &mut RuleSet<V::Field>,
        known: &mut Memo<V::Field>,
        findings: &mut Vec<Finding>,
    ) -> Option<Memo<V::Field>> {
        let mut lists = match Lists::resolve(&self.definitions.lists, self.budget()) {
            Ok(lists) => lists,
            Err((error, list)) => {
                findings.push(*failed(Cause::ExpandsTooMuch, error.to_string(), &list.place));
                return None;
            }
        };
        let mut memo = Memo { tests: std::mem::take(&mut known.tests), ..Memo::default() };
        let mut diagnosis = Diagnosis::new(self.definitions);
        let mut macros = self.macros(&mut lists, known, &mut memo, &mut diagnosis, findings);
        let mut rules = Vec::with_capacity(known.rules.len());
        memo.rules.reserve(known.rules.len());
        for def in self.definitions.rules.iter().filter(|rule| !rule.unknown_source) {
            let before = findings.len();
            let kept = known.rules.remove(&def.name).filter(|kept| Arc::ptr_eq(&kept.def, def));
            let tests = memo.tests.entry(def.source.clone()).or_default();
            let (lists, macros, diagnosis) = (&mut lists, &mut macros, &mut diagnosis);
            let mut work = Work { lists, macros, tests, diagnosis, findings: &mut *findings };
            if let Ok((slot, resolved)) = self.rule(def, kept, &mut work) {
                let (def, at) = (Arc::clone(def), rules.len());
                let findings = findings.get(before..).unwrap_or_default().to_vec();
                memo.rules.insert(def.name.clone(), Kept { def, resolved, at, findings });
                rules.push(slot);
            }
        }
        let right = !findings.iter().any(Finding::is_error);
        if right {
            self.warn_of_unused(&lists, &macros.macros, findings);
        } else if !self.lenient {
            return None;
        }
        let lists = self
            .definitions
            .lists
            .iter()
            .zip(lists.into_all())
            .map(|(list, resolved)| List {
                name: resolved.name,
                written: list.items.clone(),
                items: resolved.items,
                used: resolved.used,
            })
            .collect();
        *set = RuleSet {
            rules: Slot::fill(rules, std::mem::take(&mut set.rules)),
            macros: macros.macros,
            lists,
            engine_version: self.definitions.engine_version,
            plugins: self.definitions.plugins.clone(),
        };
        Some(memo)
    }

    /// What lists and macros may expand to.
    pub(crate) fn budget(&self) -> Budget {
        let Definitions { lists, macros, rules, .. } = self.definitions;
        let items = || lists.iter().flat_map(|list| &list.items);
        let conditions = macros.iter().map(|def| def.condition.len());
        let conditions = conditions.chain(rules.iter().map(|def| def.condition.len()));
        Budget::new(items().count(), items().map(String::len).chain(conditions).sum())
    }

    /// All macros, and which of them are refused. A macro sees the macros whose first definition
    /// precedes its own last definition.
    fn macros(
        &self,
        lists: &mut Lists,
        known: &mut Memo<V::Field>,
        memo: &mut Memo<V::Field>,
        diagnosis: &mut Diagnosis<'_>,
        findings: &mut Vec<Finding>,
    ) -> Macros {
        let mut all = Macros::default();
        let mut all_written = Vec::new();
        let vocabulary = self.sources.first().map(|source| &source.vocabulary);
        for def in self.definitions.macros.iter() {
            let authored = Authored::of_macro(def);
            let written =
                Written::parse(authored, authored.own, lists, known.macros.get(&def.name));
            let written = match written {
                Ok(written) => Some(written),
                Err(error) => {
                    diagnosis.unparsed(authored, &error, vocabulary, findings);
                    None
                }
            };
            // The place of a macro that is refused is kept.
            let nothing = || Arc::new(Expr::new(ExprKind::Macro(String::new()), Span::default()));
            all.refused.push(written.is_none());
            all.macros.push(Macro {
                name: def.name.clone(),
                condition_text: def.condition.clone(),
                condition: written.as_ref().map_or_else(nothing, |it| Arc::clone(&it.expr)),
                used: false,
            });
            all_written.push(written);
        }
        let nodes = &mut lists.budget.nodes;
        for (at, (def, written)) in self.definitions.macros.iter().zip(&all_written).enumerate() {
            let Some(written) = written else { continue };
            let visibility = Some(def.order.visibility);
            let kept = known.macros.remove(&def.name);
            match self.put_macros(written, kept, &mut all.macros, visibility, nodes) {
                Ok(resolved) => {
                    if let Some(this) = all.macros.get_mut(at) {
                        this.condition = Arc::clone(&resolved.condition);
                    }
                    memo.macros.insert(def.name.clone(), resolved);
                }
                Err((error, span)) => {
                    let (place, refused) = (&def.place, &all.refused);
                    let uses = MacroUse { written, place, within: Some(def), refused };
                    diagnosis.macros(&uses, &error, span, findings);
                    if let Some(refused) = all.refused.get_mut(at) {
                        *refused = true;
                    }
                }
            }
        }
        all
    }

    /// A rule and its source condition.
    fn rule(
        &self,
        def: &RuleDef,
        kept: Option<Kept>,
        work: &mut Work<'_, '_, V::Field>,
    ) -> Result<(Slot<V::Field>, Resolved), Refused> {
        let refuse = |finding: Box<Finding>, findings: &mut Vec<Finding>| {
            findings.push(*finding);
            Refused::Wrong
        };
        let Work { lists, macros: Macros { macros, refused }, findings, diagnosis, .. } =
            &mut *work;
        let Some(source) = self.sources.iter().find(|source| source.name == def.source) else {
            let message = format!("Unknown source at compile-time{}", def.source);
            return Err(refuse(failed(Cause::NoSuchSource, message, &def.place), findings));
        };
        let text = with_exceptions(&def.condition, &def.exceptions)
            .map_err(|error| refuse(error, findings))?;
        let authored = Authored::of_rule(def);
        if let Some(kept) = kept
            && let Ok(written) = Written::parse(authored, &text, lists, Some(&kept.resolved))
            && kept.resolved.holds(&written, |name| self.visible(name, macros, None))
            && lists.budget.nodes.take(kept.resolved.nodes).is_ok()
        {
            self.mark_used(kept.resolved.macros(), macros);
            findings.extend(kept.findings);
            return Ok((Slot::Same(kept.at), kept.resolved));
        }
        let output = outputs::output(def, self.additions, findings);
        let template = match outputs::template(&output, source, diagnosis, findings) {
            // The condition may contain errors of its own; report them in the same run.
            Err(Refused::Wrong) => None,
            template => Some(template?),
        };
        outputs::warn_of_deprecated(&output.text, def, findings);
        let extra_fields = outputs::extra_fields(self.additions, source, def, diagnosis, findings);

        let written = match Written::parse(authored, &text, lists, None) {
            Ok(written) => written,
            Err(error) => {
                diagnosis.unparsed(authored, &error, Some(&source.vocabulary), findings);
                return Err(Refused::Wrong);
            }
        };
        let place = &def.place;
        let uses = MacroUse { written: &written, place, within: None, refused };
        let resolved = self.put_macros(&written, None, macros, None, &mut lists.budget.nodes);
        let resolved = match resolved {
            Ok(resolved) if !uses.is_of_refused(self.definitions) => resolved,
            resolved => {
                if let Err((error, span)) = resolved {
                    diagnosis.macros(&uses, &error, span, findings);
                }
                diagnosis.other_tests(&written, source, findings);
                return Err(Refused::Wrong);
            }
        };
        let condition = Arc::clone(&resolved.condition);
        warn_of_condition(&condition, written.text, &def.condition_place, findings);
        let program = self.program(&condition, &written, source, def, work)?;
        let Program { filter, event_types } = program;
        let (Some(template), Ok(extra_fields)) = (template, extra_fields) else {
            return Err(Refused::Wrong);
        };
        if def.warn_evttypes
            && event_types.as_ref().is_some_and(|types| types.events.len() > MANY_EVENT_TYPES)
        {
            let message = "Rule matches too many evt.type values. This has a significant performance \
                           penalty.";
            let place = def.place.clone();
            work.findings.push(Finding::new(Cause::ManyEventTypes, message, place));
        }
        let names = def.exceptions.iter().map(|exception| exception.name.clone());
        let tested = def.exceptions.iter().filter(|exception| !exception.values.is_empty());
        let operators = def.exceptions.iter().flat_map(|exception| exception.comps.texts());
        let rule = Rule {
            name: def.name.clone(),
            source: def.source.clone(),
            source_id: source.id,
            priority: def.priority,
            tags: def.tags.clone(),
            description: def.description.clone(),
            enabled: def.enabled,
            active: def.enabled,
            capture: def.capture,
            capture_duration: def.capture_duration,
            condition_text: def.condition.clone(),
            condition,
            filter,
            event_types,
            output_text: def.output.clone(),
            output: output.text,
            template,
            extra_fields,
            exception_names: names.collect(),
            exception_fields: tested
                .flat_map(|exception| exception.fields.texts())
                .map(str::to_owned)
                .collect(),
            exception_operators: operators.map(str::to_owned).collect(),
        };
        Ok((Slot::New(Box::new(rule)), resolved))
    }

    /// The condition of a macro as seen by definitions before `visibility`.
    fn visible<'m>(
        &self,
        name: &str,
        macros: &'m [Macro],
        visibility: Option<u32>,
    ) -> Option<&'m Arc<Expr>> {
        let definitions = &self.definitions.macros;
        let seen = |def: &&MacroDef| visibility.is_none_or(|now| def.order.index < now);
        definitions.get(name).filter(seen)?;
        macros.get(definitions.position(name)?).map(|known| &known.condition)
    }

    fn mark_used<'n>(&self, names: impl IntoIterator<Item = &'n str>, macros: &mut [Macro]) {
        for name in names {
            let at = self.definitions.macros.position(name);
            if let Some(used) = at.and_then(|at| macros.get_mut(at)) {
                used.used = true;
            }
        }
    }

    /// The condition with macros expanded. An earlier result is reused if it is still valid.
    fn put_macros(
        &self,
        written: &Written<'_>,
        kept: Option<Resolved>,
        macros: &mut [Macro],
        visibility: Option<u32>,
        nodes: &mut Room,
    ) -> Result<Resolved, (MacroError, Span)> {
        let visible = |name: &str| self.visible(name, macros, visibility);
        if let Some(kept) = kept.filter(|kept| kept.holds(written, visible))
            && nodes.take(kept.nodes).is_ok()
        {
            self.mark_used(kept.macros(), macros);
            return Ok(kept);
        }
        let (condition, used) = macros::resolve(&written.expr, &visible, nodes)?;
        let then = |name: String| visible(&name).map(|now| (name, Arc::clone(now)));
        let used: Vec<_> = used.into_iter().filter_map(then).collect();
        let resolved = Resolved::new(written, used, condition);
        self.mark_used(resolved.macros(), macros);
        Ok(resolved)
    }

    /// The compiled condition.
    fn program(
        &self,
        condition: &Expr,
        written: &Written<'_>,
        source: &EventSource<V>,
        def: &RuleDef,
        work: &mut Work<'_, '_, V::Field>,
    ) -> Result<Program<V::Field>, Refused> {
        let Work { lists, tests, diagnosis, findings, .. } = work;
        let error = match compile_with(condition, &source.vocabulary, tests) {
            Ok(compiled) => {
                let event_types = event_types(condition, &def.source).map_err(|error| {
                    diagnosis.event_types(written, &error, findings);
                    Refused::Wrong
                })?;
                for hint in compiled.hints {
                    let place = written.spot(hint.span);
                    findings.push(Finding::new(Cause::SuspiciousValue, hint.to_string(), place));
                }
                return Ok(Program { filter: compiled.filter, event_types });
            }
            Err(error) => error,
        };
        let before = findings.len();
        diagnosis.uncompiled(written, &error, source, lists, findings);
        if def.skip_if_unknown_filter && is_unknown_name(&error.kind) {
            findings.truncate(before + 1);
            if let Some(finding) = findings.get_mut(before) {
                finding.cause = Cause::SkippedCondition;
            }
            return Err(Refused::Skipped);
        }
        Err(Refused::Wrong)
    }

    fn warn_of_unused(&self, lists: &Lists, macros: &[Macro], findings: &mut Vec<Finding>) {
        for (def, _) in self.definitions.macros.iter().zip(macros).filter(|(_, m)| !m.used) {
            let message = "Macro not referred to by any other rule/macro";
            let place = def.place.clone();
            findings.push(Finding::new(Cause::UnusedMacro, message, place));
        }
        let all = self.definitions.lists.iter().zip(lists.iter());
        for (def, _) in all.filter(|(_, list)| !list.used) {
            let message = "List not referred to by any other rule/macro";
            let place = def.place.clone();
            findings.push(Finding::new(Cause::UnusedList, message, place));
        }
    }
}

fn warn_of_condition(condition: &Expr, text: &str, place: &Place, findings: &mut Vec<Finding>) {
    let place = || place.of_condition(text);
    if deprecated::compares_with_na(condition) {
        findings.push(Finding::new(Cause::UnsafeNaCheck, "", place()));
    }
    for (field, why) in deprecated::fields_of(condition) {
        let warning = Finding::new(Cause::DeprecatedField, why, place());
        findings.push(Finding { field: Some(field), ..warning });
    }
}

fn event_types(condition: &Expr, source: &str) -> Result<Option<EventTypes>, EventTypeError> {
    match source {
        SYSCALL => EventTypes::of(condition).map(Some),
        _ => Ok(None),
    }
}

/// Whether `skip-if-unknown-filter` covers an error.
fn is_unknown_name(error: &CompileErrorKind) -> bool {
    matches!(error, CompileErrorKind::UnknownField(_) | CompileErrorKind::UnknownLiteral(_))
}
