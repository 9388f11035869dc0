//! Which system calls are monitored.

use peregrine_engine::select::{self, BaseSyscalls, Selection, SyscallSet};
use peregrine_fields::Field;
use peregrine_rules::RuleSet;

use super::setup::Setup;
use crate::print::print_error;

/// Selects the system calls to monitor, and logs how.
pub fn select(setup: &Setup, rules: &RuleSet<Field>) -> SyscallSet {
    let keys = &setup.config().base_syscalls;
    let base =
        BaseSyscalls { custom_set: keys.custom_set.clone(), repair: keys.repair, all: keys.all };
    let plugins = SyscallSet::of_events(setup.plugins().parsed_types());
    let selection = Selection::new(&select::of_rules(rules), &plugins, &base);
    let notes = selection.notes(|level| setup.log.is_logged(level));
    notes.into_iter().for_each(|(level, note)| setup.log.line(level, note));
    if let Some(warning) = selection.warning() {
        print_error(format!("{warning}\n"));
    }
    selection.selected
}
