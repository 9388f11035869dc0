use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::testing::{Event, Words, holds};
use crate::{
    Check, Comparison, Expr, ExprKind, FieldRef, OperandKind, Right, Span, Spanned, Text, compile,
};

fn text(condition: &str, value: &str) -> bool {
    holds(condition, &[("t.text", Value::Text(value.as_bytes()))])
}

fn ip(addr: &str) -> Value<'static> {
    Value::Ip(addr.parse::<IpAddr>().expect(addr))
}

#[test]
fn text_operators_compare_bytes() {
    for (condition, yes, no) in [
        ("t.text = bash", "bash", "bashful"),
        ("t.text == ''", "", " "),
        ("t.text != bash", "sh", "bash"),
        ("t.text < 5", "49", "5"),
        ("t.text >= 5", "6", "49"),
        ("t.text contains as", "bash", "bsh"),
        ("t.text icontains aS", "BaSH", "BSH"),
        ("t.text icontains ''", "", "-"),
        ("t.text startswith ba", "bash", "abba"),
        ("t.text endswith sh", "bash", "sha"),
        ("t.text glob '*a?h'", "bash", "BASH"),
        ("t.text iglob '*a?h'", "BASH", "ba"),
        ("t.text regex 'b.+'", "bash", "a bash"),
        ("t.text in (sh, bash)", "bash", "b"),
        ("t.text in (a, b, c, d, e, bash)", "bash", "f"),
        ("t.text intersects (sh, bash)", "sh", "s"),
        ("t.text in bash", "bash", "x"),
        ("t.text pmatch (/etc, /usr/lib)", "/usr/lib/x", "/usr/libx"),
    ] {
        assert!(text(condition, yes), "{condition} {yes}");
        assert!(condition.ends_with("''") || !text(condition, no), "{condition} {no}");
    }
}

#[test]
fn quantifiers_count_literals_that_hold() {
    for (condition, yes, no) in [
        ("t.text startswith anyof (a, b)", "bx", "cx"),
        ("t.text contains allof (a, b)", "ab", "a"),
        ("t.text contains oneof (a, b)", "a", "ab"),
        ("t.text = anyof (a, b)", "b", "c"),
        ("t.text != allof (a, b)", "c", "a"),
        ("t.text != anyof (a, b)", "a", "-"),
        ("t.text regex oneof ('a+', 'a|b')", "aa", "a"),
        ("t.text glob anyof ('*.c', '*.h')", "x.h", "x.o"),
    ] {
        assert!(text(condition, yes), "{condition} {yes}");
        assert!(no == "-" || !text(condition, no), "{condition} {no}");
    }
    assert!(!text("t.text = anyof ()", ""));
    assert!(!text("t.text != allof ()", ""));
    assert!(!text("t.text startswith oneof ('', '')", "x"));
    assert!(holds("t.int = oneof (1, 2)", &[("t.int", Value::Int(2))]));
}

#[test]
fn numbers_compare_with_their_signs() {
    let int = |condition: &str, v| holds(condition, &[("t.int", Value::Int(v))]);
    assert!(int("t.int = -1", -1) && int("t.int < 0", -1) && int("t.int in (-1, 4)", -1));
    assert!(int("t.int >= +3", 3) && int("t.int != 3", 4) && !int("t.int in ()", 3));
    assert!(int("t.int = 99999999999999999999", i64::MAX));
    let uint = |condition: &str, v| holds(condition, &[("t.uint", Value::Uint(v))]);
    assert!(
        uint("t.uint = -1", u64::MAX) && uint("t.uint > 5", u64::MAX) && uint("t.uint in (7)", 7)
    );
    assert!(holds("t.uint16 = -1", &[("t.uint16", Value::Uint(65535))]));
    assert!(holds("t.double <= 2", &[("t.double", Value::Double(1.5))]));
    assert!(holds("t.double in (2, 3)", &[("t.double", Value::Double(3.0))]));
    assert!(!holds("t.double < 2", &[("t.double", Value::Double(f64::NAN))]));
    let flag = [("t.bool", Value::Bool(true))];
    assert!(holds("t.bool = true and t.bool != false and t.bool in (true, false)", &flag));
    assert!(!holds("t.bool = false", &flag));
}

#[test]
fn numbers_out_of_range_equal_no_value() {
    let uint16 = [("t.uint16", Value::Uint(1))];
    assert!(!holds("t.uint16 = 65537 or t.uint16 in (65537) or t.uint16 = -65535", &uint16));
    assert!(holds("t.uint16 < 65537 and t.uint16 != 65537", &uint16));
    let int8 = [("t.int8", Value::Int(-1))];
    assert!(!holds("t.int8 = 255", &int8) && holds("t.int8 < 255 and t.int8 > -129", &int8));
    let port = [("t.port", Value::Uint(80))];
    assert!(!holds("t.port = 65616", &port) && holds("t.port < 65616", &port));
}

