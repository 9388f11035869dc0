//! A web server that each alert is posted to.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peregrine_limits::{HTTP_REQUEST_TIME, NETWORK_ALERT_TIME};
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::error::HttpError;
use super::network::{BatchLimits, Fate, Networked, Record, SendError, Transport};
use super::retry::RetryLimits;
use super::tls::{TlsSettings, Trust};
use crate::format::Formatter;

/// A server that every alert is posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOutput {
    /// URL of the requests.
    pub url: String,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// Certificates of the server and the client.
    pub tls: TlsSettings,
    /// Prints the responses of the server.
    pub echo: bool,
    /// How often an alert is sent again after a timeout, another error of the network, or a status
    /// that invites to it.
    pub max_consecutive_timeouts: u8,
}

#[derive(Debug)]
pub(crate) struct Http {
    output: HttpOutput,
    content_type: &'static str,
    /// How long a request with its response may take.
    request_time: Duration,
    /// Created at the first alert, so that a missing certificate does not prevent the start.
    agent: Option<Agent>,
}

/// Why a try has failed.
struct Failure {
    error: HttpError,
    /// The pause that the receiver wants before another try; `None` if another try cannot succeed.
    again: Option<Duration>,
}

/// Bytes of a response that are read.
const MAX_RESPONSE: u64 = 64 * 1024;

impl HttpOutput {
    /// Whether alerts are sent through TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.url.starts_with("https:")
    }

    /// A channel that posts each alert in this format.
    pub(crate) fn channel(self, format: Formatter) -> Networked {
        let (max, time) = (self.max_consecutive_timeouts.into(), NETWORK_ALERT_TIME.duration());
        let http = Http::new(self, format.is_json());
        Networked::new(Box::new(format), Box::new(http), RetryLimits { max, time })
    }
}

impl Http {
    /// Posts bodies that are JSON or text.
    pub(crate) fn new(output: HttpOutput, json: bool) -> Self {
        let content_type = if json { "application/json" } else { "text/plain" };
        Self { output, content_type, request_time: HTTP_REQUEST_TIME.duration(), agent: None }
    }

    fn agent(&mut self) -> Result<&Agent, HttpError> {
        let agent = match self.agent.take() {
            Some(agent) => agent,
            None => agent(&self.output, self.request_time)?,
        };
        Ok(self.agent.insert(agent))
    }

    fn post(&mut self, body: &[u8]) -> Result<(), Failure> {
        let agent = self.agent()?.clone();
        let request = agent.post(&self.output.url).header("Content-Type", self.content_type);
        let response = request.send(body)?;
        if !response.status().is_success() {
            return Err(Failure::status(&response));
        }
        // Reading the response to its end lets the connection be reused. The alert has arrived,
        // whatever happens to the response.
        let body = response.into_body().into_with_config().limit(MAX_RESPONSE).read_to_vec();
        if let Some(body) = body.ok().filter(|_| self.output.echo) {
            let _ = io::stdout().write_all(&body);
        }
        Ok(())
    }
}

impl Failure {
    /// The server has refused. Redirects are not followed: they would become requests without an
    /// alert.
    fn status(response: &Response<Body>) -> Self {
        let status = response.status();
        let again = matches!(status.as_u16(), 408 | 429 | 500..);
        Self {
            error: HttpError::Status(status.as_u16()),
            again: again.then(|| retry_after(response).unwrap_or_default()),
        }
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self { error, again: None }
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        if is_timeout(&error) {
            HTTP_REQUEST_TIME.reach();
        }
        let again = is_transient(&error).then_some(Duration::ZERO);
        Self { error: HttpError::Transfer(Box::new(error)), again }
    }
}

impl Transport for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn batch(&self) -> BatchLimits {
        BatchLimits::SINGLE
    }

    fn send(&mut self, records: &[Record<'_>]) -> Result<(), SendError> {
        for (accepted, record) in records.iter().enumerate() {
            self.post(record.body).map_err(|Failure { error, again }| {
                let fate = again.map_or(Fate::Refused(1), |at_least| Fate::Again { at_least });
                SendError { accepted, error: error.into(), fate }
            })?;
        }
        Ok(())
    }
}

/// Seconds of `Retry-After`. Dates are ignored: the pause grows anyway.
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Whether the same request may succeed later.
fn is_transient(error: &ureq::Error) -> bool {
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Protocol, Timeout};
    matches!(error, ConnectionFailed | HostNotFound | Io(_) | Protocol(_) | Timeout(_))
}

fn is_timeout(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(_) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::TimedOut,
        _ => false,
    }
}

fn agent(output: &HttpOutput, request_time: Duration) -> Result<Agent, HttpError> {
    let mut config = Agent::config_builder()
        .user_agent(&output.user_agent)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(request_time));
    if output.uses_tls() {
        config = config.tls_config(tls(output)?);
    }
    Ok(config.build().into())
}

