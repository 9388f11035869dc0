//! Logs what a reload has changed.

use std::fmt::Display;

use peregrine_config::{KeyChange, Loaded, Plugin};
use peregrine_rules::RuleChanges;
use peregrine_runtime::Log;

use super::Version;
use crate::containers;
use crate::setup::Setup;

/// Names in one line; of more, the number is logged.
const MAX_NAMES: usize = 20;

/// Rules and keys that differ from those before, and keys that wait for a restart.
pub(super) fn log(started: &Setup, old: &Version, new: &Version) {
    let log = &started.log;
    let RuleChanges { added, removed, changed } =
        new.generation.rules().changes_since(old.generation.rules());
    line(log, "Rules added", &added);
    line(log, "Rules removed", &removed);
    line(log, "Rules changed", &changed);
    let keys = new.loaded.changes_since(&old.loaded);
    let keys: Vec<_> = keys.iter().filter(|change| !needs_restart(started, new, change)).collect();
    line(log, "Keys changed", &keys);
    // Those that an earlier reload named are still waiting.
    let waiting = new.loaded.changes_since(&started.loaded);
    for change in waiting.iter().filter(|change| needs_restart(started, new, change)) {
        log.warning(format_args!("Needs a restart to take effect: {change}"));
    }
}

/// Whether a change takes effect with a restart only. The settings of the built-in plugin do not,
/// nor that it is loaded.
fn needs_restart(started: &Setup, new: &Version, change: &KeyChange) -> bool {
    let plugins = new.loaded.config.plugins.0.iter().enumerate();
    let mut own = plugins.filter(|(_, plugin)| plugin.name == containers::PLUGIN);
    let is_own =
        own.any(|(index, _)| change.key.starts_with(&format!("plugins[{index}].init_config")));
    let of_plugins = ["plugins", "load_plugins"].iter().any(|key| change.key.starts_with(key));
    change.needs_restart() && !is_own && !(of_plugins && only_adds(&started.loaded, &new.loaded))
}

/// Whether no other plugins are loaded than before, and the built-in one if it was.
fn only_adds(started: &Loaded, new: &Loaded) -> bool {
    let own = |plugin: &&Plugin| plugin.name == containers::PLUGIN;
    let others = |loaded: &Loaded| -> Vec<Plugin> {
        loaded.plugins.iter().filter(|plugin| !own(plugin)).cloned().collect()
    };
    let has_own = |loaded: &Loaded| loaded.plugins.iter().any(|plugin| own(&plugin));
    others(started) == others(new) && (has_own(new) || !has_own(started))
}

fn line(log: &Log, what: &str, names: &[impl Display]) {
    if names.is_empty() {
        return;
    }
    let mut shown: Vec<_> = names.iter().take(MAX_NAMES).map(ToString::to_string).collect();
    if let Some(more) = names.len().checked_sub(MAX_NAMES).filter(|more| *more > 0) {
        shown.push(format!("and {more} more"));
    }
    log.info(format_args!("{what} ({}): {}", names.len(), shown.join(", ")));
}
