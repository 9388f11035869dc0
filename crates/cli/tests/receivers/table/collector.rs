//! The OpenTelemetry Collector.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use nix::sys::signal::Signal;

use super::Receiver;
use crate::collector::Collector;
use crate::support::{Place, Server};

#[test]
fn otlp() {
    super::run(Otlp::start);
}

struct Otlp {
    collector: Collector,
    server: Option<Server>,
    /// Where it writes the records that it gets.
    place: Place,
    /// Records that were counted, and how far the file was read for that.
    counted: (u64, u64),
}

impl Otlp {
    fn start() -> Option<Self> {
        let (collector, place) = (Collector::find()?, Place::new(""));
        let mut otlp = Self { collector, server: None, place, counted: (0, 0) };
        otlp.restart();
        Some(otlp)
    }
}

impl Receiver for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn section(&self, spool: &str) -> String {
        self.collector.output("grpc", "http", &format!(", timeout_ms: 500, {spool}"))
    }

    fn crash(&mut self) {
        if let Some(server) = self.server.take() {
            server.crash();
        }
    }

    fn restart(&mut self) {
        self.place.write("otelcol.log", "");
        self.server = Some(self.collector.start(&self.place, ""));
    }

    fn hang(&mut self, hangs: bool) {
        let signal = if hangs { Signal::SIGSTOP } else { Signal::SIGCONT };
        self.server.as_ref().unwrap().signal(signal);
    }

    fn count(&mut self) -> u64 {
        let (records, read) = &mut self.counted;
        let mut file = File::open(self.place.path("records")).unwrap();
        file.seek(SeekFrom::Start(*read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        // The next time, a line that is not complete is read again.
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        *records += text[..complete].matches("LogRecord #").count() as u64;
        *read += complete as u64;
        *records
    }

    fn received(&mut self) -> Vec<String> {
        let text = self.place.read("records");
        let body =
            |record: &str| record.lines().find(|line| line.contains("number=")).map(String::from);
        text.split("LogRecord #").skip(1).filter_map(body).collect()
    }
}
