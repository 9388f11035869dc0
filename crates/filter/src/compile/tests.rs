use crate::testing::{Words, error};
use crate::{CompileErrorKind, DEFAULT_MAX_DEPTH, Expr, ExprKind, Operator, Span, Spanned, parse};

use super::*;

fn accepted(condition: &str) -> bool {
    let expr = parse(condition, DEFAULT_MAX_DEPTH).expect(condition);
    compile(&expr, &Words).is_ok()
}

/// For each type, the operators that apply, with a valid right side.
#[test]
fn operators_apply_to_the_types_that_have_them() {
    let numeric =
        ["= 1", "== 1", "!= 1", "< 1", "<= 1", "> 1", ">= 1", "in (1, 2)", "intersects (1)"];
    let textual = [
        "contains a",
        "icontains a",
        "startswith a",
        "endswith a",
        "glob a",
        "iglob a",
        "regex a",
        "pmatch (a)",
        "= anyof (a)",
        "contains allof (a, b)",
    ];
    let binary = ["bcontains 6161", "bstartswith 61"];
    let all: Vec<&str> = numeric.iter().chain(&textual).chain(&binary).copied().collect();
    let check =
        |field: &str, right: &dyn Fn(&str) -> Option<String>, allowed: &dyn Fn(&str) -> bool| {
            for op in &all {
                let Some(op) = right(op) else { continue };
                assert_eq!(accepted(&format!("{field} {op}")), allowed(&op), "{field} {op}");
            }
            assert!(accepted(&format!("{field} exists")));
        };
    let as_is = |op: &str| Some(op.to_owned());
    for field in ["t.int", "t.int8", "t.uint", "t.pid", "t.port", "t.flags", "t.time", "t.double"] {
        check(field, &as_is, &|op| numeric.contains(&op));
    }
    for field in ["t.text", "t.path"] {
        check(field, &as_is, &|op| !op.starts_with('b'));
    }
    check("t.buffer", &as_is, &|op| {
        !op.starts_with(['<', '>', 'i', 'g', 'r', 'p']) || op.starts_with("in")
    });
    let equal = |op: &str| op.starts_with(['=', '!']) && !op.contains("of") || op.starts_with("in");
    let put = |value: &'static str| {
        move |op: &str| {
            (!op.contains(" <") && !op.starts_with(['<', '>']))
                .then(|| op.replace(['1', '2'], value))
        }
    };
    check("t.bool", &put("true"), &equal);
    check("t.ip", &put("10.0.0.1"), &equal);
    check("t.net", &put("10.0.0.0/8"), &equal);
    check("list.text", &as_is, &|op| op.starts_with("in"));
    check("t.tuple", &as_is, &|_| false);
    check("t.uid", &as_is, &|_| false);
    check("list.int", &as_is, &|_| false);
}

#[test]
fn messages_about_operators() {
    for (condition, message) in [
        ("t.int contains 1", "filter error: 'contains' operator not supported for numeric filters"),
        ("t.bool < 1", "filter error: '<' operator not supported for numeric filters"),
        (
            "t.text bcontains 61",
            "filter error: 'bcontains' operator not supported for string filters",
        ),
        (
            "t.buffer pmatch (/a)",
            "filter error: 'pmatch' operator not supported for buffer filters",
        ),
        ("t.ip < 1", "filter error: '<' operator not supported for ip address and network filters"),
        (
            "t.ip contains anyof (1)",
            "filter error: 'contains' with modifier not supported for ip address and network filters",
        ),
        ("list.text == a", "filter error: '=' operator not supported list filters"),
        ("list.int in (1)", "filter error: list filters are not supported for type 'INT64'"),
        ("t.uid = 0", "filter error: '=' operator not supported for type 'UID'"),
    ] {
        assert_eq!(error(condition), message);
    }
}

#[test]
fn messages_about_literals() {
    for (condition, message) in [
        ("t.int = 0x10", "0x10 is not a valid number"),
        ("t.int = ''", " is not a valid number"),
        ("t.double > 3.5", "3.5 is not a valid number"),
        ("t.bool = yes", "filter error: unrecognized boolean value yes"),
        ("t.ip = localhost", "unrecognized IPv6 address localhost"),
        ("t.ip = 10.0.0.300", "unrecognized IPv4 address 10.0.0.300"),
        ("t.net = 10.0.0.0", "unrecognized IP network 10.0.0.0"),
        ("t.net = 10.0.0/8", "unrecognized IP address 10.0.0/8"),
        ("t.net = 10.0.0.0/99", "invalid netmask 99"),
        ("t.net = 10.0.0.0/264", "invalid netmask 264"),
        ("t.net = ::1", "invalid v6 netmask: ::1"),
        ("t.net = ::/0", "invalid v6 netmask 0"),
        ("t.port = no-such-service", "unrecognized protocol no-such-service"),
        ("t.text = 'a\\x00b'", "filter error: filter value cannot contain a NUL byte (\\x00)"),
        (
            "t.buffer bcontains 616",
            "filter error: bcontains and bstartswith operator support hex strings only",
        ),
        ("t.text regex 'a(b'", "invalid regex pattern: missing ): a(b"),
        ("t.other = impossible", "unknown thing impossible"),
        ("t.other in (x, impossible)", "unknown thing impossible"),
    ] {
        assert_eq!(error(condition), message);
    }
    let long = "x".repeat(256);
    assert_eq!(
        error(&format!("t.text = {long}")),
        format!("filter parameter too long (used=257, available=256):{long}")
    );
    assert!(accepted(&format!("t.text = {}", "x".repeat(255))));
    assert_eq!(error(&format!("t.buffer = {long}")), "filter parameter too long (byte buf)");
}

