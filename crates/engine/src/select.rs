//! Selects the syscalls and tracepoints that the kernel reports.
//!
//! The selection is what the rules match and what the state needs, as changed by the configuration.
//! The kernel does not report anything else, so the rest costs nothing.
//!
//! ```
//! use peregrine_engine::select::{BaseSyscalls, Selection, SyscallSet};
//!
//! let rules = SyscallSet::named(["unlink", "read"]);
//! let selection = Selection::new(&rules, &SyscallSet::default(), &BaseSyscalls::default());
//! assert!(selection.selected.contains_name("unlink"));
//! assert!(selection.selected.contains_name("execve"));
//! // Reads and writes are too frequent to be reported unless `all` is set.
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

/// Syscalls that the configuration selects besides those of the rules (`base_syscalls`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSyscalls {
    /// Names to report in place of those that the state needs; a leading `!` excludes a name.
    pub custom_set: Vec<String>,
    /// Report the minimal set that keeps processes and connections correct.
    pub repair: bool,
    /// Also report the syscalls that are otherwise [`ignored`].
    pub all: bool,
}

/// The selection, with the steps that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Syscalls that rules match.
    pub rules: SyscallSet,
    /// Syscalls that plugins require.
    pub plugins: SyscallSet,
    /// Added by `custom_set`, in place of those that the state needs.
    pub added: SyscallSet,
    /// Removed by `custom_set`.
    pub removed: SyscallSet,
    /// Names to add that do not exist.
    pub unknown_added: BTreeSet<String>,
    /// Names to remove that do not exist.
    pub unknown_removed: BTreeSet<String>,
    /// Reported for the state only.
    pub for_state: SyscallSet,
    /// Requested but not reported, because they are too frequent.
    pub ignored: SyscallSet,
    /// Added by the final repair.
    pub repaired: SyscallSet,
    /// Reported syscalls and tracepoints.
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
        // Without process exits the state would grow without bound.
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

    /// Syscalls that rules match but the kernel does not report.
    pub fn unreported(&self) -> SyscallSet {
        self.rules.difference(&self.selected)
    }
}

/// Syscalls that the active rules of the source `syscall` match.
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

/// Syscalls that the state needs.
pub fn state() -> &'static SyscallSet {
    &STATE
}

/// Syscalls that are reported only with `all`: frequent reads and writes that the state does not
/// need.
pub fn ignored() -> &'static SyscallSet {
    &IGNORED
}

/// `wanted` with the minimal set of syscalls that keeps processes correct, and the files and
/// connections that `wanted` is about.
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

/// The set of these names, and the names that do not exist.
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

/// Events that the table marks as modifying the state, and those that change the limit of open
/// files, which `proc.fdlimit` reads.
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
