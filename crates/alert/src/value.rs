//! Values of fields, kept by an alert.

use std::net::IpAddr;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The field has no value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A number that is never negative.
    Uint(u64),
    /// A number with a fraction; finite.
    Double(f64),
    /// A network address.
    Ip(IpAddr),
    /// Text, as the kernel gave it: not always UTF-8. Numbers in hexadecimal or octal are texts
    /// too.
    Text(&'a [u8]),
    /// Several values.
    List(Values<'a>),
}

/// Values one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values<'a> {
    stored: &'a [Stored],
    bytes: &'a [u8],
}

/// A value as an alert keeps it: texts stand in a buffer that all values of the alert share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stored {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Ip(IpAddr),
    Text {
        start: u32,
        end: u32,
    },
    /// This many of the entries that follow belong to the list, entries of inner lists included.
    List {
        entries: u32,
    },
}

impl<'a> Values<'a> {
    pub(crate) fn new(stored: &'a [Stored], bytes: &'a [u8]) -> Self {
        Self { stored, bytes }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (first, rest) = self.stored.split_first()?;
        self.stored = rest;
        Some(match *first {
            Stored::Null => Value::Null,
            Stored::Bool(value) => Value::Bool(value),
            Stored::Int(value) => Value::Int(value),
            Stored::Uint(value) => Value::Uint(value),
            Stored::Double(value) => Value::Double(value),
            Stored::Ip(value) => Value::Ip(value),
            Stored::Text { start, end } => {
                Value::Text(self.bytes.get(start as usize..end as usize).unwrap_or_default())
            }
            Stored::List { entries } => {
                let (inner, rest) = rest.split_at_checked(entries as usize).unwrap_or((rest, &[]));
                self.stored = rest;
                Value::List(Values { stored: inner, bytes: self.bytes })
            }
        })
    }
}
