//! The log of this machine.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peregrine_alert::Alert;
use peregrine_limits::SYSLOG_SEND_TIME;
use rustix::io::Errno;

use super::super::deliver::{Channel, Outcome};
use super::message::Messages;
use crate::shutdown::{Phase, Shutdown};

/// A connection to the log of this machine. It is made again when the daemon has restarted.
#[derive(Debug)]
pub struct SyslogSocket {
    path: PathBuf,
    /// How long a message may wait for the daemon; `None` if it must not.
    wait: Option<Duration>,
    connected: Option<Connection>,
}

#[derive(Debug)]
enum Connection {
    Datagram(UnixDatagram),
    /// Messages end with a zero byte.
    Stream(UnixStream),
}

/// The channel.
#[derive(Debug)]
pub(crate) struct Local {
    socket: SyslogSocket,
    messages: Messages,
    /// The message being sent; kept for its memory.
    message: Vec<u8>,
    /// Until when a daemon that does not answer is expected to come back.
    patience: Option<Instant>,
    shutdown: Arc<Shutdown>,
}

/// Time that a daemon has for a restart.
const RESTART: Duration = Duration::from_secs(5);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

impl SyslogSocket {
    /// Connects with the first message. A message waits this long for the daemon, or not at all.
    #[must_use]
    pub fn new(path: PathBuf, wait: Option<Duration>) -> Self {
        Self { path, wait, connected: None }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// There is no daemon, or it does not take messages ([`ErrorKind::WouldBlock`]).
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connected else { return self.send_anew(message) };
        match connection.send(message) {
            Ok(()) => Ok(()),
            // It has the connection, but is too busy, or the message is too long for it.
            Err(error) if error.kind() == ErrorKind::WouldBlock || is_too_long(&error) => {
                self.connected.take_if(|connection| matches!(connection, Connection::Stream(_)));
                Err(error)
            }
            Err(_) => self.send_anew(message),
        }
    }

    fn send_anew(&mut self, message: &[u8]) -> io::Result<()> {
        self.connected = None;
        let mut connection = self.connect()?;
        connection.send(message)?;
        self.connected = Some(connection);
        Ok(())
    }

    fn connect(&self) -> io::Result<Connection> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(&self.path) {
            Ok(()) => {
                socket.set_nonblocking(self.wait.is_none())?;
                socket.set_write_timeout(self.wait)?;
                Ok(Connection::Datagram(socket))
            }
            Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
                let socket = UnixStream::connect(&self.path)?;
                socket.set_nonblocking(self.wait.is_none())?;
                socket.set_write_timeout(self.wait)?;
                Ok(Connection::Stream(socket))
            }
            Err(error) => Err(error),
        }
    }
}

impl Connection {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagram(socket) => socket.send(message).map(drop),
            Self::Stream(socket) => socket.write_all(&[message, b"\0"].concat()),
        }
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

impl Local {
    pub(crate) fn new(path: PathBuf, messages: Messages) -> Self {
        let socket = SyslogSocket::new(path, Some(SYSLOG_SEND_TIME.duration()));
        let (message, shutdown) = (Vec::new(), Arc::default());
        Self { socket, messages, message, patience: None, shutdown }
    }

    /// Sends an alert. A daemon that was there gets some time for a restart; without one, alerts
    /// are lost at once.
    fn deliver_one(&mut self, alert: &Alert) -> Outcome {
        self.message.clear();
        self.messages.write(alert, &mut self.message);
        let mut retried = 0;
        let result = loop {
            let error = match self.socket.send(&self.message) {
                Ok(()) => {
                    self.patience = Some(Instant::now() + RESTART);
                    break Ok(());
                }
                Err(error) => error,
            };
            if error.kind() == ErrorKind::WouldBlock {
                SYSLOG_SEND_TIME.reach();
                break Err(error);
            }
            let patient = self.patience.is_some_and(|until| Instant::now() < until);
            if !patient || is_too_long(&error) || self.shutdown.pause(PAUSE) == Phase::Ended {
                break Err(error);
            }
            retried += 1;
        };
        Outcome { retried, ..Outcome::of(1, result.map_err(Into::into)) }
    }
}

impl Channel for Local {
    fn name(&self) -> &'static str {
        "syslog"
    }

    /// A daemon that hangs costs time for each alert.
    fn batch(&self) -> usize {
        8
    }

    fn shutdown(&self) -> Arc<Shutdown> {
        self.shutdown.clone()
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        alerts.iter().fold(Outcome::default(), |sum, alert| sum.and(self.deliver_one(alert)))
    }

    fn reopen(&mut self) -> Outcome {
        self.socket.connected = None;
        Outcome::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::thread;

    use super::super::SyslogOutput;
    use super::*;
    use crate::testing::{self, formatter};

    fn channel(socket: &Path) -> Local {
        let output = SyslogOutput::local(socket.to_owned(), "engine".to_owned());
        Local::new(socket.to_owned(), Messages::new(&output, formatter()))
    }

    fn receive(daemon: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let len = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    #[test]
    fn messages_survive_a_restart_of_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let mut syslog = channel(&socket);
        let alert = testing::alert("line with é");
        let line = testing::line("line with é");
        assert_eq!(syslog.deliver(std::slice::from_ref(&alert)).failed, 1);
        for _ in 0..2 {
            let daemon = UnixDatagram::bind(&socket).unwrap();
            syslog.deliver(std::slice::from_ref(&alert)).unwrap();
            let message = receive(&daemon);
            assert!(message.starts_with("<13>"), "{message}");
            assert!(message.ends_with(&format!(" engine: {line}")), "{message}");
            assert_eq!(message.len(), format!("<13>Jan  1 00:00:00 engine: {line}").len());
            fs::remove_file(&socket).unwrap();
        }
    }

    #[test]
    fn a_daemon_that_restarts_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let mut syslog = channel(&socket);
        let alerts = testing::alerts(&["one", "two"]);
        let daemon = UnixDatagram::bind(&socket).unwrap();
        syslog.deliver(&alerts[..1]).unwrap();
        receive(&daemon);
        drop(daemon);
        fs::remove_file(&socket).unwrap();
        let restarted = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            receive(&UnixDatagram::bind(&socket).unwrap())
        });
        let outcome = syslog.deliver(&alerts[1..]);
        assert!(outcome.retried > 0 && outcome.unwrap() == 1);
        assert!(restarted.join().unwrap().ends_with(&testing::line("two")));
    }

    #[test]
    fn a_daemon_that_hangs_costs_a_bounded_time() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let _daemon = UnixDatagram::bind(&socket).unwrap();
        let mut syslog = channel(&socket);
        syslog.socket.wait = Some(Duration::from_millis(10));
        let alert = testing::alert("x");
        let mut results =
            (0..10_000).map(|_| syslog.deliver(std::slice::from_ref(&alert)).error.is_none());
        assert!(results.any(|delivered| !delivered));
        // The program's own log never waits.
        let mut log = SyslogSocket::new(socket, None);
        assert_eq!(log.send(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_daemon_that_wants_a_stream_gets_one() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let daemon = UnixListener::bind(&socket).unwrap();
        let mut log = SyslogSocket::new(socket, Some(RESTART));
        log.send(b"one").unwrap();
        log.send(b"two").unwrap();
        drop(log);
        let mut text = String::new();
        daemon.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\0two\0");
    }
}
