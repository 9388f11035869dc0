//! Sets of what the kernel can report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use peregrine_event::{
    Class, CodeSet, EventInfo, EventSet, EventType, Syscall, syscall_name, syscalls_aarch64,
    syscalls_x86_64,
};
use peregrine_fields::EventTypes;

/// Syscalls and tracepoints.
///
/// Those with an event of their own are known by the [family](EventType::family) of that event, the same on every
/// architecture; the others, which share the generic event, by the code of the syscall.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SyscallSet {
    families: BTreeSet<&'static str>,
    generic: BTreeSet<u16>,
}

impl SyscallSet {
    /// What reports events with these names. Names that nothing has are passed over.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::from(&EventTypes::named(names))
    }

    /// What reports any of these event types.
    pub fn of_events(events: EventSet) -> Self {
        let shares = |ty| events.contains(ty);
        let any_generic = shares(EventType::GenericE) || shares(EventType::GenericX);
        Self {
            families: families(|family| !family.events.intersection(events).is_empty()),
            generic: if any_generic {
                Self::from(&EventTypes::all()).generic
            } else {
                BTreeSet::new()
            },
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty() && self.generic.is_empty()
    }

    /// In either set.
    pub fn union(&self, other: &Self) -> Self {
        Self { families: &self.families | &other.families, generic: &self.generic | &other.generic }
    }

    /// In both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self { families: &self.families & &other.families, generic: &self.generic & &other.generic }
    }

    /// In this set and not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        Self { families: &self.families - &other.families, generic: &self.generic - &other.generic }
    }

    /// Whether what reports this event is in the set. The generic event is never: ask for [syscalls](Self::syscalls).
    pub fn contains(&self, ty: EventType) -> bool {
        self.families.contains(ty.family())
    }

    /// Whether an event with this name is reported.
    pub fn contains_name(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    /// Names of the events, and of the syscalls that share the generic one. Old forms of an event may have
    /// another name than the new one, and count too.
    pub fn names(&self) -> BTreeSet<&'static str> {
        let families = self.families.iter().filter_map(|family| FAMILIES.get(family));
        let named = families.flat_map(|family| family.events.iter().map(EventType::name));
        named.chain(self.generic.iter().filter_map(|&code| syscall_name(code))).collect()
    }

    /// Those of an architecture's syscalls that are in the set.
    pub fn syscalls<'a>(&'a self, table: &'a [Syscall]) -> impl Iterator<Item = &'a Syscall> {
        table.iter().filter(|syscall| {
            if is_generic(syscall.exit) {
                self.generic.contains(&syscall.sc)
            } else {
                self.contains(syscall.exit)
            }
        })
    }

    /// What reports an event of which this is true for any version.
    pub(super) fn where_any(wanted: impl Fn(&EventInfo) -> bool) -> Self {
        let families = families(|family| family.events.iter().any(|ty| wanted(ty.info())));
        Self { families, generic: BTreeSet::new() }
    }

    /// Just these syscalls. An event's name can be that of two: old forms of `accept4` are called `accept`.
    pub(super) fn with_syscalls(names: &[&str]) -> Self {
        let wanted = |code| syscall_name(code).is_some_and(|name| names.contains(&name));
        let families = families(|family| family.codes.iter().any(wanted));
        Self { families, generic: BTreeSet::new() }
    }
}

/// Codes tell more than events: who asks for `accept4` does not get `accept`, though old forms of both events have one
/// name. Only what no known architecture has a syscall for (tracepoints, syscalls of other ones) is known by its event alone.
impl From<&EventTypes> for SyscallSet {
    fn from(types: &EventTypes) -> Self {
        let wanted = |family: &Family| match family.codes.is_empty() {
            true => !family.events.intersection(types.events).is_empty(),
            false => !family.codes.intersection(types.syscalls).is_empty(),
        };
        let generic = types.syscalls.difference(*OWN).iter().collect();
        Self { families: families(wanted), generic }
    }
}

/// The names, as in messages.
impl std::fmt::Display for SyscallSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, name) in self.names().into_iter().enumerate() {
            write!(f, "{}{name}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for SyscallSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// All versions of an event, and the syscalls that report it.
struct Family {
    events: EventSet,
    codes: CodeSet,
}

static FAMILIES: LazyLock<BTreeMap<&'static str, Family>> = LazyLock::new(|| {
    let mut all = BTreeMap::<_, Family>::new();
    for ty in EventType::all().filter(|&ty| !is_generic(ty)) {
        let classes = ty.info().classes;
        if classes.contains(&Class::Syscall) || classes.contains(&Class::Tracepoint) {
            let new = || Family { events: EventSet::EMPTY, codes: CodeSet::EMPTY };
            all.entry(ty.family()).or_insert_with(new).events.insert(ty);
        }
    }
    for syscall in syscalls_x86_64().iter().chain(syscalls_aarch64()) {
        if let Some(family) = all.get_mut(syscall.exit.family()) {
            family.codes.insert(syscall.sc);
        }
    }
    all
});

/// Syscalls with an event of their own.
static OWN: LazyLock<CodeSet> =
    LazyLock::new(|| FAMILIES.values().fold(CodeSet::EMPTY, |own, family| own.union(family.codes)));

fn families(wanted: impl Fn(&Family) -> bool) -> BTreeSet<&'static str> {
    FAMILIES.iter().filter(|(_, family)| wanted(family)).map(|(&name, _)| name).collect()
}

fn is_generic(ty: EventType) -> bool {
    matches!(ty, EventType::GenericE | EventType::GenericX)
}
