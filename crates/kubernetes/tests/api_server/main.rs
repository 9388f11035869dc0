//! The service against a fake API server, which can do what a real one can't be made to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod fake;
mod http2;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Fake, Request, Told, line, list, object, pod};
use peregrine_kubernetes::Notice;
use serde_json::json;

/// Serves all there is around one pod of a deployment. Watches stay silent.
fn shop(request: &mut Request) {
    let owner =
        |kind, name, uid| json!([{ "kind": kind, "name": name, "uid": uid, "controller": true }]);
    let path = request.path.clone();
    let items = if path.starts_with("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1&") {
        vec![pod("web-5-x", "p", owner("ReplicaSet", "web-5", "r"))]
    } else if path.starts_with("/api/v1/namespaces?fieldSelector=metadata.name%3Dshop&") {
        vec![object("shop", "n", json!(null))]
    } else if path.starts_with("/apis/apps/v1/namespaces/shop/replicasets?fieldSelector=") {
        vec![object("web-5", "r", owner("Deployment", "web", "d"))]
    } else if path.starts_with("/apis/apps/v1/namespaces/shop/deployments?fieldSelector=") {
        vec![object("web", "d", json!(null))]
    } else if path.starts_with("/api/v1/namespaces/shop/services?") {
        let mut service = object("front", "s", json!(null));
        service["spec"] = json!({ "selector": { "app": "web" } });
        vec![service]
    } else if path == "/version" {
        return request.answer(200, r#"{"gitVersion":"v1.34.4"}"#);
    } else {
        return request.answer(404, "{}");
    };
    if request.is_watch() {
        request.begin();
        return request.wait_for_the_end();
    }
    request.answer(200, &list(items));
}

#[test]
fn a_pod_is_told_with_all_that_it_belongs_to() {
    let fake = Fake::start(shop);
    let told = Told::default();
    let _service = fake.service(&told, true);
    told.until_complete();
    told.until("Deployment d", |texts| texts.iter().any(|text| text.contains(r#""uid":"d""#)));
    told.until("the pod with all", |texts| {
        let whole = r#""refs":{"resources":{"Deployment":{"list":["d"]},"Namespace":{"list":["n"]},"ReplicaSet":{"list":["r"]},"Service":{"list":["s"]}}}"#;
        texts.iter().any(|text| text.contains(whole))
    });
    let statistics = told.counted();
    assert_eq!((statistics.pods, statistics.watches, statistics.failures), (1, 5, 0));
    let notices = told.notices();
    assert!(
        matches!(&notices[..], [Notice::Connected { version, pods: 1, .. }] if version == "v1.34.4"),
        "{notices:?}"
    );
    // Only metadata is asked for where that is enough, and nothing but lists and watches.
    for (path, head) in fake.requests() {
        let whole = path.contains("/pods?") || path.contains("/services?") || path == "/version";
        let accept = if whole { "application/json\r" } else { "PartialObjectMetadata" };
        assert!(head.contains(accept), "{path}: {head}");
        assert!(head.contains("authorization: Bearer secret\r"), "{head}");
    }
}

#[test]
fn changes_are_told_as_they_come() {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let fake = Fake::start(|request| {
        if !request.path.contains("/pods?") || !request.is_watch() {
            return shop(request);
        }
        request.begin();
        if ROUND.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut later = pod("late", "q", json!(null));
            request.send(&line("ADDED", &later));
            later["status"] = json!({ "podIP": "10.0.0.9" });
            request.send(&line("MODIFIED", &later));
            request.send(&line("BOOKMARK", &json!({ "metadata": { "resourceVersion": "77" } })));
            // The server ends the watch: it goes on from the bookmark, without a list.
        } else {
            request.wait_for_the_end();
        }
    });
    let told = Told::default();
    let _service = fake.service(&told, false);
    told.until("the address", |texts| texts.iter().any(|text| text.contains("10.0.0.9")));
    fake.until("a watch from the bookmark", |path| path.contains("resourceVersion=77"));
    let lists = |path: &str| path.contains("/pods?") && !path.contains("watch=true");
    assert_eq!(fake.requests().iter().filter(|(path, _)| lists(path)).count(), 1);
    assert_eq!(told.counted().failures, 0);
}

#[test]
fn a_forgotten_version_leads_to_a_new_list() {
    static LISTS: AtomicUsize = AtomicUsize::new(0);
    let fake = Fake::start(|request| match (request.path.contains("/pods?"), request.is_watch()) {
        (true, false) => {
            // What is missing from the second list is gone.
            let name = ["old", "new"][LISTS.fetch_add(1, Ordering::Relaxed).min(1)];
            request.answer(200, &list(vec![pod(name, name, json!(null))]));
        }
        (true, true) if LISTS.load(Ordering::Relaxed) == 1 => {
            request.begin();
            let status = json!({ "status": "Failure", "code": 410, "message": "too old" });
            request.send(&line("ERROR", &status));
        }
        _ => shop(request),
    });
    let told = Told::default();
    let _service = fake.service(&told, false);
    told.until("the new pod", |texts| texts.iter().any(|text| text.contains(r#""uid":"new""#)));
    assert_eq!(told.notices().len(), 1, "{:?}", told.notices());
}

/// What a server may answer once, before it becomes a good one, and what is said of it.
type Fault = (&'static str, fn(&mut Request), &'static str);

const FAULTS: [Fault; 6] = [
    ("500", |request| request.answer(500, "oops"), "the server answers 500"),
    (
        "401",
        |request| request.answer(401, r#"{"message":"Unauthorized\u0007"}"#),
        "the server answers 401: Unauthorized ;",
    ),
    ("rubbish", |request| request.answer(200, "]["), "the server sends no valid JSON"),
    ("no HTTP", |request| request.raw(b"SSH-2.0-x\r\n\r\n"), "invalid HTTP"),
    (
        "cut",
        |request| request.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"),
        "error reading a body",
    ),
    ("deep", |request| request.answer(200, &"[".repeat(1 << 20)), "no valid JSON"),
];

#[test]
fn after_a_bad_answer_the_server_is_asked_again() {
    for (name, fault, message) in FAULTS {
        let first = AtomicUsize::new(0);
        let fake = Fake::start(move |request| {
            if request.path.contains("/pods?") && first.fetch_add(1, Ordering::Relaxed) == 0 {
                fault(request);
            } else {
                shop(request);
            }
        });
        let told = Told::default();
        let _service = fake.service(&told, false);
        told.until(name, |texts| texts.iter().any(|text| text.contains(r#""uid":"p""#)));
        let notices = told.notices();
        let Some(Notice::Failed { .. }) = notices.first() else { panic!("{name}: {notices:?}") };
        let text = notices[0].to_string();
        assert!(text.contains(message), "{name}: {text}");
        assert_eq!(told.counted().failures, 1, "{name}");
    }
}

#[test]
fn an_endless_line_is_given_up() {
    static WATCHES: AtomicUsize = AtomicUsize::new(0);
    let fake = Fake::start(|request| {
        if !request.path.contains("/pods?") || !request.is_watch() {
            return shop(request);
        }
        request.begin();
        if WATCHES.fetch_add(1, Ordering::Relaxed) == 0 {
            while request.raw_part(&[b'x'; 1 << 16]) {}
        } else {
            request.wait_for_the_end();
        }
    });
    let told = Told::default();
    let _service = fake.service(&told, false);
    told.until_notice("too large", |notice| notice.to_string().contains("more than 8 MiB at once"));
    told.until_notice("connected again", {
        let connected = Mutex::new(0);
        move |notice| {
            let mut connected = connected.lock().unwrap();
            *connected += usize::from(matches!(notice, Notice::Connected { .. }));
            *connected == 2
        }
    });
}

#[test]
fn what_is_not_allowed_is_told_once() {
    let fake = Fake::start(|request| {
        if request.path.contains("/replicasets?") {
            let message = r#"{"message":"replicasets.apps is forbidden","code":403}"#;
            request.answer(403, message);
        } else {
            shop(request);
        }
    });
    let told = Told::default();
    let _service = fake.service(&told, false);
    told.until_notice("forbidden", |notice| {
        notice.to_string()
            == "kubernetes: no ReplicaSet objects: the server answers 403: replicasets.apps is forbidden; fields of them are empty"
    });
    told.until("the pod", |texts| texts.iter().any(|text| text.contains(r#""uid":"p""#)));
    told.until_complete();
    // Asked again, and not told again.
    let asked =
        || fake.requests().iter().filter(|(path, _)| path.contains("/replicasets?")).count();
    while asked() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(told.notices().len(), 2, "{:?}", told.notices());
}

#[test]
fn a_server_that_never_answers_holds_nothing_up() {
    let fake = Fake::start(Request::wait_for_the_end);
    let told = Told::default();
    let service = fake.service(&told, false);
    fake.until("a request", |path| path.contains("/pods?"));
    // The thread ends all the same.
    drop(service);
    assert!(told.texts().is_empty() && !told.is_complete());
}

#[test]
fn an_absent_server_is_awaited() {
    let fake = Fake::start(shop);
    let told = Told::default();
    let address = fake.address();
    drop(fake);
    let _service = fake::service_at(&address, &told, false);
    told.until_notice("absent", |notice| {
        let Notice::Failed { server, error } = notice else { return false };
        server.starts_with("http://127.0.0.1:") && error.starts_with("cannot connect: ")
    });
    let _fake = Fake::start_at(&address, shop);
    told.until("the pod", |texts| texts.iter().any(|text| text.contains(r#""uid":"p""#)));
}

#[test]
fn ten_thousand_pods_are_told() {
    let fake = Fake::start(|request| {
        if request.path.contains("/pods?") && !request.is_watch() {
            let pods = (0..10_000).map(|n| pod(&format!("p{n}"), &format!("u{n}"), json!(null)));
            request.answer(200, &list(pods.collect()));
        } else {
            shop(request);
        }
    });
    let told = Told::default();
    let _service = fake.service(&told, false);
    told.until("all pods", |texts| texts.len() >= 10_000);
    assert_eq!(told.counted().pods, 10_000);
}

#[test]
fn a_full_sink_loses_nothing() {
    let fake = Fake::start(shop);
    let told = Told::default();
    told.refuse(true);
    let _service = fake.service(&told, false);
    fake.until("a watch", |path| path.contains("watch=true"));
    assert!(told.texts().is_empty());
    told.refuse(false);
    told.until("the pod", |texts| texts.iter().any(|text| text.contains(r#""uid":"d""#)));
    assert_eq!(told.counted().failures, 0);
}
