//! One immutable version of the rules: their source, compiled form and alert templates.

use std::sync::Arc;

use peregrine_alert::{AlertOrigin, RuleId, RuleRegistry};
use peregrine_fields::table::Needs;
use peregrine_fields::{Field, Fields, Run};
use peregrine_filter::TemplateError;
use peregrine_rules::{Rule, RuleSet};

use crate::meter::{CostCounters, Profiler, RuleMeter};
use crate::select::SyscallSet;
use crate::{
    AlertContent, AlertTemplate, CompiledRules, Matching, Throttle, ThrottleSettings,
    ThrottledRules,
};

/// One version of the rules with everything compiled from them.
///
/// A generation is immutable and shared through an `Arc`. A reload builds a new one while the
/// engine runs, then [installs](crate::Engine::install) it between two events.
#[derive(Debug)]
pub struct Generation {
    rules: RuleSet<Field>,
    compiled: CompiledRules,
    // Of each rule, in the order of `rules`.
    ids: Box<[RuleId]>,
    // Of each rule; empty if the generation makes no alerts.
    templates: Box<[AlertTemplate<Field>]>,
    // Of each rule; empty if no rule is throttled.
    throttles: Box<[Option<Arc<Throttle<Field>>>]>,
    // The most that the key of a throttle needs.
    throttle_needs: Needs,
    settings: GenerationSettings,
}

/// Settings of a generation besides its rules.
#[derive(Clone, Debug, Default)]
pub struct GenerationSettings {
    /// Whether an event can match more than one rule.
    pub matching: Matching,
    /// How fields print.
    pub run: Run,
    /// Syscalls and tracepoints that the kernel reports for these rules.
    pub selected: SyscallSet,
}

impl Generation {
    /// Compiles the active rules. The registry gives a rule the id that it had in earlier
    /// generations.
    pub fn new(
        rules: RuleSet<Field>,
        registry: &RuleRegistry,
        settings: GenerationSettings,
    ) -> Self {
        let compiled = CompiledRules::new(&rules);
        let ids = rules.rules.iter().map(|rule| registry.intern(&rule.source, &rule.name));
        let ids = ids.collect();
        let (templates, throttles) = (Box::default(), Box::default());
        let throttle_needs = Needs::Nothing;
        Self { rules, compiled, ids, templates, throttles, throttle_needs, settings }
    }

    /// Compiles the alert templates.
    ///
    /// # Errors
    /// When the vocabulary does not know the time of an event.
    pub fn with_alerts(
        mut self,
        origin: &AlertOrigin,
        content: AlertContent,
        fields: &Fields,
    ) -> Result<Self, TemplateError> {
        let rules = self.rules.rules.iter();
        let templates = rules.map(|rule| AlertTemplate::new(rule, origin, content, fields));
        self.templates = templates.collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Throttles the alerts of rules, each by the first throttle that is for it.
    #[must_use]
    pub fn with_throttles(mut self, throttles: &[ThrottledRules]) -> Self {
        let of = |rule| throttles.iter().find(|throttled| throttled.contains(rule));
        let of = |rule| of(rule).map(|throttled| Arc::clone(&throttled.throttle));
        let throttles: Box<[_]> = self.rules.rules.iter().map(of).collect();
        if throttles.iter().any(Option::is_some) {
            let needs = throttles.iter().flatten().map(|throttle| throttle.needs());
            self.throttle_needs = needs.max().unwrap_or(Needs::Nothing);
            self.throttles = throttles;
        }
        self
    }

    /// The rules, active or not.
    pub fn rules(&self) -> &RuleSet<Field> {
        &self.rules
    }

    /// The active rules, compiled.
    pub fn compiled(&self) -> &CompiledRules {
        &self.compiled
    }

    /// The settings.
    pub fn settings(&self) -> &GenerationSettings {
        &self.settings
    }

    /// All rules with their ids, in the order of evaluation.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &Rule<Field>)> {
        self.ids.iter().copied().zip(&self.rules.rules)
    }

    /// The rule at this position of the rule set, with its id.
    #[inline]
    pub fn rule(&self, index: usize) -> Option<(RuleId, &Rule<Field>)> {
        Some((*self.ids.get(index)?, self.rules.rules.get(index)?))
    }

    /// The alert template of the rule at this position.
    #[inline]
    pub fn template(&self, index: usize) -> Option<&AlertTemplate<Field>> {
        self.templates.get(index)
    }

    /// The throttle of the rule at this position.
    #[inline]
    pub fn throttle(&self, index: usize) -> Option<&Throttle<Field>> {
        self.throttles.get(index)?.as_deref()
    }

    /// What must be known of a container to throttle the alerts of any rule.
    #[inline]
    pub(crate) fn throttle_needs(&self) -> Needs {
        self.throttle_needs
    }

    /// Rules that are throttled.
    pub fn throttled(&self) -> impl Iterator<Item = (RuleId, &ThrottleSettings)> {
        let throttles = self.ids.iter().zip(&self.throttles);
        throttles.filter_map(|(id, throttle)| Some((*id, throttle.as_ref()?.settings())))
    }

    /// A meter for a profile of this generation.
    pub fn profiler(&self) -> Profiler {
        Profiler::new(&self.ids, self.compiled.program().len())
    }

    /// A meter for the costs of rules, from this generation on.
    pub fn cost_counters(&self) -> CostCounters {
        CostCounters::new(&self.ids, self.compiled.program().len())
    }

    /// Makes a meter measure the rules of this generation.
    pub fn install_in(&self, meter: &mut impl RuleMeter) {
        meter.install(&self.ids, self.compiled.program().len());
    }
}
