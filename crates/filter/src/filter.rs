//! Compiled conditions and their plain evaluation, test by test.

use std::sync::Arc;

use crate::matcher::{Matcher, Order, contains_folded};
use crate::{CompiledOperand, MultiValue, Operator, Supplier, Value, glob};

/// A compiled condition. See [`compile`](crate::compile).
#[derive(Clone, Debug)]
pub struct Filter<F> {
    root: Node<F>,
}

#[derive(Clone, Debug)]
pub(crate) enum Node<F> {
    All(Box<[Node<F>]>),
    Any(Box<[Node<F>]>),
    Not(Box<Node<F>>),
    Test(Arc<Test<F>>),
}

/// A test of one value; false when there is no value.
#[derive(Clone, Debug)]
pub(crate) struct Test<F> {
    /// The test as text, printed from its tree: two tests with the same text are the same test.
    pub(crate) text: Box<str>,
    pub(crate) left: CompiledOperand<F>,
    pub(crate) predicate: Predicate<F>,
}

#[derive(Clone, Debug)]
pub(crate) enum Predicate<F> {
    Exists,
    Literals { op: Operator, matcher: Matcher },
    Field { op: Operator, right: CompiledOperand<F> },
}

impl<F> Filter<F> {
    pub(crate) fn new(root: Node<F>) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Node<F> {
        &self.root
    }

    /// Whether the condition holds for the event of the supplier. Stops at the first test that
    /// decides.
    pub fn matches<S>(&self, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        self.root.holds(supplier)
    }

    /// Whether the condition holds, as far as it can be said while some values are
    /// [unknown](Supplier::is_unknown). `None` if it depends on them.
    ///
    /// This is Kleene's three-valued logic: whatever the unknown values turn out to be, or if there
    /// are none, [`matches`](Self::matches) has a result that is given here. It reads every known
    /// value that `matches` needs then.
    pub fn decide<S>(&self, supplier: &S) -> Option<bool>
    where
        S: Supplier<F> + ?Sized,
    {
        self.root.decide(supplier)
    }

    /// Whether it reads a field for which `wanted` holds.
    pub fn reads(&self, wanted: impl Fn(&F) -> bool) -> bool {
        let mut reads = false;
        self.root.each_test(&mut |test| reads = reads || test.fields().any(&wanted));
        reads
    }
}

impl<F> Node<F> {
    fn holds<S>(&self, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        match self {
            Self::All(children) => children.iter().all(|child| child.holds(supplier)),
            Self::Any(children) => children.iter().any(|child| child.holds(supplier)),
            Self::Not(child) => !child.holds(supplier),
            Self::Test(test) => test.holds(supplier),
        }
    }

    fn decide<S>(&self, supplier: &S) -> Option<bool>
    where
        S: Supplier<F> + ?Sized,
    {
        let decide = |child: &Self| child.decide(supplier);
        match self {
            Self::All(children) => decide_junction(children.iter().map(decide), false),
            Self::Any(children) => decide_junction(children.iter().map(decide), true),
            Self::Not(child) => child.decide(supplier).map(|holds| !holds),
            Self::Test(test) => test.decide(supplier),
        }
    }

    /// Calls `visit` for every test in it.
    pub(crate) fn each_test<'n>(&'n self, visit: &mut impl FnMut(&'n Arc<Test<F>>)) {
        match self {
            Self::All(children) | Self::Any(children) => {
                children.iter().for_each(|child| child.each_test(visit));
            }
            Self::Not(child) => child.each_test(visit),
            Self::Test(test) => visit(test),
        }
    }
}

