//! Values of fields, events as text, metrics, log: well and badly.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod support;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use peregrine_event::{Builder, Event, EventType};
use peregrine_plugin::{FieldRequest, FieldType, FieldValue, Instance, PluginEvent};
use support::{Log, Workshop, instance};

const FIELDS: &[(&str, FieldType, bool)] = &[
    ("b.value", FieldType::Text, false),
    ("b.number", FieldType::Uint, false),
    ("b.odd_place", FieldType::Time, false),
    ("b.truths", FieldType::Bool, true),
    ("b.addresses", FieldType::Address, true),
    ("b.no_address", FieldType::Address, false),
    ("b.long_address", FieldType::Network, false),
    ("b.null", FieldType::Text, false),
    ("b.no_array", FieldType::Text, false),
    ("b.untouched", FieldType::Text, false),
    ("b.none", FieldType::Text, false),
    ("b.two", FieldType::Text, false),
    ("b.bytes", FieldType::Text, false),
    ("b.fail", FieldType::Text, false),
    ("b.unknown", FieldType::Text, true),
];

fn payload(payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut event = Builder::new(EventType::PlugineventE, 1, -1);
    event.u32(77).param(payload.as_bytes()).finish(&mut bytes).unwrap();
    bytes
}

fn request(index: usize) -> FieldRequest {
    let (name, ty, list) = FIELDS[index];
    FieldRequest::new(index as u32, name, ty, list).unwrap()
}

fn values(instance: &Instance, request: &FieldRequest) -> String {
    let bytes = payload("x");
    let event = Event::parse(&bytes, 0).unwrap();
    let event = PluginEvent::new(&event, c"badly");
    let values = instance.extract(&event, request, |answer| {
        let values: Vec<_> = (0..answer.len()).map(|index| show(answer.get(index))).collect();
        assert_eq!(answer.get(answer.len()), None);
        values.join(", ")
    });
    values.unwrap_or_else(|| "-".to_owned())
}

fn show(value: Option<FieldValue<'_>>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(FieldValue::Text(text)) => format!("{:?}", String::from_utf8_lossy(text)),
        Some(value) => format!("{value:?}"),
    }
}

#[test]
fn each_answer_is_a_value_or_none() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let mut table = String::new();
    for (index, (name, ty, _)) in FIELDS.iter().enumerate() {
        writeln!(table, "{name} {ty:?}: {}", values(&instance, &request(index))).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn arguments_are_given_as_the_reference_does() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let field = || FieldRequest::new(0, "b.argument", FieldType::Text, false).unwrap();
    let with = |key, index| values(&instance, &field().with_argument(key, index).unwrap());
    assert_eq!(values(&instance, &field()), r#""- -1 0""#);
    assert_eq!(with(Some("key"), None), r#""key -1 1""#);
    assert_eq!(with(None, Some(7)), r#""- 7 1""#);
    assert_eq!(with(Some("7"), Some(7)), r#""7 7 1""#);
    assert!(field().with_argument(Some("nu\0l"), None).is_none());
}

#[test]
fn counts_and_lengths_have_limits() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let bytes = payload("x");
    let event = Event::parse(&bytes, 0).unwrap();
    let event = PluginEvent::new(&event, c"badly");
    let field = |name| FieldRequest::new(0, name, FieldType::Text, true).unwrap();
    let values = instance.extract(&event, &field("b.endless"), |answer| answer.iter().count());
    assert_eq!(values, Some(65_536));
    let bytes = instance.extract(&event, &field("b.huge"), |answer| match answer.get(0) {
        Some(FieldValue::Text(text)) => text.len(),
        _ => 0,
    });
    assert_eq!(bytes, Some(16 << 20));
    assert!(peregrine_limits::PLUGIN_VALUES.reached() > 0);
    assert!(peregrine_limits::PLUGIN_VALUE_BYTES.reached() > 0);
}

#[test]
fn several_fields_are_one_call() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let bytes = payload("x");
    let event = Event::parse(&bytes, 0).unwrap();
    let event = PluginEvent::new(&event, c"badly");
    let requests: Vec<_> = [1, 10, 3].map(request).into();
    let mut values = Vec::new();
    assert!(instance.extract_all(&event, &requests, |index, answer| {
        values.push((index, answer.iter().map(|value| show(Some(value))).collect::<Vec<_>>()));
    }));
    let number = format!("Uint({})", u64::MAX);
    let truths = ["Bool(false)", "Bool(true)", "Bool(true)"].map(str::to_owned).to_vec();
    assert_eq!(values, [(0, vec![number]), (2, truths)]);
    assert!(!instance.extract_all(&event, &[request(13)], |_, _| panic!("it has failed")));
}

#[test]
fn an_event_has_a_text_or_none() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let instance = instance(&workshop.plugin());
    let text = |text: &str| {
        let bytes = payload(text);
        let event = Event::parse(&bytes, 0).unwrap();
        let event = PluginEvent::new(&event, c"badly");
        instance.event_to_string(&event, |text| String::from_utf8_lossy(text).into_owned())
    };
    assert_eq!(text("abcdefgh").as_deref(), Some("abcdefgh"));
    assert_eq!(text("none"), None);
    assert_eq!(text("three"), None);
}

#[test]
fn metrics_are_copied_and_counted() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let library = workshop.plugin();
    let metrics: Vec<_> = instance(&library)
        .metrics()
        .into_iter()
        .map(|metric| format!("{} {} {:?}", metric.name, metric.monotonic, metric.value))
        .collect();
    insta::assert_debug_snapshot!(metrics);
    let chatty = library.init("chat", Log::default().host()).unwrap();
    assert_eq!(chatty.metrics().len(), 1024);
}

#[test]
fn lines_of_the_log_are_cut_and_repaired() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let log = Log::default();
    drop(workshop.plugin().init("log", log.host()).unwrap());
    let lines: Vec<_> = log
        .lines()
        .into_iter()
        .map(|line| match line.len() {
            0..=80 => line,
            len => format!("{} … {len}", &line[..20]),
        })
        .collect();
    insta::assert_debug_snapshot!(lines);
}

#[test]
fn ten_threads_may_write_to_the_log_until_the_plugin_is_destroyed() {
    let Some(workshop) = Workshop::open("cc") else { return };
    let log = Log::default();
    let instance = workshop.plugin().init("chat", log.host()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(instance.metrics().len(), 1024);
            }
        });
        for _ in 0..200 {
            assert_eq!(values(&instance, &request(0)), r#""a value""#);
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(instance);
    let lines = log.lines();
    assert_eq!(lines.last().map(String::as_str), Some("Info badly: destroyed"));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(log.lines().len(), lines.len(), "nothing comes after that");
}
