//! Compiles definitions into executable rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use peregrine_diagnostics::closest;
use peregrine_event::{EventType, syscall_names};
use peregrine_fields::{EventTypeError, EventTypes};
use peregrine_filter::{
    CompileError, CompileErrorKind, Expr, ExprKind, Filter, Span, Template, TemplateError,
    TestCache, UnknownLiteral, Vocabulary, compile, compile_with,
};

use crate::budget::{Budget, Room};
use crate::condition::{Resolved, Written};
use crate::decode::{Decoded, failed};
use crate::define::{Definitions, MacroDef, RuleDef};
use crate::exception::with_exceptions;
use crate::expand::Lists;
use crate::load::{Addition, EventSource, OutputAddition};
use crate::macros::{self, MacroError};
use crate::memo::{Kept, Memo, Slot};
use crate::result::Finding;
use crate::rule_set::{ExtraField, List, Macro, Rule, RuleSet};
use crate::{Cause, Place, deprecated};

/// A rule that matches more event types than this is reported as matching nearly all.
const MANY_EVENT_TYPES: usize = 100;

/// Name of the syscall event source.
const SYSCALL: &str = "syscall";

/// Output suffix of configurations from before container fields were suggested individually.
const CONTAINER_INFO: &str = "%container.info";

/// A compiled condition and, for syscall sources, the events for which it can be true.
struct Program<F> {
    filter: Filter<F>,
    event_types: Option<EventTypes>,
}

