//! Helpers of several classes.

use peregrine_filter::Value;

/// Text in place of a value that is not available.
pub(super) const NA: &[u8] = b"<NA>";

/// Nanoseconds in a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// A Boolean value.
pub(super) fn flag<'a>(flag: bool) -> Option<Value<'a>> {
    Some(Value::Bool(flag))
}

/// A number; `None` for 0, which means unknown.
pub(super) fn known<'a>(number: u64) -> Option<Value<'a>> {
    (number != 0).then_some(Value::Uint(number))
}
