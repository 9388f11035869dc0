//! What each field says of an event, one file for each class.

pub(crate) mod container;
pub(crate) mod fd;
pub(crate) mod fdlist;
pub(crate) mod generic;
pub(crate) mod identity;
mod lineage;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod syscall;

use peregrine_filter::Value;

/// What users see where there is nothing.
const NA: &[u8] = b"<NA>";

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A condition as the number it counts as.
fn flag<'a>(flag: bool) -> Option<Value<'a>> {
    Some(Value::Bool(flag))
}

/// A number, unless it is the one that means that it is unknown.
fn known<'a>(number: u64) -> Option<Value<'a>> {
    (number != 0).then_some(Value::Uint(number))
}
