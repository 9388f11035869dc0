mod clients;
mod unix;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use peregrine_telemetry::metrics::{FieldOptions, RunInfo};
use peregrine_telemetry::{
    Collector, CollectorSettings, Heartbeat, MetricGroups, MetricReport, Phase, ReportSink,
    ResourceReader, SnapshotContext,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::*;

fn settings() -> ServerSettings {
    let listen = Listen::Tcp { address: "127.0.0.1".to_owned(), port: 0 };
    ServerSettings { listen, tls_file: None, threadiness: 2 }
}

fn address(server: &Server) -> SocketAddr {
    match server.address() {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{}", path.display()),
    }
}

fn pages(heartbeat: &Arc<Heartbeat>) -> Pages {
    Pages {
        health_path: "/healthz".to_owned(),
        stall_timeout: Duration::from_secs(15),
        heartbeat: heartbeat.clone(),
        versions: r#"{"falco_version":"x"}"#.to_owned(),
        scraper: None,
        stats: Arc::default(),
    }
}

/// Status, content type and body.
type Seen = (u16, String, String);

fn get(agent: &Agent, url: &str) -> Seen {
    let mut response = agent.get(url).call().unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), content_type, response.body_mut().read_to_string().unwrap())
}

fn agent(roots: RootCerts) -> Agent {
    let tls = TlsConfig::builder().root_certs(roots).build();
    Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into()
}

fn plain() -> Agent {
    agent(RootCerts::PlatformVerifier)
}

fn seen(status: u16, content_type: &str, body: &str) -> Seen {
    (status, content_type.to_owned(), body.to_owned())
}