#[test]
fn services_have_ports() {
    assert!(holds("t.port = https", &[("t.port", Value::Uint(443))]));
    assert!(holds("t.port in (ssh, 53)", &[("t.port", Value::Uint(22))]));
}

#[test]
fn addresses_and_nets_compare() {
    let v4 = [("t.ip", ip("10.1.2.3"))];
    assert!(holds("t.ip = 10.1.2.3 and t.ip in (10.1.2.3, ::1) and t.ip != ::1", &v4));
    assert!(!holds("t.ip = ::1 or t.ip != 10.1.2.3", &v4));
    let net = [("t.net", ip("10.1.2.3"))];
    assert!(holds("t.net = 10.0.0.0/8 and t.net in (::/64, 10.1.2.3/32) and t.net != ::/1", &net));
    assert!(holds("t.net = 99.0.0.0/0 and t.net != 10.1.2.2/32", &net));
    assert!(holds("t.net = fe80::1/10", &[("t.net", ip("febf::2"))]));
    assert!(!holds("t.net = fe80::1/11", &[("t.net", ip("febf::2"))]));
}

#[test]
fn buffers_compare_with_text_and_hex() {
    let buffer = [("t.buffer", Value::Bytes(b"\x7fELF\0\xff"))];
    assert!(holds("t.buffer contains ELF and t.buffer startswith '\\x7f'", &buffer));
    assert!(holds("t.buffer bcontains 464c or t.buffer bcontains 4c4600", &buffer));
    assert!(holds("t.buffer bstartswith 7f454C46 and t.buffer endswith \"\\xff\"", &buffer));
    assert!(holds("t.buffer = \"\\x7fELF\\x00\\xff\" and t.buffer != x", &buffer));
    assert!(holds("t.buffer in (x, \"\\x7fELF\\x00\\xff\")", &buffer));
}

#[test]
fn lists_compare_by_members() {
    let members = [Value::Text(b"file"), Value::Text(b"pipe")];
    let list = [("list.text", Value::List(&members))];
    assert!(holds("list.text in (file, pipe, unix) and list.text intersects (pipe, x)", &list));
    assert!(!holds("list.text in (file) or list.text intersects (x)", &list));
    assert!(holds("list.text exists and len(list.text) = 2", &list));
    let empty = [("list.text", Value::List(&[]))];
    assert!(holds("list.text in (x) and list.text exists", &empty));
    assert!(!holds("list.text intersects (x)", &empty));
    assert!(holds(
        "tolower(list.text) in (a)",
        &[("list.text", Value::List(&[Value::Text(b"A")]))]
    ));
}

#[test]
fn one_of_several_values_is_enough() {
    let members = [Value::Text(b"sh"), Value::Text(b"sshd")];
    let any = [("any.text", Value::List(&members))];
    assert!(holds("any.text = sshd and any.text in (sshd) and any.text exists", &any));
    assert!(holds("any.text != sshd and any.text startswith ss", &any));
    assert!(!holds("any.text = init", &any));
    let none = [("any.text", Value::List(&[]))];
    assert!(!holds("any.text exists or any.text != x", &none));
}

#[test]
fn either_end_satisfies_equality_and_both_inequality() {
    let ends = [ip("10.0.0.1"), ip("8.8.8.8")];
    let of = [("ends.ip", Value::List(&ends)), ("ends.net", Value::List(&ends))];
    assert!(holds("ends.ip = 8.8.8.8 and ends.ip != 1.1.1.1", &of));
    assert!(!holds("ends.ip != 8.8.8.8", &of));
    assert!(holds("ends.net = 10.0.0.0/8 and ends.net in (8.0.0.0/8)", &of));
    assert!(!holds("ends.net != 10.0.0.0/8", &of));
    let ports = [("ends.port", Value::List(&[Value::Uint(22), Value::Uint(4000)]))];
    assert!(holds("ends.port in (22) and ends.port < 100 and ends.port > 100", &ports));
    let none = [("ends.ip", Value::List(&[]))];
    assert!(holds("ends.ip exists", &none));
    assert!(!holds("ends.ip != 1.1.1.1 or ends.ip = 1.1.1.1", &none));
}

#[test]
fn sets_that_falco_never_matches() {
    let ends = [ip("10.0.0.1"), ip("8.8.8.8")];
    let of = [("ends.ip", Value::List(&ends)), ("ends.net", Value::List(&ends))];
    assert!(!holds("ends.ip in (8.8.8.8)", &of));
    assert!(!holds("ends.net in (1.0.0.0/8, 8.0.0.0/8)", &of));
    assert!(!holds("any.pid in (1)", &[("any.pid", Value::List(&[Value::Int(1)]))]));
}

