use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use peregrine_alert::Alert;

use super::super::super::network::Record;
use super::*;
use crate::testing;

fn stream(listener: &TcpListener, framing: SyslogFraming) -> Stream {
    let port = listener.local_addr().unwrap().port();
    Stream::new(SyslogAddress { host: "127.0.0.1".to_owned(), port }, framing, None)
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn send(stream: &mut Stream, bodies: &[&str]) -> Result<(), SendError> {
    let alert: Alert = testing::alert("x");
    let record = |body: &&'static str| Record { id: alert.id(), time: 0, body: body.as_bytes() };
    let bodies: Vec<&'static str> =
        bodies.iter().map(|body| &*Box::leak((*body).to_owned().into_boxed_str())).collect();
    stream.send(&bodies.iter().map(record).collect::<Vec<_>>())
}

fn read_to_end(mut from: TcpStream) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn messages_are_framed() {
    for (framing, expected) in
        [(SyslogFraming::OctetCounting, "3 one5 three"), (SyslogFraming::Newline, "one\nthree\n")]
    {
        let listener = listen();
        let mut stream = stream(&listener, framing);
        send(&mut stream, &["one", "three"]).unwrap();
        let receiver = listener.accept().unwrap().0;
        drop(stream);
        assert_eq!(read_to_end(receiver), expected);
    }
}

#[test]
fn a_closed_connection_is_noticed_before_a_write() {
    let listener = listen();
    let mut stream = stream(&listener, SyslogFraming::Newline);
    send(&mut stream, &["one"]).unwrap();
    let mut first = BufReader::new(listener.accept().unwrap().0);
    first.read_line(&mut String::new()).unwrap();
    drop(first);
    send(&mut stream, &["two"]).unwrap();
    let second = listener.accept().unwrap().0;
    drop(stream);
    assert_eq!(read_to_end(second), "two\n");
}

#[test]
fn a_receiver_that_takes_nothing_is_given_up() {
    let listener = listen();
    let mut stream = stream(&listener, SyslogFraming::Newline);
    let until = Instant::now() + Duration::from_millis(300);
    let mut wire = stream.connection(until).unwrap();
    let receiver = listener.accept().unwrap().0;
    let lots = vec![b'x'; 64 << 20];
    assert_eq!(wire.send(&lots, until).unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop(receiver);
}

#[test]
fn a_connection_that_breaks_after_the_write_has_delivered_nothing() {
    let listener = listen();
    let mut stream = stream(&listener, SyslogFraming::Newline);
    let receiver = thread::spawn(move || {
        // Closed with unread data: the connection is reset.
        drop(listener.accept().unwrap());
        listener
    });
    let lots = "x".repeat(8 << 20);
    let error = send(&mut stream, &[&lots]).unwrap_err();
    assert_eq!((error.accepted, error.fate), (0, Fate::Again { at_least: Duration::ZERO }));
    let listener = receiver.join().unwrap();
    send(&mut stream, &["next"]).unwrap();
    let receiver = listener.accept().unwrap().0;
    drop(stream);
    assert_eq!(read_to_end(receiver), "next\n");
}
