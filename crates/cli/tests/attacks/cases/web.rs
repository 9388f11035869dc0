//! Clients of the web server.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use crate::agent::Alerts;
use crate::trial::{MEMORY, Trial};

/// Connections of each kind: more than a server of this kind is expected to hold.
const CLIENTS: usize = 96;

/// Clients that hold their connections until they are dropped.
pub(super) struct Clients {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    /// Connects clients that pipeline requests and never read, that send half a request, and that
    /// send a byte a second. A connection that the server closes is replaced.
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut clients: Vec<Client> = (0..3 * CLIENTS).map(Client::new).collect();
            while !stopped.load(Relaxed) {
                clients.iter_mut().for_each(|client| client.act(address));
                thread::sleep(Duration::from_millis(100));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Client {
    kind: usize,
    stream: Option<TcpStream>,
    turn: usize,
}

impl Client {
    fn new(number: usize) -> Self {
        Self { kind: number % 3, stream: None, turn: 0 }
    }

    fn act(&mut self, address: SocketAddr) {
        if self.stream.is_none() {
            let connected = TcpStream::connect_timeout(&address, Duration::from_millis(200));
            self.stream = connected.ok();
            self.turn = 0;
            if let Some(stream) = &self.stream {
                let _ = stream.set_nonblocking(true);
            }
        }
        let Some(stream) = &mut self.stream else { return };
        let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
        let bytes: &[u8] = match (self.kind, self.turn) {
            (0, _) => requests.as_bytes(),
            (1, 0) => b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Header: ",
            (2, turn) if turn % 10 == 0 => b"G",
            _ => b"",
        };
        self.turn += 1;
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        if stream.write(bytes).is_err_and(|error| !full(&error)) {
            self.stream = None;
        }
    }
}

pub(super) fn clients(trial: &mut Trial) {
    trial.start(Alerts::Stdout, &[]);
    let address = trial.agent().and_then(|agent| agent.address());
    let Some(address) = address else { return trial.broken("no web server listens") };
    let clients = Clients::connect(address);
    trial.pass(Duration::from_secs(8));
    trial.conclude(Signal::TERM, MEMORY);
    drop(clients);
}
