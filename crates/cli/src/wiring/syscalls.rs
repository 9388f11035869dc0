//! Which system calls are monitored, and what the log says about it.

use std::io::{self, Write};

use peregrine_alert::Priority;
use peregrine_engine::select::{self, BaseSyscalls, Selection, SyscallSet};
use peregrine_fields::Field;
use peregrine_rules::RuleSet;

use super::setup::Setup;
use crate::log::Log;

/// Selects the system calls to monitor, and logs how, in Falco's words.
pub(crate) fn select(setup: &Setup, rules: &RuleSet<Field>) -> SyscallSet {
    let keys = &setup.config().base_syscalls;
    let base =
        BaseSyscalls { custom_set: keys.custom_set.clone(), repair: keys.repair, all: keys.all };
    let selection = Selection::new(&select::of_rules(rules), &SyscallSet::default(), &base);
    log_selection(&selection, &setup.log);
    let unreported = selection.unreported();
    if !unreported.is_empty() {
        let _ = writeln!(
            io::stderr(),
            "Loaded rules match syscalls that are not activated (e.g. were removed via config settings such as no -A \
             flag or negative base_syscalls elements) or unsupported with current configuration: warning \
             (unsupported-evttype): {unreported}\n\
             If syscalls in rules include high volume syscalls (-> activate via `-A` flag), else syscalls may have \
             been removed via base_syscalls option or might be associated with syscalls undefined on your \
             architecture (https://marcin.juszkiewicz.com.pl/download/tables/syscalls.html)"
        );
    }
    selection.selected
}

fn log_selection(selection: &Selection, log: &Log) {
    let sets = |level, before: &str, set: &SyscallSet, after: &str| {
        if !set.is_empty() && log.logs(level) {
            log.line(level, format_args!("{before}({}) {after}: {set}", set.names().len()));
        }
    };
    let unknown = |kind, names: &std::collections::BTreeSet<String>| {
        if !names.is_empty() {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            log.warning(format_args!(
                "Invalid ({kind}) syscall names: warning (base_syscalls override): {names}"
            ));
        }
    };
    use Priority::{Debug, Informational as Info};
    sets(Debug, "", &selection.rules, "syscalls in rules");
    sets(Debug, "", &selection.plugins, "syscalls required by plugins");
    sets(Debug, "+", &selection.added, "syscalls added (base_syscalls override)");
    unknown("positive", &selection.unknown_added);
    sets(Debug, "-", &selection.removed, "syscalls removed (base_syscalls override)");
    unknown("negative", &selection.unknown_removed);
    sets(Debug, "+", &selection.for_state, "syscalls (Falco's state engine set of syscalls)");
    sets(Debug, "-", &selection.ignored, "ignored syscalls (-> activate via `-A` flag)");
    sets(Info, "+", &selection.repaired, "repaired syscalls");
    sets(Debug, "", &selection.selected, "syscalls selected in total (final set)");
}
