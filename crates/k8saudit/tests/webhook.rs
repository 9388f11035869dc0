//! The webhook as API servers and worse clients use it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use peregrine_event::params::pluginevent_e;
use peregrine_event::source::{Next, Record, Source, SourceNames};
use peregrine_k8saudit::{AuditError, AuditSource, Handle, Options, SOURCE, Settings};
use peregrine_limits::{AUDIT_QUEUE_EVENTS, WEB_CONNECTIONS_PER_ADDRESS};
use peregrine_telemetry::AuditOutcome;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

struct Webhook {
    source: AuditSource,
    handle: Handle,
    url: String,
}

impl Webhook {
    fn open(scheme: &str, init_config: &str, options: Options) -> Self {
        let handle = Handle::default();
        let open_params = format!("{scheme}://127.0.0.1:0/k8s-audit");
        let settings = Settings::new(init_config, &open_params, options).unwrap();
        let source = open(&settings, &handle).unwrap();
        let url = format!("{scheme}://{}/k8s-audit", source.address().unwrap());
        Self { source: source.waiting(Duration::from_millis(200)), handle, url }
    }

    fn plain() -> Self {
        Self::open("http", "", Options::default())
    }

    /// The ids of the events that are queued.
    fn drain(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            match self.source.next().unwrap() {
                Next::Record(Record::Event { event, .. }) => {
                    assert_eq!(event.num, ids.len() as u64 + 1);
                    let payload = event.param(pluginevent_e::EVENT_DATA).unwrap();
                    let json: serde_json::Value = serde_json::from_slice(payload).unwrap();
                    ids.push(json["auditID"].as_str().unwrap().to_owned());
                }
                Next::Idle => return ids,
                other => panic!("{other:?}"),
            }
        }
    }

    fn socket(&self) -> TcpStream {
        let address = self.url.split('/').nth(2).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket
    }
}

fn open(settings: &Settings, handle: &Handle) -> Result<AuditSource, AuditError> {
    let id = SourceNames::default().intern(SOURCE).unwrap();
    AuditSource::open(settings, id, handle, &|_| ())
}

fn agent(tls: TlsConfig) -> Agent {
    Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into()
}

fn plain() -> Agent {
    agent(TlsConfig::builder().build())
}