impl<F> Test<F> {
    /// All fields that it reads.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &F> {
        let right = match &self.predicate {
            Predicate::Field { right, .. } => Some(right),
            Predicate::Exists | Predicate::Literals { .. } => None,
        };
        self.left.fields().chain(right.into_iter().flat_map(CompiledOperand::fields))
    }

    pub(crate) fn holds<S>(&self, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        self.holds_for(self.left.value(supplier), supplier)
    }

    /// The result with unknown values. A test without one of its values is false, whatever the
    /// others are.
    pub(crate) fn decide<S>(&self, supplier: &S) -> Option<bool>
    where
        S: Supplier<F> + ?Sized,
    {
        if !self.fields().any(|field| supplier.is_unknown(field)) {
            return Some(self.holds(supplier));
        }
        // All known values are read, for the result depends on them later.
        let known = self.fields().filter(|field| !supplier.is_unknown(field));
        let absent = known.filter(|field| supplier.value(field).is_none()).count();
        (absent > 0).then_some(false)
    }

    /// Whether it holds, given the value on the left.
    #[inline]
    pub(crate) fn holds_for<S>(&self, left: Option<Value<'_>>, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        let Some(left) = left else { return false };
        let scratch = supplier.scratch();
        match &self.predicate {
            Predicate::Exists => match (self.left.each(), left) {
                (Some(MultiValue::Any), Value::List(members)) => !members.is_empty(),
                _ => true,
            },
            Predicate::Literals { op, matcher } => {
                spread(left, *op, self.left.each(), |value| matcher.matches(value, scratch))
            }
            Predicate::Field { op, right } => {
                let Some(right) = right.value(supplier) else { return false };
                let members = match &right {
                    Value::List(members) => members,
                    single => std::slice::from_ref(single),
                };
                spread(left, *op, self.left.each(), |value| {
                    members.iter().any(|member| compare(value, *op, *member))
                })
            }
        }
    }
}

impl<F> Predicate<F> {
    /// Cost of a test without reading the field, in units of a comparison of two numbers.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::Exists => 0,
            Self::Literals { matcher, .. } => matcher.cost(),
            Self::Field { .. } => 4,
        }
    }

    /// Probability that it holds: a guess.
    pub(crate) fn likelihood(&self) -> f32 {
        match self {
            Self::Exists => 0.8,
            Self::Literals { matcher, .. } => matcher.likelihood(),
            Self::Field { .. } => 0.3,
        }
    }

    /// The only number for which it holds, if there is one.
    pub(crate) fn only_number(&self) -> Option<u64> {
        match self {
            Self::Literals { matcher: Matcher::Number { op: Order::Eq, than }, .. } => Some(*than),
            _ => None,
        }
    }
}

/// The result of a conjunction (`absorbing` is false) or a disjunction (true) of these results. The
/// first that is `absorbing` decides; else an unknown one leaves it open.
#[inline]
pub(crate) fn decide_junction(
    operands: impl Iterator<Item = Option<bool>>,
    absorbing: bool,
) -> Option<bool> {
    let mut result = Some(!absorbing);
    for operand in operands {
        match operand {
            Some(holds) if holds == absorbing => return Some(absorbing),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// Applies a test of one value to a list: for all members or for any, as operator and field demand.
#[inline]
fn spread(
    value: Value<'_>,
    op: Operator,
    each: Option<MultiValue>,
    mut holds: impl FnMut(Value<'_>) -> bool,
) -> bool {
    let Value::List(members) = value else { return holds(value) };
    let all = match each {
        None => op == Operator::In,
        Some(MultiValue::Any) => false,
        // An empty list of ends satisfies no comparison.
        Some(MultiValue::Ends) => op == Operator::Ne && !members.is_empty(),
    };
    if all { members.iter().all(|v| holds(*v)) } else { members.iter().any(|v| holds(*v)) }
}

/// Compares two values of fields.
fn compare(left: Value<'_>, op: Operator, right: Value<'_>) -> bool {
    if matches!(op, Operator::In | Operator::Intersects) {
        return compare(left, Operator::Eq, right);
    }
    let order = Order::of(op);
    match (left, right) {
        (Value::Text(a) | Value::Bytes(a), Value::Text(b) | Value::Bytes(b)) => match op {
            Operator::Contains | Operator::BContains => memchr::memmem::find(a, b).is_some(),
            Operator::IContains => contains_folded(a, b),
            Operator::StartsWith | Operator::BStartsWith => a.starts_with(b),
            Operator::EndsWith => a.ends_with(b),
            Operator::Glob => glob::matches(b, a, false),
            Operator::IGlob => glob::matches(b, a, true),
            _ => order.is_some_and(|order| order.holds(a.cmp(b))),
        },
        (a, b) => {
            let ordering = match (a, b) {
                (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
                (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
                (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(&b)),
                (Value::Ip(a), Value::Ip(b)) => Some(a.cmp(&b)),
                (Value::Double(a), Value::Double(b)) => a.partial_cmp(&b),
                _ => return false,
            };
            order.is_some_and(|order| order.holds_partially(ordering))
        }
    }
}

#[cfg(test)]
mod tests;
