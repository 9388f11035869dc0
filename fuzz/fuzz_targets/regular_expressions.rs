//! A pattern in the first line, a text in the rest: compiling the pattern never panics, and neither
//! does a match. A pattern that escapes every character of the text matches the text and nothing
//! more.
#![no_main]

use std::sync::Arc;

use bumpalo::Bump;
use libfuzzer_sys::fuzz_target;
use peregrine_event::{Format, ParamType};
use peregrine_filter::{
    Check, Comparison, Expr, ExprKind, FieldError, FieldRef, Filter, Limits, OperandKind, Operator,
    Resolved, Right, Span, Spanned, Supplier, Text, Value, Vocabulary, compile,
};

/// Every name is a text.
struct Texts;

impl Vocabulary for Texts {
    type Field = ();

    fn resolve(&self, text: &str) -> Result<Resolved<()>, FieldError> {
        Ok(Resolved {
            field: (),
            len: text.len(),
            ty: ParamType::Charbuf,
            format: Format::Na,
            list: false,
            each: None,
            limits: Limits::default(),
        })
    }
}

struct Event<'a>(&'a [u8], Bump);

impl Supplier<()> for Event<'_> {
    fn value<'s>(&'s self, (): &()) -> Option<Value<'s>> {
        Some(Value::Text(self.0))
    }

    fn scratch(&self) -> &Bump {
        &self.1
    }
}

/// `text regex <pattern>`, without the quoting that a condition needs.
fn compiled(pattern: &[u8]) -> Option<Filter<()>> {
    let at = |node| Spanned::new(node, Span::default());
    let comparison = Comparison {
        left: Spanned::new(
            OperandKind::Field(FieldRef { name: "text".into(), arg: None }),
            Span::default(),
        ),
        op: Operator::Regex,
        quantifier: None,
        right: Right::Value(Spanned::new(Text::from(pattern.to_vec()), Span::default())),
    };
    let condition: Expr = at(ExprKind::Check(Arc::new(Check::Compare(comparison))));
    compile(&condition, &Texts).ok().map(|compiled| compiled.filter)
}

fn matches(filter: &Filter<()>, text: &[u8]) -> bool {
    filter.matches(&Event(text, Bump::new()))
}

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let (pattern, text) = input.split_at(line);
    let text = text.strip_prefix(b"\n").unwrap_or(text);
    if let Some(filter) = compiled(pattern) {
        matches(&filter, text);
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    // Short, so that no pattern is too large to compile. A literal cannot contain NUL.
    if text.len() > 256 || text.contains('\0') {
        return;
    }
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    let filter = compiled(escaped.as_bytes()).expect("escaped characters stand for themselves");
    assert!(matches(&filter, text.as_bytes()), "{escaped}");
    assert!(!matches(&filter, format!("{text}.").as_bytes()), "{escaped}");
});
