//! The OpenTelemetry Collector, which prints the log records that it is sent.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use super::support::{Place, Run, Server, find, free_port, number_in, skip_or_fail, wait_until};

/// A collector with a port for each protocol.
pub(crate) struct Collector {
    program: PathBuf,
    http: u16,
    grpc: u16,
}

/// A log record as the collector prints it.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    number: u64,
    id: String,
}

impl Collector {
    /// None if it is not installed.
    pub(crate) fn find() -> Option<Self> {
        let named = std::env::var_os("PEREGRINE_OTELCOL").filter(|path| !path.is_empty());
        let program = named.map(PathBuf::from).or_else(|| find("otelcol"));
        if program.is_none() {
            skip_or_fail("the OpenTelemetry Collector (.ci/otelcol builds it)");
        }
        Some(Self { program: program?, http: free_port(), grpc: free_port() })
    }

    /// Starts it, with these settings of both protocols.
    pub(crate) fn start(&self, place: &Place, settings: &str) -> Server {
        let Self { program, http, grpc } = self;
        place.write(
            "otelcol.yaml",
            &format!(
                "\
receivers:
  otlp:
    protocols:
      http: {{endpoint: '127.0.0.1:{http}'{settings}}}
      grpc: {{endpoint: '127.0.0.1:{grpc}'{settings}}}
exporters:
  debug: {{verbosity: detailed, use_internal_logger: false}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], exporters: [debug]}}}}
"
            ),
        );
        let records = File::options().create(true).append(true).open(place.path("records"));
        let log = File::create(place.path("otelcol.log")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(place.path("otelcol.yaml"));
        command.stdout(records.unwrap()).stderr(log);
        let server = Server::start_on(&mut command, *grpc);
        wait_until("the collector is ready", || {
            place.read("otelcol.log").contains("Everything is ready")
        });
        server
    }

    /// The output that sends to it.
    pub(crate) fn output(&self, protocol: &str, scheme: &str, rest: &str) -> String {
        let port = if protocol == "grpc" { self.grpc } else { self.http };
        let endpoint = format!("{scheme}://127.0.0.1:{port}");
        format!(
            "otlp_output: {{enabled: true, endpoint: '{endpoint}', protocol: {protocol}{rest}}}\n"
        )
    }
}

/// What the collector has printed so far.
fn records(place: &Place) -> Vec<Record> {
    let text = place.read("records");
    let record = |text: &str| {
        let (_, id) = text.split_once("-> log.record.uid: Str(")?;
        Some(Record { number: number_in(text), id: id.split_once(')')?.0.to_owned() })
    };
    text.split("LogRecord #").skip(1).filter_map(record).collect()
}

#[track_caller]
fn assert_nothing_is_lost(run: &mut Run) {
    assert!(run.wait().success(), "{}", run.log());
    assert!(!run.stdout().contains("Alerts lost"), "{}", run.log());
}

/// Each number once and in order, each id once.
#[track_caller]
fn assert_complete(mut records: Vec<Record>, count: u64) {
    let numbers: Vec<_> = records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    records.sort_by(|a, b| a.id.cmp(&b.id));
    records.dedup_by(|a, b| a.id == b.id);
    assert_eq!(records.len() as u64, count);
}

const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

#[test]
fn each_alert_is_one_record() {
    for protocol in PROTOCOLS {
        let Some(collector) = Collector::find() else { return };
        let attributes = ", resource_attributes: {deployment.environment.name: test}";
        let place = Place::new(&collector.output(protocol, "http", attributes));
        place.events(2000, 20);
        let server = collector.start(&place, "");
        let mut run = place.start();
        assert_nothing_is_lost(&mut run);
        drop(server);
        assert_complete(records(&place), 2000);
        let text = place.read("records");
        for expected in [
            "-> deployment.environment.name: Str(test)",
            "-> service.name: Str(peregrine)",
            "-> os.type: Str(linux)",
            "SeverityNumber: Info2(10)",
            "SeverityText: Notice",
            "EventName: peregrine.alert",
            "-> security_rule.name: Str(Closed)",
            "-> evt.num: Int(2000)",
        ] {
            assert!(text.contains(expected), "{protocol}: {expected}: {text:.3000}");
        }
    }
}

