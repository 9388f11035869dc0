//! HTTPS with HTTP/2, as real API servers have it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use peregrine_kubernetes::{Cluster, Notice};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::fake::{self, Told, list, pod};

/// What the server has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    watches: AtomicUsize,
    tokens: Mutex<Vec<String>>,
}

/// 200 pods in as many namespaces: 201 watches, more than one connection carries.
const PODS: usize = 200;

#[test]
fn watches_share_connections_and_the_token_is_read_again() {
    let seen = Arc::new(Seen::default());
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), Arc::clone(&seen));
    std::fs::write(folder.path().join("token"), "one").unwrap();
    let cluster = Cluster::ServiceAccount { folder: folder.path().into(), server };
    let told = Told::default();
    let _service = fake::service(cluster, &told, false);
    told.until_complete();
    told.until("all pods", |texts| texts.len() >= PODS);
    while seen.watches.load(Ordering::Relaxed) < PODS + 1 {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let connections = seen.connections.load(Ordering::Relaxed);
    assert!((3..=5).contains(&connections), "{connections} connections");
    assert!(seen.tokens.lock().unwrap().iter().all(|token| token == "Bearer one"));
    let notices = told.notices();
    assert!(matches!(&notices[..], [Notice::Connected { pods: PODS, .. }]), "{notices:?}");
}

#[test]
fn a_server_with_another_authority_is_not_trusted() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = start(folder.path(), Arc::default());
    drop(start(other.path(), Arc::default()));
    std::fs::write(other.path().join("token"), "one").unwrap();
    let cluster = Cluster::ServiceAccount { folder: other.path().into(), server };
    let told = Told::default();
    let _service = fake::service(cluster, &told, false);
    told.until_notice("not trusted", |notice| {
        notice.to_string().contains("invalid peer certificate")
    });
}

/// Starts a server, whose authority it writes into the folder; gives its address.
fn start(folder: &std::path::Path, seen: Arc<Seen>) -> String {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.crt"), key.cert.pem()).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (address, of_server) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            address.send(listener.local_addr().unwrap().to_string()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    seen.connections.fetch_add(1, Ordering::Relaxed);
                    let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
                    let builder = http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    of_server.recv().unwrap()
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let token = request.headers()["authorization"].to_str().unwrap().to_owned();
    seen.tokens.lock().unwrap().push(token);
    let uri = request.uri().to_string();
    if uri.contains("watch=true") {
        seen.watches.fetch_add(1, Ordering::Relaxed);
        return Ok(Response::new(silent_body()));
    }
    let text = if uri.contains("/pods?") {
        let pods = (0..PODS).map(|n| {
            let mut pod = pod(&format!("p{n}"), &format!("u{n}"), json!(null));
            pod["metadata"]["namespace"] = format!("n{n}").into();
            pod
        });
        list(pods.collect())
    } else if uri.ends_with("/version") {
        r#"{"gitVersion":"v1.34.4"}"#.to_owned()
    } else {
        list(Vec::new())
    };
    Ok(Response::new(Full::new(Bytes::from(text)).boxed()))
}

/// A body that never has a byte and never ends.
fn silent_body() -> BoxBody<Bytes, Infallible> {
    let (sender, mut receiver) = mpsc::channel::<Frame<Bytes>>(1);
    let stream = futures_util::stream::poll_fn(move |context| {
        let _open = &sender;
        receiver.poll_recv(context).map(|frame| frame.map(Ok::<_, Infallible>))
    });
    BodyExt::boxed(StreamBody::new(stream))
}