fn event(id: &str) -> String {
    format!(r#"{{"kind":"Event","auditID":"{id}","stageTimestamp":"2026-03-02T10:00:01Z"}}"#)
}

/// A batch as API servers send it.
fn list(ids: impl IntoIterator<Item = String>) -> String {
    let items: Vec<_> = ids.into_iter().map(|id| event(&id)).collect();
    format!(r#"{{"kind":"EventList","items":[{}]}}"#, items.join(","))
}

/// Posts JSON. Returns the status and the text of the answer.
fn post(agent: &Agent, url: &str, body: &str) -> (u16, String) {
    let request = agent.post(url).header("content-type", "application/json");
    let mut answer = request.send(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

#[test]
fn a_batch_is_taken_whole() {
    let mut webhook = Webhook::plain();
    let agent = plain();
    assert_eq!(post(&agent, &webhook.url, &event("one")), (200, String::new()));
    let batch = list((0..3).map(|n| n.to_string()));
    assert_eq!(post(&agent, &webhook.url, &batch).0, 200);
    assert_eq!(webhook.drain(), ["one", "0", "1", "2"]);
    assert_eq!(webhook.handle.stats.requests(AuditOutcome::Queued), 2);
}

#[test]
fn other_requests_are_refused_with_the_reason() {
    let mut webhook = Webhook::open("http", r#"{"webhookMaxBatchSize": 1000}"#, Options::default());
    let (agent, url) = (plain(), webhook.url.clone());
    let refused = |body: &str| post(&agent, &url, body);
    assert_eq!(refused("{"), (400, "not JSON at byte 1\n".into()));
    assert_eq!(refused("{}"), (400, "data not recognized as a k8s audit event\n".into()));
    assert_eq!(refused(&"[".repeat(900)).0, 400);
    assert_eq!(refused(&event(&"x".repeat(1000))).0, 413);
    let typed = agent.post(&url).header("content-type", "text/plain").send(event("a"));
    assert_eq!(typed.unwrap().status(), 400);
    assert_eq!(agent.get(&url).call().unwrap().status(), 405);
    assert_eq!(post(&agent, &url.replace("k8s-audit", "other"), &event("a")).0, 404);
    // Without a length, the size shows while the body is read.
    let mut socket = webhook.socket();
    let head = "POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    write!(socket, "{head}Transfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = format!("200\r\n{}\r\n", " ".repeat(0x200)).repeat(3);
    socket.write_all(chunk.as_bytes()).unwrap();
    let mut start = [0; 12];
    socket.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    assert_eq!(post(&agent, &url, &event("good")).0, 200);
    assert_eq!(webhook.drain(), ["good"]);
    assert_eq!(webhook.handle.stats.requests(AuditOutcome::TooLarge), 2);
}

#[test]
fn a_full_queue_takes_no_part_of_a_batch_and_asks_to_come_again() {
    let mut webhook = Webhook::plain();
    let (agent, url) = (plain(), webhook.url.clone());
    let batch = |number: usize| list((0..1000).map(|n| format!("{number}-{n}")));
    let mut taken = 0;
    let retry = loop {
        let request = agent.post(&url).header("content-type", "application/json");
        let answer = request.send(batch(taken)).unwrap();
        match answer.status().as_u16() {
            200 => taken += 1,
            429 => break answer.headers()["retry-after"].to_str().unwrap().to_owned(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(retry, "1");
    assert_eq!(taken, AUDIT_QUEUE_EVENTS.get() / 1000);
    // One that fits is still taken.
    assert_eq!(post(&agent, &url, &event("small")).0, 200);
    let ids = webhook.drain();
    assert_eq!(ids.len(), taken * 1000 + 1);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert_eq!(post(&agent, &url, &batch(taken)).0, 200);
    assert_eq!(webhook.handle.stats.requests(AuditOutcome::Full), 1);
}

#[test]
fn slow_clients_and_many_connections_keep_none_out() {
    let mut webhook = Webhook::plain();
    let slow: Vec<_> = (0..2 * WEB_CONNECTIONS_PER_ADDRESS.get())
        .map(|_| {
            let mut socket = webhook.socket();
            let head = "POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
            // Those that make room for others are closed.
            let _ = write!(socket, "{head}Content-Length: 12000000\r\n\r\n[");
            socket
        })
        .collect();
    assert_eq!(post(&plain(), &webhook.url, &event("fast")).0, 200);
    assert_eq!(webhook.drain(), ["fast"]);
    drop(slow);
}

#[test]
fn a_webhook_that_closes_refuses_and_delivers_what_it_has() {
    let mut webhook = Webhook::plain();
    assert_eq!(post(&plain(), &webhook.url, &event("before")).0, 200);
    webhook.handle.closing.store(true, SeqCst);
    assert_eq!(post(&plain(), &webhook.url, &event("after")).0, 503);
    assert_eq!(webhook.drain(), ["before"]);
}

/// Writes `server.pem` and `ca.pem`. Returns the authority, a client of it and one of another.
fn certificates(place: &Path) -> (Certificate<'static>, ClientCert, ClientCert) {
    let authority = || {
        let mut params = CertificateParams::new(["authority".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (own, other) = (authority(), authority());
    let signed = |by: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
    };
    let client = |by| {
        let (certificate, key) = signed(by);
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap().to_owned();
        let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
        ClientCert::new_with_certs(&[certificate], key)
    };
    let (certificate, key) = signed(&own);
    fs::write(place.join("server.pem"), certificate + &key).unwrap();
    fs::write(place.join("ca.pem"), own.pem()).unwrap();
    let root = Certificate::from_pem(own.pem().as_bytes()).unwrap().to_owned();
    (root, client(&own), client(&other))
}

#[test]
fn clients_need_a_certificate_of_the_authority_and_the_token() {
    let place = tempfile::tempdir().unwrap();
    let (root, client, foreign) = certificates(place.path());
    fs::write(place.path().join("token"), "s3cret\n").unwrap();
    let options = Options {
        client_ca: Some(place.path().join("ca.pem")),
        token_file: Some(place.path().join("token")),
        token: None,
    };
    let init = format!(r#"{{"sslCertificate": "{}/server.pem"}}"#, place.path().display());
    let mut webhook = Webhook::open("https", &init, options);
    let roots = || RootCerts::from(vec![root.clone()]);
    let with = |client: Option<ClientCert>| {
        agent(TlsConfig::builder().root_certs(roots()).client_cert(client).build())
    };
    let send = |agent: &Agent, token: Option<&str>| {
        let request = agent.post(&webhook.url).header("content-type", "application/json");
        let request = match token {
            Some(token) => request.header("authorization", token),
            None => request,
        };
        request.send(event("a")).map(|answer| answer.status().as_u16())
    };
    assert!(send(&with(None), Some("Bearer s3cret")).is_err());
    assert!(send(&with(Some(foreign)), Some("Bearer s3cret")).is_err());
    let known = with(Some(client));
    for wrong in [None, Some("Bearer other"), Some("s3cret"), Some("Basic s3cret")] {
        assert_eq!(send(&known, wrong).unwrap(), 401, "{wrong:?}");
    }
    assert_eq!(send(&known, Some("bearer s3cret")).unwrap(), 200);
    assert_eq!(webhook.drain(), ["a"]);
    assert_eq!(webhook.handle.stats.requests(AuditOutcome::Unauthorized), 4);
}

#[test]
fn what_can_not_be_served_is_an_error() {
    let error = |init: &str, params: &str, options| {
        let settings = Settings::new(init, params, options).unwrap();
        open(&settings, &Handle::default()).unwrap_err().to_string()
    };
    let nothing = r#"{"sslCertificate": "/nonexistent/a.pem"}"#;
    let text = error(nothing, "https://127.0.0.1:0/a", Options::default());
    assert!(text.starts_with("/nonexistent/a.pem: "), "{text}");
    let token = Options { token_file: Some("/nonexistent/b".into()), ..Options::default() };
    let text = error("", "http://127.0.0.1:0/a", token);
    assert!(text.starts_with("bearer_token_file /nonexistent/b: "), "{text}");
    let text = error("", "http://192.0.2.1:1/a", Options::default());
    assert!(text.starts_with("cannot listen on 192.0.2.1:1: "), "{text}");
    let text = error("", "/nonexistent/c.jsonl", Options::default());
    assert_eq!(text, "stat /nonexistent/c.jsonl: no such file or directory");
}
