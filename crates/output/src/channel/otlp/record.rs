//! An alert as a log record of OTLP. `docs/otlp.md` has the mapping.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_semantic_conventions::attribute::{LOG_RECORD_UID, SECURITY_RULE_NAME};
use peregrine_alert::{Alert, Priority, Value};
use peregrine_event::render;
use prost::Message;

use super::names::{Convention, Shape};
use crate::format::FieldChanges;

/// The class of all records.
const EVENT_NAME: &str = "peregrine.alert";

/// Appends the record of an alert, with these changes to its fields. It is seen at this time
/// (nanoseconds since the epoch).
pub(super) fn encode(alert: &Alert, fields: &FieldChanges, observed: u64, out: &mut Vec<u8>) {
    let record = LogRecord {
        time_unix_nano: alert.time(),
        observed_time_unix_nano: observed,
        severity_number: severity(alert.priority()).into(),
        severity_text: alert.priority().name().to_owned(),
        body: Some(any(text(alert.text()))),
        attributes: attributes(alert, fields),
        event_name: EVENT_NAME.to_owned(),
        ..LogRecord::default()
    };
    // A vector has room for everything.
    let _ = record.encode(out);
}

/// As the data model of logs maps the levels of syslog.
fn severity(priority: Priority) -> SeverityNumber {
    match priority {
        Priority::Emergency => SeverityNumber::Fatal,
        Priority::Alert => SeverityNumber::Error3,
        Priority::Critical => SeverityNumber::Error2,
        Priority::Error => SeverityNumber::Error,
        Priority::Warning => SeverityNumber::Warn,
        Priority::Notice => SeverityNumber::Info2,
        Priority::Informational => SeverityNumber::Info,
        Priority::Debug => SeverityNumber::Debug,
    }
}

/// Attributes with different names; of several with the same name, the first one.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, name: &str, value: Any) {
        if self.0.iter().all(|attribute| attribute.key != name) {
            let value = Some(any(value));
            self.0.push(KeyValue { key: name.to_owned(), value, ..KeyValue::default() });
        }
    }
}

fn attributes(alert: &Alert, changes: &FieldChanges) -> Vec<KeyValue> {
    let rule = alert.rule();
    let mut found = Attributes(Vec::with_capacity(8 + 2 * rule.fields().len()));
    found.add(LOG_RECORD_UID, Any::StringValue(alert.id().to_string()));
    found.add(SECURITY_RULE_NAME, Any::StringValue(rule.name().to_owned()));
    found.add("rule", Any::StringValue(rule.name().to_owned()));
    found.add("priority", Any::StringValue(alert.priority().name().to_owned()));
    found.add("source", Any::StringValue(rule.source().to_owned()));
    if !rule.tags().is_empty() {
        found.add("tags", list(rule.tags().iter().map(|tag| Any::StringValue(tag.clone()))));
    }
    for (name, value) in alert.fields() {
        if let Some(name) = changes.name(name)
            && let Some(value) = typed(value)
        {
            found.add(name, value);
        }
    }
    for (name, value) in alert.fields() {
        if changes.name(name).is_some()
            && let Some(convention) = Convention::of(name)
            && convention.admits(&value)
            && let Some(value) = typed(value)
        {
            let value = match convention.shape {
                Shape::OnlyEntry => list([value].into_iter()),
                Shape::Same | Shape::AbsolutePath | Shape::NotHost => value,
            };
            found.add(convention.attribute, value);
        }
    }
    found.0
}

/// The value, unless the field has none.
fn typed(value: Value<'_>) -> Option<Any> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Any::BoolValue(value),
        Value::Int(value) => Any::IntValue(value),
        // OTLP has no unsigned numbers.
        Value::Uint(value) => match i64::try_from(value) {
            Ok(value) => Any::IntValue(value),
            Err(_) => Any::StringValue(value.to_string()),
        },
        Value::Double(value) => Any::DoubleValue(value),
        Value::Ip(address) => {
            let mut out = Vec::new();
            render::ip(address, &mut out);
            text(&out)
        }
        Value::Text(value) => text(value),
        Value::List(items) => list(items.filter_map(typed)),
    })
}

/// Bytes that are no UTF-8 become U+FFFD, as in JSON.
fn text(bytes: &[u8]) -> Any {
    Any::StringValue(String::from_utf8_lossy(bytes).into_owned())
}