/// Inputs and accumulators of the compilation of a rule.
struct Work<'w, F> {
    lists: &'w mut Lists,
    macros: &'w mut [Macro],
    tests: &'w mut TestCache<F>,
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
        let mut memo = Memo::default();
        let Some(mut macros) = self.macros(&mut lists, known, &mut memo, findings) else {
            known.macros.extend(memo.macros);
            return None;
        };
        memo.tests = std::mem::take(&mut known.tests);
        let mut rules = Vec::new();
        for def in self.definitions.rules.iter().filter(|rule| !rule.unknown_source) {
            let before = findings.len();
            let kept = known.rules.remove(&def.name).filter(|kept| Arc::ptr_eq(&kept.def, def));
            let tests = memo.tests.entry(def.source.clone()).or_default();
            let (lists, macros) = (&mut lists, &mut macros);
            let mut work = Work { lists, macros, tests, findings: &mut *findings };
            match self.rule(def, kept, &mut work) {
                Ok(Some((slot, resolved))) => {
                    let (def, at) = (Arc::clone(def), rules.len());
                    let findings = findings.get(before..).unwrap_or_default().to_vec();
                    memo.rules.insert(def.name.clone(), Kept { def, resolved, at, findings });
                    rules.push(slot);
                }
                Ok(None) => {}
                Err(error) => findings.push(*error),
            }
        }
        let right = !findings.iter().any(Finding::is_error);
        if right {
            self.warn_of_unused(&lists, &macros, findings);
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
            macros,
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

    /// All macros. A macro sees the macros whose first definition precedes its own last definition.
    fn macros(
        &self,
        lists: &mut Lists,
        known: &mut Memo<V::Field>,
        memo: &mut Memo<V::Field>,
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<Macro>> {
        let before = findings.len();
        let (mut macros, mut all_written) = (Vec::new(), Vec::new());
        for def in self.definitions.macros.iter() {
            let (text, place) = (&def.condition, &def.condition_place);
            match Written::parse(text, text, place, lists, known.macros.get(&def.name)) {
                Ok(written) => {
                    macros.push(Macro {
                        name: def.name.clone(),
                        condition_text: def.condition.clone(),
                        condition: Arc::clone(&written.expr),
                        used: false,
                    });
                    all_written.push(written);
                }
                Err(error) => findings.push(*error),
            }
        }
        if findings.len() > before {
            return None;
        }
        let nodes = &mut lists.budget.nodes;
        let defs = self.definitions.macros.iter().zip(&all_written).enumerate();
        for (at, (def, written)) in defs {
            let visibility = Some(def.order.visibility);
            let kept = known.macros.remove(&def.name);
            match self.put_macros(written, kept, &mut macros, visibility, &def.place, nodes) {
                Ok(resolved) => {
                    if let Some(this) = macros.get_mut(at) {
                        this.condition = Arc::clone(&resolved.condition);
                    }
                    memo.macros.insert(def.name.clone(), resolved);
                }
                Err(error) => findings.push(*error),
            }
        }
        (findings.len() == before).then_some(macros)
    }

    /// A rule and its source condition. `None` if the rule sets `skip-if-unknown-filter` and has an
    /// unknown field.
    fn rule(
        &self,
        def: &RuleDef,
        kept: Option<Kept>,
        work: &mut Work<'_, V::Field>,
    ) -> Decoded<Option<(Slot<V::Field>, Resolved)>> {
        let Some(source) = self.sources.iter().find(|source| source.name == def.source) else {
            let message = format!("Unknown source at compile-time{}", def.source);
            return Err(failed(Cause::NoSuchSource, message, &def.place));
        };
        let Work { lists, macros, findings, .. } = &mut *work;
        let text = with_exceptions(&def.condition, &def.exceptions)?;
        let (own, place) = (&def.condition, &def.condition_place);
        if let Some(kept) = kept
            && let Ok(written) = Written::parse(own, &text, place, lists, Some(&kept.resolved))
            && kept.resolved.holds(&written, |name| self.visible(name, macros, None))
            && lists.budget.nodes.take(kept.resolved.nodes()).is_ok()
        {
            self.mark_used(kept.resolved.macros(), macros);
            findings.extend(kept.findings);
            return Ok(Some((Slot::Same(kept.at), kept.resolved)));
        }
        let output = self.output(def, findings);
        let template = match self.template(&output, source, def, findings) {
            Ok(Some(template)) => Some(template),
            Ok(None) => return Ok(None),
            // The condition may contain errors of its own; report them in the same run.
            Err(error) => {
                findings.push(*error);
                None
            }
        };
        warn_of_deprecated_output(&output, def, findings);
        let extra_fields = self.extra_fields(source, def, findings)?;

        let written = Written::parse(own, &text, place, lists, None)?;
        let resolved =
            self.put_macros(&written, None, macros, None, &def.place, &mut lists.budget.nodes)?;
        let condition = Arc::clone(&resolved.condition);
        warn_of_condition(&condition, written.text, &def.condition_place, findings);
        let program = self.program(&condition, &written, source, def, work)?;
        let (Some(Program { filter, event_types }), Some(template)) = (program, template) else {
            return Ok(None);
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
            output,
            template,
            extra_fields,
            exception_names: names.collect(),
            exception_fields: tested
                .flat_map(|exception| exception.fields.texts())
                .map(str::to_owned)
                .collect(),
            exception_operators: operators.map(str::to_owned).collect(),
        };
        Ok(Some((Slot::New(Box::new(rule)), resolved)))
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
        place: &Place,
        nodes: &mut Room,
    ) -> Decoded<Resolved> {
        let visible = |name: &str| self.visible(name, macros, visibility);
        if let Some(kept) = kept.filter(|kept| kept.holds(written, visible))
            && nodes.take(kept.nodes()).is_ok()
        {
            self.mark_used(kept.macros(), macros);
            return Ok(kept);
        }
        match macros::resolve(&written.expr, &visible, nodes) {
            Ok((condition, used)) => {
                let then = |name: String| visible(&name).map(|now| (name, Arc::clone(now)));
                let used: Vec<_> = used.into_iter().filter_map(then).collect();
                let resolved = Resolved::new(written, used, condition);
                self.mark_used(resolved.macros(), macros);
                Ok(resolved)
            }
            Err((error, span)) => {
                let names = self.definitions.macros.names();
                let help = match &error {
                    MacroError::Undefined(name) => undefined_help(name, names),
                    MacroError::Loop(_) | MacroError::TooDeep | MacroError::TooLarge(_) => None,
                };
                let mut place = place.in_condition(written.text, span.start);
                if let MacroError::Undefined(name) | MacroError::Loop(name) = &error
                    && written.has(name, span)
                {
                    place = written.shown(place, span);
                }
                let cause = match &error {
                    MacroError::Undefined(_) => Cause::UndefinedMacro,
                    MacroError::Loop(_) => Cause::MacroLoop,
                    MacroError::TooDeep => Cause::MacrosTooDeep,
                    MacroError::TooLarge(_) => Cause::ExpandsTooMuch,
                };
                Err(Box::new(failed(cause, error.to_string(), &place).help(help)))
            }
        }
    }

    fn output(&self, def: &RuleDef, findings: &mut Vec<Finding>) -> String {
        let mut output = def.output.clone();
        for addition in self.additions.iter().filter(|addition| addition.applies_to(def)) {
            if let Addition::Text(text) = &addition.what {
                output.push(' ');
                output.push_str(text);
            }
        }
        if output.contains(CONTAINER_INFO) {
            let message = "%container.info is deprecated and no more useful, and will be dropped by \
                           Falco 1.0.0. The container plugin will automatically add required fields \
                           to the output message.";
            let place = def.place.clone();
            findings.push(Finding::new(Cause::ContainerInfo, message, place));
            output = output.replace(CONTAINER_INFO, "");
        }
        output
    }

    fn extra_fields(
        &self,
        source: &EventSource<V>,
        def: &RuleDef,
        findings: &mut Vec<Finding>,
    ) -> Decoded<BTreeMap<String, ExtraField<V::Field>>> {
        let mut formats = BTreeMap::new();
        for addition in self.additions.iter().filter(|addition| addition.applies_to(def)) {
            match &addition.what {
                Addition::Text(_) => {}
                Addition::Formatted { key, format } => {
                    formats.insert(key.clone(), (format.clone(), false));
                }
                Addition::Raw(field) => {
                    formats.insert(field.clone(), (format!("%{field}"), true));
                }
            }
        }
        let mut fields = BTreeMap::new();
        for (key, (format, raw)) in formats {
            let template = Template::compile(&format, &source.vocabulary)
                .map_err(|error| output_error(&error, &format, def, &source.vocabulary))?;
            warn_of_deprecated_output(&format, def, findings);
            fields.insert(key, ExtraField { format, template, raw });
        }
        Ok(fields)
    }

    fn template(
        &self,
        output: &str,
        source: &EventSource<V>,
        def: &RuleDef,
        findings: &mut Vec<Finding>,
    ) -> Decoded<Option<Template<V::Field>>> {
        match Template::compile(output, &source.vocabulary) {
            Ok(template) => Ok(Some(template)),
            Err(error @ TemplateError::Unknown { .. }) if def.skip_if_unknown_filter => {
                let place = def.output_place.clone();
                findings.push(Finding::new(Cause::SkippedOutput, error.to_string(), place));
                Ok(None)
            }
            Err(error) => Err(output_error(&error, output, def, &source.vocabulary)),
        }
    }

    /// The compiled condition. `None` if the rule sets `skip-if-unknown-filter` and has an unknown
    /// field.
    fn program(
        &self,
        condition: &Expr,
        written: &Written<'_>,
        source: &EventSource<V>,
        def: &RuleDef,
        work: &mut Work<'_, V::Field>,
    ) -> Decoded<Option<Program<V::Field>>> {
        let (failed, unknown_name) = match compile_with(condition, &source.vocabulary, work.tests) {
            Ok(compiled) => match event_types(condition, &def.source) {
                Ok(event_types) => {
                    for hint in compiled.hints {
                        let place = written.spot(hint.span);
                        let warning = Finding::new(Cause::SuspiciousValue, hint.to_string(), place);
                        work.findings.push(warning);
                    }
                    return Ok(Some(Program { filter: compiled.filter, event_types }));
                }
                Err(error) => {
                    let place = written.spot(span(&error));
                    (Finding::new(Cause::InvalidTest, error.to_string(), place), false)
                }
            },
            Err(error) => {
                let place = self.blame(&error, written, source, work.lists);
                let help = meant(&error.kind, &source.vocabulary);
                let cause = match error.kind {
                    CompileErrorKind::UnknownField(_) => Cause::UnknownField,
                    CompileErrorKind::UnknownLiteral(_) => Cause::UnknownEventType,
                    _ => Cause::InvalidTest,
                };
                let failed = Finding::new(cause, error.to_string(), place).help(help);
                (failed, is_unknown_name(&error.kind))
            }
        };
        if def.skip_if_unknown_filter && unknown_name {
            work.findings.push(Finding { cause: Cause::SkippedCondition, ..failed });
            return Ok(None);
        }
        Err(Box::new(failed))
    }

    /// The place of a condition that does not compile: the offending test, in the rule itself or in
    /// a macro that it uses.
    fn blame(
        &self,
        error: &CompileError,
        written: &Written<'_>,
        source: &EventSource<V>,
        lists: &mut Lists,
    ) -> Place {
        let spot = written.spot(error.span);
        let to_blame = |condition: &Expr| {
            let mut found = false;
            condition.walk(&mut |expr| {
                found |= matches!(expr.node, ExprKind::Check(_))
                    && expr.span == error.span
                    && compile(expr, &source.vocabulary).is_err_and(|other| other == *error);
            });
            found
        };
        if to_blame(&written.expr) {
            return written.shown(spot, error.span);
        }
        for def in self.definitions.macros.iter() {
            let (text, place) = (&def.condition, &def.condition_place);
            let written = Written::parse(text, text, place, lists, None);
            if let Ok(written) = written
                && to_blame(&written.expr)
            {
                return written.shown(spot, error.span);
            }
        }
        spot
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

/// The likely intended name for an unknown one.
fn meant(error: &CompileErrorKind, vocabulary: &impl Vocabulary) -> Option<String> {
    let name = match error {
        CompileErrorKind::UnknownField(name) => vocabulary.similar(name).into_iter().next()?,
        CompileErrorKind::UnknownLiteral(UnknownLiteral { kind: "event type", literal: name }) => {
            let events = EventType::all().map(EventType::name);
            let syscalls = syscall_names().map(|(_, name)| name);
            closest(name, events.chain(syscalls))?.to_owned()
        }
        _ => return None,
    };
    Some(format!("did you mean `{name}`?"))
}

fn span(error: &EventTypeError) -> Span {
    match error {
        EventTypeError::Transformed { span } | EventTypeError::Field { span } => *span,
    }
}

impl OutputAddition {
    fn applies_to(&self, rule: &RuleDef) -> bool {
        self.source.as_ref().is_none_or(|source| *source == rule.source)
            && self.rule.as_ref().is_none_or(|name| *name == rule.name)
            && self.tags.is_subset(&rule.tags)
    }
}

fn event_types(condition: &Expr, source: &str) -> Result<Option<EventTypes>, EventTypeError> {
    match source {
        SYSCALL => EventTypes::of(condition).map(Some),
        _ => Ok(None),
    }
}

/// `text` is the output format including configured suffixes; it may be longer than the rule's own.
fn output_error(
    error: &TemplateError,
    text: &str,
    def: &RuleDef,
    vocabulary: &impl Vocabulary,
) -> Box<Finding> {
    let mut place = def.output_place.clone();
    let mut help = None;
    if let TemplateError::Unknown { at } = *error {
        let rest = text.get(at..).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let name = rest.split(|c| !is_name(c)).next().unwrap_or_default();
        place = place.showing_part(&def.output_place, text, at.saturating_sub(1)..at + name.len());
        help = Some(match vocabulary.similar(name).into_iter().next() {
            Some(field) => format!("there is no field `{name}`; did you mean `{field}`?"),
            None => format!("there is no field `{name}`"),
        });
    }
    let cause = match error {
        TemplateError::Unknown { .. } => Cause::UnknownOutputField,
        _ => Cause::InvalidOutput,
    };
    Box::new(Finding::new(cause, error.to_string(), place).help(help))
}

/// Whether `skip-if-unknown-filter` covers an error.
fn is_unknown_name(error: &CompileErrorKind) -> bool {
    matches!(error, CompileErrorKind::UnknownField(_) | CompileErrorKind::UnknownLiteral(_))
}

fn undefined_help<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    if matches!(name, "and" | "or" | "not") {
        return Some(format!("a condition is missing beside `{name}`"));
    }
    closest(name, names).map(|name| format!("did you mean the macro `{name}`?"))
}

fn warn_of_deprecated_output(format: &str, def: &RuleDef, findings: &mut Vec<Finding>) {
    for field in deprecated::FIELDS.iter().map(|(field, _)| *field) {
        if format.contains(field) {
            let message =
                format!("usage of deprecated field '{field}' has been detected in the rule output");
            let place = def.output_place.clone();
            let warning = Finding::new(Cause::DeprecatedOutputField, message, place);
            findings.push(Finding { field: Some(field), ..warning });
        }
    }
}
