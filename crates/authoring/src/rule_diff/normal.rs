//! Conditions in a normal form: conditions that differ in writing only have the same one.

use peregrine_event::EventType;
use peregrine_fields::{EventTypeFacts, Fields};
use peregrine_filter::{
    Check, Comparison, Expr, ExprKind, FieldRef, OperandKind, Operator, Quantifier, Right, Span,
    Spanned, StaticFacts, Text, Vocabulary,
};

/// Parts in a condition that is compared part by part; a larger one is compared as a whole.
const MAX_PARTS: usize = 20_000;

/// A condition in which macros, lists and the order of tests play no role.
///
/// `not` stands at tests only, nested `and` and `or` are flat, parts are sorted and occur once,
/// `x = a or x = b` is `x in (a, b)`, and tests that are always true or never are gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Normal {
    Always,
    Never,
    Test(Test),
    All(Vec<Normal>),
    Any(Vec<Normal>),
}

/// A test of one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    /// Everything but the values: `proc.name in`.
    pub(super) head: String,
    pub(super) negated: bool,
    /// The values of a list, sorted; empty for other tests, whose `head` is the whole test.
    pub(super) values: Vec<String>,
    /// Whether tests of the same head can be merged: `head` is `FIELD in` for a field with one
    /// value.
    mergeable: bool,
}

impl Normal {
    /// The normal form of a condition with lists and macros expanded.
    pub(super) fn of(condition: &Expr, fields: &Fields) -> Self {
        let mut parts = 0;
        condition.walk(&mut |_| parts += 1);
        // The order of reads matters for fields that measure from the read before.
        let is_pure = condition.fields().iter().all(|field| is_pure(&field.text(), fields));
        if parts > MAX_PARTS || !is_pure {
            return Self::Test(Test::whole(condition.to_string(), false));
        }
        Self::part(condition, false, fields)
    }

    fn part(expr: &Expr, negated: bool, fields: &Fields) -> Self {
        match &expr.node {
            ExprKind::Not(part) => Self::part(part, !negated, fields),
            ExprKind::Check(check) => Self::test(check, negated, fields),
            ExprKind::Macro(name) => Self::Test(Test::whole(name.clone(), negated)),
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                let all = matches!(expr.node, ExprKind::And(_)) != negated;
                Self::joined(parts.iter().map(|part| Self::part(part, negated, fields)), all)
            }
        }
    }

    /// `and` (`all`) or `or` of several parts.
    fn joined(parts: impl Iterator<Item = Self>, all: bool) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Always if all => {}
                Self::Never if !all => {}
                Self::Always => return Self::Always,
                Self::Never => return Self::Never,
                Self::All(inner) if all => flat.extend(inner),
                Self::Any(inner) if !all => flat.extend(inner),
                part => flat.push(part),
            }
        }
        merge(&mut flat, all);
        flat.sort();
        flat.dedup();
        match (flat.len(), all) {
            (0, true) => Self::Always,
            (0, false) => Self::Never,
            (1, _) => flat.pop().unwrap_or(Self::Never),
            (_, true) => Self::All(flat),
            (_, false) => Self::Any(flat),
        }
    }

    fn test(check: &Check, negated: bool, fields: &Fields) -> Self {
        if let Some(value) = constant(check) {
            return if value == negated { Self::Never } else { Self::Always };
        }
        let Check::Compare(Comparison { left, op, quantifier, right }) = check else {
            return Self::Test(Test::whole(check.to_string(), negated));
        };
        let single = has_one_value(&left.node, fields);
        let equal = matches!(op, Operator::Eq | Operator::EqEq);
        let values: Vec<_> = right.literals().iter().map(literal).collect();
        match right {
            Right::Value(_) if equal && single && quantifier.is_none() => {
                Self::Test(Test { head: format!("{left} in"), negated, values, mergeable: true })
            }
            Right::Value(_) | Right::Operand(_) => {
                let op = if *op == Operator::EqEq { Operator::Eq } else { *op };
                let (left, right) = (left.clone(), right.clone());
                let test = Check::Compare(Comparison { left, op, quantifier: *quantifier, right });
                Self::Test(Test::whole(test.to_string(), negated))
            }
            Right::List(_) => {
                let mut values = values;
                values.sort();
                // Of one value, a list may count each occurrence.
                if *quantifier != Some(Quantifier::OneOf) {
                    values.dedup();
                }
                let quantifier = quantifier.map(|it| format!(" {it}")).unwrap_or_default();
                Self::Test(Test {
                    head: format!("{left} {op}{quantifier}"),
                    negated,
                    values,
                    mergeable: *op == Operator::In && single,
                })
            }
        }
    }

    /// Its parts, if all of them must be true.
    pub(super) fn conjuncts(&self) -> &[Self] {
        match self {
            Self::All(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }
}

/// Merges tests of the same field: in an `or`, those that are not negated; in an `and`, the negated
/// ones.
fn merge(parts: &mut Vec<Normal>, all: bool) {
    let mut merged: Vec<Test> = Vec::new();
    parts.retain_mut(|part| {
        let Normal::Test(test) = part else { return true };
        if !test.mergeable || test.negated != all {
            return true;
        }
        match merged.iter_mut().find(|known| known.head == test.head) {
            Some(known) => known.values.append(&mut test.values),
            None => merged.push(test.clone()),
        }
        false
    });
    for mut test in merged {
        test.values.sort();
        test.values.dedup();
        parts.push(Normal::Test(test));
    }
}

impl Test {
    fn whole(text: String, negated: bool) -> Self {
        Self { head: text, negated, values: Vec::new(), mergeable: false }
    }
}

/// The value of a test that is the same for all events: events are numbered from 1.
fn constant(check: &Check) -> Option<bool> {
    let Check::Compare(Comparison { left, op, right: Right::Value(value), .. }) = check else {
        return None;
    };
    let OperandKind::Field(field) = &left.node else { return None };
    if field.name != "evt.num" || value.node.as_bytes() != b"0" {
        return None;
    }
    match op {
        Operator::Eq | Operator::EqEq | Operator::Lt | Operator::Le => Some(false),
        Operator::Ge | Operator::Gt | Operator::Ne => Some(true),
        _ => None,
    }
}

/// Whether a comparison with a list is one with each of its items.
fn has_one_value(operand: &OperandKind, fields: &Fields) -> bool {
    use peregrine_event::ParamType as T;
    let OperandKind::Field(field) = operand else { return false };
    let resolved = fields.resolve(&field.text());
    resolved.is_ok_and(|field| {
        let is_net = matches!(field.ty, T::Ipv4net | T::Ipv6net | T::Ipnet);
        !field.list && field.each.is_none() && !is_net && !fields.is_distance(&field.field)
    })
}

fn is_pure(field: &str, fields: &Fields) -> bool {
    let resolved = fields.resolve(field);
    resolved.is_ok_and(|it| EventTypeFacts(EventType::GenericX).is_pure(&it.field))
}

/// A value, quoted where it has to be.
fn literal(text: &Text) -> String {
    let right = Right::Value(Spanned::new(text.clone(), Span::default()));
    let left = OperandKind::Field(FieldRef { name: "x.y".into(), arg: None });
    let left = Spanned::new(left, Span::default());
    let test = Comparison { left, op: Operator::Eq, quantifier: None, right };
    let text = Check::Compare(test).to_string();
    text.strip_prefix("x.y = ").unwrap_or(&text).to_owned()
}

impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let not = if self.negated { "not " } else { "" };
        match (self.values.as_slice(), self.head.strip_suffix(" in")) {
            ([], _) => write!(f, "{not}{}", self.head),
            ([only], Some(field)) if self.mergeable => write!(f, "{not}{field} = {only}"),
            (values, _) => write!(f, "{not}{} ({})", self.head, values.join(", ")),
        }
    }
}

