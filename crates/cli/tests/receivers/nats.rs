//! Alerts to a real NATS server.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, stream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::sys::signal::Signal;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{Place, Server, find, free_port, number_in, skip_or_fail, wait_until};

/// A server with its files.
pub(crate) struct Nats {
    directory: TempDir,
    port: u16,
    server: Option<Server>,
}

/// What a stream has stored.
pub(crate) struct Stored {
    subject: String,
    id: String,
    pub(crate) payload: String,
}

impl Nats {
    /// A server with these lines in its configuration. `None` if there is no NATS.
    pub(crate) fn start(config: &str) -> Option<Self> {
        Self::start_without_streams(&format!("jetstream {{ store_dir: store }}\n{config}"))
    }

    fn start_without_streams(config: &str) -> Option<Self> {
        if find("nats-server").is_none() {
            skip_or_fail("nats-server");
            return None;
        }
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = format!("listen: \"127.0.0.1:{port}\"\n{config}\n");
        std::fs::write(directory.path().join("nats.conf"), config).unwrap();
        let mut nats = Self { directory, port, server: None };
        nats.restart();
        Some(nats)
    }

    pub(crate) fn restart(&mut self) {
        let mut command = Command::new(find("nats-server").unwrap());
        command.arg("-c").arg(self.directory.path().join("nats.conf"));
        command.current_dir(self.directory.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(Server::start_on(&mut command, self.port));
    }

    pub(crate) fn crash(&mut self) {
        self.server.take().unwrap().crash();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.as_ref().unwrap().signal(signal);
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A stream of this name that stores all alerts.
    pub(crate) fn stream(&self, name: &str) -> Stream {
        self.stream_with(name, ConnectOptions::new())
    }

    fn stream_with(&self, name: &str, options: ConnectOptions) -> Stream {
        let runtime = Runtime::new().unwrap();
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec!["alerts.>".to_owned()],
            ..stream::Config::default()
        };
        let stream = runtime.block_on(async {
            let client = options.connect(self.url()).await.unwrap();
            // JetStream begins a little after the server.
            loop {
                match jetstream::new(client.clone()).create_stream(config.clone()).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Stream { runtime, stream }
    }
}

pub(crate) struct Stream {
    runtime: Runtime,
    stream: stream::Stream,
}

impl Stream {
    /// Number of messages; none while the server is away.
    pub(crate) fn len(&mut self) -> u64 {
        let info = self.runtime.block_on(self.stream.info());
        info.map_or(0, |info| info.state.messages)
    }

    /// All messages in their order.
    pub(crate) fn messages(&mut self) -> Vec<Stored> {
        let last = self.len();
        self.runtime.block_on(async {
            let mut messages = Vec::new();
            for number in 1..=last {
                let message = self.stream.get_raw_message(number).await.unwrap();
                messages.push(Stored {
                    subject: message.subject.to_string(),
                    id: message.headers.get("Nats-Msg-Id").unwrap().to_string(),
                    payload: String::from_utf8(message.payload.to_vec()).unwrap(),
                });
            }
            messages
        })
    }

    /// Every alert is there once, in order.
    #[track_caller]
    fn assert_numbers(&mut self, count: u64) {
        let messages = self.messages();
        let numbers: Vec<_> = messages.iter().map(|message| number_in(&message.payload)).collect();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
        let ids: BTreeSet<_> = messages.iter().map(|message| &message.id).collect();
        assert_eq!(ids.len(), messages.len());
    }
}

/// The end of the run waits longer than the attempts take.
fn output(nats: &Nats, more: &str) -> String {
    format!(
        "output_timeout: 20000\nnats_output: {{enabled: true, servers: [\"{}\"]{more}}}\n",
        nats.url()
    )
}

const SPOOL: &str = ", spool: {enabled: true, directory: spool}";

#[test]
fn a_stream_has_every_alert_once_and_in_order() {
    let Some(nats) = Nats::start("") else { return };
    let mut stream = nats.stream("ALERTS");
    let place = Place::new(&output(&nats, ", stream: ALERTS, format: json"));
    place.events(1000, 100);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    stream.assert_numbers(1000);
    let first = stream.messages().swap_remove(0);
    let host = rustix::system::uname().nodename().to_string_lossy().replace('.', "_");
    assert_eq!(first.subject, format!("alerts.{host}.notice"));
    assert!(first.payload.starts_with('{') && first.payload.ends_with('}'), "{}", first.payload);
    // A second run raises the same alerts: the stream knows them.
    assert!(place.start().wait().success());
    stream.assert_numbers(1000);
}

#[test]
fn a_crash_of_the_server_loses_and_repeats_nothing() {
    let Some(mut nats) = Nats::start("") else { return };
    let mut stream = nats.stream("ALERTS");
    let place = Place::new(&output(&nats, ""));
    let (mut run, mut feed) = place.start_feeding();
    feed.send(300);
    wait_until("alerts arrive", || stream.len() > 0);
    nats.crash();
    feed.send(300);
    std::thread::sleep(Duration::from_millis(500));
    nats.restart();
    feed.send(300);
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    wait_until("the stream is back", || stream.len() >= 900);
    stream.assert_numbers(900);
}

#[test]
fn alerts_of_a_run_without_server_come_with_the_next() {
    let Some(mut nats) = Nats::start("") else { return };
    let mut stream = nats.stream("ALERTS");
    nats.crash();
    let place = Place::new(&output(&nats, SPOOL).replace("20000", "1000"));
    place.events(200, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    assert!(!run.stdout().contains("Alerts lost"), "{}", run.stdout());
    nats.restart();
    place.events(1, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    stream.assert_numbers(200);
}

#[test]
fn a_server_that_hangs_holds_up_no_other_output() {
    let Some(nats) = Nats::start("") else { return };
    let mut stream = nats.stream("ALERTS");
    let file = "file_output: {enabled: true, filename: alerts, keep_alive: true}\n";
    let place = Place::new(&(output(&nats, ", request_timeout_ms: 500") + file));
    let (mut run, mut feed) = place.start_feeding();
    feed.send(10);
    wait_until("alerts arrive", || stream.len() == 10);
    nats.signal(Signal::SIGSTOP);
    feed.send(100);
    wait_until("the file has all", || place.read("alerts").lines().count() == 110);
    // Longer than a request.
    std::thread::sleep(Duration::from_secs(1));
    nats.signal(Signal::SIGCONT);
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    stream.assert_numbers(110);
}

#[test]
fn alerts_that_no_stream_takes_are_lost_with_a_reason() {
    let Some(nats) = Nats::start("") else { return };
    let retries = ", retries: {max: 1}";
    for (more, reason) in [
        ("", "nats: no stream has the subject alerts."),
        (", stream: OTHER", "nats: the broker answered: "),
    ] {
        let mut stream = (!more.is_empty()).then(|| nats.stream("ALERTS"));
        let place = Place::new(&output(&nats, &format!("{more}{retries}")));
        place.events(3, 10);
        let mut run = place.start();
        assert!(run.wait().success(), "{}", run.log());
        let log = run.log();
        assert!(log.contains(reason), "{log}");
        assert!(run.stdout().contains("nats: 3 of 3 (channel failed: 3)"), "{}", run.stdout());
        assert_eq!(stream.as_mut().map_or(0, Stream::len), 0);
    }
}

#[test]
fn users_are_authenticated() {
    let Some(nats) = Nats::start("authorization { user: falcon, password: hunter2 }") else {
        return;
    };
    let login = ConnectOptions::with_user_and_password("falcon".to_owned(), "hunter2".to_owned());
    let mut stream = nats.stream_with("ALERTS", login);
    let place = Place::new(&output(&nats, ", user: falcon, password: wrong, retries: {max: 1}"));
    place.events(3, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    let log = run.log();
    assert!(log.contains("nats: cannot connect: authorization violation"), "{log}");
    assert!(!log.contains("wrong") && !log.contains("hunter2"), "{log}");
    assert_eq!(stream.len(), 0);

    let place = Place::new(&output(&nats, ", user: falcon, password: hunter2"));
    place.events(3, 10);
    assert!(place.start().wait().success());
    stream.assert_numbers(3);
}

#[test]
fn keys_authenticate() {
    let (user, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!("authorization {{ users: [{{nkey: {}}}] }}", user.public_key());
    let Some(nats) = Nats::start(&users) else { return };
    assert_login(&nats, "nkey_file", &user.seed().unwrap(), &stranger.seed().unwrap());
}

#[test]
fn credentials_files_authenticate() {
    let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
    let unlimited = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    });
    let of_operator = token(&operator, &operator, json!({"type": "operator", "version": 2}));
    let of_account = json!({"type": "account", "version": 2, "limits": unlimited});
    let of_account = token(&operator, &account, of_account);
    let preload = format!("resolver_preload: {{ {}: {of_account} }}", account.public_key());
    // Streams would take an account for the system, too.
    let config = format!("operator: {of_operator}\nresolver: MEMORY\n{preload}");
    let Some(nats) = Nats::start_without_streams(&config) else { return };
    let credentials = |account: &KeyPair| {
        let user = KeyPair::new_user();
        let claims = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {},
            "sub": {},
        });
        let (jwt, seed) = (token(account, &user, claims), user.seed().unwrap());
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    };
    let (known, unknown) = (credentials(&account), credentials(&KeyPair::new_account()));
    assert_login(&nats, "credentials_file", &known, &unknown);
}

/// The first content of the file that this key names lets alerts through, the second does not, and
/// the program does not start with anything else.
#[track_caller]
fn assert_login(nats: &Nats, key: &str, right: &str, wrong: &str) {
    let run = |content: &str| {
        let more = format!(", jetstream: false, {key}: secret, retries: {{max: 1}}");
        let place = Place::new(&output(nats, &more));
        place.write("secret", content);
        place.events(3, 10);
        let mut run = place.start();
        (run.wait().success(), run.log(), run.stdout())
    };
    let (success, log, summary) = run(right);
    assert!(success && !summary.contains("Alerts lost"), "{log}");
    let (success, log, summary) = run(wrong);
    assert!(success && summary.contains("nats: 3 of 3 (channel failed: 3)"), "{log} {summary}");
    assert!(log.contains("nats: cannot connect: authorization violation"), "{log}");
    let (success, log, _) = run("hunter2");
    assert!(!success && log.contains(&format!("nats_output.{key}: secret: ")), "{log}");
    assert!(log.contains("falco.yaml:") && !log.contains("hunter2"), "{log}");
}

/// A JWT about a key, signed by another.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: Value) -> String {
    let body = json!({
        "jti": "test", "iat": 1, "name": "test", "iss": issuer.public_key(),
        "sub": subject.public_key(), "nats": claims,
    });
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let head = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let signed = format!("{head}.{}", part(body));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[test]
fn servers_without_streams_get_alerts_too() {
    let permissions = "authorization { users: [
        {user: a, password: a, permissions: {publish: [\"alerts.>\", \"_INBOX.>\"]}}
        {user: b, password: b, permissions: {publish: \"other\"}}
    ] }";
    let Some(nats) = Nats::start(permissions) else { return };
    let run = |login: &str| {
        let more = format!(", jetstream: false, {login}, retries: {{max: 1}}");
        let place = Place::new(&output(&nats, &more));
        place.events(500, 10);
        let mut run = place.start();
        assert!(run.wait().success(), "{}", run.log());
        (run.log(), run.stdout())
    };
    let (log, summary) = run("user: a, password: a");
    assert!(!summary.contains("Alerts lost"), "{log} {summary}");
    let (log, summary) = run("user: b, password: b");
    assert!(log.contains("Permissions Violation"), "{log}");
    assert!(summary.contains("nats: 500 of 500 (channel failed: 500)"), "{summary}");
}

#[test]
fn servers_are_reached_by_tls() {
    let certificates = Place::new("");
    certificates.write_certificates();
    let config = format!(
        "tls {{ cert_file: {:?}, key_file: {:?} }}",
        certificates.path("server.crt"),
        certificates.path("server.key")
    );
    let Some(nats) = Nats::start(&config) else { return };
    let ca = certificates.path("ca.pem");
    let options = ConnectOptions::new().add_root_certificates(ca.clone());
    let mut stream = nats.stream_with("ALERTS", options);
    let place = Place::new(&output(&nats, &format!(", tls: {{ca: {ca:?}}}")));
    place.events(10, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    stream.assert_numbers(10);

    // Without the authority, the server is a stranger.
    let place = Place::new(&output(&nats, ", tls: {}, retries: {max: 1}"));
    place.events(3, 10);
    let mut run = place.start();
    assert!(run.wait().success(), "{}", run.log());
    assert!(run.log().contains("invalid peer certificate"), "{}", run.log());
}
