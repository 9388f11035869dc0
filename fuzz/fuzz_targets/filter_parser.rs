//! Any text as a condition: a parsed condition prints to a text that parses to the same tree, and
//! compiling it against a vocabulary in which every name is a field never panics.
#![no_main]

use bumpalo::Bump;
use libfuzzer_sys::fuzz_target;
use peregrine_event::{Format, ParamType};
use peregrine_filter::{
    DEFAULT_MAX_DEPTH, FieldError, Limits, Resolved, Supplier, Value, Vocabulary, compile, parse,
};

/// Fields whose type is given by the last letter of their name.
struct AnyField;

impl Vocabulary for AnyField {
    type Field = ParamType;

    fn resolve(&self, text: &str) -> Result<Resolved<ParamType>, FieldError> {
        let ty = match text.bytes().last() {
            Some(b'b') => ParamType::Bytebuf,
            Some(b'i') => ParamType::Int64,
            Some(b'n') => ParamType::Ipnet,
            Some(b'p') => ParamType::Port,
            Some(b'u') => ParamType::Uint16,
            _ => ParamType::Charbuf,
        };
        Ok(Resolved {
            field: ty,
            len: text.len(),
            ty,
            format: Format::Dec,
            list: text.starts_with('l'),
            each: None,
            limits: Limits::default(),
        })
    }
}

struct Event<'a> {
    text: &'a [u8],
    scratch: Bump,
}

impl Supplier<ParamType> for Event<'_> {
    fn value<'s>(&'s self, field: &ParamType) -> Option<Value<'s>> {
        Some(match field {
            ParamType::Bytebuf => Value::Bytes(self.text),
            ParamType::Int64 => Value::Int(-1),
            ParamType::Ipnet => Value::Ip([10, 0, 0, 1].into()),
            ParamType::Port | ParamType::Uint16 => Value::Uint(80),
            _ => Value::Text(self.text),
        })
    }

    fn scratch(&self) -> &Bump {
        &self.scratch
    }
}

fuzz_target!(|text: &str| {
    let condition = match parse(text, DEFAULT_MAX_DEPTH) {
        Ok(condition) => condition,
        Err(e) => return assert!(e.offset <= text.len()),
    };
    // Printing adds parentheses, which count as depth.
    let again = parse(&condition.to_string(), 10 * DEFAULT_MAX_DEPTH).expect("prints what parses");
    assert_eq!(again, condition);
    if let Ok(compiled) = compile(&condition, &AnyField) {
        compiled.filter.matches(&Event { text: text.as_bytes(), scratch: Bump::new() });
    }
});
