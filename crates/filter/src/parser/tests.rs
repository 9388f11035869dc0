use proptest::prelude::*;

use super::*;
use crate::{Quantifier, Text};

fn error(text: &str) -> (usize, String) {
    let e = parse(text, DEFAULT_MAX_DEPTH).expect_err(text);
    (e.offset, e.to_string())
}

fn printed(text: &str) -> String {
    parse(text, DEFAULT_MAX_DEPTH).expect(text).to_string()
}

fn described(text: &str) -> String {
    parse(text, DEFAULT_MAX_DEPTH).expect(text).described().to_string()
}

#[test]
fn and_binds_tighter_than_or() {
    assert_eq!(printed("a or b and not c or d"), "(a or (b and not c) or d)");
    assert_eq!(printed("a and(b or c)and d"), "(a and (b or c) and d)");
}

#[test]
fn pairs_of_nots_cancel() {
    assert_eq!(printed("not not a.b exists"), "a.b exists");
    assert_eq!(printed("not not not a"), "not a");
    assert_eq!(printed("not not(a)"), "a");
    assert_eq!(printed("not (not a)"), "not (not a)");
    assert_eq!(printed("(not)or a"), "((not) or a)");
}

#[test]
fn words_that_start_like_operators_are_macros() {
    assert_eq!(printed("notable or andy and order_1"), "(notable or (andy and order_1))");
}

#[test]
fn only_text_operators_of_letters_need_blanks() {
    assert_eq!(
        printed("a.b=c and a.b in(x,y) and a.b<=-3"),
        "(a.b = c and a.b in (x, y) and a.b <= -3)"
    );
    assert_eq!(printed("a.b existsand c"), "(a.b exists and c)");
    assert_eq!(error("a.b contains(x)").0, 4);
}

#[test]
fn quantifiers_need_a_list() {
    assert_eq!(printed("a.b startswith anyof (x, y)"), "a.b startswith anyof (x, y)");
    assert_eq!(printed("a.b = oneof some_list"), "a.b = oneof some_list");
    assert_eq!(printed("a.b = anyof and c"), "(a.b = anyof and c)");
    assert_eq!(printed("a.b=anyof"), "a.b = anyof");
    assert_eq!(
        error("a.b startswith anyof /etc"),
        (21, "unexpected token after 'anyof', expecting 'or', 'and'".into())
    );
}

#[test]
fn right_sides_are_literals_lists_or_operands() {
    assert_eq!(printed("a.b = val( c.d[1] )"), "a.b = val(c.d[1])");
    assert_eq!(printed("a.b > toupper(c.d)"), "a.b > toupper(c.d)");
    assert_eq!(printed("a.b in val(c.d)"), "a.b in val(c.d)");
    assert_eq!(printed("a.b < 0x1F and a.b > 1e+3"), "(a.b < 0x1F and a.b > 1e+3)");
    assert_eq!(printed("a.b = c.d"), "a.b = c.d");
    assert_eq!(printed("a.b in ()"), "a.b in ()");
    assert_eq!(printed("a.b pmatch roots"), "a.b pmatch roots");
}

