//! `override`: which keys of an earlier definition an item appends to, and which it replaces.

use std::collections::BTreeSet;

use peregrine_diagnostics::closest;

use crate::decode::{Decoded, Reading, failed, key_name};
use crate::hints;
use crate::keys::Item;
use crate::{Cause, ItemKind};

/// The content of `override`.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) append: BTreeSet<String>,
    pub(crate) replace: BTreeSet<String>,
}

impl Overrides {
    pub(crate) fn read(kind: Item, item: &Reading<'_>) -> Decoded<Self> {
        let mut overrides = Self::default();
        let Some(node) = item.get("override") else { return Ok(overrides) };
        if node.as_seq().is_some_and(|items| !items.is_empty()) {
            let message = "the value of 'override' must be a mapping";
            let error = *failed(Cause::OverrideNotMapping, message, &item.place);
            return Err(Box::new(error.help(Some(hints::OVERRIDE.to_owned()))));
        }
        let all = item.place.inside(ItemKind::Override, "", item.node);
        for (key, operation) in node.entries() {
            let name = key_name(key, &all)?;
            let allowed = kind.find(name);
            let place = all.inside(ItemKind::Override, name, key);
            match key_name(operation, &all)? {
                "append" if allowed.is_some_and(|key| key.append) => {
                    overrides.append.insert(name.to_owned());
                }
                "append" => {
                    let message =
                        format!("Key '{name}' cannot be appended to, use 'replace' instead");
                    return Err(failed(Cause::InvalidOverride, message, &place));
                }
                "replace" if allowed.is_some_and(|key| key.replace) => {
                    overrides.replace.insert(name.to_owned());
                }
                "replace" => {
                    let message = format!("Key '{name}' cannot be replaced");
                    let names = kind.keys().filter(|key| key.replace).map(|key| key.name);
                    let help = closest(name, names).map(|name| format!("did you mean `{name}`?"));
                    return Err(Box::new(
                        failed(Cause::InvalidOverride, message, &place).help(help),
                    ));
                }
                other => {
                    let (append, replace) =
                        allowed.map_or((false, false), |key| (key.append, key.replace));
                    let message = format!(
                        "Invalid override operation for key '{name}': '{other}'. Allowed values \
                         are: {}{}",
                        if append { "append " } else { "" },
                        if replace { "replace " } else { "" },
                    );
                    let place = all.inside(ItemKind::ValueFor, name, operation);
                    return Err(failed(Cause::InvalidOverride, message, &place));
                }
            }
        }
        Ok(overrides)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.append.is_empty() && self.replace.is_empty()
    }
}

/// Whether a key has this override; removes it from the keys that must be named.
pub(crate) fn take(
    given: &mut BTreeSet<&str>,
    overridden: &BTreeSet<String>,
    key: &str,
    how: &str,
    item: &Reading<'_>,
) -> Decoded<bool> {
    if !overridden.contains(key) {
        return Ok(false);
    }
    if !given.remove(key) {
        let message =
            format!("An {how} override for '{key}' was specified but '{key}' is not defined");
        return Err(item.error(Cause::OverrideWithoutKey, message));
    }
    Ok(true)
}
