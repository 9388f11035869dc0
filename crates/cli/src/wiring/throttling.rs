//! From `alert_throttling` to the throttles of rules.

use std::sync::Arc;

use peregrine_alert::name_matches;
use peregrine_config::AlertThrottling;
use peregrine_engine::{Throttle, ThrottleSettings, UnknownKey};
use peregrine_fields::{Field, Fields};
use peregrine_rules::Rule;

use super::setup::Setup;

/// The entries of the configuration, compiled.
pub(crate) struct Throttles<'a>(Vec<(&'a AlertThrottling, Arc<Throttle<Field>>)>);

impl<'a> Throttles<'a> {
    /// # Errors
    /// A key is no field.
    pub(crate) fn new(setup: &'a Setup, fields: &Fields) -> anyhow::Result<Self> {
        let compile = |(number, entry): (usize, &'a AlertThrottling)| {
            let settings = ThrottleSettings {
                max: entry.max.into(),
                window: entry.window.as_nanos().try_into().unwrap_or(u64::MAX),
                key: entry.key.clone(),
            };
            let throttle =
                Throttle::new(settings, fields).map_err(|UnknownKey { index, name }| {
                    let key = format!("alert_throttling[{number}].key[{index}]");
                    let message = format!("{key}: there is no field '{name}'");
                    setup.loaded.error(&key, message, "`peregrine --list` names all fields")
                })?;
            Ok((entry, Arc::new(throttle)))
        };
        let entries = setup.config().alert_throttling.iter().enumerate();
        entries.map(compile).collect::<anyhow::Result<_>>().map(Self)
    }

    /// The throttle of a rule: of the first entry that names it.
    pub(crate) fn of(&self, rule: &Rule<Field>) -> Option<Arc<Throttle<Field>>> {
        let names = |AlertThrottling { rules, tags, .. }: &AlertThrottling| {
            rules.iter().any(|pattern| name_matches(pattern, &rule.name))
                || tags.iter().any(|tag| rule.tags.contains(tag))
                || rules.is_empty() && tags.is_empty()
        };
        self.0.iter().find(|(entry, _)| names(entry)).map(|(_, throttle)| Arc::clone(throttle))
    }
}
