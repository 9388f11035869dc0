//! A server that answers as a test wants.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::http::{HeaderMap, HeaderValue, Request, Response};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixListener;
use tonic::body::Body;

use crate::grpc_client::{GrpcClient, GrpcServices};

/// What the server does with a call.
pub(super) enum Reply {
    Message(Vec<u8>),
    /// Messages of a stream that goes on.
    Stream(Vec<Vec<u8>>),
    /// The stream ends after them.
    Ended(Vec<Vec<u8>>),
    Status(u16, &'static str),
    /// None comes.
    Silence,
}

type Answers = Arc<dyn Fn(&str, &str, Bytes) -> Reply + Send + Sync>;

/// A server at a socket.
pub(super) struct Server {
    _directory: tempfile::TempDir,
    pub(super) socket: PathBuf,
    /// Methods that were called.
    pub(super) calls: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers calls by method, namespace and request.
    pub(super) fn new(
        answers: impl Fn(&str, &str, Bytes) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let calls = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&calls);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, Arc::new(answers), seen));
        });
        Self { _directory: directory, socket, calls }
    }

    pub(super) fn client(&self) -> GrpcClient {
        let services = GrpcServices { cri: true, all_namespaces: true, with_size: false };
        GrpcClient::new(&self.socket, services)
    }

    pub(super) fn was_called(&self, method: &str) -> bool {
        self.calls.lock().unwrap().iter().any(|call| call == method)
    }
}

async fn serve(
    listener: std::os::unix::net::UnixListener,
    answers: Answers,
    calls: Arc<Mutex<Vec<String>>>,
) {
    let listener = UnixListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (answers, calls) = (Arc::clone(&answers), Arc::clone(&calls));
        let service = service_fn(move |request: Request<Incoming>| {
            let (answers, calls) = (Arc::clone(&answers), Arc::clone(&calls));
            async move {
                let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
                let namespace = request.headers().get("containerd-namespace");
                let namespace = namespace.map_or("", |name| name.to_str().unwrap()).to_owned();
                let path = request.uri().path().to_owned();
                calls.lock().unwrap().push(method.clone());
                // Flag and length stand before the message.
                let body = request.into_body().collect().await.unwrap().to_bytes().slice(5..);
                // Two services have a method of this name.
                let method =
                    if path.contains("version.v1") { "ContainerdVersion" } else { &method };
                Ok::<_, Infallible>(match answers(method, &namespace, body) {
                    Reply::Message(message) => respond(vec![message], true),
                    Reply::Ended(messages) => respond(messages, true),
                    Reply::Stream(messages) => respond(messages, false),
                    Reply::Status(code, message) => {
                        let mut response = Response::new(Body::default());
                        let headers = response.headers_mut();
                        headers.insert("content-type", "application/grpc".parse().unwrap());
                        headers.insert("grpc-status", code.into());
                        headers.insert("grpc-message", HeaderValue::from_static(message));
                        response
                    }
                    Reply::Silence => std::future::pending().await,
                })
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new());
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

fn respond(messages: Vec<Vec<u8>>, ends: bool) -> Response<Body> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.push(0);
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = if ends {
        Body::new(Full::new(Bytes::from(bytes)).with_trailers(async { Some(Ok(trailers)) }))
    } else {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        sender.try_send(Bytes::from(bytes)).unwrap();
        let frames = futures_util::stream::poll_fn(move |context| {
            // The sender stays, so that the stream goes on.
            let _ = &sender;
            receiver.poll_recv(context).map(|bytes| Some(Ok::<_, Infallible>(Frame::data(bytes?))))
        });
        Body::new(StreamBody::new(frames))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
