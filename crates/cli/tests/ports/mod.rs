//! Ports for servers that can't choose one themselves.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port of 127.0.0.1 that nothing listens on.
///
/// It is below those that the kernel gives to clients: a connection of another test can't take it
/// before the server starts, and a client that connects while the server is away can't be connected
/// to itself. Each test program has a range of its own, and no port is given twice.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let range = 10_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let next = GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(next < 100, "no port is free");
        if TcpListener::bind(("127.0.0.1", range + next)).is_ok() {
            return range + next;
        }
    }
}
