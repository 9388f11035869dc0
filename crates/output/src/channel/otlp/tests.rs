//! Against a server that answers as the test wants. Real ones are in `crates/cli/tests/receivers`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::{HeaderValue, Request, Response};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::channel::tls::Trust;
use crate::testing::alerts;

/// What the server does with a request.
enum Answer {
    Response(ExportLogsServiceResponse),
    Status(Status),
    /// With this `Retry-After`, content type and body.
    Http(u16, &'static str, &'static str, Vec<u8>),
    /// The connection ends without an answer.
    Close,
    /// None comes.
    Silence,
}

/// A server for one of the protocols.
struct Server {
    output: OtlpOutput,
    requests: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
}

impl Server {
    fn grpc(answers: Vec<Answer>) -> Self {
        Self::new(OtlpProtocol::Grpc { gzip: false }, answers)
    }

    fn http(answers: Vec<Answer>) -> Self {
        Self::new(OtlpProtocol::Http(Encoding::None), answers)
    }

    fn new(protocol: OtlpProtocol, answers: Vec<Answer>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/logs", listener.local_addr().unwrap());
        let output = OtlpOutput { protocol, ..output(&endpoint) };
        let grpc = matches!(protocol, OtlpProtocol::Grpc { .. });
        let requests = Arc::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, grpc, answers, seen));
        });
        Self { output, requests }
    }

    /// The texts of the records of each request.
    fn texts(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let text = |record: &LogRecord| match record.body.as_ref().unwrap().value.as_ref() {
            Some(Value::StringValue(text)) => text.clone(),
            other => panic!("{other:?}"),
        };
        let texts = |request: &ExportLogsServiceRequest| {
            request.resource_logs[0].scope_logs[0].log_records.iter().map(text).collect()
        };
        requests.iter().map(texts).collect()
    }
}

async fn serve(
    listener: std::net::TcpListener,
    grpc: bool,
    answers: Vec<Answer>,
    requests: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
) {
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (answers, requests) = (answers.clone(), requests.clone());
        let close = Arc::new(tokio::sync::Notify::new());
        let closing = close.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (answers, requests, close) = (answers.clone(), requests.clone(), close.clone());
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                // With gRPC, flag and length stand before the message.
                let start = if grpc { 5 } else { 0 };
                let request = ExportLogsServiceRequest::decode(&body[start..]).unwrap();
                requests.lock().unwrap().push(request);
                let answer = answers.lock().unwrap().next().unwrap();
                Ok::<_, Infallible>(match answer {
                    Answer::Response(response) if grpc => response_of(&response),
                    Answer::Response(response) => {
                        Response::new(Body::new(Full::new(response.encode_to_vec().into())))
                    }
                    Answer::Http(status, retry_after, form, body) => Response::builder()
                        .status(status)
                        .header("retry-after", retry_after)
                        .header("content-type", form)
                        .body(Body::new(Full::new(body.into())))
                        .unwrap(),
                    Answer::Status(status) => status.into_http(),
                    Answer::Close => {
                        close.notify_one();
                        std::future::pending().await
                    }
                    Answer::Silence => std::future::pending().await,
                })
            }
        });
        let stream = TokioIo::new(stream);
        let connection = tokio::spawn(async move {
            let _ = match grpc {
                true => {
                    let builder = http2::Builder::new(TokioExecutor::new());
                    builder.serve_connection(stream, service).await
                }
                false => http1::Builder::new().serve_connection(stream, service).await,
            };
        });
        tokio::spawn(async move {
            closing.notified().await;
            connection.abort();
        });
    }
}

fn response_of(message: &ExportLogsServiceResponse) -> Response<Body> {
    let message = message.encode_to_vec();
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(body)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn output(endpoint: &str) -> OtlpOutput {
    OtlpOutput {
        endpoint: Secret::from(endpoint),
        protocol: OtlpProtocol::Grpc { gzip: false },
        headers: BTreeMap::new(),
        bearer: None,
        tls: TlsSettings { trust: Trust::Anyone, client: None },
        proxy: Some(Secret::default()),
        connect_time: Duration::from_secs(20),
        request_time: Duration::from_secs(20),
        retries: RetryLimits { max: 0, time: Duration::ZERO },
        batch_records: 100,
        batch_bytes: 1 << 20,
        version: "1".to_owned(),
        machine: Machine::default(),
        attributes: BTreeMap::new(),
    }
}

/// Sends alerts with these texts.
fn send(otlp: &mut Otlp, texts: &[&str]) -> Result<(), (usize, Fate, String)> {
    let alerts = alerts(texts);
    let body = |alert| {
        let mut body = Vec::new();
        LogRecords::default().encode(alert, &mut body);
        body
    };
    let bodies: Vec<_> = alerts.iter().map(body).collect();
    let records = alerts.iter().zip(&bodies);
    let record = |(alert, body): (&Alert, _)| Record { id: alert.id(), time: alert.time(), body };
    let records: Vec<_> = records.map(|(alert, body)| record((alert, body.as_slice()))).collect();
    let sent = otlp.send(&records);
    sent.map_err(|SendError { accepted, error, fate }| (accepted, fate, error.to_string()))
}

fn partial(rejected: i64, message: &str) -> Answer {
    let error_message = message.to_owned();
    let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message };
    Answer::Response(ExportLogsServiceResponse { partial_success: Some(partial) })
}

