use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use flate2::read::GzDecoder;
use peregrine_diagnostics::Secret;

use super::*;
use crate::channel::deliver::Channel;
use crate::channel::retry::RetryLimits;
use crate::channel::tls::{TlsSettings, Trust};
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
            let mut reader =
                connection.take().unwrap_or_else(|| BufReader::new(listener.accept().unwrap().0));
            seen.push(request(&mut reader));
            match *answer {
                // The connection is closed.
                "" => {}
                answer => {
                    let rest = "Location: /other\r\nContent-Length: 2\r\n\r\nok";
                    write!(reader.get_mut(), "HTTP/1.1 {answer}\r\n{rest}").unwrap();
                    // Some servers close the connection after an error.
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
    // Compressed bodies are compared as Latin-1.
    head + &body.iter().map(|byte| char::from(*byte)).collect::<String>()
}

fn channel(url: String, max_consecutive_timeouts: u32) -> Networked {
    let time = Duration::from_secs(30);
    let retries = RetryLimits { max: max_consecutive_timeouts, time };
    HttpOutput { retries, ..output(url) }.channel(formatter())
}

fn output(url: String) -> HttpOutput {
    HttpOutput {
        url: Secret::from(url),
        user_agent: "engine/1".to_owned(),
        headers: BTreeMap::new(),
        bearer: None,
        tls: TlsSettings { trust: Trust::Authorities("/nonexistent".into()), client: None },
        proxy: Some(Secret::default()),
        keep_alive: true,
        connect_time: Duration::from_secs(5),
        request_time: Duration::from_secs(10),
        retries: RetryLimits { max: 0, time: Duration::from_secs(30) },
        batch: None,
        encoding: Encoding::None,
        echo: false,
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
    output(url).channel(Formatter::new(json())).deliver(&[alert("a")]).unwrap();
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
    let answers =
        &["503 Busy\r\nRetry-After: 0", "429 Slow down", "", "200 OK", "500 Oh", "204 No Content"];
    let (url, server) = server(answers);
    let mut http = channel(url, 5);
    let outcome = http.deliver(&testing::alerts(&["a", "b"]));
    assert_eq!((outcome.retried, outcome.unwrap()), (4, 2));
    let seen = server.join().unwrap();
    let alerts: String = seen.iter().map(|request| request.chars().next_back().unwrap()).collect();
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
    let retries = RetryLimits { max: 1, time: Duration::from_secs(30) };
    let request_time = Duration::from_millis(50);
    let mut http = HttpOutput { retries, request_time, ..output(url) }.channel(formatter());
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

/// The letters that end the alerts of each request.
fn letters(requests: &[String]) -> Vec<String> {
    let body = |request: &String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
    let letters = |body: String| -> String {
        let prefix = line("");
        body.split(&prefix).skip(1).filter_map(|rest| rest.chars().next()).collect()
    };
    requests.iter().map(body).map(letters).collect()
}

fn json() -> Format {
    Format { layout: Layout::Json(JsonStyle::default()), ..format() }
}

fn batches(alerts: usize, form: BatchForm) -> Option<Batch> {
    Some(Batch { alerts, bytes: 1 << 20, max_wait: Duration::ZERO, form })
}

#[test]
fn batches_are_arrays_or_lines() {
    let requests = [
        (BatchForm::JsonArray, Formatter::new(json()), "application/json"),
        (BatchForm::Lines, Formatter::new(json()), "application/x-ndjson"),
        (BatchForm::Lines, formatter(), "text/plain"),
    ];
    let [array, ndjson, text] = requests.map(|(form, format, content_type)| {
        let (url, server) = server(&["200 OK"]);
        let output = HttpOutput { batch: batches(3, form), ..output(url) };
        assert_eq!(output.channel(format).deliver(&testing::alerts(&["a", "b"])).unwrap(), 2);
        let seen = server.join().unwrap().remove(0);
        assert!(seen.contains(&format!("content-type: {content_type}\r\n")), "{seen}");
        seen.split_once("\r\n\r\n").unwrap().1.to_owned()
    });
    assert!(array.starts_with("[{\"hostname\":") && array.ends_with("\"}]"), "{array}");
    assert_eq!(array.matches("\"},{\"hostname\"").count(), 1);
    assert_eq!(
        ndjson,
        array[1..array.len() - 1].replace("},{\"hostname\"", "}\n{\"hostname\"") + "\n"
    );
    assert_eq!(text, format!("{}\n{}\n", line("a"), line("b")));
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let answers = &["413 Too Large", "200 OK", "413 Too Large", "413 Too Large", "200 OK"];
    let (url, server) = server(answers);
    let output = HttpOutput { batch: batches(9, BatchForm::Lines), ..output(url) };
    let outcome = output.channel(formatter()).deliver(&testing::alerts(&["a", "b", "c", "d"]));
    assert_eq!((outcome.delivered, outcome.failed), (3, 1));
    assert!(outcome.error.unwrap().to_string().ends_with("status 413"));
    assert_eq!(letters(&server.join().unwrap()), ["abcd", "ab", "cd", "c", "d"]);
}

#[test]
fn bodies_are_compressed_and_headers_are_sent() {
    let (url, server) = server(&["200 OK"]);
    let mut output = output(url.replace("://", "://me:hunter2@"));
    output.encoding = Encoding::Gzip;
    output.headers = [("X-Scope".to_owned(), Secret::from("one"))].into();
    output.channel(formatter()).deliver(&[alert("a")]).unwrap();
    let seen = server.join().unwrap().remove(0);
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    for header in
        ["content-encoding: gzip", "x-scope: one", "authorization: Basic bWU6aHVudGVyMg=="]
    {
        assert!(head.lines().any(|line| line == header), "{head}");
    }
    assert!(head.starts_with("POST /alerts HTTP/1.1") && !head.contains('@'), "{head}");
    let body: Vec<u8> = body.chars().map(|byte| byte as u8).collect();
    let mut text = String::new();
    GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, line("a"));
}

#[test]
fn a_token_file_is_read_again_and_losing_it_is_told_without_a_loss() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "one\n").unwrap();
    let (url, server) = server(&["200 OK"; 2]);
    let bearer = Some(Bearer::File(file.path().to_owned()));
    let mut channel = HttpOutput { bearer, ..output(url) }.channel(formatter());
    channel.deliver(&[alert("a")]).unwrap();
    fs::write(&file, "").unwrap();
    thread::sleep(token::INTERVAL);
    let outcome = channel.deliver(&[alert("a")]);
    assert_eq!((outcome.delivered, outcome.failed), (1, 0));
    assert!(outcome.error.unwrap().to_string().contains("the token is empty"));
    for request in server.join().unwrap() {
        assert!(request.contains("authorization: Bearer one\r\n"), "{request}");
    }
}

