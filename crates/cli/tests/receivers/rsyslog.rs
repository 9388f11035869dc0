//! rsyslog: over its socket, UDP, TCP and TLS.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use super::support::{Place, Server, find, free_port, number_in, skip_or_fail, wait_until};

/// rsyslog, which writes what it receives into the file `received`: time, host, program, severity,
/// structured data and text.
struct Rsyslog {
    program: PathBuf,
    port: u16,
}

const TEMPLATE: &str = "\
template(name=\"t\" type=\"string\" string=\"%timereported:::date-rfc3339%|%hostname%|%app-name%|%syslogfacility-text%.%syslogseverity-text%|%structured-data%|%msg%\\n\")
*.* action(type=\"omfile\" file=\"DIR/received\" template=\"t\" flushOnTXEnd=\"on\" asyncWriting=\"off\")
";

impl Rsyslog {
    /// None if it is not installed.
    fn find() -> Option<Self> {
        let program = find("rsyslogd");
        if program.is_none() {
            skip_or_fail("rsyslog");
        }
        Some(Self { program: program?, port: free_port() })
    }

    /// Starts it with this input.
    fn start(&self, place: &Place, input: &str, ready: impl Fn() -> bool) -> Server {
        let directory = place.path("").display().to_string();
        let directory = directory.trim_end_matches('/');
        let config =
            format!("global(workDirectory=\"DIR\" maxMessageSize=\"64k\")\n{input}\n{TEMPLATE}");
        let config = config.replace("DIR", directory).replace("PORT", &self.port.to_string());
        place.write("rsyslog.conf", &config);
        let log = File::options().create(true).append(true).open(place.path("rsyslog.log"));
        let mut command = Command::new(&self.program);
        command.arg("-n").arg("-f").arg(place.path("rsyslog.conf"));
        command.arg("-i").arg(place.path("rsyslog.pid"));
        let log = log.unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let server = Server::start(&mut command);
        wait_until("rsyslog is ready", ready);
        server
    }
}

/// The numbers of the alerts that have arrived.
fn numbers(place: &Place) -> Vec<u64> {
    place.read("received").lines().filter(|line| line.contains("number=")).map(number_in).collect()
}

#[test]
fn alerts_and_log_lines_come_from_one_sender_and_survive_restarts() {
    let Some(rsyslog) = Rsyslog::find() else { return };
    let place = Place::new("");
    let socket = place.path("devlog");
    place.write(
        "falco.yaml",
        &format!(
            "engine: {{kind: replay, replay: {{capture_file: events}}}}\n\
             log_stderr: true\nlog_syslog: true\nload_plugins: []\n\
             syslog_output:\n  enabled: true\n  peregrine:\n    address: '{}'\n\
             \x20   app_name: sensor\n    facility: local3\n",
            socket.display()
        ),
    );
    let input = "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                 input(type=\"imuxsock\" Socket=\"DIR/devlog\" RateLimit.Interval=\"0\")";
    let server = rsyslog.start(&place, input, || socket.exists());
    let (mut run, mut feed) = place.start_feeding();
    feed.send(10);
    wait_until("the first alerts arrive", || numbers(&place).len() == 10);
    // Killed: its socket stays, without a reader.
    server.crash();
    feed.send(10);
    let server = rsyslog.start(&place, input, || {
        std::os::unix::net::UnixDatagram::unbound().unwrap().connect(&socket).is_ok()
    });
    wait_until("those of the restart arrive", || numbers(&place).len() == 20);
    // Ended: the socket goes, and another one comes.
    server.signal(Signal::SIGTERM);
    drop(server);
    let _ = fs::remove_file(&socket);
    feed.send(10);
    let _server = rsyslog.start(&place, input, || socket.exists());
    wait_until("those without a socket arrive", || numbers(&place).len() == 30);
    // The log finds the daemon too.
    place.write("rules.yaml", "- {rule: broken\n");
    run.signal(Signal::SIGHUP);
    wait_until("a log line arrives", || place.read("received").contains("Reload failed"));
    let received = place.read("received");
    let from = |line: &str| line.split('|').nth(2).unwrap().to_owned();
    for line in
        received.lines().filter(|line| line.contains("number=") || line.contains("Reload failed"))
    {
        assert_eq!(from(line), "sensor", "{line}");
        assert!(line.contains("|local3."), "{line}");
    }
    assert!(received.lines().any(|line| line.trim_end().ends_with("number=1")));
    assert_eq!(numbers(&place), (1..=30).collect::<Vec<_>>());
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    assert!(!run.stdout().contains("lost"), "{}", run.stdout());
}

#[test]
fn messages_of_rfc_5424_arrive_over_udp_tcp_and_tls() {
    let Some(rsyslog) = Rsyslog::find() else { return };
    let place = Place::new("");
    place.write_certificates();
    let tls = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];
    let has_tls =
        tls.iter().any(|lib| PathBuf::from(format!("{lib}/rsyslog/lmnsd_gtls.so")).exists());
    if !has_tls {
        skip_or_fail("rsyslog-gnutls");
    }
    let tcp = "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"PORT\" address=\"127.0.0.1\")";
    let inputs = [
        (
            "udp",
            "",
            "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"PORT\" address=\"127.0.0.1\")",
        ),
        ("tcp", "framing: octet_counting", tcp),
        ("tcp", "framing: newline", tcp),
        (
            "tls",
            "tls: {ca: ca.pem, client_cert: client.crt, client_key: client.key}",
            "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"DIR/ca.pem\"\n\
             defaultNetstreamDriverCertFile=\"DIR/server.crt\" defaultNetstreamDriverKeyFile=\"DIR/server.key\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"x509/certvalid\")\n\
             input(type=\"imtcp\" port=\"PORT\" address=\"127.0.0.1\")",
        ),
    ];
    for (scheme, more, input) in inputs {
        if scheme == "tls" && !has_tls {
            continue;
        }
        let server = rsyslog.start(&place, input, || {
            let tables = ["/proc/net/udp", "/proc/net/tcp"].map(fs::read_to_string);
            tables
                .iter()
                .flatten()
                .any(|it| it.contains(&format!("0100007F:{:04X} ", rsyslog.port)))
        });
        let more = if more.is_empty() { String::new() } else { format!("    {more}\n") };
        place.write(
            "falco.yaml",
            &format!(
                "engine: {{kind: replay, replay: {{capture_file: events}}}}\n\
                 log_stderr: true\nlog_syslog: false\nload_plugins: []\n\
                 syslog_output:\n  enabled: true\n  peregrine:\n\
                 \x20   address: '{scheme}://127.0.0.1:{}'\n    form: rfc5424\n{more}",
                rsyslog.port
            ),
        );
        // Few enough for the buffer of a UDP socket.
        place.events(100, 100);
        let mut run = place.start();
        assert!(run.wait().success(), "{scheme}: {}", run.log());
        assert!(!run.stdout().contains("lost"), "{scheme}: {}{}", run.stdout(), run.log());
        wait_until("all alerts arrive", || numbers(&place).len() >= 100);
        assert_eq!(numbers(&place), (1..=100).collect::<Vec<_>>(), "{scheme}");
        let received = place.read("received");
        let line = received.lines().next().unwrap();
        let parts: Vec<_> = line.split('|').collect();
        let [time, _, program, level, data, text] = parts.as_slice() else { panic!("{line}") };
        assert!(time.starts_with("1970-01-01T"), "{line}");
        assert_eq!((*program, *level), ("peregrine", "user.notice"));
        assert!(data.starts_with("[peregrine@32473 id=\"0"), "{line}");
        assert!(data.ends_with("\" rule=\"Closed\" priority=\"Notice\" tags=\"\"]"), "{line}");
        assert!(text.contains(": Notice number=1 x"), "{line}");
        drop(server);
        fs::remove_file(place.path("received")).unwrap();
    }
}

#[test]
fn a_connection_that_a_restart_closes_loses_nothing_over_tcp() {
    let Some(rsyslog) = Rsyslog::find() else { return };
    let port = rsyslog.port;
    let place = Place::new(&format!(
        "syslog_output:\n  enabled: true\n  peregrine:\n    address: 'tcp://127.0.0.1:{port}'\n"
    ));
    let input = "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"PORT\" address=\"127.0.0.1\")";
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let server = rsyslog.start(&place, input, listens);
    let (mut run, mut feed) = place.start_feeding();
    feed.send(100);
    wait_until("the first alerts arrive", || numbers(&place).len() == 100);
    server.crash();
    feed.send(100);
    let _server = rsyslog.start(&place, input, listens);
    wait_until("those of the restart arrive", || numbers(&place).len() == 200);
    assert_eq!(numbers(&place), (1..=200).collect::<Vec<_>>());
    drop(feed);
    assert!(run.wait().success(), "{}", run.log());
    assert!(!run.stdout().contains("lost"), "{}", run.stdout());
}