#[test]
fn missing_values_make_comparisons_false() {
    for condition in
        ["t.text = a", "t.text != a", "t.text exists", "t.text in (a)", "t.text != val(t.other)"]
    {
        assert!(!holds(condition, &[]), "{condition}");
        assert!(holds(&format!("not {condition}"), &[]), "{condition}");
    }
    assert!(!holds("t.text != val(t.other)", &[("t.text", Value::Text(b"a"))]));
}

#[test]
fn distances_are_upper_bounds_in_milliseconds() {
    let within = |v| holds("t.around = 5", &[("t.around", Value::Uint(v))]);
    assert!(within(0) && within(5_000_000) && !within(5_000_001));
}

#[test]
fn fields_compare_with_fields() {
    let values = [
        ("t.text", Value::Text(b"bashful")),
        ("t.other", Value::Text(b"BASH")),
        ("t.int", Value::Int(-1)),
        ("t.ip", ip("::1")),
    ];
    assert!(holds("t.text icontains val(t.other) and t.text startswith tolower(t.other)", &values));
    assert!(holds("t.text iglob concat(t.other, '*') and t.text != val(t.other)", &values));
    assert!(holds("t.int <= val(t.int) and t.ip = val(t.ip) and t.text in val(t.text)", &values));
    assert!(!holds("t.text endswith val(t.other) or t.int > val(t.int)", &values));
}

#[test]
fn transformers_compute_values() {
    let args = [Value::Text(b"-e"), Value::Text(b"cmd"), Value::Text(b"-v")];
    let values = [
        ("t.text", Value::Text(b"Zm9v")),
        ("t.path", Value::Text(b"/Usr/bin/ls")),
        ("t.buffer", Value::Bytes(b"YQA=")),
        ("t.int", Value::Int(-7)),
        ("list.text", Value::List(&args)),
    ];
    for condition in [
        "b64(t.text) = foo and len(b64(t.buffer)) = 2",
        "basename(t.path) = ls and tolower(t.path) startswith /usr and toupper(basename(t.path)) = LS",
        "len(t.path) = 11 and len(t.buffer) = 4",
        "concat(t.text, '-', basename(t.text)) = Zm9v-Zm9v",
        "join(',', list.text) = '-e,cmd,-v'",
        "join('+', (t.text, 'x', t.int, 3)) = 'Zm9v+x+-7+3'",
        "getopt(list.text, 'e:v')[e] = cmd and getopt(list.text, 'e:v') intersects (v)",
        "len(getopt(list.text, 'e:v')) = 3 and not getopt(list.text, 'x')[x] exists",
        "toupper('abc') = ABC",
    ] {
        assert!(holds(condition, &values), "{condition}");
    }
    assert!(!holds("b64(t.text) exists", &[("t.text", Value::Text(b"!"))]));
}