#[test]
fn records_wait_for_a_collector_that_is_restarted() {
    for protocol in PROTOCOLS {
        let Some(collector) = Collector::find() else { return };
        let place = Place::new(&collector.output(protocol, "http", ""));
        let server = collector.start(&place, "");
        let (mut run, mut feed) = place.start_feeding();
        feed.send(100);
        wait_until("the first records arrive", || records(&place).len() == 100);
        server.crash();
        feed.send(100);
        let _server = collector.start(&place, "");
        drop(feed);
        assert_nothing_is_lost(&mut run);
        // A collector that ends before it has answered is sent the same records again.
        let mut seen = BTreeSet::new();
        let first = |record: &Record| seen.insert(record.id.clone());
        assert_complete(records(&place).into_iter().filter(first).collect(), 200);
    }
}

#[test]
fn a_spool_keeps_records_while_nothing_runs() {
    let Some(collector) = Collector::find() else { return };
    let spool = ", spool: {enabled: true, directory: ./spool}";
    let place = Place::new(&collector.output("grpc", "http", spool));
    place.events(500, 20);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    assert!(run.stdout().contains("Alerts left in the spool"), "{}", run.stdout());
    let _server = collector.start(&place, "");
    std::fs::remove_file(place.path("events")).unwrap();
    let (mut run, mut feed) = place.start_feeding();
    // The alert about the same event has the same id.
    feed.send(1);
    wait_until("all records arrive", || records(&place).len() >= 500);
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    let mut seen = BTreeSet::new();
    let first = |record: &Record| seen.insert(record.id.clone());
    assert_complete(records(&place).into_iter().filter(first).collect(), 500);
}

#[test]
fn the_configurations_of_the_fleet_page_are_valid() {
    let page = include_str!("../../../../docs/fleet.md");
    let block = |name: &str| {
        let (_, block) = page.split_once(&format!("```yaml\n# {name}\n")).unwrap();
        block.split_once("```").unwrap().0.to_owned()
    };
    let place = Place::new("");
    place.write_certificates();
    let files = place.path("").display().to_string();
    let agent = block("falco.yaml").replace("/etc/peregrine/tls/", &files);
    let agent = agent.replace("/var/lib/peregrine/spool", place.path("spool").to_str().unwrap());
    let config = place.read("falco.yaml");
    place.write("falco.yaml", &format!("{config}{agent}"));
    place.events(1, 1);
    let mut run = place.start_with(&["--dry-run"]);
    assert!(run.wait().success(), "{}", run.log());

    let Some(Collector { program, .. }) = Collector::find() else { return };
    place.write("otelcol.yaml", &block("otelcol.yaml"));
    let mut command = Command::new(program);
    let output = command.args(["validate", "--config"]).arg(place.path("otelcol.yaml")).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn records_arrive_through_tls_with_a_client_certificate() {
    for protocol in PROTOCOLS {
        let Some(collector) = Collector::find() else { return };
        let tls = ", tls: {ca: ca.pem, client_cert: client.crt, client_key: client.key}";
        let place = Place::new(&collector.output(protocol, "https", tls));
        place.write_certificates();
        place.events(200, 20);
        let path = |name| place.path(name).display().to_string();
        let (certificate, key, ca) = (path("server.crt"), path("server.key"), path("ca.pem"));
        let server = collector.start(
            &place,
            &format!(", tls: {{cert_file: {certificate}, key_file: {key}, client_ca_file: {ca}}}"),
        );
        let mut run = place.start();
        assert_nothing_is_lost(&mut run);
        drop(server);
        assert_complete(records(&place), 200);
    }
}
