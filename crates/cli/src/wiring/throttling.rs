//! From `alert_throttling` to the throttles of rules.

use std::sync::Arc;

use peregrine_engine::{Throttle, ThrottleSettings, ThrottledRules, UnknownKey};
use peregrine_fields::Fields;

use super::setup::Setup;

/// # Errors
/// A key is no field.
pub(crate) fn throttles(setup: &Setup, fields: &Fields) -> anyhow::Result<Vec<ThrottledRules>> {
    let mut throttles = Vec::new();
    for (number, entry) in setup.config().alert_throttling.clone().into_iter().enumerate() {
        let window = entry.window.as_nanos().try_into().unwrap_or(u64::MAX);
        let settings = ThrottleSettings { max: entry.max.into(), window, key: entry.key };
        let throttle = Throttle::new(settings, fields).map_err(|UnknownKey { index, name }| {
            let key = format!("alert_throttling[{number}].key[{index}]");
            let message = format!("{key}: there is no field '{name}'");
            setup.loaded.error(&key, message, "`peregrine --list` names all fields")
        })?;
        let (rules, tags, throttle) = (entry.rules, entry.tags, Arc::new(throttle));
        throttles.push(ThrottledRules { rules, tags, throttle });
    }
    Ok(throttles)
}