fn list(items: impl Iterator<Item = Any>) -> Any {
    Any::ArrayValue(ArrayValue { values: items.map(any).collect() })
}

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peregrine_alert::{AlertBuilder, AlertOrigin, RuleInfo, RuleRegistry};

    use super::super::names::CONVENTIONS;
    use super::*;

    const TIME: u64 = 1_470_327_477_881_785_348;

    /// An alert whose fields have the values that `fill` adds.
    fn alert(names: &[&str], fill: impl FnOnce(&mut AlertBuilder)) -> Alert {
        let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
        let names = names.iter().copied().map(String::from).collect();
        let tags = vec!["mitre".to_owned(), "T1059".to_owned()];
        let rule = RuleInfo::new(&origin, "syscall", "Shell", Priority::Critical, tags, names);
        let mut alert =
            AlertBuilder::new(Arc::new(rule), TIME, 7, |out| out.extend_from_slice(b"a shell\xff"));
        fill(&mut alert);
        alert.finish()
    }

    fn record(alert: &Alert) -> LogRecord {
        changed(alert, &FieldChanges::default())
    }

    fn changed(alert: &Alert, fields: &FieldChanges) -> LogRecord {
        let mut out = Vec::new();
        encode(alert, fields, TIME + 1, &mut out);
        LogRecord::decode(out.as_slice()).unwrap()
    }

    fn shown(record: &LogRecord) -> Vec<String> {
        let attribute = |attribute: &KeyValue| {
            format!("{}={}", attribute.key, show(attribute.value.as_ref().unwrap()))
        };
        record.attributes.iter().map(attribute).collect()
    }

    fn show(value: &AnyValue) -> String {
        match value.value.as_ref().unwrap() {
            Any::StringValue(text) => format!("{text:?}"),
            Any::BoolValue(value) => value.to_string(),
            Any::IntValue(value) => value.to_string(),
            Any::DoubleValue(value) => format!("{value:?}"),
            Any::ArrayValue(list) => {
                format!("[{}]", list.values.iter().map(show).collect::<Vec<_>>().join(","))
            }
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_record_has_what_an_alert_has() {
        let alert = alert(&["proc.pid"], |alert| alert.int(42));
        let record = record(&alert);
        assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (TIME, TIME + 1));
        assert_eq!((record.severity_number, record.severity_text.as_str()), (18, "Critical"));
        assert_eq!(show(record.body.as_ref().unwrap()), "\"a shell\u{fffd}\"");
        assert_eq!(record.event_name, "peregrine.alert");
        let id = format!("log.record.uid={:?}", alert.id().to_string());
        let expected = [
            &id,
            "security_rule.name=\"Shell\"",
            "rule=\"Shell\"",
            "priority=\"Critical\"",
            "source=\"syscall\"",
            "tags=[\"mitre\",\"T1059\"]",
            "proc.pid=42",
            "process.pid=42",
        ];
        assert_eq!(shown(&record), expected);
    }

    #[test]
    fn values_keep_their_types() {
        let alert = alert(&["a", "b", "c", "d", "e", "f", "g"], |alert| {
            alert.null();
            alert.bool(true);
            alert.uint(u64::MAX);
            alert.uint(1);
            alert.double(0.5);
            alert.ip("10.0.0.1".parse().unwrap());
            alert.list(|list| {
                list.null();
                list.list(|inner| inner.int(-1));
            });
        });
        let expected =
            ["b=true", "c=\"18446744073709551615\"", "d=1", "e=0.5", "f=\"10.0.0.1\"", "g=[[-1]]"];
        assert_eq!(shown(&record(&alert))[6..], expected);
    }

    #[test]
    fn only_some_values_are_what_the_conventions_mean() {
        let added = |name: &'static str, value: &'static str| {
            let alert = alert(&[name], |alert| alert.text(|out| out.extend(value.bytes())));
            shown(&record(&alert)).split_off(7)
        };
        assert_eq!(added("fd.name", "/etc/shadow"), ["file.path=\"/etc/shadow\""]);
        assert_eq!(added("fd.name", "10.0.0.1:80->10.0.0.2:81"), [""; 0]);
        assert_eq!(added("container.type", "host"), [""; 0]);
        assert_eq!(added("container.type", "cri-o"), ["container.runtime.name=\"cri-o\""]);
        assert_eq!(added("container.image.tag", "1.2"), ["container.image.tags=[\"1.2\"]"]);
    }

    #[test]
    fn an_attribute_occurs_once() {
        let names = ["fs.path.name", "fd.name", "rule", "process.pid", "proc.pid"];
        let alert = alert(&names, |alert| {
            for value in ["/a", "/b", "mine", "also mine"] {
                alert.text(|out| out.extend(value.bytes()));
            }
            alert.int(1);
        });
        let shown = shown(&record(&alert));
        let of = |name: &str| {
            shown.iter().filter(|shown| shown.starts_with(&format!("{name}="))).collect::<Vec<_>>()
        };
        assert_eq!(of("file.path"), ["file.path=\"/a\""]);
        assert_eq!(of("rule"), ["rule=\"Shell\""]);
        assert_eq!(of("process.pid"), ["process.pid=\"also mine\""]);
    }

    #[test]
    fn fields_are_dropped_with_all_names_and_renamed_under_their_own() {
        let alert = alert(&["proc.pid", "proc.ppid", "user.uid"], |alert| {
            (1..=3).for_each(|value| alert.int(value));
        });
        let fields = FieldChanges {
            drop: vec!["proc.pid".to_owned()],
            rename: vec![("proc.ppid".to_owned(), "parent".to_owned())],
        };
        let expected = ["parent=2", "user.uid=3", "process.parent_pid=2", "process.user.id=3"];
        assert_eq!(shown(&changed(&alert, &fields))[6..], expected);
    }

    #[test]
    fn severities_follow_the_levels_of_syslog() {
        let numbers = Priority::ALL.map(|priority| i32::from(severity(priority)));
        assert_eq!(numbers, [21, 19, 18, 17, 13, 10, 9, 5]);
    }

    /// The page for users has the same table.
    #[test]
    fn the_documentation_lists_the_conventions() {
        let page = include_str!("../../../../../docs/otlp.md");
        let rows: Vec<_> = page
            .lines()
            .skip_while(|line| *line != "| field | attribute |")
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|line| line.split_once("` | `"))
            .map(|(field, rest)| (field, rest.split('`').next().unwrap()))
            .collect();
        let expected = CONVENTIONS.iter().map(|row| (row.field, row.attribute));
        assert_eq!(rows, expected.collect::<Vec<_>>());
        for priority in Priority::ALL {
            let number = i32::from(severity(priority));
            let row = format!("| {} | {number} |", priority.name());
            assert!(page.contains(&row), "{row}");
        }
    }
}
