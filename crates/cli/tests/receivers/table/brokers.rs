//! Message brokers.

use nix::sys::signal::Signal;

use super::Receiver;
use crate::kafka::Kafka;
use crate::nats::{Nats, Stream};

#[test]
fn nats() {
    super::run(|| {
        let nats = Nats::start("")?;
        let stream = nats.stream("ALERTS");
        Some(JetStream { nats, stream })
    });
}

struct JetStream {
    nats: Nats,
    stream: Stream,
}

impl Receiver for JetStream {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn section(&self, spool: &str) -> String {
        format!(
            "nats_output: {{enabled: true, servers: [\"{}\"], request_timeout_ms: 500, {spool}}}\n",
            self.nats.url()
        )
    }

    fn crash(&mut self) {
        self.nats.crash();
    }

    fn restart(&mut self) {
        self.nats.restart();
    }

    fn hang(&mut self, hangs: bool) {
        self.nats.signal(if hangs { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    fn count(&mut self) -> u64 {
        self.stream.len()
    }

    fn received(&mut self) -> Vec<String> {
        self.stream.messages().into_iter().map(|message| message.payload).collect()
    }
}

#[test]
fn kafka() {
    super::run(|| {
        let kafka = Kafka::start()?;
        kafka.create("alerts", 1);
        Some(kafka)
    });
}

impl Receiver for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn section(&self, spool: &str) -> String {
        format!(
            "kafka_output: {{enabled: true, brokers: [\"{}\"], topic: alerts, \
             request_timeout_ms: 500, {spool}}}\n",
            self.address()
        )
    }

    fn crash(&mut self) {
        Kafka::crash(self);
    }

    fn restart(&mut self) {
        Kafka::restart(self);
    }

    fn hang(&mut self, hangs: bool) {
        self.signal(if hangs { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    fn count(&mut self) -> u64 {
        Kafka::count(self, "alerts")
    }

    fn received(&mut self) -> Vec<String> {
        let messages = self.messages("alerts", 1).remove(&0).unwrap_or_default();
        messages.into_iter().map(|(_, value)| value).collect()
    }
}
