//! Alerts to a real Kafka broker.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use rskafka::client::partition::{OffsetAt, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{Place, Server, find, free_port, number_in, skip_or_fail, wait_until};

/// A broker that is a cluster of its own, with its files.
pub(crate) struct Kafka {
    directory: TempDir,
    libraries: PathBuf,
    port: u16,
    server: Option<Server>,
    runtime: Runtime,
    /// Brokers are large: there is one at a time.
    _turn: MutexGuard<'static, ()>,
}

/// A message: its key and its value.
pub(crate) type Message = (String, String);

/// Where `.ci/kafka` puts the libraries of the broker.
const LIBRARIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/kafka/lib");

static TURN: Mutex<()> = Mutex::new(());

impl Drop for Kafka {
    /// A failed test shows what the broker said last.
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read(self.log()).unwrap_or_default();
            let end = log.get(log.len().saturating_sub(8000)..).unwrap_or_default();
            eprintln!("the end of the broker's log:\n{}", String::from_utf8_lossy(end));
        }
    }
}

impl Kafka {
    /// `None` if there is no Java or no broker.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("PLAINTEXT", "", &[])
    }

    /// With a protocol for clients, lines of its configuration, and options for its storage.
    fn start_with(protocol: &str, config: &str, format: &[&str]) -> Option<Self> {
        let libraries = std::env::var_os("PEREGRINE_KAFKA_LIB");
        let libraries = libraries.map_or_else(|| LIBRARIES.into(), PathBuf::from);
        if find("java").is_none() || !libraries.is_dir() {
            skip_or_fail("a Kafka broker (.ci/kafka)");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (directory, port, controllers) =
            (tempfile::tempdir().unwrap(), free_port(), free_port());
        let data = directory.path().join("data");
        let config = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controllers}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controllers}
