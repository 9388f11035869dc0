//! Web servers that do what they should not: a server of the test's own, for what no real one does
//! on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::support::{Feed, Place, Run, number_in, wait_until};

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Fault {
    /// Answers with this status, and further headers.
    Status(&'static str),
    /// Answers after this time.
    Late(Duration),
    /// Resets the connection within the response.
    Reset,
    /// Never answers.
    Silence,
}

use Fault::{Late, Reset, Silence, Status};

/// The numbers of the alerts of a request, and when it came.
type Seen = (Vec<u64>, Instant);

/// A server that answers each request with what the function says about its number.
struct Faulty {
    url: String,
    requests: Arc<Mutex<Vec<Seen>>>,
}

impl Faulty {
    fn start(fault: impl Fn(usize) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://me:hunter2@{}/alerts", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (seen, fault) = (requests.clone(), Arc::new(fault));
        // It ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (seen, fault) = (seen.clone(), fault.clone());
                thread::spawn(move || {
                    let mut connection = BufReader::new(connection.unwrap());
                    while let Some(body) = request(&mut connection) {
                        let number = {
                            let mut seen = seen.lock().unwrap();
                            seen.push((body.lines().map(number_in).collect(), Instant::now()));
                            seen.len() - 1
                        };
                        if !answer(connection.get_mut(), fault(number)) {
                            break;
                        }
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// The numbers of all alerts in all requests.
    fn numbers(&self) -> Vec<u64> {
        self.requests.lock().unwrap().iter().flat_map(|(numbers, _)| numbers.clone()).collect()
    }
}

fn request(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some(String::from_utf8(body).unwrap())
}

/// Whether the connection is still of use.
fn answer(connection: &mut TcpStream, fault: Fault) -> bool {
    let status = match fault {
        Status(status) => status,
        Late(time) => {
            thread::sleep(time);
            "200 OK"
        }
        Reset => {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Le");
            // Closing resets the connection.
            set_socket_linger(&connection, Some(Duration::ZERO)).unwrap();
            return false;
        }
        Silence => {
            thread::sleep(Duration::from_secs(3600));
            return false;
        }
    };
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").is_ok()
}

/// The program with this server, and with standard output and a file beside it.
fn run(server: &Faulty, events: u64, keys: &str) -> (Place, Run) {
    let place = place(server, keys);
    place.events(events, 10);
    let run = place.start();
    (place, run)
}

/// The same, with events that come while it runs.
fn feed(server: &Faulty, keys: &str) -> (Place, (Run, Feed)) {
    let place = place(server, keys);
    let fed = place.start_feeding();
    (place, fed)
}

fn place(server: &Faulty, keys: &str) -> Place {
    Place::new(&format!(
        "http_output: {{enabled: true, url: '{}', {keys}}}\n\
         stdout_output: {{enabled: true}}\n\
         file_output: {{enabled: true, filename: alerts, keep_alive: true}}\n\
         output_timeout: 30000\n",
        server.url
    ))
}

/// The run ends, standard output and file have all alerts, and no secret is shown. Gives back what
/// the summary says about lost alerts of http.
#[track_caller]
fn end(place: &Place, mut run: Run, events: u64) -> Option<String> {
    assert!(run.wait().success(), "{}", run.log());
    let all: Vec<_> = (1..=events).collect();
    let file: Vec<_> = place.read("alerts").lines().map(number_in).collect();
    assert_eq!(file, all);
    let stdout = run.stdout();
    let alerts = stdout.lines().filter(|line| line.contains("number="));
    assert_eq!(alerts.map(number_in).collect::<Vec<_>>(), all);
    assert!(!stdout.contains("hunter2") && !run.log().contains("hunter2"), "{}", run.log());
    let (_, lost) = stdout.split_once("Alerts lost by output:\n")?;
    lost.lines().find_map(|line| line.trim().strip_prefix("http: ")).map(str::to_owned)
}

#[test]
fn a_server_that_never_answers_costs_the_other_outputs_nothing() {
    let server = Faulty::start(|_| Silence);
    let keys = "peregrine: {request_timeout_ms: 200, retries: {max: 1}}";
    let (place, mut run) = run(&server, 5, keys);
    wait_until("the others have all", || place.read("alerts").lines().count() == 5);
    assert!(run.wait().success());
    assert!(run.log().contains("failed to post: timeout: no response in time"), "{}", run.log());
    assert_eq!(end(&place, run, 5).unwrap(), "5 of 5 (channel failed: 5)");
    assert_eq!(server.numbers(), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
}

#[test]
fn an_answer_after_the_time_limit_is_none() {
    let server = Faulty::start(|number| match number {
        0 => Late(Duration::from_secs(60)),
        _ => Status("200 OK"),
    });
    let (place, run) = run(&server, 3, "peregrine: {request_timeout_ms: 300}");
    assert_eq!(end(&place, run, 3), None);
    assert_eq!(server.numbers(), [1, 1, 2, 3]);
}

#[test]
fn statuses_that_refuse_are_failures_that_are_named() {
    for status in ["404 Not Found", "301 Moved Permanently\r\nLocation: /"] {
        let server = Faulty::start(move |_| Status(status));
        let (place, run) = run(&server, 4, "max_consecutive_timeouts: 3");
        let code = &status[..3];
        let log = format!("http: failed to post: the server answered with status {code} (");
        wait_until("it is told", || run.log().contains(&log));
        assert_eq!(end(&place, run, 4).unwrap(), "4 of 4 (channel failed: 4)");
        assert_eq!(server.numbers(), [1, 2, 3, 4]);
    }
}

#[test]
fn a_server_error_is_tried_again_and_then_a_failure() {
    let server = Faulty::start(|number| match number {
        // The first alert is given up, the others arrive with the second attempt.
        0..=2 => Status("500 Internal Server Error"),
        number if number % 2 == 1 => Status("503 Service Unavailable"),
        _ => Status("200 OK"),
    });
    let (place, run) = run(&server, 4, "max_consecutive_timeouts: 2");
    assert_eq!(end(&place, run, 4).unwrap(), "1 of 4 (channel failed: 1)");
    assert_eq!(server.numbers(), [1, 1, 1, 2, 2, 3, 3, 4, 4]);
}

#[test]
fn a_connection_that_is_reset_within_a_response_is_tried_again() {
    let server = Faulty::start(|number| match number {
        1 => Reset,
        _ => Status("200 OK"),
    });
    let (place, run) = run(&server, 3, "max_consecutive_timeouts: 2");
    assert_eq!(end(&place, run, 3), None);
    assert_eq!(server.numbers(), [1, 2, 2, 3]);
}

#[test]
fn a_server_that_reads_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = Faulty { url, requests: Arc::default() };
    // More than the buffers of a socket take.
    let batch = "batch: {max_alerts: 1000, max_kb: 10000, form: ndjson}";
    let keys = format!("peregrine: {{request_timeout_ms: 300, retries: {{max: 0}}, {batch}}}");
    let place = Place::new(&format!(
        "http_output: {{enabled: true, url: '{}', {keys}}}\noutput_timeout: 30000\n",
        server.url
    ));
    place.events(1000, 10_000);
    let mut run = place.start();
    assert!(run.wait().success());
    let stdout = run.stdout();
    assert!(stdout.contains("http: 1000 of 1000 (channel failed: 1000)"), "{stdout}");
}

#[test]
fn retry_after_is_respected_and_the_order_stays() {
    let server = Faulty::start(|number| match number {
        1 => Status("429 Too Many Requests\r\nRetry-After: 1"),
        _ => Status("200 OK"),
    });
    let (place, (run, mut feed)) = feed(&server, "max_consecutive_timeouts: 1");
    feed.send(3);
    // The end of a run cuts a pause short, so it comes after it.
    wait_until("all arrive", || server.numbers() == [1, 2, 2, 3]);
    drop(feed);
    assert_eq!(end(&place, run, 3), None);
    assert_eq!(server.numbers(), [1, 2, 2, 3]);
    let requests = server.requests.lock().unwrap();
    let pause = requests[2].1 - requests[1].1;
    assert!(pause >= Duration::from_secs(1), "{pause:?}");
}

#[test]
fn an_alert_waits_for_others_no_longer_than_it_may() {
    let server = Faulty::start(|_| Status("200 OK"));
    let batch = "batch: {max_alerts: 3, max_wait_ms: 500, form: ndjson}";
    let place = Place::new(&format!(
        "http_output: {{enabled: true, url: '{}', peregrine: {{{batch}}}}}\noutput_timeout: 30000\n",
        server.url
    ));
    let (mut run, mut feed) = place.start_feeding();
    let begun = Instant::now();
    feed.send(1);
    thread::sleep(Duration::from_millis(20));
    feed.send(1);
    wait_until("both arrive", || server.numbers().len() == 2);
    assert!(begun.elapsed() >= Duration::from_millis(500));
    // A full batch waits for nothing.
    feed.send(3);
    wait_until("the others arrive", || server.numbers().len() == 5);
    drop(feed);
    assert!(run.wait().success());
    assert_eq!(server.numbers(), [1, 2, 3, 4, 5]);
    assert_eq!(server.requests.lock().unwrap()[0].0, [1, 2]);
}

#[test]
fn alerts_that_wait_travel_together() {
    let server = Faulty::start(|_| Late(Duration::from_millis(50)));
    let keys = "peregrine: {batch: {max_alerts: 100, form: ndjson}}";
    let (place, run) = run(&server, 1000, keys);
    assert_eq!(end(&place, run, 1000), None);
    assert_eq!(server.numbers(), (1..=1000).collect::<Vec<_>>());
    let requests = server.requests.lock().unwrap();
    assert!((10..=100).contains(&requests.len()), "{} requests", requests.len());
    assert!(requests.iter().all(|(numbers, _)| numbers.len() <= 100));
}
