//! A server that answers as a test wants, byte for byte, and what was told about it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use peregrine_kubernetes::{Cluster, Message, Notice, Service, Settings};
use peregrine_telemetry::KubernetesCounters;
use peregrine_telemetry::metrics::KubernetesStats;
use serde_json::{Value, json};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

type Handler = Arc<dyn Fn(&mut Request) + Send + Sync>;

/// The server; it ends when it is dropped.
pub(crate) struct Fake {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Path and head of each request.
    requests: Mutex<Vec<(String, String)>>,
    changed: Condvar,
    ended: AtomicBool,
}

/// A request; its connection serves only this one.
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    stream: TcpStream,
}

impl Fake {
    pub(crate) fn start(handler: impl Fn(&mut Request) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", handler)
    }

    pub(crate) fn start_at(
        address: &str,
        handler: impl Fn(&mut Request) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (shared, handler): (Arc<Shared>, Handler) = (Arc::default(), Arc::new(handler));
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, handler) = (Arc::clone(&of_thread), Arc::clone(&handler));
                let stream = stream.unwrap();
                thread::spawn(move || serve(stream, &shared, &handler));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Path and head of each request so far.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits for a request.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let requests = self.shared.requests.lock().unwrap();
        let none = |requests: &mut Vec<(String, String)>| !requests.iter().any(|(p, _)| wanted(p));
        let waited = self.shared.changed.wait_timeout_while(requests, LONG, none).unwrap();
        assert!(!waited.1.timed_out(), "no request: {what}");
    }

    pub(crate) fn service(&self, told: &Told, services: bool) -> Service {
        service_at(&self.address, told, services)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // The thread waits for a connection.
        drop(TcpStream::connect(&self.address));
    }
}

/// The service for a server without TLS.
pub(crate) fn service_at(address: &str, told: &Told, services: bool) -> Service {
    let folder = tempfile::tempdir().unwrap().keep();
    let config = folder.join("config");
    let text = json!({
        "current-context": "x",
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "u", "user": { "token": "secret" } }],
    });
    std::fs::write(&config, text.to_string()).unwrap();
    told.0.folders.lock().unwrap().push(folder);
    service(Cluster::Kubeconfig(config), told, services)
}

pub(crate) fn service(cluster: Cluster, told: &Told, services: bool) -> Service {
    let settings = Settings { cluster, node: "node1".into(), services };
    let (texts, notices) = (told.clone(), told.clone());
    let sink = Box::new(move |message: Message<'_>| texts.take(message));
    let notices = Box::new(move |notice| {
        notices.0.notices.lock().unwrap().push(notice);
        notices.0.changed.notify_all();
    });
    Service::start(settings, Arc::clone(&told.0.counters), sink, notices).unwrap()
}

fn serve(stream: TcpStream, shared: &Shared, handler: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    shared.requests.lock().unwrap().push((path.clone(), head));
    shared.changed.notify_all();
    handler(&mut Request { path, stream });
}

impl Request {
    pub(crate) fn is_watch(&self) -> bool {
        self.path.contains("watch=true")
    }

    /// A whole answer.
    pub(crate) fn answer(&mut self, code: u16, body: &str) {
        let len = body.len();
        self.raw(format!("HTTP/1.1 {code} X\r\ncontent-length: {len}\r\n\r\n{body}").as_bytes());
    }

    /// The head of an answer that ends with the connection.
    pub(crate) fn begin(&mut self) {
        self.raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.raw(line.as_bytes());
    }

    /// Bytes. The client may be gone.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.raw_part(bytes);
    }

    /// Bytes; false when the client is gone.
    pub(crate) fn raw_part(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says nothing until the client is gone.
    pub(crate) fn wait_for_the_end(&mut self) {
        let _ = self.stream.read(&mut [0]);
    }
}

/// What the service has told.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Collected>);

#[derive(Default)]
struct Collected {
    texts: Mutex<Vec<String>>,
    notices: Mutex<Vec<Notice>>,
    changed: Condvar,
    refuses: AtomicBool,
    complete: AtomicBool,
    folders: Mutex<Vec<PathBuf>>,
    counters: Arc<KubernetesCounters>,
}

impl Told {
    fn take(&self, message: Message<'_>) -> bool {
        if self.0.refuses.load(Ordering::Relaxed) {
            return false;
        }
        match message {
            Message::Event(text) => self.0.texts.lock().unwrap().push(text.to_owned()),
            Message::InitialIsComplete => self.0.complete.store(true, Ordering::Relaxed),
        }
        self.0.changed.notify_all();
        true
    }

    /// Whether all that there was at the start has been told.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.complete.load(Ordering::Relaxed)
    }

    /// Waits until it has.
    pub(crate) fn until_complete(&self) {
        self.until("the start", |_| self.is_complete());
    }

    /// What the service has counted.
    pub(crate) fn counted(&self) -> KubernetesStats {
        self.0.counters.stats()
    }

    /// Whether there is no room for texts.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::Relaxed);
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.texts.lock().unwrap().clone()
    }

    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.0.notices.lock().unwrap().clone()
    }

    /// Waits until this is true of the texts.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        let texts = self.0.texts.lock().unwrap();
        let wait = self.0.changed.wait_timeout_while(texts, LONG, |texts| !wanted(texts));
        let (texts, waited) = wait.unwrap();
        assert!(
            !waited.timed_out(),
            "{what}: {:#?} {:#?}",
            &texts[texts.len().saturating_sub(9)..],
            self.0.notices
        );
    }

    /// Waits for a notice. Each is looked at once.
    pub(crate) fn until_notice(&self, what: &str, wanted: impl Fn(&Notice) -> bool) {
        let (deadline, mut seen) = (Instant::now() + LONG, 0);
        loop {
            let notices = self.notices();
            for notice in &notices[seen..] {
                if wanted(notice) {
                    return;
                }
            }
            seen = notices.len();
            assert!(Instant::now() < deadline, "{what}: {notices:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        for folder in self.folders.get_mut().unwrap() {
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

/// An object of the namespace `shop`.
pub(crate) fn object(name: &str, uid: &str, owners: Value) -> Value {
    let mut metadata = json!({
        "name": name, "namespace": "shop", "uid": uid, "resourceVersion": "5",
        "labels": { "app": "web" }, "managedFields": [{ "manager": "x" }],
    });
    metadata["ownerReferences"] = owners;
    json!({ "metadata": metadata })
}

pub(crate) fn pod(name: &str, uid: &str, owners: Value) -> Value {
    let mut pod = object(name, uid, owners);
    pod["spec"] = json!({ "nodeName": "node1", "containers": [{ "name": "c", "image": "i" }] });
    pod["status"] = json!({ "phase": "Pending" });
    pod
}

pub(crate) fn list(items: Vec<Value>) -> String {
    json!({ "metadata": { "resourceVersion": "10" }, "items": items }).to_string()
}

pub(crate) fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}
