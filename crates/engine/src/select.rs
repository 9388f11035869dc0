//! Which syscalls and tracepoints the kernel is to report.
//!
//! Rules say what they want, the state says what it needs, and the configuration may change both. What
//! nobody wants is never reported, and costs nothing.
//!
//! ```
//! use peregrine_engine::select::{BaseSyscalls, Selection, SyscallSet};
//!
//! let rules = SyscallSet::named(["unlink", "read"]);
//! let selection = Selection::new(&rules, &SyscallSet::default(), &BaseSyscalls::default());
//! assert!(selection.selected.contains_name("unlink") && selection.selected.contains_name("execve"));
//! // Reads and writes come by the million: they must be asked for twice.
//! assert!(selection.ignored.contains_name("read") && !selection.selected.contains_name("read"));
//! ```

mod notes;
mod set;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use peregrine_event::{Category, EventFlags, EventInfo, SourceId};
use peregrine_fields::{EventTypes, Field};
use peregrine_rules::RuleSet;

pub use set::SyscallSet;

/// What the configuration says of syscalls besides those of the rules (`base_syscalls`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSyscalls {
    /// Names to report in place of what the state needs; with `!` before it, one not to report.
    pub custom_set: Vec<String>,
    /// Report the fewest that keep processes and connections right.
    pub repair: bool,
    /// Report also the syscalls that are [`ignored`] otherwise.
    pub all: bool,
}

/// What is reported, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What rules are asked about.
    pub rules: SyscallSet,
    /// What plugins follow.
    pub plugins: SyscallSet,
    /// What `custom_set` adds, in place of what the state needs.
    pub added: SyscallSet,
    /// What `custom_set` removes.
    pub removed: SyscallSet,
    /// Names to add that nothing has.
    pub unknown_added: BTreeSet<String>,
    /// Names to remove that nothing has.
    pub unknown_removed: BTreeSet<String>,
    /// What is reported for the state alone.
    pub for_state: SyscallSet,
    /// What was wanted but is not reported as it comes too often.
    pub ignored: SyscallSet,
    /// What repair added at the end.
    pub repaired: SyscallSet,
    /// What is reported.
    pub selected: SyscallSet,
}

impl Selection {
    /// Selects for these rules, plugins and configuration.
    pub fn new(rules: &SyscallSet, plugins: &SyscallSet, base: &BaseSyscalls) -> Self {
        let names = base.custom_set.iter().filter(|name| !name.is_empty());
        let (negative, positive): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with('!'));
        let (added, unknown_added) = known(positive.into_iter().map(String::as_str));
        let (removed, unknown_removed) =
            known(negative.into_iter().map(|name| name.strip_prefix('!').unwrap_or(name)));
        let wanted = rules.union(plugins);
        let mut selected = match (added.is_empty(), base.repair) {
            (false, _) => wanted.union(&added),
            (true, true) => repaired(&wanted),
            (true, false) => wanted.union(&STATE),
        };
        selected = selected.difference(&removed);
        let for_state =
            if added.is_empty() { selected.difference(rules) } else { SyscallSet::default() };
        let mut dropped = SyscallSet::default();
        if !base.all {
            dropped = selected.intersection(&IGNORED);
            selected = selected.difference(&IGNORED);
        }
        let mut repairs = SyscallSet::default();
        if base.repair && !base.custom_set.is_empty() {
            let whole = repaired(&selected);
            repairs = whole.difference(&selected);
            selected = whole;
        }
        // Without the end of processes the state would grow for ever.
        selected = selected.union(&EXIT);
        Self {
            rules: rules.clone(),
            plugins: plugins.clone(),
            added,
            removed,
            unknown_added,
            unknown_removed,
            for_state,
            ignored: dropped,
            repaired: repairs,
            selected,
        }
    }

    /// What rules are asked about and is not reported.
    pub fn unreported(&self) -> SyscallSet {
        self.rules.difference(&self.selected)
    }
}

/// What the active rules of the source `syscall` are asked about.
pub fn of_rules(rules: &RuleSet<Field>) -> SyscallSet {
    let active =
        rules.rules.iter().filter(|rule| rule.active && rule.source_id == SourceId::SYSCALL);
    let types = active.filter_map(|rule| rule.event_types.as_ref());
    let none = EventTypes::none();
    SyscallSet::from(&types.fold(none, |all, types| EventTypes {
        events: all.events.union(types.events),
        syscalls: all.syscalls.union(types.syscalls),
    }))
}

/// What keeps the state right.
pub fn state() -> &'static SyscallSet {
    &STATE
}

/// Syscalls that are reported only when the configuration asks for them with `all`: they read and write, come
/// by the million, and the state does not need them.
pub fn ignored() -> &'static SyscallSet {
    &IGNORED
}

/// The fewest syscalls that keep processes right, and the files and connections that `wanted` is about; with
/// `wanted` itself.
pub fn repaired(wanted: &SyscallSet) -> SyscallSet {
    let mut set = PROCESSES.union(wanted);
    let touches = |other: &SyscallSet| !wanted.intersection(other).is_empty();
    if touches(&NETWORK) {
        set = set.union(&SyscallSet::named(["socket", "getsockopt", "close"]));
    }
    if touches(&SERVERS) {
        set = set.union(&SyscallSet::named(["bind"]));
    }
    if touches(&FILES) {
        set = set.union(&SyscallSet::named(["close"]));
    }
    set
}

/// The set of some names, and those that are in no set.
fn known<'a>(names: impl Iterator<Item = &'a str>) -> (SyscallSet, BTreeSet<String>) {
    let names: BTreeSet<&str> = names.collect();
    let set = SyscallSet::named(names.iter().copied());
    let found = set.names();
    (set, names.into_iter().filter(|name| !found.contains(name)).map(str::to_owned).collect())
}

fn in_category(wanted: &'static [Category]) -> SyscallSet {
    SyscallSet::where_any(|event: &EventInfo| wanted.contains(&event.category))
}

static EXIT: LazyLock<SyscallSet> = LazyLock::new(|| SyscallSet::named(["procexit"]));

/// The table of events says which change the state. Limits of open files do it for the reader of
/// `proc.fdlimit`, though the table does not say so.
static STATE: LazyLock<SyscallSet> = LazyLock::new(|| {
    let table = SyscallSet::where_any(|event| event.flags.contains(EventFlags::MODIFIES_STATE));
    table.union(&SyscallSet::named(["setrlimit", "prlimit"]))
});

static IO: LazyLock<SyscallSet> =
    LazyLock::new(|| in_category(&[Category::IoRead, Category::IoWrite]));

static IGNORED: LazyLock<SyscallSet> = LazyLock::new(|| IO.difference(&STATE));

static NETWORK: LazyLock<SyscallSet> = LazyLock::new(|| in_category(&[Category::Net]));

static SERVERS: LazyLock<SyscallSet> =
    LazyLock::new(|| SyscallSet::with_syscalls(&["accept", "accept4", "listen"]));

static FILES: LazyLock<SyscallSet> =
    LazyLock::new(|| in_category(&[Category::File, Category::IoOther]).union(&IO));

static PROCESSES: LazyLock<SyscallSet> = LazyLock::new(|| {
    SyscallSet::named([
        "capset",
        "chdir",
        "chroot",
        "clone",
        "clone3",
        "execve",
        "execveat",
        "fchdir",
        "fork",
        "prctl",
        "procexit",
        "setgid",
        "setpgid",
        "setresgid",
        "setresuid",
        "setsid",
        "setuid",
        "vfork",
    ])
});

#[cfg(test)]
mod tests;
