//! A client that asks for the health page again and again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time between two requests.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long an answer may take. A liveness probe waits one second by default; machines of tests may
/// be busy.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A prober at work.
pub(crate) struct HealthProbe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Health>,
}

/// What a prober found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// Requests.
    pub(crate) asked: usize,
    /// Requests without an answer in time.
    pub(crate) unanswered: usize,
    /// Answers other than 200.
    pub(crate) unhealthy: usize,
    /// Longest time to an answer, or until the prober gave up.
    pub(crate) slowest: Duration,
}

impl HealthProbe {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut health = Health::default();
            while !stopped.load(Ordering::Relaxed) {
                health.ask(address);
                thread::sleep(INTERVAL);
            }
            health
        });
        Self { stop, thread }
    }

    pub(crate) fn end(self) -> Health {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Health {
    fn ask(&mut self, address: SocketAddr) {
        let begun = Instant::now();
        self.asked += 1;
        match get(address, "/healthz", TIMEOUT) {
            Some((200, _)) => {}
            Some(_) => self.unhealthy += 1,
            None => self.unanswered += 1,
        }
        self.slowest = self.slowest.max(begun.elapsed());
    }
}

/// Status and body of a page, if it comes within this time.
pub(crate) fn get(address: SocketAddr, page: &str, within: Duration) -> Option<(u16, String)> {
    let deadline = Instant::now() + within;
    let mut stream = TcpStream::connect_timeout(&address, within).ok()?;
    let request = format!("GET {page} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(within)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => text.extend_from_slice(part.get(..read)?),
            Err(_) => return None,
        }
    }
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