advertised.listeners=CLIENTS://127.0.0.1:{port}
listener.security.protocol.map=CLIENTS:{protocol},CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={}
log.retention.ms=-1
offsets.topic.replication.factor=1
auto.create.topics.enable=false
{config}
",
            data.display()
        );
        fs::write(directory.path().join("server.properties"), config).unwrap();
        let runtime = Runtime::new().unwrap();
        let mut kafka = Self { directory, libraries, port, server: None, runtime, _turn: turn };
        let mut tool = kafka.java("kafka.tools.StorageTool");
        tool.args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"]).arg(kafka.config());
        assert!(tool.args(format).status().unwrap().success());
        kafka.restart();
        Some(kafka)
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("server.properties")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("broker.log")
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new(find("java").unwrap());
        command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(self.libraries.join("*")).arg(class);
        command.current_dir(self.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn restart(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.java("kafka.Kafka");
        command.arg(self.config()).stdout(log.try_clone().unwrap()).stderr(log);
        self.server = Some(Server::start_on(&mut command, self.port));
    }

    pub(crate) fn crash(&mut self) {
        self.server.take().unwrap().crash();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.as_ref().unwrap().signal(signal);
    }

    async fn client(&self) -> Client {
        ClientBuilder::new(vec![self.address()]).build().await.unwrap()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn create(&self, topic: &str, partitions: i32) {
        self.runtime.block_on(async {
            let controller = self.client().await.controller_client().unwrap();
            controller.create_topic(topic, partitions, 1, 10_000).await.unwrap();
        });
    }

    /// Number of messages in the first partition.
    pub(crate) fn count(&self, topic: &str) -> u64 {
        self.runtime.block_on(async {
            let client = self.client().await;
            let partition = client.partition_client(topic, 0, UnknownTopicHandling::Retry).await;
            partition.unwrap().get_offset(OffsetAt::Latest).await.unwrap() as u64
        })
    }

    /// All messages, by partition.
    pub(crate) fn messages(&self, topic: &str, partitions: i32) -> BTreeMap<i32, Vec<Message>> {
        let all = (0..partitions).map(|partition| {
            (partition, self.runtime.block_on(self.messages_of(topic, partition)))
        });
        all.collect()
    }

    async fn messages_of(&self, topic: &str, partition: i32) -> Vec<Message> {
        let client = self.client().await;
        let partition =
            client.partition_client(topic, partition, UnknownTopicHandling::Retry).await.unwrap();
        let (mut messages, mut offset) = (Vec::new(), 0);
        loop {
            let (records, end) = partition.fetch_records(offset, 1..1 << 20, 100).await.unwrap();
            for found in records {
                offset = found.offset + 1;
                let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
                messages.push((text(found.record.key), text(found.record.value)));
            }
            if offset >= end {
                return messages;
            }
        }
    }
}

/// The end of the run waits longer than the attempts take.
fn output(kafka: &Kafka, more: &str) -> String {
    let address = kafka.address();
    format!(
        "output_timeout: 20000\nkafka_output: {{enabled: true, brokers: [\"{address}\"], topic: alerts{more}}}\n"
    )
}

/// Every alert is there, in order; repeats are allowed behind the first.
#[track_caller]
fn assert_first_in_order(messages: &[Message], count: u64) {
    let mut seen = BTreeSet::new();
    let mut first: Vec<_> = messages.iter().map(|(_, value)| number_in(value)).collect();
    first.retain(|number| seen.insert(*number));
    assert_eq!(first, (1..=count).collect::<Vec<_>>());
}

#[test]
fn every_alert_is_in_the_partition_of_its_id() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create("alerts", 3);
    for (run, compression) in [(1, "none"), (2, "gzip"), (3, "snappy")] {
        let place = Place::new(&output(&kafka, &format!(", compression: {compression}")));
        place.events(300, 100);
        let mut program = place.start();
        assert!(program.wait().success(), "{}", program.log());
        let partitions = kafka.messages("alerts", 3);
        let mut keys = BTreeSet::new();
        for messages in partitions.values() {
            assert!(!messages.is_empty());
            // Each run raises the same alerts, which have the same ids and so the same partitions.
            let numbers: Vec<_> = messages.iter().map(|(_, value)| number_in(value)).collect();
            let runs: Vec<_> = numbers.chunks(numbers.len() / run).collect();
            assert!(runs.iter().all(|numbers| *numbers == runs[0] && numbers.is_sorted()));
            keys.extend(messages.iter().map(|(key, _)| key.clone()));
        }
        assert_eq!(keys.len(), 300, "{compression}");
        assert_eq!(partitions.values().map(Vec::len).sum::<usize>(), 300 * run, "{compression}");
    }
}

#[test]
fn a_crash_of_the_broker_loses_nothing() {
    let Some(mut kafka) = Kafka::start() else { return };
    kafka.create("alerts", 1);
    let place = Place::new(&output(&kafka, ""));
    let (mut run, mut feed) = place.start_feeding();
    feed.send(300);
    wait_until("alerts arrive", || !kafka.messages("alerts", 1)[&0].is_empty());
    kafka.crash();
    feed.send(300);
    kafka.restart();
    feed.send(300);
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    assert_first_in_order(&kafka.messages("alerts", 1)[&0], 900);
}

