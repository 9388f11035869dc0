//! Compiled rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peregrine_alert::{Priority, name_matches};
use peregrine_event::SourceId;
use peregrine_fields::EventTypes;
use peregrine_filter::{Expr, Filter, Template};

use crate::{PluginRequirement, Version};

/// All definitions of rules files, compiled.
#[derive(Debug)]
pub struct RuleSet<F> {
    /// Rules, in evaluation order.
    pub rules: Vec<Rule<F>>,
    /// Macros, in order of definition.
    pub macros: Vec<Macro>,
    /// Lists, in order of definition.
    pub lists: Vec<List>,
    /// The highest engine version that a file requires; zeros if none does.
    pub engine_version: Version,
    /// Required plugins: for each requirement its alternatives, the preferred one first.
    pub plugins: Vec<Vec<PluginRequirement>>,
}

/// A rule.
#[derive(Debug)]
pub struct Rule<F> {
    /// Name.
    pub name: String,
    /// Name of the event source.
    pub source: String,
    /// Event source.
    pub source_id: SourceId,
    /// Priority of its alerts.
    pub priority: Priority,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Description.
    pub description: String,
    /// Whether its file enables it.
    pub enabled: bool,
    /// Whether it is evaluated: [`select`](RuleSet::select) decides.
    pub active: bool,
    /// Whether its alerts start a capture.
    pub capture: bool,
    /// Duration of that capture in milliseconds; 0 for the configured default.
    pub capture_duration: u32,
    /// The condition as written, including appended parts.
    pub condition_text: String,
    /// The condition with lists, exceptions and macros expanded.
    pub condition: Arc<Expr>,
    /// The condition, compiled.
    pub filter: Filter<F>,
    /// Syscall events for which it can be true; `None` means all events of its source.
    pub event_types: Option<EventTypes>,
    /// The output as written, including appended parts.
    pub output_text: String,
    /// The output with additions of the configuration.
    pub output: String,
    /// The output, compiled.
    pub template: Template<F>,
    /// Output fields added by the configuration, by key.
    pub extra_fields: BTreeMap<String, ExtraField<F>>,
    /// Names of its exceptions.
    pub exception_names: Vec<String>,
    /// Fields tested by exceptions that have values.
    pub exception_fields: BTreeSet<String>,
    /// Operators used by exceptions.
    pub exception_operators: BTreeSet<String>,
}

/// An output field added by the configuration.
#[derive(Debug)]
pub struct ExtraField<F> {
    /// Its format.
    pub format: String,
    /// The format, compiled.
    pub template: Template<F>,
    /// Whether it is a single field whose value keeps its type, and not a text.
    pub raw: bool,
}

/// A macro.
#[derive(Clone, Debug)]
pub struct Macro {
    /// Name.
    pub name: String,
    /// The condition as written, including appended parts.
    pub condition_text: String,
    /// The condition with lists and macros expanded.
    pub condition: Arc<Expr>,
    /// Whether a rule or macro uses it.
    pub used: bool,
}

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    /// Name.
    pub name: String,
    /// Items as written, including appended ones.
    pub written: Vec<String>,
    /// Items with nested lists expanded.
    pub items: Vec<Arc<str>>,
    /// Whether a rule, macro or list uses it.
    pub used: bool,
}

/// Enables or disables some rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether to enable or disable them.
    pub enable: bool,
    /// Which rules.
    pub rules: Selected,
}

/// Some of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Rules with this name; `*` matches any text.
    Named(String),
    /// Rules with this tag.
    Tagged(String),
}

impl<F> Default for RuleSet<F> {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            macros: Vec::new(),
            lists: Vec::new(),
            engine_version: Version::default(),
            plugins: Vec::new(),
        }
    }
}

impl<F> RuleSet<F> {
    /// Decides which rules are evaluated: those that their files enable, then the selections in
    /// order. Rules below the priority `minimum` never are.
    pub fn select(&mut self, selections: &[Selection], minimum: Priority) {
        for rule in &mut self.rules {
            let chosen = selections
                .iter()
                .rev()
                .find(|selection| selection.rules.contains(rule))
                .map_or(rule.enabled, |selection| selection.enable);
            rule.active = chosen && rule.priority <= minimum;
        }
    }

    /// A rule by its name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule<F>> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

impl Selected {
    pub(crate) fn contains<F>(&self, rule: &Rule<F>) -> bool {
        match self {
            Self::Named(pattern) => name_matches(pattern, &rule.name),
            Self::Tagged(tag) => rule.tags.contains(tag),
        }
    }
}
