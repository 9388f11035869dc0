//! From `alert_throttling` to the throttles of rules.

use std::sync::Arc;

use peregrine_config::{ConfigError, Loaded};
use peregrine_engine::{Throttle, ThrottleSettings, ThrottledRules, UnknownKey};
use peregrine_fields::Fields;

/// The throttles, in their order. Keys are fields of any of the sources, `syscall` first.
///
/// # Errors
/// A key is no field.
pub fn throttles(loaded: &Loaded, sources: &[Fields]) -> Result<Vec<ThrottledRules>, ConfigError> {
    let mut throttles = Vec::new();
    for (number, entry) in loaded.config.alert_throttling.clone().into_iter().enumerate() {
        let window = entry.window.as_nanos().try_into().unwrap_or(u64::MAX);
        let settings = ThrottleSettings { max: entry.max.into(), window, key: entry.key };
        // The key is one of the first source that has all of its fields.
        let mut throttle = Err(UnknownKey { index: 0, name: String::new() });
        for (index, fields) in sources.iter().enumerate() {
            match Throttle::new(settings.clone(), fields) {
                Err(_) if index > 0 => {}
                result => throttle = result,
            }
            if throttle.is_ok() {
                break;
            }
        }
        let throttle = throttle.map_err(|UnknownKey { index, name }| {
            let key = format!("alert_throttling[{number}].key[{index}]");
            let message = format!("{key}: there is no field '{name}'");
            loaded.error(&key, message, "`peregrine --list` names all fields")
        })?;
        let (rules, tags, throttle) = (entry.rules, entry.tags, Arc::new(throttle));
        throttles.push(ThrottledRules { rules, tags, throttle });
    }
    Ok(throttles)
}
