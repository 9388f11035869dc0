//! Values of the fields for events as API servers write them.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fmt::Write;

use peregrine_event::source::{SourceId, SourceNames};
use peregrine_event::{Builder, Event, EventType};
use peregrine_fields::{Fields, Run, Scratch, SourceInfo, View};
use peregrine_filter::{Supplier, Value, Vocabulary};
use peregrine_k8saudit::{SOURCE, audit_class, json_class};
use peregrine_state::{Config, Context, State};

const POD: &str = include_str!("data/pod.json");
const ROLE: &str = include_str!("data/role.json");
const BINDING: &str = include_str!("data/binding.json");
const SERVICE: &str = include_str!("data/service.json");

fn fields() -> Fields {
    let fields = Fields::of_source(SOURCE).with_class(audit_class().unwrap()).unwrap();
    fields.with_class(json_class([SOURCE]).unwrap()).unwrap()
}

fn source_id() -> SourceId {
    SourceNames::default().intern(SOURCE).unwrap()
}

/// Calls `test` with the view of an event with this payload.
fn with_view<T>(payload: &str, scratch: &Scratch, test: impl FnOnce(&View<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    let mut builder = Builder::new(EventType::PlugineventE, 1_000, -1);
    builder.u32(1).param(payload.as_bytes()).finish(&mut bytes).unwrap();
    let mut event = Event::parse(&bytes, 0).unwrap();
    event.source = source_id();
    let state = State::new(Config::default());
    let audit = SourceInfo::plain(SOURCE, Some("k8saudit"));
    let syscall = SourceInfo::plain("syscall", None);
    let run = Run { sources: [syscall, audit].into(), ..Run::default() };
    test(&View::new(&event, &state, Context::default(), &run, scratch))
}

fn shown(value: Option<Value<'_>>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Some(Value::List(list)) => {
            format!("{:?}", list.iter().map(|it| shown(Some(*it))).collect::<Vec<_>>())
        }
        Some(other) => format!("{other:?}"),
    }
}

fn value(payload: &str, field: &str) -> String {
    let field = fields().resolve(field).unwrap().field;
    with_view(payload, &Scratch::default(), |view| shown(view.value(&field)))
}

/// All fields that an event has, those with an argument without it or with one that is given.
fn all(payload: &str) -> String {
    let vocabulary = fields();
    let scratch = Scratch::default();
    let classes = vocabulary.classes().filter(|class| class.name.ends_with("(plugin)"));
    let names: Vec<_> = classes.flat_map(|class| &*class.fields).map(|it| &it.name).collect();
    with_view(payload, &scratch, |view| {
        let mut table = String::new();
        for name in names {
            let Ok(resolved) = vocabulary.resolve(name) else { continue };
            if let Some(value) = view.value(&resolved.field) {
                writeln!(table, "{name} = {}", shown(Some(value))).unwrap();
            }
        }
        table
    })
}

#[test]
fn a_pod_has_these_fields() {
    insta::assert_snapshot!(all(POD));
}

#[test]
fn a_role_has_these_fields() {
    insta::assert_snapshot!(all(ROLE));
}

#[test]
fn a_binding_has_these_fields() {
    insta::assert_snapshot!(all(BINDING));
}

#[test]
fn a_service_has_these_fields() {
    insta::assert_snapshot!(all(SERVICE));
}

#[test]
fn arguments_choose_one_element_or_a_name() {
    assert_eq!(value(POD, "ka.req.pod.containers.image[1]"), r#"["busybox"]"#);
    assert_eq!(value(POD, "ka.req.pod.containers.image[9]"), "-");
    assert_eq!(value(POD, "ka.sourceips[1]"), r#"["192.168.7.9"]"#);
    assert_eq!(value(POD, "ka.sourceips[2]"), "-");
    assert_eq!(value(ROLE, "ka.req.role.rules.verbs[1]"), r#"["*"]"#);
    assert_eq!(value(POD, "ka.uri.param[limit]"), "5");
    assert_eq!(value(POD, "ka.uri.param[other]"), "-");
    assert_eq!(value(POD, "ka.req.volume.hostpath[/var/run]"), "true");
    assert_eq!(value(POD, "ka.req.volume.hostpath[/var*]"), "true");
    assert_eq!(value(POD, "ka.req.volume.hostpath[/usr*]"), "false");
    assert_eq!(value(ROLE, "ka.req.volume.hostpath[/usr*]"), "-");
    assert_eq!(value(POD, "json.value[/user/groups/1]"), "system:authenticated");
    assert_eq!(value(POD, "json.value[/annotations/authorization.k8s.io~1decision]"), "allow");
    assert_eq!(value(POD, "jevt.value[/user/nothing]"), "-");
    assert_eq!(value(POD, "json.value[/responseStatus]"), r#"{"metadata":{},"code":201}"#);
    assert_eq!(value(POD, "json.rawtime"), "1000");
}

#[test]
fn what_is_no_audit_event_has_no_fields() {
    for payload in ["", "text", "5", "{\"auditID\": 1", "[]", "{}", "{\"verb\": \"get\"}"] {
        assert_eq!(value(payload, "ka.verb"), "-", "{payload}");
    }
    assert_eq!(value("{\"verb\": \"get\"}", "json.value[/verb]"), "get");
    assert_eq!(value("not json", "json.obj"), "-");
    // A value that is no text is shown as JSON.
    let odd = r#"{"auditID": null, "verb": {"a": [1, 2]}, "user": {"groups": ["a", 5, null]}}"#;
    assert_eq!(value(odd, "ka.auditid"), "null");
    assert_eq!(value(odd, "ka.verb"), r#"{"a":[1,2]}"#);
    assert_eq!(value(odd, "ka.user.groups"), r#"["a", "5", "null"]"#);
    assert_eq!(value(r#"{"auditID": "a\u0000b"}"#, "ka.auditid"), "a");
}

#[test]
fn an_index_serves_one_event_only() {
    let mut scratch = Scratch::default();
    let field = fields().resolve("ka.verb").unwrap().field;
    for verb in ["get", "create", "list"] {
        let payload = format!(r#"{{"auditID": "1", "verb": "{verb}"}}"#);
        scratch.reset();
        assert_eq!(with_view(&payload, &scratch, |view| shown(view.value(&field))), verb);
    }
}
