//! What several classes have in common.

use peregrine_filter::Value;

/// What users see where there is nothing.
pub(super) const NA: &[u8] = b"<NA>";

/// Nanoseconds in a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// A condition as the number it counts as.
pub(super) fn flag<'a>(flag: bool) -> Option<Value<'a>> {
    Some(Value::Bool(flag))
}

/// A number, unless it is the one that means that it is unknown.
pub(super) fn known<'a>(number: u64) -> Option<Value<'a>> {
    (number != 0).then_some(Value::Uint(number))
}