#[test]
fn transformers_nest_and_take_lists() {
    assert_eq!(
        printed(r#"join("-", (a.b, toupper( c.d ), 'x', 3)) = y"#),
        r#"join("-",(a.b,toupper(c.d),"x","3")) = y"#
    );
    assert_eq!(printed("getopt((a.b[1]), 'ab:')[b] exists"), r#"getopt((a.b[1]),"ab:")[b] exists"#);
    assert_eq!(described("concat(a.b, ':') = ''"), "concat(a.b,:) = ");
}

#[test]
fn escapes_stand_for_bytes() {
    let value = |text: &str| match parse(text, 100).expect(text).node {
        ExprKind::Check(check) => match &*check {
            Check::Compare(Comparison { right: Right::Value(value), .. }) => value.node.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(value(r#"a.b = "\t\x41\\n\/\"'""#), Text::from("\tA\\n/\"'"));
    assert_eq!(value(r#"a.b = "\xff""#).as_bytes(), [0xff]);
    assert_eq!(value(r"a.b = 'a\ b'"), Text::from("a\\b"));
    assert_eq!(error(r#"a.b = "a\.b""#), (12, "unsupported string escape sequence: \\.".into()));
    assert_eq!(error(r#"a.b = "\'""#), (10, "invalid \\' escape in \"-quoted string".into()));
    assert_eq!(error(r#"a.b = "\xg1""#).1, "invalid hex char escape sequence: g1");
    assert_eq!(error(r#"a.b = "\x1""#).1, "truncated hex char escape sequence");
    assert_eq!(error(r"a.b in ('\q')").1, "unsupported string escape sequence: \\q");
}

#[test]
fn errors_have_offsets() {
    let missing = "expected a string value or a field with a valid transformer: 'val', 'tolower', \
        'toupper', 'b64', 'basename', 'len', 'join', 'concat', 'getopt'";
    assert_eq!(error(""), (0, "filter input string is empty".into()));
    assert_eq!(error("  ").0, 2);
    assert_eq!(error("a and"), (5, "expected blank or '(' after 'and'".into()));
    assert_eq!(error("a.b = "), (6, missing.into()));
    assert_eq!(error("a.b = 'x"), (6, missing.into()));
    assert_eq!(error("a.b = 'x\\'"), (6, missing.into()));
    assert_eq!(error("(a"), (2, "expected a ')' token".into()));
    assert_eq!(error("a.b in (x, y,)"), (13, "expected a string value".into()));
    assert_eq!(error("a.b in (x y)"), (10, "expected a ')' token".into()));
    assert_eq!(error("a.b[] = x").0, 4);
    assert_eq!(error("a.b[x = y"), (5, "expected a ']' token".into()));
    assert_eq!(
        error("tolower(a.b = c"),
        (12, "expected a ')' token closing the transformer".into())
    );
    assert_eq!(error("a.b = val(x)"), (10, "expected a field within 'val' transformer".into()));
    assert_eq!(
        error("proc. = 4"),
        (4, "unexpected token after 'proc', expecting 'or', 'and'".into())
    );
}

#[test]
fn depth_is_bounded_below_the_stack_size() {
    let nested = |n| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(18), DEFAULT_MAX_DEPTH).is_ok());
    let e = parse(&nested(600), RULES_MAX_DEPTH).expect_err("too deep");
    assert_eq!((e.offset, e.kind), (200, ParseErrorKind::TooDeep(1000)));
    let e = parse(&"not(".repeat(300), RULES_MAX_DEPTH).expect_err("too deep");
    assert_eq!(e.offset, 1000);
    let e =
        parse(&format!("{}a.b", "tolower(".repeat(600)), DEFAULT_MAX_DEPTH).expect_err("too deep");
    assert_eq!(e.kind, ParseErrorKind::TooDeep(100));
}

#[test]
fn operands_of_outputs_end_before_other_text() {
    let parsed = |text| {
        parse_operand(text, DEFAULT_MAX_DEPTH)
            .map(|(operand, len)| (operand.to_string(), len))
            .map_err(|e| (e.offset, e.to_string()))
    };
    assert_eq!(parsed("a.b.c! rest"), Ok(("a.b.c".into(), 5)));
    assert_eq!(parsed("toupper(a.b), b"), Ok(("toupper(a.b)".into(), 12)));
    assert_eq!(parsed("toupper(a.b)[x"), Err((14, "expected a ']' token".into())));
    assert_eq!(parsed("nothing"), Err((0, "unexpected token after '".into())));
}

fn place() -> Span {
    Span::default()
}

fn literal() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[a-z/.*]{1,8}".prop_map(|s| Text::from(s.as_str())),
        any::<String>().prop_map(|s| Text::from(s.as_str())),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Text::from),
    ]
}

fn field() -> impl Strategy<Value = FieldRef> {
    ("[a-z][a-z0-9_]{0,4}(\\.[a-z][a-z0-9_]{0,4}){1,3}", proptest::option::of(any::<String>()))
        .prop_map(|(name, arg)| FieldRef { name, arg })
}

fn operand() -> impl Strategy<Value = Operand> {
    let transformers = proptest::sample::select(&Transformer::ALL[1..]);
    let leaf = field().prop_map(|f| Spanned::new(OperandKind::Field(f), place()));
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let single = || {
            prop_oneof![
                inner.clone().prop_map(Argument::Operand),
                literal().prop_map(|l| Argument::Literal(Spanned::new(l, place()))),
            ]
        };
        let list = proptest::collection::vec(single(), 0..3)
            .prop_map(|l| Argument::List(Spanned::new(l, place())));
        let args = proptest::collection::vec(prop_oneof![3 => single(), 1 => list], 1..4);
        (transformers.clone(), args, proptest::option::of(any::<String>())).prop_map(
            |(transformer, args, arg)| {
                Spanned::new(OperandKind::Call(Call { transformer, args, arg }), place())
            },
        )
    })
}

fn comparison() -> impl Strategy<Value = Check> {
    let of = |ops: &'static [Operator]| proptest::sample::select(ops);
    let called = || {
        operand().prop_map(|o| {
            Right::Operand(match o.node {
                OperandKind::Call(_) => o,
                OperandKind::Field(_) => Spanned::new(
                    OperandKind::Call(Call {
                        transformer: Transformer::Val,
                        args: vec![Argument::Operand(o)],
                        arg: None,
                    }),
                    place(),
                ),
            })
        })
    };
    let value = || literal().prop_map(|l| Right::Value(Spanned::new(l, place())));
    let list = || {
        proptest::collection::vec(literal(), 0..4)
            .prop_map(|l| Right::List(Spanned::new(l, place())))
    };
    let number = "[+-]?[0-9]{1,4}(\\.[0-9]{0,2})?|0x[0-9a-f]{1,4}"
        .prop_map(|s| Right::Value(Spanned::new(Text::from(s.as_str()), place())));
    let quantifiers = proptest::sample::select(Quantifier::ALL);
    let (numeric, textual) = (&Operator::ALL[..4], &Operator::ALL[4..16]);
    prop_oneof![
        (operand(), of(numeric), prop_oneof![number, called()])
            .prop_map(|(l, op, r)| (l, op, None, r)),
        (operand(), of(textual), prop_oneof![value(), called()])
            .prop_map(|(l, op, r)| (l, op, None, r)),
        (operand(), of(textual), quantifiers, list()).prop_map(|(l, op, q, r)| (l, op, Some(q), r)),
        (operand(), of(&Operator::ALL[16..]), prop_oneof![list(), called()])
            .prop_map(|(l, op, r)| (l, op, None, r)),
    ]
    .prop_map(|(left, op, quantifier, right)| {
        Check::Compare(Comparison { left, op, quantifier, right })
    })
}

fn condition() -> impl Strategy<Value = Expr> {
    let name = "[a-z][a-z0-9_]{0,5}|not|and|or|val|in|exists".prop_map(ExprKind::Macro);
    let check = prop_oneof![3 => comparison(), 1 => operand().prop_map(Check::Exists)]
        .prop_map(|check| ExprKind::Check(Arc::new(check)));
    let leaf = prop_oneof![1 => name, 4 => check].prop_map(|kind| Spanned::new(kind, place()));
    leaf.prop_recursive(4, 16, 3, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            some().prop_map(ExprKind::And),
            some().prop_map(ExprKind::Or),
            inner.clone().prop_map(|child| ExprKind::Not(Box::new(child))),
        ]
        .prop_map(|kind| Spanned::new(kind, place()))
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(expr in condition()) {
        let text = expr.to_string();
        prop_assert_eq!(parse(&text, RULES_MAX_DEPTH).map_err(|e| (e, text)), Ok(expr));
    }

    #[test]
    fn any_text_parses_or_fails_inside_it(text in "[a-z.=<>()'\" ,\\[\\]\\\\!0-9\u{e9}]{0,40}") {
        if let Err(e) = parse(&text, DEFAULT_MAX_DEPTH) {
            prop_assert!(e.offset <= text.len());
        }
    }
}
