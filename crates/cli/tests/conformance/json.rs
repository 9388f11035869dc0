//! Comparison of JSON values.

use std::collections::BTreeMap;

use serde_json::Value;

/// The first difference, as text.
pub(crate) fn difference(want: &Value, got: &Value) -> Option<String> {
    (want != got).then(|| describe(want, got, String::from("$")))
}

/// Sorts the items of all lists, for answers whose lists have no order.
pub(crate) fn without_order(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(without_order).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.clone(), without_order(value))).collect(),
        ),
        scalar => scalar.clone(),
    }
}

/// Converts every scalar to a text.
pub(crate) fn as_texts(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(as_texts).collect()),
        Value::Object(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.clone(), as_texts(value))).collect(),
        ),
        Value::Null => Value::from(""),
        Value::String(_) => value.clone(),
        scalar => Value::from(scalar.to_string()),
    }
}

/// Two texts, truncated to a readable length.
pub(crate) fn apart(want: &str, got: &str) -> String {
    format!("\n    want {}\n    got  {}", cut(want), cut(got))
}

fn describe(want: &Value, got: &Value, path: String) -> String {
    let inner = match (want, got) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let different = a.iter().zip(b).enumerate().find(|(_, (x, y))| x != y);
            different.map(|(at, (x, y))| (x, y, format!("{path}[{at}]")))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let different = a.iter().zip(b.values()).find(|((_, x), y)| x != y);
            different.map(|((key, x), y)| (x, y, format!("{path}.{key}")))
        }
        _ => None,
    };
    match inner {
        Some((want, got, path)) => describe(want, got, path),
        None => format!("at {path}{}", apart(&want.to_string(), &got.to_string())),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(400)]
}

/// Values on one side only, if any. Alerts of one event have no order.
pub(crate) fn unordered(want: &[Value], got: &[Value]) -> Option<String> {
    let mut balance = BTreeMap::<String, i32>::new();
    want.iter().for_each(|value| *balance.entry(value.to_string()).or_default() -= 1);
    got.iter().for_each(|value| *balance.entry(value.to_string()).or_default() += 1);
    let first = |sign: i32| {
        let value = balance.iter().find(|(_, balance)| balance.signum() == sign);
        value.map_or("nothing", |(value, _)| value)
    };
    balance.values().any(|&balance| balance != 0).then(|| apart(first(-1), first(1)))
}