const AGAIN: Fate = Fate::Again { at_least: Duration::ZERO };

#[test]
fn requests_are_acknowledged_on_one_connection() {
    let server = Server::grpc(vec![partial(0, "a warning"), partial(0, "")]);
    let mut otlp = Otlp::new(server.output.clone());
    assert_eq!(send(&mut otlp, &["a", "b"]), Ok(()));
    assert_eq!(send(&mut otlp, &["c"]), Ok(()));
    assert_eq!(server.texts(), ["ab", "c"]);
}

#[test]
fn rejected_records_are_lost() {
    let server = Server::grpc(vec![partial(2, "too\nold"), partial(9, ""), partial(-1, "")]);
    let mut otlp = Otlp::new(server.output.clone());
    let error = "the receiver rejected 2 of 3 records: too old".to_owned();
    assert_eq!(send(&mut otlp, &["a", "b", "c"]), Err((1, Fate::Refused(2), error)));
    let error = "the receiver rejected 1 of 1 records".to_owned();
    assert_eq!(send(&mut otlp, &["a"]), Err((0, Fate::Refused(1), error)));
    assert_eq!(send(&mut otlp, &["a"]), Ok(()));
}

#[test]
fn the_status_decides_whether_records_are_sent_again() {
    let wait = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
    let later = Fate::Again { at_least: Duration::from_secs(3) };
    let plain = |code| Status::new(code, "m");
    let waiting = |code| Status::with_error_details(code, "m", wait.clone());
    let cases = [
        (plain(Code::Unavailable), AGAIN),
        (waiting(Code::Unavailable), later),
        (plain(Code::Cancelled), AGAIN),
        (plain(Code::DeadlineExceeded), AGAIN),
        (plain(Code::ResourceExhausted), Fate::Refused(2)),
        (waiting(Code::ResourceExhausted), later),
        (plain(Code::InvalidArgument), Fate::Refused(2)),
        (waiting(Code::InvalidArgument), Fate::Refused(2)),
        (plain(Code::Unauthenticated), Fate::Refused(2)),
        (plain(Code::Unimplemented), Fate::Refused(2)),
        (plain(Code::Unknown), Fate::Refused(2)),
    ];
    let answers = cases.iter().map(|(status, _)| Answer::Status(status.clone())).collect();
    let server = Server::grpc(answers);
    let mut otlp = Otlp::new(server.output.clone());
    for (status, fate) in cases {
        let error = format!("the receiver answered: {:?}: m", status.code());
        assert_eq!(send(&mut otlp, &["a", "b"]), Err((0, fate, error)));
    }
}

#[test]
fn a_connection_that_was_closed_is_replaced() {
    let ok = || partial(0, "");
    let server = Server::grpc(vec![ok(), Answer::Close, ok(), Answer::Close, Answer::Close, ok()]);
    let mut otlp = Otlp::new(server.output.clone());
    assert_eq!(send(&mut otlp, &["a"]), Ok(()));
    assert_eq!(send(&mut otlp, &["b"]), Ok(()));
    let (accepted, fate, _) = send(&mut otlp, &["c"]).unwrap_err();
    assert_eq!((accepted, fate), (0, AGAIN));
    assert_eq!(send(&mut otlp, &["c"]), Ok(()));
    assert_eq!(server.texts(), ["a", "b", "b", "c", "c", "c"]);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let server = Server::grpc(vec![Answer::Silence, partial(0, "")]);
    let mut otlp = Otlp::new(server.output.clone());
    otlp.output.request_time = Duration::from_millis(200);
    let error = "failed to post: timeout: no response in time".to_owned();
    assert_eq!(send(&mut otlp, &["a"]), Err((0, AGAIN, error)));
    assert_eq!(send(&mut otlp, &["a"]), Ok(()));
}