#[test]
fn alerts_of_an_ended_run_without_broker_come_with_the_next() {
    let Some(mut kafka) = Kafka::start() else { return };
    kafka.create("alerts", 1);
    kafka.crash();
    let place = Place::new(&output(&kafka, ", spool: {enabled: true, directory: spool}"));
    let (mut run, mut feed) = place.start_feeding();
    feed.send(200);
    let stored = || {
        fs::read_dir(place.path("spool")).map_or(0, |files| {
            files.map(|file| file.unwrap().metadata().map_or(0, |file| file.len())).sum()
        })
    };
    wait_until("the spool has all", || stored() > 200 * 50);
    run.signal(Signal::SIGTERM);
    run.wait();
    drop(feed);
    kafka.restart();
    fs::remove_file(place.path("events")).unwrap();
    place.events(1, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    assert_first_in_order(&kafka.messages("alerts", 1)[&0], 200);
}

#[test]
fn a_broker_that_hangs_holds_up_no_other_output() {
    let Some(kafka) = Kafka::start() else { return };
    kafka.create("alerts", 1);
    let file = "file_output: {enabled: true, filename: alerts, keep_alive: true}\n";
    let place = Place::new(&(output(&kafka, ", request_timeout_ms: 500") + file));
    let (mut run, mut feed) = place.start_feeding();
    feed.send(10);
    wait_until("alerts arrive", || kafka.messages("alerts", 1)[&0].len() == 10);
    kafka.signal(Signal::SIGSTOP);
    feed.send(100);
    wait_until("the file has all", || place.read("alerts").lines().count() == 110);
    // Longer than a request.
    thread::sleep(Duration::from_secs(1));
    kafka.signal(Signal::SIGCONT);
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    assert_first_in_order(&kafka.messages("alerts", 1)[&0], 110);
}

#[test]
fn alerts_that_no_broker_takes_are_lost_with_a_reason() {
    let Some(kafka) = Kafka::start_with("PLAINTEXT", "message.max.bytes=10000", &[]) else {
        return;
    };
    let run = |count, length| {
        let place = Place::new(&output(&kafka, ", retries: {max: 1}"));
        place.events(count, length);
        let mut run = place.start();
        assert!(run.wait().success(), "{}", run.log());
        (run.log(), run.stdout())
    };
    let (log, summary) = run(3, 10);
    assert!(log.contains("kafka: the brokers show no topic alerts"), "{log}");
    assert!(summary.contains("kafka: 3 of 3 (channel failed: 3)"), "{summary}");
    kafka.create("alerts", 1);
    let (log, summary) = run(3, 20_000);
    assert!(log.contains("kafka: the broker answered: MessageTooLarge"), "{log}");
    assert!(summary.contains("kafka: 3 of 3 (channel failed: 3)"), "{summary}");
    // Many are too large together.
    let (log, summary) = run(300, 100);
    assert!(!summary.contains("Alerts lost"), "{log}");
    let messages = kafka.messages("alerts", 1);
    let numbers: Vec<_> = messages[&0].iter().map(|(_, value)| number_in(value)).collect();
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
}

#[test]
fn users_are_authenticated_through_tls() {
    let certificates = Place::new("");
    certificates.write_certificates();
    let pem = certificates.read("server.key") + &certificates.read("server.crt");
    certificates.write("server.pem", &pem);
    let config = format!(
        "ssl.keystore.type=PEM\nssl.keystore.location={}
ssl.truststore.type=PEM\nssl.truststore.location={}
ssl.endpoint.identification.algorithm=
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\nsasl.mechanism.inter.broker.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config={PLAIN} required \
    username=\"admin\" password=\"hunter2\" user_admin=\"hunter2\";
listener.name.clients.scram-sha-512.sasl.jaas.config={SCRAM} required;",
        certificates.path("server.pem").display(),
        certificates.path("ca.pem").display()
    );
    let scram = ["--add-scram", "SCRAM-SHA-512=[name=falcon,password=hunter2]"];
    let Some(kafka) = Kafka::start_with("SASL_SSL", &config, &scram) else { return };
    let run = |mechanism: &str, user: &str, password: &str| {
        let sasl = format!("sasl: {{mechanism: {mechanism}, user: {user}, password: {password}}}");
        let tls = format!("tls: {{ca: {:?}}}", certificates.path("ca.pem"));
        let place = Place::new(&output(&kafka, &format!(", {sasl}, {tls}, retries: {{max: 1}}")));
        place.events(3, 10);
        let mut run = place.start();
        assert!(run.wait().success(), "{}", run.log());
        run.log()
    };
    for (mechanism, user) in [("PLAIN", "admin"), ("SCRAM-SHA-512", "falcon")] {
        let log = run(mechanism, user, "wrong");
        assert!(log.contains("SaslAuthenticationFailed"), "{log}");
        assert!(!log.contains("wrong"), "{log}");
        // Who is authenticated learns that there is no topic.
        let log = run(mechanism, user, "hunter2");
        assert!(log.contains("kafka: the brokers show no topic alerts"), "{log}");
    }
}

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
