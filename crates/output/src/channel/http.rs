//! A web server that each alert is posted to.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peregrine_alert::Alert;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::deliver::{Channel, Outcome};
use super::error::{ChannelError, HttpError};
use crate::format::Formatter;

/// A server that every alert is posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOutput {
    /// URL of the requests.
    pub url: String,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// Which server certificates are accepted.
    pub trust: Trust,
    /// Client certificate (`mtls`).
    pub client: Option<ClientIdentity>,
    /// Prints the responses of the server.
    pub echo: bool,
    /// Retries of an alert after timeouts.
    pub max_consecutive_timeouts: u8,
}

/// Which server certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// All of them (`insecure`).
    Anyone,
    /// Those issued by one of these authorities: a PEM file, or a directory of PEM files.
    Authorities(PathBuf),
}

/// A client certificate: two PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate chain, the client's first.
    pub certificate: PathBuf,
    /// The key of the client's certificate.
    pub key: PathBuf,
}

/// Time limit for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Http {
    output: HttpOutput,
    format: Formatter,
    /// The alert being posted; kept for its memory.
    body: Vec<u8>,
    /// Created at the first alert, so that a missing certificate does not prevent the start.
    agent: Option<Agent>,
}

impl Http {
    pub(crate) fn new(output: HttpOutput, format: Formatter) -> Self {
        Self { output, format, body: Vec::new(), agent: None }
    }

    fn agent(&mut self) -> Result<&Agent, HttpError> {
        let agent = match self.agent.take() {
            Some(agent) => agent,
            None => agent(&self.output)?,
        };
        Ok(self.agent.insert(agent))
    }

    fn post(&mut self, alert: &Alert) -> Result<(), ChannelError> {
        let echo = self.output.echo;
        let mut answer = self.send(alert)?;
        // Reading the response to its end lets the connection be reused.
        let answer = answer.read_to_vec().map_err(|error| HttpError::Transfer(error.into()))?;
        if echo {
            io::stdout().write_all(&answer)?;
        }
        Ok(())
    }

    fn send(&mut self, alert: &Alert) -> Result<Body, HttpError> {
        let agent = self.agent()?.clone();
        let HttpOutput { url, max_consecutive_timeouts, .. } = &self.output;
        self.body.clear();
        self.format.line(alert, &mut self.body);
        let content_type = if self.format.is_json() { "application/json" } else { "text/plain" };
        let mut tries_left = *max_consecutive_timeouts;
        loop {
            let sent = agent.post(url).header("Content-Type", content_type).send(&self.body);
            match sent {
                Ok(response) => return Ok(response.into_body()),
                Err(error) if tries_left > 0 && is_timeout(&error) => tries_left -= 1,
                Err(error) => return Err(Box::new(error).into()),
            }
        }
    }
}

impl Channel for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn batch(&self) -> usize {
        1
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        // A failure does not keep the other alerts from being sent.
        let mut post = |alert| Outcome::of(1, self.post(alert));
        alerts.iter().fold(Outcome::default(), |outcome, alert| outcome.and(post(alert)))
    }
}

fn is_timeout(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(_) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::TimedOut,
        _ => false,
    }
}

/// A response of any status counts as delivered and redirects are not followed, as in Falco:
/// servers rely on it.
fn agent(output: &HttpOutput) -> Result<Agent, HttpError> {
    let mut config = Agent::config_builder()
        .user_agent(&output.user_agent)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT));
    if output.url.starts_with("https:") {
        config = config.tls_config(tls(output)?);
    }
    Ok(config.build().into())
}