#[test]
fn a_refused_connection_is_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (_, fate, error) = send(&mut Otlp::new(output(&endpoint)), &["a"]).unwrap_err();
    assert_eq!(fate, AGAIN);
    assert!(error.contains("cannot connect to 127.0.0.1:"), "{error}");
}

#[test]
fn the_configuration_may_replace_what_describes_the_machine() {
    let mut output = output("http://h");
    output.machine = Machine { hostname: "h1".to_owned(), id: Some("42".to_owned()) };
    output.attributes = BTreeMap::from([
        ("host.name".to_owned(), "h2".to_owned()),
        ("k8s.cluster.name".to_owned(), "c".to_owned()),
    ]);
    let expected = [
        ("host.id", "42"),
        ("host.name", "h2"),
        ("k8s.cluster.name", "c"),
        ("os.type", "linux"),
        ("service.name", "peregrine"),
        ("service.version", "1"),
    ];
    assert_eq!(output.resource(), BTreeMap::from(expected));
}

#[test]
fn the_http_status_decides_whether_records_are_sent_again() {
    let seconds = |seconds| Fate::Again { at_least: Duration::from_secs(seconds) };
    let refused = tonic_types::Status { message: "not now".to_owned(), ..Default::default() };
    let refused = refused.encode_to_vec();
    let cases = [
        (503, "7", "application/x-protobuf", refused.clone(), seconds(7), "503: not now"),
        (429, "", "text/plain; charset=utf-8", b"slower\n".to_vec(), AGAIN, "429: slower"),
        (502, "", "text/html", b"<html>".to_vec(), AGAIN, "502"),
        (504, "", "", vec![], AGAIN, "504"),
        (500, "7", "application/x-protobuf", refused, Fate::Refused(2), "500: not now"),
        (400, "", "application/x-protobuf", b"\xff".to_vec(), Fate::Refused(2), "400"),
        (401, "", "", vec![], Fate::Refused(2), "401"),
        (301, "", "", vec![], Fate::Refused(2), "301"),
    ];
    let answers = cases
        .iter()
        .map(|(status, after, form, body, ..)| Answer::Http(*status, after, form, body.clone()));
    let server = Server::http(answers.collect());
    let mut otlp = Otlp::new(server.output.clone());
    for (.., fate, said) in cases {
        let error = format!("the receiver answered: {said}");
        assert_eq!(send(&mut otlp, &["a", "b"]), Err((0, fate, error)));
    }
}

#[test]
fn http_answers_are_understood() {
    let garbage = Answer::Http(200, "", "text/html", b"<html>".to_vec());
    let server = Server::http(vec![partial(0, ""), partial(1, "old"), garbage]);
    let mut otlp = Otlp::new(server.output.clone());
    assert_eq!(send(&mut otlp, &["a", "b"]), Ok(()));
    let error = "the receiver rejected 1 of 2 records: old".to_owned();
    assert_eq!(send(&mut otlp, &["a", "b"]), Err((1, Fate::Refused(1), error)));
    assert_eq!(send(&mut otlp, &["c"]), Ok(()));
    assert_eq!(server.texts(), ["ab", "ab", "c"]);
}

#[test]
fn a_request_that_is_too_large_becomes_smaller_ones() {
    let too_large = || Answer::Http(413, "", "", vec![]);
    let server = Server::http(vec![too_large(), too_large(), partial(0, ""), too_large()]);
    let mut otlp = Otlp::new(server.output.clone());
    for (texts, fate) in [
        (&["a", "b", "c", "d"][..], Some(AGAIN)),
        (&["a", "b"], Some(AGAIN)),
        (&["a"], None),
        (&["b"], Some(Fate::Refused(1))),
    ] {
        assert!(texts.len() <= otlp.batch().records);
        assert_eq!(send(&mut otlp, texts).err().map(|(_, fate, _)| fate), fate);
    }
    assert_eq!(otlp.batch().records, 1);
}

#[test]
fn headers_and_token_are_checked_at_the_start() {
    let mut output = output("http://h");
    output.check().unwrap();
    output.headers = BTreeMap::from([("a b".to_owned(), Secret::from("hunter2"))]);
    let error = output.check().unwrap_err().to_string();
    assert!(error.starts_with("header `a b`"), "{error}");
    output.headers.clear();
    output.bearer = Some(Bearer::File("/nonexistent".into()));
    assert!(output.check().is_err());
}