#[test]
fn settings_that_cannot_be_sent_are_found_before_the_first_alert() {
    let error = |change: fn(&mut HttpOutput)| {
        let mut output = output("http://h/".to_owned());
        change(&mut output);
        output.check(false).unwrap_err().to_string()
    };
    let header = |name: &str, value: &str| [(name.to_owned(), Secret::from(value))].into();
    output("http://h/".to_owned()).check(false).unwrap();
    for (change, expected) in [
        (
            (|it| it.url = Secret::from("http://h:123456/")) as fn(&mut HttpOutput),
            "the URL has no valid port",
        ),
        (
            |it| it.proxy = Some(Secret::from("socks5://hunter2@h")),
            "the URL of the proxy does not begin with `http://`",
        ),
        (
            |it| it.user_agent = "a\nb".to_owned(),
            "header `User-Agent` has a character that it may not have",
        ),
        (
            |it| it.bearer = Some(Bearer::File("/none".into())),
            "/none: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(error(change), expected);
    }
    for (name, value, problem) in [
        ("a b", "c", "is no name of a header"),
        ("X", "hunter\n2", "has a character that it may not have"),
        ("Content-length", "2", "is set by the engine"),
    ] {
        let output = HttpOutput { headers: header(name, value), ..output("http://h/".to_owned()) };
        assert_eq!(
            output.check(false).unwrap_err().to_string(),
            format!("header `{name}` {problem}")
        );
        assert!(!format!("{output:?}").contains("hunter"));
    }
}

#[test]
fn a_proxy_takes_the_whole_url() {
    let (proxy, server) = server(&["200 OK"]);
    let proxy = Some(Secret::from(proxy.replace("://", "://me:hunter2@")));
    let mut output = HttpOutput { proxy, ..output("http://example.invalid/x?y".to_owned()) };
    output.retries.max = 0;
    output.channel(formatter()).deliver(&[alert("a")]).unwrap();
    let seen = server.join().unwrap().remove(0);
    assert!(seen.starts_with("POST http://example.invalid/x?y HTTP/1.1\r\n"), "{seen}");
    for header in ["host: example.invalid\r\n", "proxy-authorization: Basic bWU6aHVudGVyMg==\r\n"] {
        assert!(seen.contains(header), "{seen}");
    }
}

#[test]
fn a_proxy_that_refuses_a_tunnel_is_named() {
    let (proxy, server) = server(&["403 Forbidden"]);
    let proxy = Some(Secret::from(proxy));
    let mut output = HttpOutput { proxy, ..output("https://example.invalid/".to_owned()) };
    output.tls.trust = Trust::Anyone;
    let error = output.channel(formatter()).deliver(&[alert("a")]).unwrap_err().to_string();
    assert_eq!(error, "failed to post: the proxy answered with status 403");
    let seen = server.join().unwrap().remove(0);
    assert!(seen.starts_with("CONNECT example.invalid:443 HTTP/1.1\r\n"), "{seen}");
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let of = |value: String| {
        let value = HeaderValue::from_str(&value).unwrap();
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
    };
    assert_eq!(of("120".to_owned()), Some(Duration::from_secs(120)));
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
    assert!((95..=100).contains(&of(date).unwrap().as_secs()));
    assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT".to_owned()), Some(Duration::ZERO));
    assert_eq!(of("soon".to_owned()), None);
}

#[test]
fn the_server_closes_idle_connections_without_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for _ in 0..3 {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            request(&mut reader);
            write!(reader.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let mut http = channel(url, 0);
    for _ in 0..3 {
        assert_eq!(http.deliver(&[alert("a")]).unwrap(), 1);
    }
    server.join().unwrap();
}

#[test]
fn a_response_that_does_not_end_does_not_hold_up_the_next_alert() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut open = Vec::new();
        for head in ["Content-Length: 1000", "Content-Length: 1000\r\nX: y"] {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            request(&mut reader);
            write!(reader.get_mut(), "HTTP/1.1 200 OK\r\n{head}\r\n\r\nhalf").unwrap();
            open.push(reader);
        }
        open
    });
    let mut http = channel(url, 0);
    assert_eq!(http.deliver(&testing::alerts(&["a", "b"])).unwrap(), 2);
    drop(server.join().unwrap());
}
