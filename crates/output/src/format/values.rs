//! Values as texts.

use peregrine_alert::Value;
use peregrine_event::render::ip;

use super::json::json_value;

/// Appends a value as text: texts as they are, not always UTF-8; lists as JSON.
pub(super) fn value_text(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Text(text) => out.extend_from_slice(text),
        Value::Ip(address) => ip(address, out),
        value => json_value(value, out),
    }
}
