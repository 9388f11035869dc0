//! Values of JSON that a runtime has written. What is missing or has another type is empty.

use std::collections::BTreeMap;

use serde_json::Value;

/// The text at this [pointer](Value::pointer).
pub(crate) fn text(json: &Value, at: &str) -> String {
    borrowed(json, at).to_owned()
}

/// The same text, where it is.
pub(crate) fn borrowed<'a>(json: &'a Value, at: &str) -> &'a str {
    json.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// The number at this pointer.
pub(crate) fn number(json: &Value, at: &str) -> i64 {
    json.pointer(at).and_then(Value::as_i64).unwrap_or_default()
}

/// The flag at this pointer.
pub(crate) fn flag(json: &Value, at: &str) -> bool {
    json.pointer(at).and_then(Value::as_bool).unwrap_or_default()
}

/// The items of the list at this pointer.
pub(crate) fn items<'a>(json: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    json.pointer(at).and_then(Value::as_array).into_iter().flatten()
}

/// The texts of the list at this pointer.
pub(crate) fn texts(json: &Value, at: &str) -> Vec<String> {
    items(json, at).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The map of texts at this pointer.
pub(crate) fn labels(json: &Value, at: &str) -> BTreeMap<String, String> {
    let map = json.pointer(at).and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Seconds since the epoch of the time at this pointer, as RFC 3339 writes it; 0 where there is
/// none.
pub(crate) fn seconds(json: &Value, at: &str) -> i64 {
    let time = json.pointer(at).and_then(Value::as_str).and_then(|time| time.parse().ok());
    time.map_or(0, jiff::Timestamp::as_second)
}

/// Number of CPUs in a list such as `0-3,7`.
pub(crate) fn cpus(list: &str) -> i64 {
    let count = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (i64, i64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        Some(to.checked_sub(from)?.checked_add(1)?.max(0))
    };
    list.split(',').filter_map(count).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_counted() {
        assert_eq!((cpus(""), cpus("0"), cpus("0-3,7"), cpus("x,2-1,5")), (0, 1, 5, 1));
        assert_eq!(cpus("-9223372036854775808-9223372036854775807"), 0);
    }
}
