//! Fields of the pod, from the events of the API server of Kubernetes.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use peregrine_event::render::Buffers;
use peregrine_event::snapshot::{Item, Thread};
use peregrine_event::{Builder, Event, EventType};
use peregrine_fields::{Fields, Run, Scratch, View};
use peregrine_filter::{Template, Vocabulary};
use peregrine_state::{Config, Context, State};
use serde_json::{Value, json};

const UID: &str = "05869489-8c7f-45dc-9abd-1b1620787bb1";

/// A machine with a thread 7 in a pod and a thread 1 on the host.
fn machine() -> State {
    let mut state = State::new(Config::default());
    let group = format!("cpu=/kubepods/besteffort/pod{UID}/{}\0", "6".repeat(64));
    for (tid, cgroups) in [(7, group.into_bytes()), (1, b"cpu=/\0".to_vec())] {
        let cgroups = cgroups.into();
        state.load(Item::Thread(Box::new(Thread { tid, pid: tid, cgroups, ..Thread::default() })));
    }
    state.loaded();
    state
}

fn apply(state: &mut State, tid: i64, fill: impl FnOnce(&mut Builder), ty: EventType) -> Vec<u8> {
    let mut builder = Builder::new(ty, 5_000, tid);
    fill(&mut builder);
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    state.apply(&Event::parse(&bytes, 0).unwrap());
    bytes
}

/// What the API server says of an object.
fn tell(state: &mut State, reason: &str, kind: &str, uid: &str, meta: &Value, more: &Value) {
    let mut json = json!({ "reason": reason, "kind": kind, "uid": uid, "meta": meta.to_string() });
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    let fill = |b: &mut Builder| {
        b.u32(0).text("k8s").text(json.to_string());
    };
    apply(state, -1, fill, EventType::AsynceventE);
}

/// The output of an event of a thread.
fn shown(state: &mut State, tid: i64, output: &str) -> String {
    let mut bytes = Vec::new();
    Builder::new(EventType::SyscallCloseX, 6_000, tid).i64(0).i64(3).finish(&mut bytes).unwrap();
    let event = Event::parse(&bytes, 0).unwrap();
    let context: Context = state.apply(&event);
    let (run, scratch) = (Run::default(), Scratch::default());
    let view = View::new(&event, state, context, &run, &scratch);
    let fields = Fields::syscall().with_containers(true).with_kubernetes(true);
    let mut text = Vec::new();
    Template::compile(output, &fields).unwrap().render(&view, Buffers::default(), &mut text);
    String::from_utf8(text).unwrap()
}

fn tell_all(state: &mut State) {
    let none = json!({});
    let meta = |name: &str| json!({ "name": name, "labels": { "of": name, "tier": "1" } });
    let kinds = [("Namespace", "n"), ("ReplicaSet", "r"), ("Deployment", "d")];
    for (kind, uid) in kinds.into_iter().chain([("Service", "s1"), ("Service", "s2")]) {
        tell(state, "Create", kind, uid, &meta(&format!("the-{uid}")), &none);
    }
    let list = |uids: &[&str]| json!({ "list": uids });
    let refs = json!({ "resources": {
        "Namespace": list(&["n"]), "ReplicaSet": list(&["r"]), "Deployment": list(&["d"]),
        "Service": list(&["s1", "s2"]), "ReplicationController": list(&["unknown"]),
    } });
    let pod = json!({ "name": "web-1", "namespace": "shop", "labels": { "app": "web" } });
    let more = json!({ "refs": refs, "status": r#"{"podIP":"10.0.0.7"}"# });
    tell(state, "Create", "Pod", UID, &pod, &more);
}

#[test]
fn a_thread_in_a_pod_has_the_fields_of_its_pod() {
    let mut state = machine();
    tell_all(&mut state);
    for (output, text) in [
        ("%k8smeta.pod.name %k8smeta.pod.uid %k8smeta.pod.ip", &*format!("web-1 {UID} 10.0.0.7")),
        ("%k8smeta.pod.label[app] %k8smeta.pod.label[no]", "web <NA>"),
        ("%k8smeta.pod.labels", "(app:web)"),
        ("%k8smeta.ns.name %k8smeta.ns.uid %k8smeta.ns.label[of]", "shop n the-n"),
        ("%k8smeta.ns.labels", "(of:the-n,tier:1)"),
        ("%k8smeta.rs.name %k8smeta.rs.uid %k8smeta.rs.label[tier]", "the-r r 1"),
        ("%k8smeta.deployment.name %k8smeta.deployment.uid", "the-d d"),
        ("%k8smeta.rc.name %k8smeta.rc.uid %k8smeta.rc.labels", "<NA> unknown <NA>"),
        ("%k8smeta.svc.name %k8smeta.svc.uid", "(the-s1,the-s2) (s1,s2)"),
        ("%k8smeta.svc.label[of] %k8smeta.svc.label[no]", "(the-s1,the-s2) <NA>"),
        ("%k8smeta.svc.labels", "(of:the-s1,tier:1,of:the-s2,tier:1)"),
        ("%k8s.ns.id %k8s.ns.label[tier] %k8s.ns.labels", "n 1 of:the-n, tier:1"),
        ("%k8s.deployment.name %k8s.rs.id %k8s.rc.name", "the-d r <NA>"),
        ("%k8s.pod.name %k8s.ns.name %k8s.pod.label[app]", "web-1 shop web"),
        ("%k8s.pod.labels %k8s.pod.ip", "app:web 10.0.0.7"),
        ("%k8s.svc.name %k8s.svc.label[of]", "the-s1, the-s2 the-s1, the-s2"),
    ] {
        assert_eq!(shown(&mut state, 7, output), text, "{output}");
        let absent = shown(&mut state, 1, output);
        // The host has labels and an address of a pod, which are empty.
        let absent_or_empty = |value: &str| matches!(value, "<NA>" | "");
        assert!(absent.split(' ').all(absent_or_empty), "{output}: {absent}");
    }
}

#[test]
fn a_removed_pod_has_no_fields() {
    let mut state = machine();
    tell_all(&mut state);
    tell(&mut state, "Delete", "Pod", UID, &json!({}), &json!({}));
    assert_eq!(shown(&mut state, 7, "%k8smeta.pod.name"), "<NA>");
}

#[test]
fn the_label_of_the_container_names_the_pod() {
    let mut state = machine();
    tell_all(&mut state);
    let pod = json!({ "name": "other", "namespace": "shop" });
    tell(&mut state, "Update", "Pod", "by-label", &pod, &json!({}));
    let labels = json!({ "io.kubernetes.pod.uid": "by-label" });
    let container = json!({ "container": { "id": "6".repeat(12), "labels": labels } });
    let fill = |b: &mut Builder| {
        b.u32(0).text("container").text(container.to_string());
    };
    apply(&mut state, -1, fill, EventType::AsynceventE);
    assert_eq!(shown(&mut state, 7, "%k8smeta.pod.name"), "other");
}

#[test]
fn the_fields_exist_only_when_the_api_server_is_queried() {
    let fields = Fields::syscall().with_containers(true);
    assert!(fields.resolve("k8smeta.pod.name").is_err());
    let fields = fields.with_kubernetes(true);
    assert!(fields.resolve("k8smeta.pod.name").is_ok());
    assert!(fields.suggested().any(|name| name == "k8smeta.ns.name"));
    assert!(Fields::of_source("other").with_kubernetes(true).resolve("k8smeta.pod.name").is_err());
}
