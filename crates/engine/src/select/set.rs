//! Sets of syscalls and tracepoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use peregrine_event::{
    Class, CodeSet, EventInfo, EventSet, EventType, Syscall, syscall_name, syscalls_aarch64,
    syscalls_x86_64,
};
use peregrine_fields::EventTypes;

/// Syscalls and tracepoints.
///
/// Members with an event type of their own are identified by the [family](EventType::family) of
/// that type, the same on every architecture; the others, which share the generic event type, by
/// the syscall code.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SyscallSet {
    families: BTreeSet<&'static str>,
    generic: BTreeSet<u16>,
}

impl SyscallSet {
    /// Members that report events with these names. Unknown names are ignored.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::from(&EventTypes::named(names))
    }

    /// Members that report any of these event types.
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

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty() && self.generic.is_empty()
    }

    /// Members of either set.
    pub fn union(&self, other: &Self) -> Self {
        Self { families: &self.families | &other.families, generic: &self.generic | &other.generic }
    }

    /// Members of both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self { families: &self.families & &other.families, generic: &self.generic & &other.generic }
    }

    /// Members of this set that are not in the other.
    pub fn difference(&self, other: &Self) -> Self {
        Self { families: &self.families - &other.families, generic: &self.generic - &other.generic }
    }

    /// Whether the set reports this event type. Always false for the generic type: see
    /// [`syscalls`](Self::syscalls).
    pub fn contains(&self, ty: EventType) -> bool {
        self.families.contains(ty.family())
    }

    /// Whether an event with this name is reported.
    pub fn contains_name(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    /// Names of the events, old versions included, and of the syscalls that share the generic event
    /// type.
    pub fn names(&self) -> BTreeSet<&'static str> {
        let families = self.families.iter().filter_map(|family| FAMILIES.get(family));
        let named = families.flat_map(|family| family.events.iter().map(EventType::name));
        named.chain(self.generic.iter().filter_map(|&code| syscall_name(code))).collect()
    }

    /// The syscalls of an architecture's table that are in the set.
    pub fn syscalls<'a>(&'a self, table: &'a [Syscall]) -> impl Iterator<Item = &'a Syscall> {
        table.iter().filter(|syscall| {
            if is_generic(syscall.exit) {
                self.generic.contains(&syscall.sc)
            } else {
                self.contains(syscall.exit)
            }
        })
    }

    /// Members of whose events any version satisfies the predicate.
    pub(super) fn where_any(wanted: impl Fn(&EventInfo) -> bool) -> Self {
        let families = families(|family| family.events.iter().any(|ty| wanted(ty.info())));
        Self { families, generic: BTreeSet::new() }
    }

    /// Exactly these syscalls. An event name can belong to two: old versions of `accept4` are
    /// called `accept`.
    pub(super) fn with_syscalls(names: &[&str]) -> Self {
        let wanted = |code| syscall_name(code).is_some_and(|name| names.contains(&name));
        let families = families(|family| family.codes.iter().any(wanted));
        Self { families, generic: BTreeSet::new() }
    }
}

/// By syscall code where there is one: `accept4` does not select `accept`, although old versions of
/// both events share a name. Tracepoints and syscalls of other architectures are selected by event
/// type.
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

/// The names, separated by commas.
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

/// Syscalls with an event type of their own.
static OWN: LazyLock<CodeSet> =
    LazyLock::new(|| FAMILIES.values().fold(CodeSet::EMPTY, |own, family| own.union(family.codes)));

fn families(wanted: impl Fn(&Family) -> bool) -> BTreeSet<&'static str> {
    FAMILIES.iter().filter(|(_, family)| wanted(family)).map(|(&name, _)| name).collect()
}

fn is_generic(ty: EventType) -> bool {
    matches!(ty, EventType::GenericE | EventType::GenericX)
}
