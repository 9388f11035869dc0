//! The event types for which a condition can hold.
//!
//! Tests of `evt.type` and `syscall.type` with `=`, `!=`, `in` and `exists` restrict the types, and
//! so do tests of `evt.num` that always or never hold. Any other test may hold for every event.
//! Negations are pushed down to the tests, so that such a test restricts nothing when negated
//! either.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use peregrine_event::{
    Class, CodeSet, EventSet, EventType, syscall_name, syscall_names, syscalls_aarch64,
    syscalls_x86_64,
};
use peregrine_filter::{
    Argument, Call, Check, Comparison, Expr, ExprKind, FieldRef, Operand, OperandKind, Operator,
    Right, Span, Text,
};
use thiserror::Error;

/// A set of event types and of the syscalls that they report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTypes {
    /// The event types. Syscalls without a type of their own share the generic one.
    pub events: EventSet,
    /// Codes of the syscalls and tracepoints that report these events, also of those that share a
    /// type.
    pub syscalls: CodeSet,
}

/// Why the event types of a condition can't be determined.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EventTypeError {
    /// `evt.type` is transformed before it is compared.
    #[error("event code search does not support `evt.type` checks with transformers")]
    Transformed {
        /// Span of the transformer.
        span: Span,
    },
    /// `evt.type` is compared with another field.
    #[error(
        "right-hand field comparisons on `evt.type`/`syscall.type` checks are not supported by event code search"
    )]
    Field {
        /// Span of the other field.
        span: Span,
    },
}

impl EventTypes {
    /// The event types for which a condition can hold.
    ///
    /// # Errors
    /// When a test of `evt.type` does not name event types.
    pub fn of(condition: &Expr) -> Result<Self, EventTypeError> {
        infer(condition, false)
    }

    /// All event types.
    pub fn all() -> Self {
        static ALL: LazyLock<EventTypes> =
            LazyLock::new(|| EventTypes { events: EventSet::all(), syscalls: CodeSet::all() });
        *ALL
    }

    /// No event type.
    pub fn none() -> Self {
        Self { events: EventSet::EMPTY, syscalls: CodeSet::EMPTY }
    }

    /// The event types with these names.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = names.into_iter().filter_map(|name| NAMED.get(name));
        known.fold(Self::none(), |found, types| found.union(*types))
    }

    /// Names of the events, and of the syscalls that share the generic one.
    pub fn names(&self) -> BTreeSet<&'static str> {
        let named = self.events.iter().filter(|ty| !is_generic(*ty)).map(EventType::name);
        let reported =
            specific().filter(|ty| syscalls_of(*ty).any(|sc| self.syscalls.contains(sc)));
        let generic = self.syscalls.intersection(*GENERIC);
        named
            .chain(reported.map(EventType::name))
            .chain(generic.iter().filter_map(syscall_name))
            .collect()
    }

    fn intersection(self, other: Self) -> Self {
        Self {
            events: self.events.intersection(other.events),
            syscalls: self.syscalls.intersection(other.syscalls),
        }
    }

    fn union(self, other: Self) -> Self {
        Self {
            events: self.events.union(other.events),
            syscalls: self.syscalls.union(other.syscalls),
        }
    }

    fn complement(self) -> Self {
        let all = Self::all();
        let syscalls = all.syscalls.difference(self.syscalls);
        let mut events = all.events.difference(self.events);
        // To exclude one syscall that shares the generic type does not exclude the others.
        if !syscalls.intersection(*GENERIC).is_empty() {
            events.insert(EventType::GenericE);
            events.insert(EventType::GenericX);
        }
        Self { events, syscalls }
    }
}

/// Whether `evt.type` can have this value.
pub(crate) fn is_event_name(name: &[u8]) -> bool {
    let generic = EventType::GenericE.name();
    std::str::from_utf8(name).is_ok_and(|name| name == generic || NAMED.contains_key(name))
}

/// Name of syscalls that are in no table.
const UNKNOWN: &str = "unknown";

