//! What the log says about a selection, in Falco's words.

use std::collections::BTreeSet;

use peregrine_alert::Priority;

use super::{Selection, SyscallSet};

impl Selection {
    /// Lines for the log, with their levels. Listing names takes time at every start, so lines of
    /// levels that are not `logged` are left out.
    pub fn notes(&self, logged: impl Fn(Priority) -> bool) -> Vec<(Priority, String)> {
        use Priority::{Debug, Informational as Info};
        let set = |level, sign: &str, set: &SyscallSet, about: &str| {
            let text = || format!("{sign}({}) {about}: {set}", set.names().len());
            (!set.is_empty() && logged(level)).then(|| (level, text()))
        };
        let unknown = |kind, names: &BTreeSet<String>| {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let text = || {
                format!("Invalid ({kind}) syscall names: warning (base_syscalls override): {names}")
            };
            (!names.is_empty()).then(|| (Priority::Warning, text()))
        };
        let notes = [
            set(Debug, "", &self.rules, "syscalls in rules"),
            set(Debug, "", &self.plugins, "syscalls required by plugins"),
            set(Debug, "+", &self.added, "syscalls added (base_syscalls override)"),
            unknown("positive", &self.unknown_added),
            set(Debug, "-", &self.removed, "syscalls removed (base_syscalls override)"),
            unknown("negative", &self.unknown_removed),
            set(Debug, "+", &self.for_state, "syscalls (Falco's state engine set of syscalls)"),
            set(Debug, "-", &self.ignored, "ignored syscalls (-> activate via `-A` flag)"),
            set(Info, "+", &self.repaired, "repaired syscalls"),
            set(Debug, "", &self.selected, "syscalls selected in total (final set)"),
        ];
        notes.into_iter().flatten().collect()
    }

    /// The warning about system calls that rules need and that are not monitored.
    pub fn warning(&self) -> Option<String> {
        let unreported = self.unreported();
        (!unreported.is_empty()).then(|| {
            format!(
                "Loaded rules match syscalls that are not activated (e.g. were removed via config settings such as no -A \
                 flag or negative base_syscalls elements) or unsupported with current configuration: warning \
                 (unsupported-evttype): {unreported}\n\
                 If syscalls in rules include high volume syscalls (-> activate via `-A` flag), else syscalls may have \
                 been removed via base_syscalls option or might be associated with syscalls undefined on your \
                 architecture (https://marcin.juszkiewicz.com.pl/download/tables/syscalls.html)"
            )
        })
    }
}