#[test]
fn health_and_versions() {
    let server = Server::start(&settings(), pages(&Arc::new(Heartbeat::new()))).unwrap();
    let (agent, root) = (plain(), format!("http://{}", server.address()));
    assert_eq!(
        server.to_string(),
        format!("threadiness 2, listening on 127.0.0.1:{}", address(&server).port())
    );
    let ok = seen(200, "application/json", r#"{"status": "ok"}"#);
    assert_eq!(get(&agent, &format!("{root}/healthz")), ok);
    assert_eq!(get(&agent, &format!("{root}/healthz?verbose")), ok);
    let versions = seen(200, "application/json", r#"{"falco_version":"x"}"#);
    assert_eq!(get(&agent, &format!("{root}/versions")), versions);
    assert_eq!(get(&agent, &format!("{root}/metrics")).0, 404);
    assert_eq!(get(&agent, &format!("{root}/")).0, 404);
    let posted = agent.post(format!("{root}/healthz")).send("ok").unwrap();
    assert_eq!(
        (posted.status().as_u16(), &posted.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );
    let mut head = agent.head(format!("{root}/versions")).call().unwrap();
    assert_eq!(
        (head.status().as_u16(), head.body_mut().read_to_string().unwrap().as_str()),
        (200, "")
    );
}

#[test]
fn a_silent_event_loop_is_unhealthy() {
    let heartbeat = Arc::new(Heartbeat::aged(Duration::from_secs(20)));
    let server = Server::start(&settings(), pages(&heartbeat)).unwrap();
    let url = format!("http://{}/healthz", server.address());
    let (status, content_type, body) = get(&plain(), &url);
    assert_eq!((status, content_type.as_str()), (503, "application/json"));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "stalled");
    assert!(body["seconds"].as_u64().unwrap() >= 20, "{body}");
    heartbeat.request();
    assert_eq!(get(&plain(), &url).0, 503);
    assert!(heartbeat.poll());
    assert_eq!(get(&plain(), &url).0, 200);
}

#[test]
fn a_start_is_healthy_while_it_makes_progress() {
    let heartbeat = Arc::new(Heartbeat::aged(Duration::from_secs(60)));
    let server = Server::start(&settings(), pages(&heartbeat)).unwrap();
    let url = format!("http://{}/healthz", server.address());
    let loading = heartbeat.enter(Phase::LoadingPrograms);
    assert_eq!(get(&plain(), &url).0, 503);
    heartbeat.tick();
    heartbeat.progress();
    assert_eq!(get(&plain(), &url).0, 200);
    drop(loading);
}

#[test]
fn without_a_timeout_the_loop_is_always_healthy() {
    let heartbeat = Arc::new(Heartbeat::aged(Duration::from_secs(1_000_000)));
    let pages = Pages { stall_timeout: Duration::ZERO, ..pages(&heartbeat) };
    let server = Server::start(&settings(), pages).unwrap();
    assert_eq!(get(&plain(), &format!("http://{}/healthz", server.address())).0, 200);
}

/// For a collector that reports nothing.
struct NoReports;

impl ReportSink for NoReports {
    fn report(&mut self, _: MetricReport) {}

    fn close(self: Box<Self>) {}
}

fn collector(heartbeat: &Arc<Heartbeat>) -> Collector {
    let settings = CollectorSettings {
        groups: MetricGroups::default(),
        fields: FieldOptions::default(),
        interval: None,
        run: RunInfo { hostname: "host".to_owned(), ..RunInfo::default() },
        reloads: Arc::default(),
        resources: ResourceReader::new("/".as_ref()),
        web: None,
        containers: None,
        audit: None,
        kubernetes: None,
        plugins: None,
    };
    Collector::start(settings, heartbeat.clone(), Box::new(NoReports)).unwrap()
}

#[test]
fn metrics_come_from_the_event_loop() {
    let heartbeat = Arc::new(Heartbeat::new());
    let collector = collector(&heartbeat);
    let pages = Pages { scraper: Some(collector.scraper()), ..pages(&heartbeat) };
    let server = Server::start(&settings(), pages).unwrap();
    let event_loop = std::thread::spawn(move || {
        while !(heartbeat.poll() && collector.wants_snapshot()) {
            std::thread::yield_now();
        }
        collector.submit(SnapshotContext::default());
        // The next request finds that the loop has ended.
        while !(heartbeat.poll() && collector.wants_snapshot()) {
            std::thread::yield_now();
        }
    });
    let (agent, url) = (plain(), format!("http://{}/metrics", server.address()));
    let (status, content_type, text) = get(&agent, &url);
    assert_eq!((status, content_type.as_str()), (200, "text/plain; version=0.0.4"));
    assert!(text.contains("falcosecurity_evt_hostname_info{hostname=\"host\"} 1\n"), "{text}");
    // Within a tenth of a second the same text is served again.
    while get(&agent, &url).0 == 200 {}
    assert_eq!(get(&agent, &url).0, 503);
    event_loop.join().unwrap();
}

#[test]
fn dropping_the_server_closes_idle_connections() {
    let server = Server::start(&settings(), pages(&Arc::new(Heartbeat::new()))).unwrap();
    let mut idle = std::net::TcpStream::connect(address(&server)).unwrap();
    // The server has accepted the idle connection once it has answered on a later one.
    assert_eq!(get(&plain(), &format!("http://{}/healthz", server.address())).0, 200);
    drop(server);
    assert!(matches!(std::io::Read::read(&mut idle, &mut [0]), Ok(0) | Err(_)));
}

#[test]
fn tls_with_certificate_and_key_in_one_file() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("falco.pem");
    fs::write(&path, cert.pem() + &signing_key.serialize_pem()).unwrap();
    let settings = ServerSettings { tls_file: Some(path.clone()), ..settings() };
    let server = Server::start(&settings, pages(&Arc::new(Heartbeat::new()))).unwrap();
    assert!(server.to_string().ends_with(" (SSL)"));
    let port = address(&server).port();
    let trusting =
        agent(RootCerts::new_with_certs(&[Certificate::from_pem(cert.pem().as_bytes()).unwrap()]));
    let ok = seen(200, "application/json", r#"{"status": "ok"}"#);
    assert_eq!(get(&trusting, &format!("https://localhost:{port}/healthz")), ok);
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert;
    let doubtful =
        agent(RootCerts::new_with_certs(&[Certificate::from_pem(other.pem().as_bytes()).unwrap()]));
    assert!(doubtful.get(format!("https://localhost:{port}/healthz")).call().is_err());
    assert!(plain().get(format!("http://localhost:{port}/healthz")).call().is_err());

    fs::write(&path, cert.pem()).unwrap();
    let error =
        Server::start(&settings, pages(&Arc::new(Heartbeat::new()))).err().unwrap().to_string();
    assert!(error.ends_with("falco.pem: there is no private key in it"), "{error}");
    fs::write(&path, "nothing of the kind").unwrap();
    let error =
        Server::start(&settings, pages(&Arc::new(Heartbeat::new()))).err().unwrap().to_string();
    assert!(error.ends_with("falco.pem: there is no certificate in it"), "{error}");
    fs::remove_file(&path).unwrap();
    let error =
        Server::start(&settings, pages(&Arc::new(Heartbeat::new()))).err().unwrap().to_string();
    assert!(error.contains("falco.pem: ") && error.contains("No such file"), "{error}");
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = u32::from(other.local_addr().unwrap().port());
    let listen = |port| Listen::Tcp { address: "127.0.0.1".to_owned(), port };
    let settings = ServerSettings { listen: listen(port), ..settings() };
    let error =
        Server::start(&settings, pages(&Arc::new(Heartbeat::new()))).err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on 127.0.0.1:{port}: Address already")),
        "{error}"
    );
    let settings = ServerSettings { listen: listen(70_000), ..settings };
    let error =
        Server::start(&settings, pages(&Arc::new(Heartbeat::new()))).err().unwrap().to_string();
    assert_eq!(error, "cannot listen on 127.0.0.1:70000: ports end at 65535");
}
