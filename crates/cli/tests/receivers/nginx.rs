//! nginx: what arrives at a real web server, plain, through TLS and with a client certificate.

use std::fs;
use std::io::Read;
use std::process::Command;

use flate2::read::GzDecoder;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber,
};

use super::support::{Place, Run, Server, find, free_port, number_in, skip_or_fail, wait_until};

/// nginx in the directory of a test. Each request is a line of `access`: serial number of the
/// client certificate, protocol, number of the request on its connection, `Content-Type`,
/// `Content-Encoding`, `User-Agent`, `X-Scope`, status, and the body.
struct Nginx {
    port: u16,
    place: Place,
}

/// An authority, and what it issues.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Writes `NAME.crt` and `NAME.key`.
    fn issue(&self, place: &Place, name: &str, serial: u64) {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        place.write(&format!("{name}.key"), &key.serialize_pem());
        // The key is in place when the certificate changes.
        place.write(&format!("{name}.crt"), &certificate.pem());
    }
}

impl Nginx {
    /// With these keys of `http_output` and directives of the server. None if there is no nginx.
    fn new(scheme: &str, keys: &str) -> Option<Self> {
        if find("nginx").is_none() {
            skip_or_fail("nginx");
            return None;
        }
        let port = free_port();
        let place = Place::new(&format!(
            "http_output: {{enabled: true, url: '{scheme}://127.0.0.1:{port}/alerts?key=value', user_agent: engine/1, {keys}}}\n\
             output_timeout: 30000\n"
        ));
        Some(Self { port, place })
    }

    fn start(&self, listen: &str, directives: &str) -> Server {
        let (port, behind, path) = (self.port, free_port(), self.place.path(""));
        let path = path.display();
        // Only a request that is passed on is read to its end.
        let config = format!(
            "daemon off; master_process off; pid {path}/nginx.pid; error_log {path}/error.log;\n\
             events {{}}\n\
             http {{\n\
               log_format alerts escape=none '$ssl_client_serial|$ssl_protocol|$connection_requests|\
             $content_type|$http_content_encoding|$http_user_agent|$http_x_scope|$status|$request_body';\n\
               client_body_buffer_size 1m; client_body_temp_path {path}/bodies;\n\
               proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;\n\
               uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n\
               server {{\n\
                 listen 127.0.0.1:{port} {listen}; access_log {path}/access alerts; {directives}\n\
                 location = /alerts {{ proxy_pass http://127.0.0.1:{behind}; }}\n\
               }}\n\
               server {{ listen 127.0.0.1:{behind}; access_log off; location / {{ return 204; }} }}\n\
             }}\n"
        );
        self.place.write("nginx.conf", &config);
        let mut command = Command::new(find("nginx").unwrap());
        command.arg("-e").arg(self.place.path("error.log"));
        command.arg("-c").arg(self.place.path("nginx.conf"));
        Server::start_on(&mut command, port)
    }

    /// Fields of the requests; the last one is the body.
    fn requests(&self) -> Vec<Vec<String>> {
        let requests = self.place.read("access");
        requests.lines().map(|line| line.splitn(9, '|').map(str::to_owned).collect()).collect()
    }

    /// Numbers of the alerts that nginx has answered with 204.
    fn numbers(&self) -> Vec<u64> {
        let taken = self.requests().into_iter().filter(|request| request[7] == "204");
        taken.map(|request| number_in(&request[8])).collect()
    }

    #[track_caller]
    fn run(&self, events: u64) -> Run {
        self.place.events(events, 10);
        let mut run = self.place.start();
        assert!(run.wait().success(), "{}", run.log());
        run
    }
}

#[test]
fn each_alert_is_a_request_and_connections_are_kept() {
    let Some(nginx) = Nginx::new("http", "keep_alive: true") else { return };
    let _server = nginx.start("", "");
    let run = nginx.run(300);
    assert!(!run.stdout().contains("lost"), "{}", run.stdout());
    assert_eq!(nginx.numbers(), (1..=300).collect::<Vec<_>>());
    let requests = nginx.requests();
    assert_eq!(requests[0][3..7], ["text/plain", "", "engine/1", ""]);
    // All on one connection.
    assert_eq!(requests[299][2], "300");
}