fn infer(expr: &Expr, negated: bool) -> Result<EventTypes, EventTypeError> {
    let all = |children: &[Expr]| {
        children.iter().try_fold(EventTypes::all(), |types, child| {
            Ok(types.intersection(infer(child, negated)?))
        })
    };
    let any = |children: &[Expr]| {
        children
            .iter()
            .try_fold(EventTypes::none(), |types, child| Ok(types.union(infer(child, negated)?)))
    };
    match &expr.node {
        ExprKind::And(children) if negated => any(children),
        ExprKind::And(children) => all(children),
        ExprKind::Or(children) if negated => all(children),
        ExprKind::Or(children) => any(children),
        ExprKind::Not(child) => infer(child, !negated),
        ExprKind::Macro(_) => Ok(EventTypes::all()),
        ExprKind::Check(check) => Ok(match leaf(check)? {
            None => EventTypes::all(),
            Some(types) if negated => types.complement(),
            Some(types) => types,
        }),
    }
}

/// The event types of one test; `None` when it restricts nothing.
fn leaf(check: &Check) -> Result<Option<EventTypes>, EventTypeError> {
    match check {
        Check::Exists(operand) => Ok(is_type(operand).then(EventTypes::all)),
        Check::Compare(comparison) => match always(comparison) {
            Some(true) => Ok(Some(EventTypes::all())),
            Some(false) => Ok(Some(EventTypes::none())),
            None => types(comparison),
        },
    }
}

fn types(comparison: &Comparison) -> Result<Option<EventTypes>, EventTypeError> {
    let unequal = match comparison.op {
        Operator::Eq | Operator::EqEq | Operator::In => false,
        Operator::Ne => true,
        _ => return Ok(None),
    };
    if let OperandKind::Call(call) = &comparison.left.node
        && transforms_type(call)
    {
        return Err(EventTypeError::Transformed { span: comparison.left.span });
    }
    if !is_type(&comparison.left) {
        return Ok(None);
    }
    if let Right::Operand(right) = &comparison.right {
        return Err(EventTypeError::Field { span: right.span });
    }
    let names: Vec<_> = comparison.right.literals().iter().map(Text::to_str).collect();
    let types = EventTypes::named(names.iter().map(AsRef::as_ref));
    Ok(Some(if unequal { types.complement() } else { types }))
}

fn is_type(operand: &Operand) -> bool {
    field(operand).is_some_and(|field| {
        matches!(field.name.as_str(), "evt.type" | "syscall.type") && field.arg.is_none()
    })
}

fn field(operand: &Operand) -> Option<&FieldRef> {
    match &operand.node {
        OperandKind::Field(field) => Some(field),
        OperandKind::Call(_) => None,
    }
}

fn transforms_type(call: &Call) -> bool {
    call.args.iter().any(|arg| match arg {
        Argument::Operand(operand) => is_type(operand),
        _ => false,
    })
}

/// The result of a test of `evt.num` that is the same for all events, which are numbered from 1.
fn always(comparison: &Comparison) -> Option<bool> {
    let field = field(&comparison.left)?;
    if field.name != "evt.num" || field.arg.is_some() {
        return None;
    }
    let number = |text: &Text| text.to_str().parse::<u64>().ok();
    let value = match &comparison.right {
        Right::Operand(_) => return None,
        Right::List(list) => {
            let never = list.node.iter().all(|text| number(text) == Some(0));
            return (comparison.op == Operator::In && never).then_some(false);
        }
        Right::Value(value) => number(&value.node)?,
    };
    match (comparison.op, value) {
        (Operator::Eq | Operator::EqEq | Operator::Le, 0) | (Operator::Lt, 0 | 1) => Some(false),
        (Operator::Ne | Operator::Gt, 0) | (Operator::Ge, 0 | 1) => Some(true),
        _ => None,
    }
}

fn is_generic(ty: EventType) -> bool {
    matches!(ty, EventType::GenericE | EventType::GenericX)
}

fn specific() -> impl Iterator<Item = EventType> {
    EventType::all().filter(|ty| !is_generic(*ty))
}

/// Event types and syscalls by name.
static NAMED: LazyLock<HashMap<&'static str, EventTypes>> = LazyLock::new(|| {
    let mut named = HashMap::new();
    // Asynchronous events have the names that their makers give them; the others of containers are
    // also names of types.
    let events = [EventType::AsynceventE].into_iter().collect();
    named.insert("container_removed", EventTypes { events, ..EventTypes::none() });
    for ty in specific() {
        let types = named.entry(ty.name()).or_insert_with(EventTypes::none);
        types.events.insert(ty);
        types.syscalls.extend(syscalls_of(ty));
    }
    let generic = [EventType::GenericE, EventType::GenericX].into_iter().collect();
    let codes = syscall_names().map(|(code, name)| (name, Some(code)));
    for (name, code) in codes.chain([(UNKNOWN, None)]) {
        let code = code.filter(|code| GENERIC.contains(*code));
        let types = EventTypes { events: generic, syscalls: code.into_iter().collect() };
        named.entry(name).or_insert(types);
    }
    named
});