fn tls(output: &HttpOutput) -> Result<TlsConfig, HttpError> {
    let mut tls = TlsConfig::builder();
    match &output.tls.trust {
        Trust::Anyone => tls = tls.disable_verification(true),
        Trust::Authorities(path) => {
            tls = tls.root_certs(RootCerts::new_with_certs(&authorities(path)?));
        }
    }
    if let Some(client) = &output.tls.client {
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
    use std::net::{TcpListener, TcpStream};
    use std::thread::{self, JoinHandle};

    use super::*;
    use crate::channel::deliver::Channel;
    use crate::format::{Format, JsonStyle, Layout};
    use crate::testing::{self, alert, format, formatter, line};

    /// Answers each request with the next of these statuses; an empty one closes the connection
    /// instead. Gives back what the requests said.
    fn server(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let mut seen = Vec::new();
            let mut connection = None;
            for answer in answers {
                let mut reader = connection
                    .take()
                    .unwrap_or_else(|| BufReader::new(listener.accept().unwrap().0));
                seen.push(request(&mut reader));
                match *answer {
                    // The connection is closed.
                    "" => {}
                    answer => {
                        let rest = "Location: /other\r\nContent-Length: 2\r\n\r\nok";
                        write!(reader.get_mut(), "HTTP/1.1 {answer}\r\n{rest}").unwrap();
                        // The client leaves a connection whose response it does not read.
                        connection = answer.starts_with('2').then_some(reader);
                    }
                }
            }
            seen
        });
        (url, server)
    }

    fn request(reader: &mut BufReader<TcpStream>) -> String {
        let (mut head, mut len) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            reader.read_line(&mut head).unwrap();
            if let Some(value) = head[start..].to_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }

    fn channel(url: String, max_consecutive_timeouts: u8) -> Networked {
        HttpOutput { max_consecutive_timeouts, ..output(url) }.channel(formatter())
    }

    fn output(url: String) -> HttpOutput {
        HttpOutput {
            url,
            user_agent: "engine/1".to_owned(),
            tls: TlsSettings { trust: Trust::Authorities("/nonexistent".into()), client: None },
            echo: false,
            max_consecutive_timeouts: 0,
        }
    }

    #[test]
    fn each_alert_is_one_request_on_one_connection() {
        let (url, server) = server(&["200 OK", "200 OK"]);
        let mut http = channel(url, 0);
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
        let (url, server) = server(&["200 OK"]);
        let json = Format { layout: Layout::Json(JsonStyle::default()), ..format() };
        output(url).channel(Formatter::new(json)).deliver(&[alert("a")]).unwrap();
        let seen = server.join().unwrap();
        assert!(seen[0].to_lowercase().contains("content-type: application/json\r\n"));
        assert!(seen[0].contains("\r\n\r\n{\"hostname\":"), "{}", seen[0]);
    }

    #[test]
    fn a_status_that_refuses_is_a_failure() {
        for (answers, status) in
            [(&["404 Not Found"], 404), (&["302 Found"], 302), (&["400 Bad Request"], 400)]
        {
            let (url, server) = server(answers);
            let mut http = channel(url, 5);
            let outcome = http.deliver(&[alert("x")]);
            assert_eq!((outcome.delivered, outcome.failed), (0, 1));
            let expected = format!("failed to post: the server answered with status {status}");
            assert_eq!(outcome.error.unwrap().to_string(), expected);
            assert_eq!(server.join().unwrap().len(), 1);
        }
    }

    #[test]
    fn what_may_succeed_later_is_sent_again_in_order() {
        let answers = &[
            "503 Busy\r\nRetry-After: 0",
            "429 Slow down",
            "",
            "200 OK",
            "500 Oh",
            "204 No Content",
        ];
        let (url, server) = server(answers);
        let mut http = channel(url, 5);
        let outcome = http.deliver(&testing::alerts(&["a", "b"]));
        assert_eq!((outcome.retried, outcome.unwrap()), (4, 2));
        let seen = server.join().unwrap();
        let alerts: String =
            seen.iter().map(|request| request.chars().next_back().unwrap()).collect();
        assert_eq!(alerts, "aaaabb");
    }

    #[test]
    fn tries_are_limited_in_number_and_time() {
        let (url, server) = server(&["503 Busy", "503 Busy", "503 Busy"]);
        let mut http = channel(url, 2);
        assert_eq!(http.deliver(&[alert("a")]).failed, 1);
        assert_eq!(server.join().unwrap().len(), 3);

        let (url, server) = self::server(&["503 Busy\r\nRetry-After: 3600"]);
        let mut http = channel(url, 2);
        assert_eq!(http.deliver(&[alert("a")]).failed, 1);
        assert_eq!(server.join().unwrap().len(), 1);
    }

    #[test]
    fn a_server_that_never_answers_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let mut http = Http::new(output(url), false);
        http.request_time = Duration::from_millis(50);
        let limits = RetryLimits { max: 1, time: Duration::from_secs(30) };
        let mut http = Networked::new(Box::new(formatter()), Box::new(http), limits);
        let outcome = http.deliver(&[alert("x")]);
        assert_eq!(outcome.failed, 1);
        let error = outcome.error.unwrap().to_string();
        assert!(error.starts_with("failed to post: timeout: "), "{error}");
    }

    #[test]
    fn a_refused_connection_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = channel(url, 0).deliver(&[alert("x")]).unwrap_err();
        assert!(error.to_string().starts_with("failed to post: "), "{error}");
    }

    #[test]
    fn an_error_names_the_missing_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = output("https://127.0.0.1:1/".to_owned());
        let error = |output: &HttpOutput| {
            output.clone().channel(formatter()).deliver(&[alert("x")]).unwrap_err().to_string()
        };
        assert!(error(&output).starts_with("/nonexistent: "), "{}", error(&output));
        output.tls.trust = Trust::Authorities(dir.path().to_owned());
        fs::write(dir.path().join("file"), "no certificate").unwrap();
        assert_eq!(error(&output), format!("{}: no certificate in PEM form", dir.path().display()));
    }
}