#[test]
fn batches_arrive_compressed_through_tls_with_a_client_certificate() {
    let keys = "ca_cert: ca.crt, mtls: true, client_cert: client.crt, client_key: client.key, \
                peregrine: {batch: {max_alerts: 50}, encoding: gzip, format: json, headers: {X-Scope: attic}}";
    let Some(nginx) = Nginx::new("https", keys) else { return };
    let authority = Authority::new();
    nginx.place.write("ca.crt", &authority.certificate.pem());
    authority.issue(&nginx.place, "server", 1);
    authority.issue(&nginx.place, "client", 0xabc);
    let directives = "ssl_certificate server.crt; ssl_certificate_key server.key; \
                      ssl_client_certificate ca.crt; ssl_verify_client on; ssl_protocols TLSv1.3; client_body_in_file_only on;";
    let _server = nginx.start("ssl", directives);
    let run = nginx.run(500);
    assert!(!run.stdout().contains("lost"), "{}", run.stdout());
    let log = nginx.place.read("access");
    let first = log.lines().next().unwrap();
    assert!(
        first.starts_with("0ABC|TLSv1.3|1|application/json|gzip|engine/1|attic|204|"),
        "{first}"
    );
    // nginx numbers the files.
    let mut files: Vec<_> = fs::read_dir(nginx.place.path("bodies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut numbers = Vec::new();
    for file in files {
        let mut text = String::new();
        GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
        let batch: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!((1..=50).contains(&batch.len()));
        numbers.extend(batch.iter().map(|alert| number_in(alert["output"].as_str().unwrap())));
    }
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing() {
    let keys = "ca_cert: other.crt, max_consecutive_timeouts: 1";
    let Some(nginx) = Nginx::new("https", keys) else { return };
    let authority = Authority::new();
    nginx.place.write("other.crt", &Authority::new().certificate.pem());
    authority.issue(&nginx.place, "server", 1);
    let _server = nginx.start("ssl", "ssl_certificate server.crt; ssl_certificate_key server.key;");
    let run = nginx.run(2);
    assert!(run.stdout().contains("http: 2 of 2 (channel failed: 2)"), "{}", run.stdout());
    assert!(run.log().contains("invalid peer certificate: "), "{}", run.log());
    assert!(nginx.numbers().is_empty());
}

#[test]
fn a_changed_client_certificate_is_used_and_a_broken_one_is_told() {
    let keys = "ca_cert: ca.crt, mtls: true, client_cert: client.crt, client_key: client.key";
    let Some(nginx) = Nginx::new("https", keys) else { return };
    let (place, authority) = (&nginx.place, Authority::new());
    place.write("ca.crt", &authority.certificate.pem());
    authority.issue(place, "server", 1);
    authority.issue(place, "client", 2);
    let directives = "ssl_certificate server.crt; ssl_certificate_key server.key; \
                      ssl_client_certificate ca.crt; ssl_verify_client on;";
    let _server = nginx.start("ssl", directives);
    let (mut run, mut feed) = place.start_feeding();
    let mut sent = 0;
    let mut send_until = |what: &str, condition: &dyn Fn() -> bool| {
        wait_until(what, || {
            feed.send(1);
            sent += 1;
            condition()
        });
    };
    let serial = |serial: &str| nginx.requests().last().is_some_and(|it| it[0] == serial);
    send_until("the first certificate is used", &|| serial("02"));
    place.write("client.crt", "nothing");
    send_until("it is told", &|| run.log().contains("client.crt: no certificate in PEM form"));
    send_until("the first certificate is still used", &|| serial("02"));
    authority.issue(place, "client", 3);
    send_until("the new certificate is used", &|| serial("03"));
    drop(feed);
    assert!(run.wait().success());
    assert_eq!(nginx.numbers(), (1..=sent).collect::<Vec<_>>());
}

#[test]
fn nothing_is_lost_when_the_server_is_killed_and_comes_back() {
    let Some(nginx) = Nginx::new("http", "max_consecutive_timeouts: 100") else { return };
    let server = nginx.start("", "");
    let (mut run, mut feed) = nginx.place.start_feeding();
    feed.send(20);
    wait_until("the first alerts arrive", || nginx.numbers().len() == 20);
    server.crash();
    feed.send(20);
    wait_until("the server is missed", || {
        feed.send(0);
        run.log().lines().count() > 0
    });
    let _server = nginx.start("", "");
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    assert_eq!(nginx.numbers(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_batch_that_is_too_large_for_the_server_is_halved() {
    let keys = "peregrine: {batch: {max_alerts: 100, form: ndjson}}";
    let Some(nginx) = Nginx::new("http", keys) else { return };
    let _server = nginx.start("", "client_max_body_size 1k;");
    let run = nginx.run(300);
    assert!(!run.stdout().contains("lost"), "{}", run.stdout());
    // The first number of each body is in a line with the fields, the others in lines of their own.
    let access = nginx.place.read("access");
    let numbers = access.lines().filter(|line| line.contains("number=")).map(number_in);
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=300).collect::<Vec<_>>());
}
