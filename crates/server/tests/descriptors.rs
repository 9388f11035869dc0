//! Health is answered by a process that has no descriptor left.
//!
//! The only test of its process, because the limit is one of the process.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use peregrine_server::{Address, Listen, Pages, Server, ServerSettings};
use peregrine_telemetry::Heartbeat;
use rustix::net::{AddressFamily, SocketType, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn a_process_without_descriptors_answers() {
    let settings = ServerSettings {
        listen: Listen::Tcp { address: "127.0.0.1".to_owned(), port: 0 },
        tls_file: None,
        threadiness: 1,
    };
    let pages = Pages {
        health_path: "/healthz".to_owned(),
        stall_timeout: Duration::ZERO,
        heartbeat: Arc::new(Heartbeat::new()),
        versions: String::new(),
        scraper: None,
        stats: Arc::default(),
    };
    let server = Server::start(&settings, pages).unwrap();
    let Address::Tcp(address) = server.address() else { unreachable!() };
    // Once it answers, the server has its spare descriptor.
    ask(&TcpStream::connect(address).unwrap());
    let clients: Vec<TcpStream> = (0..5)
        .map(|_| socket(AddressFamily::INET, SocketType::STREAM, None).unwrap().into())
        .collect();
    let last = clients.iter().map(AsRawFd::as_raw_fd).max().unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(last as u64 + 1), ..before }).unwrap();
    // The first gets the spare descriptor, each other that of the one before.
    for client in &clients {
        connect(client, address).unwrap();
        ask(client);
    }
    setrlimit(Resource::Nofile, before).unwrap();
}

fn ask(mut client: &TcpStream) {
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut start = [0; 12];
    client.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}