fn tls(output: &HttpOutput) -> Result<TlsConfig, HttpError> {
    let mut tls = TlsConfig::builder();
    match &output.trust {
        Trust::Anyone => tls = tls.disable_verification(true),
        Trust::Authorities(path) => {
            tls = tls.root_certs(RootCerts::new_with_certs(&authorities(path)?));
        }
    }
    if let Some(client) = &output.client {
        let key = PrivateKey::from_pem(&read(&client.key)?)
            .map_err(|_| missing(&client.key, "private key"))?;
        let chain = certificates(&read(&client.certificate)?);
        if chain.is_empty() {
            return Err(missing(&client.certificate, "certificate"));
        }
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(tls.build())
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, HttpError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files(path)? {
        for certificate in certificates(&read(&file)?) {
            // Directories of authorities contain each of them under several names.
            if seen.insert(certificate.der().to_owned()) {
                found.push(certificate);
            }
        }
    }
    if found.is_empty() { Err(missing(path, "certificate")) } else { Ok(found) }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, HttpError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| HttpError::Read { path: path.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
    let files = entries.map_err(failed)?.into_iter().map(|entry| entry.path());
    // Skip dangling links and everything else that is not a file.
    Ok(files.filter(|file| file.is_file()).collect())
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    parse_pem(pem).filter_map(certificate).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, HttpError> {
    fs::read(path).map_err(|source| HttpError::Read { path: path.to_owned(), source })
}

fn missing(path: &Path, what: &'static str) -> HttpError {
    HttpError::Missing { path: path.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;
    use crate::format::{Format, JsonStyle, Layout};
    use crate::testing::{self, alert, format, formatter, line};

    /// Answers this many requests on one connection and gives back what they said.
    fn server(requests: usize, status: &'static str) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut seen = Vec::new();
            for _ in 0..requests {
                let (mut head, mut len) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let start = head.len();
                    reader.read_line(&mut head).unwrap();
                    if let Some(value) =
                        head[start..].to_lowercase().strip_prefix("content-length:")
                    {
                        len = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; len];
                reader.read_exact(&mut body).unwrap();
                seen.push(head + std::str::from_utf8(&body).unwrap());
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nLocation: /other\r\nContent-Length: 2\r\n\r\nok"
                )
                .unwrap();
            }
            seen
        });
        (url, server)
    }

    fn output(url: String) -> HttpOutput {
        HttpOutput {
            url,
            user_agent: "engine/1".to_owned(),
            trust: Trust::Authorities("/nonexistent".into()),
            client: None,
            echo: false,
            max_consecutive_timeouts: 0,
        }
    }

    #[test]
    fn each_alert_is_one_request_on_one_connection() {
        let (url, server) = server(2, "200 OK");
        let mut http = Http::new(output(url), formatter());
        http.deliver(&testing::alerts(&["a", "b"])).unwrap();
        let seen = server.join().unwrap();
        assert!(seen[0].starts_with("POST /alerts HTTP/1.1\r\n"), "{}", seen[0]);
        let head = seen[0].to_lowercase();
        assert!(head.contains("content-type: text/plain\r\n"), "{head}");
        assert!(head.contains("user-agent: engine/1\r\n"), "{head}");
        assert!(seen[0].ends_with(&format!("\r\n\r\n{}", line("a"))), "{}", seen[0]);
        assert!(seen[1].ends_with(&format!("\r\n\r\n{}", line("b"))), "{}", seen[1]);
    }

    #[test]
    fn json_is_announced_as_such() {
        let (url, server) = server(1, "200 OK");
        let json = Format { layout: Layout::Json(JsonStyle::default()), ..format() };
        Http::new(output(url), Formatter::new(json)).deliver(&[alert("a")]).unwrap();
        let seen = server.join().unwrap();
        assert!(seen[0].to_lowercase().contains("content-type: application/json\r\n"));
        assert!(seen[0].contains("\r\n\r\n{\"hostname\":"), "{}", seen[0]);
    }

    #[test]
    fn a_response_of_any_status_is_a_delivery() {
        for status in ["404 Not Found", "500 Oh", "302 Found"] {
            let (url, server) = server(1, status);
            Http::new(output(url), formatter()).deliver(&[alert("x")]).unwrap();
            assert_eq!(server.join().unwrap().len(), 1);
        }
    }

    #[test]
    fn a_refused_connection_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = Http::new(output(url), formatter()).deliver(&[alert("x")]).unwrap_err();
        assert!(error.to_string().starts_with("failed to post: "), "{error}");
    }

    #[test]
    fn an_error_names_the_missing_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = output("https://127.0.0.1:1/".to_owned());
        let error = |output: &HttpOutput| {
            Http::new(output.clone(), formatter()).deliver(&[alert("x")]).unwrap_err().to_string()
        };
        assert!(error(&output).starts_with("/nonexistent: "), "{}", error(&output));
        output.trust = Trust::Authorities(dir.path().to_owned());
        fs::write(dir.path().join("file"), "no certificate").unwrap();
        assert_eq!(error(&output), format!("{}: no certificate in PEM form", dir.path().display()));
    }
}