/// The syscalls and tracepoints that an event reports.
fn syscalls_of(ty: EventType) -> impl Iterator<Item = u16> {
    REPORTED_BY.get(ty.family()).into_iter().flatten().copied()
}

/// Syscalls without an event of their own.
static GENERIC: LazyLock<CodeSet> =
    LazyLock::new(|| CodeSet::all().difference(REPORTED_BY.values().flatten().copied().collect()));

/// The syscalls with an event of their own, by the family of that event.
static REPORTED_BY: LazyLock<HashMap<&'static str, BTreeSet<u16>>> = LazyLock::new(|| {
    let tables = [syscalls_x86_64(), syscalls_aarch64()];
    let own = tables.iter().flat_map(|table| table.iter()).filter(|s| !is_generic(s.exit));
    let mut families = HashMap::<_, BTreeSet<_>>::new();
    for syscall in own {
        families.entry(syscall.exit.family()).or_default().insert(syscall.sc);
    }
    families
});

/// Whether events of this type report syscalls.
pub(crate) fn is_syscall(ty: EventType) -> bool {
    ty.info().classes.contains(&Class::Syscall)
}

#[cfg(test)]
mod tests {
    use peregrine_filter::{DEFAULT_MAX_DEPTH, parse};

    use super::*;

    fn types(condition: &str) -> EventTypes {
        EventTypes::of(&parse(condition, DEFAULT_MAX_DEPTH).unwrap()).unwrap()
    }

    fn names(condition: &str) -> Vec<&'static str> {
        types(condition).names().into_iter().collect()
    }

    #[test]
    fn tests_of_the_type_restrict_event_types() {
        for (condition, expected) in [
            ("evt.type = unlink", &["unlink"][..]),
            ("evt.type in (open, openat, creat) and not evt.type = creat", &["open", "openat"]),
            ("not (evt.type != unlink or proc.name = x)", &["unlink"]),
            ("syscall.type = rename or evt.type = madvise", &["madvise", "rename"]),
            ("evt.type = open and evt.type = close", &[]),
            ("evt.num > 5 and evt.type = open", &["open"]),
            ("evt.num = 0 or evt.type = open", &["open"]),
            ("evt.num >= 1 and evt.type = open", &["open"]),
            ("not evt.type exists", &[]),
            (
                "evt.type in (procexit, switch, signaldeliver)",
                &["procexit", "signaldeliver", "switch"],
            ),
            // An old form of accept4 is named accept.
            ("evt.type = accept", &["accept", "accept4"]),
        ] {
            assert_eq!(names(condition), expected, "{condition}");
        }
    }

    #[test]
    fn other_tests_restrict_nothing_also_when_negated() {
        for condition in [
            "proc.name = cat",
            "not proc.name = cat",
            "evt.type contains open",
            "evt.type = open or not fd.num > 3",
            "evt.num > 5",
            "evt.type exists",
        ] {
            assert_eq!(types(condition), EventTypes::all(), "{condition}");
        }
    }

    #[test]
    fn syscalls_without_an_event_type_share_the_generic_one() {
        let clock = types("evt.type = clock_gettime");
        let generic: EventSet = [EventType::GenericE, EventType::GenericX].into_iter().collect();
        assert_eq!(clock.events, generic);
        assert_eq!(clock.syscalls.len(), 1);
        let others = types("evt.type != clock_gettime");
        assert!(!others.names().contains("clock_gettime"));
        assert!(others.names().contains("madvise"));
        // Other syscalls that share it are still included.
        assert_eq!(others.events, EventSet::all());
    }

    #[test]
    fn tests_that_do_not_name_event_types_are_errors() {
        let error = |condition: &str| {
            EventTypes::of(&parse(condition, DEFAULT_MAX_DEPTH).unwrap()).unwrap_err().to_string()
        };
        assert!(error("tolower(evt.type) = open").contains("with transformers"));
        assert!(error("evt.type = val(proc.name)").contains("right-hand field"));
    }
}
