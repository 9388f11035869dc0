//! A web server of the test's own, which takes alerts as lines and as log records of OTLP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Receiver;
use crate::support::free_port;

#[test]
fn http() {
    super::run(|| Some(WebServer::start(Output::Http)));
}

/// The collector cannot fail on demand, so this shows what answers of 503 do.
#[cfg(feature = "otlp")]
#[test]
fn otlp() {
    super::run(|| Some(WebServer::start(Output::Otlp)));
}

/// What sends to it.
#[derive(Clone, Copy)]
enum Output {
    Http,
    #[cfg(feature = "otlp")]
    Otlp,
}

struct WebServer {
    output: Output,
    port: u16,
    state: Arc<Mutex<State>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    alerts: Vec<String>,
    connections: Vec<TcpStream>,
    hangs: bool,
    fails_half: bool,
    requests: u64,
    stopped: bool,
}

impl WebServer {
    fn start(output: Output) -> Self {
        let mut server = Self { output, port: free_port(), state: Arc::default(), acceptor: None };
        server.restart();
        server
    }
}

impl Receiver for WebServer {
    fn name(&self) -> &'static str {
        match self.output {
            Output::Http => "http",
            #[cfg(feature = "otlp")]
            Output::Otlp => "otlp over http",
        }
    }

    fn section(&self, spool: &str) -> String {
        let url = format!("http://127.0.0.1:{}/", self.port);
        match self.output {
            Output::Http => format!(
                "http_output: {{enabled: true, url: '{url}', keep_alive: true, peregrine: {{\
                 batch: {{max_alerts: 100, form: ndjson}}, request_timeout_ms: 2000, {spool}}}}}\n"
            ),
            #[cfg(feature = "otlp")]
            Output::Otlp => format!(
                "otlp_output: {{enabled: true, endpoint: '{url}', protocol: http/protobuf, \
                 compression: none, batch: {{max_alerts: 100}}, timeout_ms: 2000, {spool}}}\n"
            ),
        }
    }

    fn crash(&mut self) {
        let mut state = self.state.lock().unwrap();
        state.stopped = true;
        for connection in state.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the acceptor.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.acceptor.take().unwrap().join().unwrap();
    }

    fn restart(&mut self) {
        self.state.lock().unwrap().stopped = false;
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let state = self.state.clone();
        self.acceptor = Some(thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                let mut locked = state.lock().unwrap();
                if locked.stopped {
                    return;
                }
                locked.connections.push(connection.try_clone().unwrap());
                let state = state.clone();
                thread::spawn(move || while answer(&connection, &state).is_some() {});
            }
        }));
    }

    fn hang(&mut self, hangs: bool) {
        self.state.lock().unwrap().hangs = hangs;
    }

    fn fail_half(&mut self) -> bool {
        self.state.lock().unwrap().fails_half = true;
        true
    }

    fn count(&mut self) -> u64 {
        self.state.lock().unwrap().alerts.len() as u64
    }

    fn received(&mut self) -> Vec<String> {
        self.state.lock().unwrap().alerts.clone()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        if self.acceptor.is_some() {
            self.crash();
        }
    }
}

/// Answers a request. `None` at the end of the connection.
fn answer(connection: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    // It takes alerts before it answers, so what it does not answer comes twice.
    let mut locked = state.lock().unwrap();
    locked.requests += 1;
    let fails = locked.fails_half && locked.requests.is_multiple_of(2);
    if locked.stopped {
        return None;
    }
    if !fails {
        locked.alerts.extend(texts(&body));
    }
    drop(locked);
    while state.lock().unwrap().hangs {
        thread::sleep(Duration::from_millis(20));
    }
    let status = if fails { "503 Busy" } else { "200 OK" };
    // In one packet: the client would wait for the second one.
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    (&*connection).write_all(response.as_bytes()).ok()
}

/// The numbers in the texts of alerts, which both forms carry as they are.
fn texts(body: &[u8]) -> Vec<String> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let text = String::from_utf8_lossy(body);
    text.split("number=").skip(1).map(|rest| format!("number={}", digits(rest))).collect()
}
