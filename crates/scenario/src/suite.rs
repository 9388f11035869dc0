//! The rules that tests run against.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_authoring::explain::ConditionTree;
use peregrine_engine::{AlertContent, Generation, GenerationSettings, Matching};
use peregrine_event::render::Buffers;
use peregrine_event::source::SourceNames;
use peregrine_fields::{Field, Fields};
use peregrine_filter::Filter;
use peregrine_rules::{Loader, RuleSet};
use peregrine_state::Config;

use crate::file::{Case, Test};

/// A set of rules, compiled for tests: every rule is evaluated on every event, also behind another
/// one that matches.
#[derive(Debug)]
pub struct Suite {
    pub(crate) generation: Arc<Generation>,
    pub(crate) fields: Fields,
    pub(crate) state: Config,
    /// Positions of the rules by name.
    positions: HashMap<String, usize>,
    /// The condition of each rule; `None` where it can't be shown as a tree.
    trees: Vec<Option<ConditionTree>>,
    /// Whether each rule is evaluated in a run, be it not for tests.
    enabled: Vec<bool>,
    /// Whether the configuration lets only the first rule match an event.
    pub(crate) first_only: bool,
    /// Conditions of tests that pick events of a capture.
    picks: HashMap<String, Result<Filter<Field>, String>>,
}

/// Settings of a run that tests depend on.
#[derive(Clone, Debug)]
pub struct SuiteSettings {
    /// Whether an event can match more than one rule when the rules are used, and how fields print.
    pub evaluation: GenerationSettings,
    /// What alerts contain. Their fields always do.
    pub content: AlertContent,
    /// Whether containers are known.
    pub containers: bool,
}

impl Default for SuiteSettings {
    fn default() -> Self {
        let (fields, context, iso_time, buffers) = (true, &[][..], false, Buffers::default());
        let content = AlertContent { fields, context, iso_time, buffers };
        Self { evaluation: GenerationSettings::default(), content, containers: false }
    }
}

/// What is asked of a set of rules.
#[derive(Clone, Debug, Default)]
pub struct Demand<'a> {
    /// Rules that are tested.
    pub rules: BTreeSet<&'a str>,
    /// Conditions that pick events of captures.
    pub conditions: BTreeSet<&'a str>,
}

impl<'a> Demand<'a> {
    /// What tests ask of it.
    pub fn of(cases: &[&'a Case]) -> Self {
        let tests = || cases.iter().filter_map(|case| case.test.as_ref().ok());
        let rules = tests().flat_map(|test| &test.rules).map(|rule| rule.name.as_str());
        Self { rules: rules.collect(), conditions: tests().filter_map(Test::picks_by).collect() }
    }
}

impl Suite {
    /// The rules of a loader. `select` enables and disables rules as the configuration says; those
    /// in demand are evaluated all the same.
    #[must_use]
    pub fn new(
        loader: Loader<Fields>,
        fields: &Fields,
        settings: SuiteSettings,
        demand: &Demand<'_>,
        select: impl FnOnce(RuleSet<Field>) -> RuleSet<Field>,
    ) -> Self {
        let tested = &demand.rules;
        let pick = |text: &str| {
            let (result, rule) = loader.condition(text, SourceNames::SYSCALL);
            let wrong = || result.findings.iter().map(|it| it.message.clone()).next();
            let filter = rule.map(|rule| rule.filter);
            (text.to_owned(), filter.ok_or_else(|| wrong().unwrap_or_default()))
        };
        let picks = demand.conditions.iter().map(|text| pick(text)).collect();
        let written = loader.written_conditions();
        let tree = |name: &str| ConditionTree::of_rule(&written, name, fields).ok();
        let rules = &loader.rules().rules;
        let trees = rules.iter().map(|rule| match tested.contains(rule.name.as_str()) {
            true => tree(&rule.name),
            false => None,
        });
        let trees = trees.collect();
        let positions = (0..).zip(rules).map(|(at, rule)| (rule.name.clone(), at)).collect();
        let mut set = select(loader.into_rules());
        let enabled = set.rules.iter().map(|rule| rule.active).collect();
        for rule in &mut set.rules {
            rule.active |= tested.contains(rule.name.as_str());
        }
        let registry = Arc::new(RuleRegistry::new());
        let origin = AlertOrigin::new(Arc::clone(&registry), "");
        let matching = settings.evaluation.matching;
        let evaluation = GenerationSettings { matching: Matching::All, ..settings.evaluation };
        let content = AlertContent { fields: true, ..settings.content };
        let generation = Generation::new(set, &registry, evaluation);
        // Every vocabulary knows the time of an event.
        let generation = match generation.with_alerts(&origin, content, fields) {
            Ok(generation) => generation,
            Err(_) => Generation::new(Default::default(), &registry, Default::default()),
        };
        Self {
            generation: Arc::new(generation),
            fields: fields.clone(),
            state: Config { containers: settings.containers, ..Config::default() },
            positions,
            trees,
            enabled,
            first_only: matching == Matching::First,
            picks,
        }
    }

    /// Names of all rules, in the order of evaluation.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.generation.rules().rules.iter().map(|rule| rule.name.as_str())
    }

    pub(crate) fn position(&self, rule: &str) -> Option<usize> {
        self.positions.get(rule).copied()
    }

    pub(crate) fn name(&self, position: usize) -> &str {
        self.generation.rule(position).map_or("", |(_, rule)| rule.name.as_str())
    }

    pub(crate) fn tree(&self, position: usize) -> Option<&ConditionTree> {
        self.trees.get(position)?.as_ref()
    }

    pub(crate) fn pick(&self, condition: &str) -> Option<&Result<Filter<Field>, String>> {
        self.picks.get(condition)
    }

    /// Whether a rule is evaluated in a run.
    pub(crate) fn is_enabled(&self, position: usize) -> bool {
        self.enabled.get(position).copied().unwrap_or_default()
    }

    /// Name of the source that a rule is about.
    pub(crate) fn source(&self, position: usize) -> &str {
        self.generation.rule(position).map_or("", |(_, rule)| rule.source.as_str())
    }
}
