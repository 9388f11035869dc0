use std::fs;
use std::net::TcpListener;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::*;

fn keys() -> Webserver {
    Webserver {
        threadiness: 2,
        listen_address: "127.0.0.1".to_owned(),
        listen_port: 0,
        ..Webserver::default()
    }
}

fn pages(pulse: &Arc<Pulse>) -> Pages {
    Pages {
        health: "/healthz".to_owned(),
        patience: Duration::from_secs(15),
        pulse: pulse.clone(),
        versions: r#"{"falco_version":"x"}"#.to_owned(),
        metrics: None,
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
    let server = WebServer::start(&keys(), pages(&Arc::new(Pulse::new()))).unwrap();
    let (agent, root) = (plain(), format!("http://{}", server.address()));
    assert_eq!(
        server.to_string(),
        format!("threadiness 2, listening on 127.0.0.1:{}", server.address().port())
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
fn an_event_loop_that_does_not_look_up_is_unhealthy() {
    let pulse = Arc::new(Pulse::silent_for(Duration::from_secs(20)));
    let server = WebServer::start(&keys(), pages(&pulse)).unwrap();
    let url = format!("http://{}/healthz", server.address());
    let (status, content_type, body) = get(&plain(), &url);
    assert_eq!((status, content_type.as_str()), (503, "application/json"));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "stalled");
    assert!(body["seconds"].as_u64().unwrap() >= 20, "{body}");
    pulse.ask();
    assert_eq!(get(&plain(), &url).0, 503);
    assert!(pulse.is_asked());
    assert_eq!(get(&plain(), &url).0, 200);
}

#[test]
fn an_event_loop_that_has_not_begun_is_given_time() {
    for (age, status) in [(60, 200), (600, 503)] {
        let pulse = Arc::new(Pulse::born_before(Duration::from_secs(age)));
        let server = WebServer::start(&keys(), pages(&pulse)).unwrap();
        assert_eq!(get(&plain(), &format!("http://{}/healthz", server.address())).0, status);
    }
}

#[test]
fn without_a_timeout_the_loop_is_always_healthy() {
    let pulse = Arc::new(Pulse::silent_for(Duration::from_secs(1_000_000)));
    let pages = Pages { patience: Duration::ZERO, ..pages(&pulse) };
    let server = WebServer::start(&keys(), pages).unwrap();
    assert_eq!(get(&plain(), &format!("http://{}/healthz", server.address())).0, 200);
}

#[test]
fn metrics_come_from_the_event_loop() {
    let (requests, asked) = std::sync::mpsc::channel();
    let ask = move || {
        let (sender, receiver) = oneshot::channel();
        requests.send(sender).unwrap();
        receiver
    };
    let pages = Pages { metrics: Some(Box::new(ask)), ..pages(&Arc::new(Pulse::new())) };
    let server = WebServer::start(&keys(), pages).unwrap();
    let event_loop = std::thread::spawn(move || {
        let first: oneshot::Sender<String> = asked.recv().unwrap();
        first.send("up 1\n".to_owned()).unwrap();
        // The next request finds that it has ended.
        drop(asked.recv().unwrap());
    });
    let (agent, url) = (plain(), format!("http://{}/metrics", server.address()));
    assert_eq!(get(&agent, &url), seen(200, "text/plain; version=0.0.4", "up 1\n"));
    assert_eq!(get(&agent, &url).0, 503);
    event_loop.join().unwrap();
}

#[test]
fn tls_with_certificate_and_key_in_one_file() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("falco.pem");
    fs::write(&path, cert.pem() + &signing_key.serialize_pem()).unwrap();
    let keys = Webserver {
        ssl_enabled: true,
        ssl_certificate: path.to_str().unwrap().to_owned(),
        ..keys()
    };
    let server = WebServer::start(&keys, pages(&Arc::new(Pulse::new()))).unwrap();
    assert!(server.to_string().ends_with(" (SSL)"));
    let port = server.address().port();
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
    let error = WebServer::start(&keys, pages(&Arc::new(Pulse::new()))).err().unwrap().to_string();
    assert!(error.ends_with("falco.pem: there is no private key in it"), "{error}");
    fs::write(&path, "nothing of the kind").unwrap();
    let error = WebServer::start(&keys, pages(&Arc::new(Pulse::new()))).err().unwrap().to_string();
    assert!(error.ends_with("falco.pem: there is no certificate in it"), "{error}");
    fs::remove_file(&path).unwrap();
    let error = WebServer::start(&keys, pages(&Arc::new(Pulse::new()))).err().unwrap().to_string();
    assert!(error.contains("falco.pem: ") && error.contains("No such file"), "{error}");
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = u32::from(other.local_addr().unwrap().port());
    let keys = Webserver { listen_port: port, ..keys() };
    let error = WebServer::start(&keys, pages(&Arc::new(Pulse::new()))).err().unwrap().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on 127.0.0.1:{port}: Address already")),
        "{error}"
    );
    let keys = Webserver { listen_port: 70_000, ..keys };
    let error = WebServer::start(&keys, pages(&Arc::new(Pulse::new()))).err().unwrap().to_string();
    assert_eq!(error, "cannot listen on 127.0.0.1:70000: ports end at 65535");
}
