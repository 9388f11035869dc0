//! Values as JSON and text.

use peregrine_alert::Value;
use serde_json::Value as Json;

use crate::format::values::value_text;

pub(super) fn json_value(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Uint(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::Ip(_) | Value::Text(_) => text(&value).into(),
        Value::List(items) => items.map(json_value).collect(),
    }
}

pub(super) fn text(value: &Value<'_>) -> String {
    let mut bytes = Vec::new();
    value_text(value.clone(), &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
