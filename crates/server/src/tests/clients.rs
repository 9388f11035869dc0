//! Clients that are slow, silent or many do not keep others from being answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use peregrine_limits::{
    WEB_CONNECTIONS, WEB_CONNECTIONS_PER_ADDRESS, WEB_REQUEST_TIME, WEB_RESPONSE_TIME,
};
use peregrine_telemetry::WebStats;

use super::*;

/// Tells an answer from one that waits for a deadline of another client.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Tells a deadline from none.
const SOON: Duration = Duration::from_secs(60);

const REQUEST: &[u8] = b"GET /versions HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server whose page `/versions` is long, so that a client has to read it.
fn start(settings: &ServerSettings) -> (Server, Arc<WebStats>) {
    let stats = Arc::new(WebStats::default());
    let versions = "x".repeat(16 << 20);
    let pages = Pages { versions, stats: stats.clone(), ..pages(&Arc::new(Heartbeat::new())) };
    (Server::start(settings, pages).unwrap(), stats)
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(address(server)).unwrap()
}

fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(SOON)).unwrap();
    matches!(stream.read(&mut [0; 512]), Ok(0)) || stream.take_error().unwrap().is_some()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Health is answered at once while `attack` holds all connections, and more come.
fn answers_in_spite_of(settings: &ServerSettings, attack: impl Fn(&mut TcpStream)) {
    let (server, stats) = start(settings);
    let port = address(&server).port();
    let scheme = if settings.tls_file.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{port}/healthz");
    let tls = TlsConfig::builder().disable_verification(true).build();
    let mut clients = Vec::new();
    for _ in 0..5 {
        for _ in 0..WEB_CONNECTIONS.get() {
            let mut client = connect(&server);
            attack(&mut client);
            clients.push(client);
        }
        let agent: Agent = Agent::config_builder().tls_config(tls.clone()).build().into();
        let begun = Instant::now();
        assert_eq!(get(&agent, &url).0, 200);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        assert!(stats.open() <= WEB_CONNECTIONS_PER_ADDRESS.get() as u64);
    }
    assert!(WEB_CONNECTIONS_PER_ADDRESS.reached() > 0);
}

#[test]
fn silent_clients_keep_none_out() {
    answers_in_spite_of(&settings(), |_| ());
}

#[test]
fn half_requests_keep_none_out() {
    answers_in_spite_of(&settings(), |client| client.write_all(&REQUEST[..9]).unwrap());
}

#[test]
fn clients_that_pipeline_and_never_read_keep_none_out() {
    answers_in_spite_of(&settings(), |client| {
        client.set_nonblocking(true).unwrap();
        for _ in 0..1000 {
            if client.write(REQUEST).is_err() {
                break;
            }
        }
    });
}

#[test]
fn handshakes_that_do_not_end_keep_none_out() {
    let key = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("falco.pem");
    fs::write(&path, key.cert.pem() + &key.signing_key.serialize_pem()).unwrap();
    let settings = ServerSettings { tls_file: Some(path), ..settings() };
    answers_in_spite_of(&settings, |client| client.write_all(b"\x16\x03\x01").unwrap());
}

#[test]
fn half_a_request_has_a_deadline() {
    let (server, stats) = start(&settings());
    let before = WEB_REQUEST_TIME.reached();
    let mut client = connect(&server);
    client.write_all(&REQUEST[..9]).unwrap();
    wait_until("accepted", || stats.open() == 1);
    assert!(is_closed(&client));
    wait_until("closed", || stats.open() == 0);
    assert!(WEB_REQUEST_TIME.reached() > before);
}

#[test]
fn a_response_that_is_not_read_has_a_deadline() {
    let (server, stats) = start(&settings());
    let before = WEB_RESPONSE_TIME.reached();
    let mut client = connect(&server);
    client.write_all(REQUEST).unwrap();
    wait_until("accepted", || stats.open() == 1);
    // It takes a little now and then, and is cut off nevertheless.
    wait_until("closed", || {
        let _ = client.read(&mut [0; 16]);
        stats.open() == 0
    });
    assert!(WEB_RESPONSE_TIME.reached() > before);
}

#[test]
fn a_connection_serves_many_requests_but_not_any_number() {
    let (server, stats) = start(&settings());
    let client = connect(&server);
    let request = "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    thread::scope(|scope| {
        scope.spawn(|| (&client).write_all(request.as_bytes()));
        let mut text = Vec::new();
        client.set_read_timeout(Some(SOON)).unwrap();
        // The end may be a reset, because requests are left unread.
        let _ = (&client).read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 100);
        assert_eq!(text.matches("connection: close").count(), 1);
    });
    assert_eq!(stats.accepted(), 1);
}

#[test]
fn under_pressure_a_connection_is_closed_after_one_answer() {
    let (server, stats) = start(&settings());
    let open = WEB_CONNECTIONS_PER_ADDRESS.get() / 2;
    let _clients: Vec<_> = (0..open).map(|_| connect(&server)).collect();
    wait_until("accepted", || stats.open() == open as u64);
    let mut client = connect(&server);
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.contains("connection: close\r\n"), "{text}");
}

#[test]
fn requests_for_metrics_share_one_scrape() {
    const CLIENTS: usize = 10;
    let heartbeat = Arc::new(Heartbeat::new());
    let collector = collector(&heartbeat);
    let stats = Arc::new(WebStats::default());
    let pages =
        Pages { scraper: Some(collector.scraper()), stats: stats.clone(), ..pages(&heartbeat) };
    let server = Server::start(&settings(), pages).unwrap();
    let url = format!("http://{}/metrics", server.address());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| get(&plain(), &url))).collect();
        wait_until("connections", || stats.open() == CLIENTS as u64);
        wait_until("a scrape", || heartbeat.poll() && collector.wants_snapshot());
        // A client that has gone does not end the scrape that it has started.
        collector.submit(SnapshotContext::default());
        for client in clients {
            assert_eq!(client.join().unwrap().0, 200);
        }
    });
}