#[test]
fn messages_about_transformers() {
    for (condition, message) in [
        (
            "tolower(t.int) = 5",
            "can't add field transformer: type 'INT64' is not supported by 'tolower' transformer \
             applied on field 't.int'",
        ),
        (
            "b64(list.uint) in (5)",
            "can't add field transformer: type 'UINT64' is not supported by 'b64' transformer \
             applied on list field 'list.uint'",
        ),
        ("tolower(any.text) = a", "field 'any.text' does not support transformers"),
        ("concat(t.text) = a", "unknown field transfomer 'concat'"),
        ("concat(t.text, t.int) = a", "concat() arguments must be strings"),
        ("join('-', t.text) = a", "join() second argument must be a list"),
        ("join((a.b), t.text) = a", "filter_check called with nonexistent field a.b"),
        (
            "join(('a'), ('b')) = a",
            "join() first argument (separator) must be a single value, not a list",
        ),
        (
            "join('-', list.text, 'x') = a",
            "join() requires exactly 2 arguments: separator and list",
        ),
        ("getopt(t.text, 'a') exists", "getopt() first argument must be a list"),
        (
            "getopt(list.text, list.text) exists",
            "getopt() second argument (optstring) must be a single value",
        ),
        ("getopt(list.uint, 'a') exists", "getopt() arguments must be strings"),
        (
            "getopt(list.text, 'ab')[ab] exists",
            "getopt() field argument must be a single option character",
        ),
        (
            "tolower(t.text)[1] = a",
            "filter error: transformer 'tolower' does not support field arguments",
        ),
        (
            "t.text = val(t.other)[1]",
            "filter error: transformer 'val' does not support field arguments",
        ),
        ("toupper(t.text, t.text) = A", "transformer 'toupper' takes one argument"),
    ] {
        assert_eq!(error(condition), message, "{condition}");
    }
}

#[test]
fn messages_about_fields() {
    for (condition, message) in [
        ("t.nothing = 1", "filter_check called with nonexistent field t.nothing"),
        ("t.text.more = 1", "filter_check called with nonexistent field t.text.more"),
        ("t.text[3] = 1", "filter_check called with nonexistent field t.text[3]"),
        ("t.text = val(any.text)", "field 'any.text' can't be used as a right-hand side field"),
        ("any.text = val(t.text)", "field 'any.text' doesn't support right-hand side fields"),
        ("t.net = val(t.net)", "field type 'IPNET' doesn't support right-hand side fields"),
        ("t.text regex val(t.text)", "operator 'REGEX' doesn't support right-hand side fields"),
        (
            "t.text = val(t.int)",
            "field 't.text' has type 'CHARBUF' while the right-hand side field 't.int' has \
             incompatible type 'INT64'",
        ),
        (
            "list.text in val(t.text)",
            "field 'list.text' has type 'CHARBUF (list)' while the right-hand side field 't.text' \
             has incompatible type 'CHARBUF'",
        ),
        ("t.around > 1", "t.around supports only '=' comparison operator"),
    ] {
        assert_eq!(error(condition), message);
    }
}

#[test]
fn errors_have_the_span_of_their_test() {
    let condition = "t.int = 1 and  t.nothing = 2";
    let expr = parse(condition, DEFAULT_MAX_DEPTH).expect("parses");
    let error = compile(&expr, &Words).expect_err("no such field");
    assert_eq!(condition.get(error.span.start..error.span.end), Some("t.nothing = 2"));
}

#[test]
fn unexpanded_macros_are_errors() {
    assert_eq!(error("a_macro"), "filter error: unexpected identifier 'a_macro'");
}

#[test]
fn hints_come_in_the_order_of_the_text() {
    let hints = |condition: &str| {
        let expr = parse(condition, DEFAULT_MAX_DEPTH).expect(condition);
        let compiled = compile(&expr, &Words).expect(condition);
        compiled.hints.iter().map(|hint| (hint.span.start, hint.to_string())).collect::<Vec<_>>()
    };
    let field = "'t.int' may be a valid field misused as a const string value";
    assert_eq!(hints("t.text in (a, t.int)"), [(10, field.to_owned())]);
    let transformer =
        "'toupper(x)' may be a valid field transformer misused as a const string value";
    assert_eq!(hints("t.text = 'toupper(x)'"), [(9, transformer.to_owned())]);
    assert_eq!(hints("t.text regex '^abc'").len(), 1);
    let range = "'65536' is out of the range of this field";
    assert_eq!(hints("t.port in (65535, 65536)"), [(10, range.to_owned())]);
    assert_eq!(hints("t.uint16 = -1 and t.uint16 = 65535 and t.int8 >= -128"), []);
    assert_eq!(hints("t.text = t.nothing and t.text regex 'a.c'"), []);
}

fn nested(levels: usize) -> Expr {
    let mut expr = parse("t.int = 1", DEFAULT_MAX_DEPTH).expect("parses");
    for _ in 0..levels {
        expr = Spanned::new(ExprKind::Not(Box::new(expr)), Span::default());
    }
    expr
}

#[test]
fn depth_is_bounded_below_the_stack_size() {
    assert!(compile(&nested(499), &Words).is_ok());
    assert_eq!(
        compile(&nested(500), &Words).expect_err("too deep").kind,
        CompileErrorKind::TooDeep(500)
    );
}

#[test]
fn messages_spell_aliases_of_an_operator_alike() {
    for (op, spelled) in [(Operator::EqEq, "'='"), (Operator::Eq, "'='"), (Operator::Ne, "'!='")] {
        assert!(CompileErrorKind::OperatorOfList(op).to_string().contains(spelled), "{op}");
    }
}
