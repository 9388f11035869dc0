//! Values of fields, borrowed from the event and the state.

use std::net::IpAddr;

/// Value of a field for one event.
///
/// Text is bytes, as the kernel gives it, and need not be UTF-8. Signs and widths of integers are
/// those of the field's [`ParamType`](peregrine_event::ParamType), which is known beside the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// Signed integer of any width.
    Int(i64),
    /// Unsigned integer of any width, times, ports, flags.
    Uint(u64),
    /// Floating point.
    Double(f64),
    /// Text without NUL: strings and paths.
    Text(&'a [u8]),
    /// Bytes of any value (`evt.buffer`).
    Bytes(&'a [u8]),
    /// Address.
    Ip(IpAddr),
    /// Several values: of a list field, or of a field that compares with each of them (see
    /// [`MultiValue`](crate::MultiValue)).
    List(&'a [Value<'a>]),
}
