//! A small vocabulary for tests: one field of each type, given by hand.

use bumpalo::Bump;
use peregrine_event::{Format, ParamType};

use crate::{
    DEFAULT_MAX_DEPTH, FieldError, Limits, MultiValue, Resolved, Supplier, UnknownLiteral, Value,
    Vocabulary, compile, parse,
};

pub(crate) struct Words;

const FIELDS: &[(&str, ParamType)] = &[
    ("t.text", ParamType::Charbuf),
    ("t.other", ParamType::Charbuf),
    ("t.path", ParamType::Fspath),
    ("t.buffer", ParamType::Bytebuf),
    ("t.int", ParamType::Int64),
    ("t.int8", ParamType::Int8),
    ("t.uint", ParamType::Uint64),
    ("t.uint16", ParamType::Uint16),
    ("t.pid", ParamType::Pid),
    ("t.port", ParamType::Port),
    ("t.flags", ParamType::Flags32),
    ("t.time", ParamType::Abstime),
    ("t.bool", ParamType::Bool),
    ("t.double", ParamType::Double),
    ("t.ip", ParamType::Ipaddr),
    ("t.net", ParamType::Ipnet),
    ("t.uid", ParamType::Uid),
    ("t.tuple", ParamType::Socktuple),
    ("t.around", ParamType::Uint64),
    ("list.text", ParamType::Charbuf),
    ("list.int", ParamType::Int64),
    ("list.uint", ParamType::Uint64),
    ("any.text", ParamType::Charbuf),
    ("any.pid", ParamType::Pid),
    ("ends.ip", ParamType::Ipaddr),
    ("ends.port", ParamType::Port),
    ("ends.net", ParamType::Ipnet),
];

impl Vocabulary for Words {
    type Field = &'static str;

    fn resolve(&self, text: &str) -> Result<Resolved<&'static str>, FieldError> {
        let (name, ty) = FIELDS
            .iter()
            .filter(|(name, _)| text.starts_with(name))
            .max_by_key(|(name, _)| name.len())
            .ok_or_else(|| FieldError::Unknown { name: text.to_owned() })?;
        let each = match name {
            n if n.starts_with("any.") => Some(MultiValue::Any),
            n if n.starts_with("ends.") => Some(MultiValue::Ends),
            _ => None,
        };
        Ok(Resolved {
            field: name,
            len: name.len(),
            ty: *ty,
            format: Format::Dec,
            list: name.starts_with("list."),
            each,
            limits: Limits {
                no_rhs: each.is_some(),
                no_transformer: each.is_some(),
                ..Limits::default()
            },
        })
    }

    fn check_literal(&self, field: &&'static str, literal: &[u8]) -> Result<(), UnknownLiteral> {
        match (*field, literal) {
            ("t.other", b"impossible") => {
                Err(UnknownLiteral { kind: "thing", literal: "impossible".into() })
            }
            _ => Ok(()),
        }
    }

    fn is_distance(&self, field: &&'static str) -> bool {
        *field == "t.around"
    }
}

/// An event: values by the names of fields.
pub(crate) struct Event<'a> {
    values: Vec<(&'a str, Value<'a>)>,
    scratch: Bump,
}

impl<'a> Event<'a> {
    pub(crate) fn new(values: &[(&'a str, Value<'a>)]) -> Self {
        Self { values: values.to_vec(), scratch: Bump::new() }
    }
}

impl Supplier<&'static str> for Event<'_> {
    fn value<'s>(&'s self, field: &&'static str) -> Option<Value<'s>> {
        self.values.iter().find(|(name, _)| name == field).map(|(_, value)| *value)
    }

    fn scratch(&self) -> &Bump {
        &self.scratch
    }
}

/// Whether a condition holds for an event with these values.
pub(crate) fn holds(condition: &str, values: &[(&str, Value<'_>)]) -> bool {
    let expr = parse(condition, DEFAULT_MAX_DEPTH).expect(condition);
    compile(&expr, &Words).expect(condition).filter.matches(&Event::new(values))
}

/// Why a condition does not compile.
pub(crate) fn error(condition: &str) -> String {
    let expr = parse(condition, DEFAULT_MAX_DEPTH).expect(condition);
    compile(&expr, &Words).expect_err(condition).to_string()
}