impl std::fmt::Display for Normal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join = |parts: &[Self], word: &str| {
            let inner = |part: &Self| match part {
                Self::All(_) | Self::Any(_) => format!("({part})"),
                other => other.to_string(),
            };
            parts.iter().map(inner).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::Always => f.write_str("evt.num >= 0"),
            Self::Never => f.write_str("evt.num = 0"),
            Self::Test(test) => test.fmt(f),
            Self::All(parts) => f.write_str(&join(parts, " and ")),
            Self::Any(parts) => f.write_str(&join(parts, " or ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_filter::{DEFAULT_MAX_DEPTH, parse};

    use super::*;

    fn normal(condition: &str) -> String {
        Normal::of(&parse(condition, DEFAULT_MAX_DEPTH).unwrap(), &Fields::syscall()).to_string()
    }

    #[test]
    fn writing_does_not_count() {
        for (one, other) in [
            ("proc.name = a and evt.type = open", "evt.type=open and (proc.name == 'a')"),
            ("proc.name in (b, a, b)", "proc.name = a or proc.name = b"),
            ("not (proc.name = a or fd.num = 3)", "not fd.num = 3 and not proc.name = a"),
            ("not proc.name in (a, b)", "not proc.name = a and not proc.name = b"),
            (
                "proc.pid = 1 and (proc.name = a and fd.num = 3)",
                "fd.num=3 and proc.pid=1 and proc.name=a",
            ),
            ("proc.name = a or evt.num = 0", "proc.name = a"),
            ("proc.name = a and not evt.num = 0", "proc.name = a"),
            ("fd.name pmatch (/b, /a)", "fd.name pmatch (/a, /b)"),
            ("not not proc.name = a", "proc.name = a"),
        ] {
            assert_eq!(normal(one), normal(other), "{one}, {other}");
        }
    }

    #[test]
    fn meaning_counts() {
        for (one, other) in [
            ("proc.name != a", "not proc.name = a"),
            ("proc.name = a and fd.num = 3", "proc.name = a or fd.num = 3"),
            ("fd.ip in (127.0.0.1)", "fd.ip = 127.0.0.1"),
            ("proc.aname in (a, b)", "proc.aname = a or proc.aname = b"),
            ("proc.name startswith a", "proc.name = a"),
            ("evt.num = 0", "evt.num = 1"),
            ("thread.cpu > 3 and evt.num > 3", "evt.num > 3 and thread.cpu > 3"),
            ("proc.name = 'a b'", "proc.name in (a, b)"),
        ] {
            assert_ne!(normal(one), normal(other), "{one}, {other}");
        }
    }
}
