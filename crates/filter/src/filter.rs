//! Conditions ready to decide.

use crate::matcher::{Matcher, Order, contains_folded};
use crate::{Each, Extractor, Operator, Supplier, Value, glob};

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
    Test(Box<Test<F>>),
}

/// A test of one value, which is false when there is none.
#[derive(Clone, Debug)]
pub(crate) struct Test<F> {
    pub(crate) left: Extractor<F>,
    pub(crate) verdict: Verdict<F>,
}

#[derive(Clone, Debug)]
pub(crate) enum Verdict<F> {
    Exists,
    Literals { op: Operator, matcher: Matcher },
    Field { op: Operator, right: Extractor<F> },
}

impl<F> Filter<F> {
    pub(crate) fn new(root: Node<F>) -> Self {
        Self { root }
    }

    /// Whether the condition holds for the event of the supplier. Stops as soon as that is known.
    pub fn matches<S>(&self, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        self.root.holds(supplier)
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
}

impl<F> Test<F> {
    fn holds<S>(&self, supplier: &S) -> bool
    where
        S: Supplier<F> + ?Sized,
    {
        let Some(left) = self.left.value(supplier) else { return false };
        let scratch = supplier.scratch();
        match &self.verdict {
            Verdict::Exists => match (self.left.each(), left) {
                (Some(Each::Any), Value::List(members)) => !members.is_empty(),
                _ => true,
            },
            Verdict::Literals { op, matcher } => {
                spread(left, *op, self.left.each(), |value| matcher.matches(value, scratch))
            }
            Verdict::Field { op, right } => {
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

/// Applies a test of one value to all of a list.
fn spread(
    value: Value<'_>,
    op: Operator,
    each: Option<Each>,
    mut holds: impl FnMut(Value<'_>) -> bool,
) -> bool {
    let Value::List(members) = value else { return holds(value) };
    let all = match each {
        None => op == Operator::In,
        Some(Each::Any) => false,
        // Of no ends nothing can be said.
        Some(Each::Ends) => op == Operator::Ne && !members.is_empty(),
    };
    if all { members.iter().all(|v| holds(*v)) } else { members.iter().any(|v| holds(*v)) }
}

/// Compares two values that are both known only now.
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