/// Evaluates a tree over `t.text`, `t.other` and `t.int` without compiling it.
fn naive(expr: &Expr, values: &[(&str, Value<'_>)]) -> bool {
    let check = match &expr.node {
        ExprKind::And(children) => return children.iter().all(|child| naive(child, values)),
        ExprKind::Or(children) => return children.iter().any(|child| naive(child, values)),
        ExprKind::Not(child) => return !naive(child, values),
        ExprKind::Macro(name) => panic!("{name}"),
        ExprKind::Check(check) => check,
    };
    let OperandKind::Field(field) = &check.left().node else { panic!("{check:?}") };
    let Some((_, value)) = values.iter().find(|(name, _)| *name == field.name) else {
        return false;
    };
    let Check::Compare(Comparison { op, right, .. }) = &**check else { return true };
    let literals = right.literals().iter().map(|l| l.to_str().into_owned()).collect::<Vec<_>>();
    let one = |a: &str, b: &str, ordering: std::cmp::Ordering| match op {
        Operator::Eq | Operator::EqEq | Operator::In | Operator::Intersects => ordering.is_eq(),
        Operator::Ne => ordering.is_ne(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Contains => a.contains(b),
        Operator::IContains => a.to_ascii_lowercase().contains(&b.to_ascii_lowercase()),
        Operator::StartsWith => a.starts_with(b),
        Operator::EndsWith => a.ends_with(b),
        Operator::PMatch => format!("{}/", absolute(a)).starts_with(&format!("{}/", absolute(b))),
        other => panic!("{other}"),
    };
    literals.iter().any(|literal| match value {
        Value::Text(text) => {
            let text = String::from_utf8_lossy(text);
            one(&text, literal, text.as_bytes().cmp(literal.as_bytes()))
        }
        Value::Int(v) => one("", "", v.cmp(&literal.parse().expect("a number"))),
        other => panic!("{other:?}"),
    })
}

/// To sets of paths, `etc` and `/etc` are the same.
fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

fn comparison() -> impl Strategy<Value = ExprKind> {
    let textual = proptest::sample::select(
        &[
            Operator::Eq,
            Operator::Ne,
            Operator::Contains,
            Operator::IContains,
            Operator::StartsWith,
            Operator::EndsWith,
            Operator::Lt,
        ][..],
    );
    let numeric = proptest::sample::select(
        &[Operator::Eq, Operator::Ne, Operator::Lt, Operator::Le, Operator::Gt, Operator::Ge][..],
    );
    let sets = proptest::sample::select(&[Operator::In, Operator::Intersects][..]);
    let name = || proptest::sample::select(&["t.text", "t.other"][..]);
    let word = || "[aAb]{0,2}";
    let number = || (-3..3_i64).prop_map(|n| n.to_string());
    let one = |s: String| Right::Value(Spanned::new(Text::from(s.as_str()), Span::default()));
    let many = |l: Vec<String>| {
        Right::List(Spanned::new(
            l.iter().map(|s| Text::from(s.as_str())).collect(),
            Span::default(),
        ))
    };
    prop_oneof![
        (name(), textual, word()).prop_map(move |(n, op, s)| (n, op, one(s))),
        (Just("t.int"), numeric, number()).prop_map(move |(n, op, s)| (n, op, one(s))),
        (name(), sets.clone(), proptest::collection::vec(word(), 0..7))
            .prop_map(move |(n, op, l)| (n, op, many(l))),
        (Just("t.int"), sets, proptest::collection::vec(number(), 0..5))
            .prop_map(move |(n, op, l)| (n, op, many(l))),
        (name(), proptest::collection::vec("/[ab]{1,2}(/[ab])?", 0..4)).prop_map(move |(n, l)| (
            n,
            Operator::PMatch,
            many(l)
        )),
    ]
    .prop_map(|(name, op, right)| {
        let field = FieldRef { name: name.into(), arg: None };
        let left = Spanned::new(OperandKind::Field(field), Span::default());
        ExprKind::Check(Arc::new(Check::Compare(Comparison { left, op, quantifier: None, right })))
    })
}

fn condition() -> impl Strategy<Value = Expr> {
    let leaf = comparison().prop_map(|kind| Spanned::new(kind, Span::default()));
    leaf.prop_recursive(4, 24, 4, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            some().prop_map(ExprKind::And),
            some().prop_map(ExprKind::Or),
            inner.clone().prop_map(|child| ExprKind::Not(Box::new(child))),
        ]
        .prop_map(|kind| Spanned::new(kind, Span::default()))
    })
}

proptest! {
    #[test]
    fn agrees_with_the_naive_evaluator(
        condition in condition(),
        text in proptest::option::of("[aAb]{0,3}|/[ab]{1,2}(/[ab]){0,2}"),
        other in proptest::option::of("[aAb]{0,3}"),
        int in proptest::option::of(-4..4_i64),
    ) {
        let mut values = Vec::new();
        values.extend(text.as_ref().map(|v| ("t.text", Value::Text(v.as_bytes()))));
        values.extend(other.as_ref().map(|v| ("t.other", Value::Text(v.as_bytes()))));
        values.extend(int.map(|v| ("t.int", Value::Int(v))));
        let compiled = compile(&condition, &Words).expect("compiles");
        prop_assert_eq!(compiled.filter.matches(&Event::new(&values)), naive(&condition, &values));
    }

    #[test]
    fn any_values_can_be_compared(
        op in proptest::sample::select(Operator::ALL),
        field in proptest::sample::select(&["t.text", "t.buffer", "t.int", "t.ip", "t.net", "t.bool", "list.text"][..]),
        literal in "[a-z0-9./:*\\[]{0,6}|true|10\\.0\\.0\\.0/8|::1",
        bytes: Vec<u8>,
        number: i64,
    ) {
        let left = Spanned::new(OperandKind::Field(FieldRef { name: field.into(), arg: None }), Span::default());
        let right = Right::List(Spanned::new(vec![Text::from(literal.as_str())], Span::default()));
        let check = Check::Compare(Comparison { left, op, quantifier: None, right });
        let expr = Spanned::new(ExprKind::Check(Arc::new(check)), Span::default());
        if let Ok(compiled) = compile(&expr, &Words) {
            for value in [Value::Text(&bytes), Value::Bytes(&bytes), Value::Int(number), Value::Uint(number as u64), ip("::1"), Value::Bool(true)] {
                compiled.filter.matches(&Event::new(&[(field, value)]));
                compiled.filter.matches(&Event::new(&[(field, Value::List(&[value]))]));
            }
        }
    }
}
