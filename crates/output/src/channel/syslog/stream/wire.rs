//! One connection over TCP, with or without TLS. All waiting is bounded.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_keepalive;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection};

use super::super::settings::SyslogAddress;
use super::super::unacked::unacknowledged;

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Time between two looks at what is acknowledged: the first, and the longest.
const FIRST_LOOK: Duration = Duration::from_micros(100);
const LONGEST_LOOK: Duration = Duration::from_millis(10);
/// Reads of what the receiver sends before a connection is used. It has nothing to say.
const MOST_READS: usize = 64;

impl Wire {
    /// Connects to one of the addresses.
    pub(crate) fn connect(
        address: &SyslogAddress,
        tls: Option<Arc<ClientConfig>>,
        until: Instant,
    ) -> io::Result<Self> {
        let mut last = ErrorKind::NotFound.into();
        for resolved in address.resolve()? {
            match TcpStream::connect_timeout(&resolved, left(until)?) {
                Ok(tcp) => return Self::begin(tcp, tls, address, until),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn begin(
        tcp: TcpStream,
        tls: Option<Arc<ClientConfig>>,
        address: &SyslogAddress,
        until: Instant,
    ) -> io::Result<Self> {
        tcp.set_nonblocking(true)?;
        tcp.set_nodelay(true)?;
        set_socket_keepalive(&tcp, true)?;
        let Some(config) = tls else { return Ok(Self { tcp, tls: None }) };
        let name = ServerName::try_from(address.host.clone()).map_err(invalid)?;
        let mut session = ClientConnection::new(config, name).map_err(invalid)?;
        // A batch is bounded already.
        session.set_buffer_limit(None);
        let mut wire = Self { tcp, tls: Some(Box::new(session)) };
        while wire.is_handshaking() {
            wire.flush(until)?;
            if wire.is_handshaking() {
                wait(&wire.tcp, PollFlags::IN, until)?;
                wire.check_open()?;
            }
        }
        Ok(wire)
    }

    fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|session| session.is_handshaking())
    }

    /// Reads what the receiver has sent.
    ///
    /// # Errors
    /// It has closed or broken the connection.
    pub(crate) fn check_open(&mut self) -> io::Result<()> {
        let mut ignored = [0; 4096];
        for _ in 0..MOST_READS {
            let read = match &mut self.tls {
                None => self.tcp.read(&mut ignored),
                Some(session) => session.read_tls(&mut self.tcp).and_then(|bytes| {
                    let state = session.process_new_packets().map_err(invalid)?;
                    if state.plaintext_bytes_to_read() > 0 {
                        let _ = session.reader().read(&mut ignored);
                    }
                    Ok(if state.peer_has_closed() { 0 } else { bytes })
                }),
            };
            match read {
                Ok(0) => return Err(closed()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(ErrorKind::InvalidData, "the receiver sends data"))
    }

    pub(crate) fn send(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        if let Some(session) = &mut self.tls {
            session.writer().write_all(bytes)?;
            return self.flush(until);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.tcp.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) => retry(&error, &self.tcp, until)?,
            }
        }
        Ok(())
    }

    /// Waits until the kernel of the receiver has all that was written.
    pub(crate) fn wait_until_acknowledged(&mut self, until: Instant) -> io::Result<()> {
        let mut look = FIRST_LOOK;
        while unacknowledged(&self.tcp)? > 0 {
            // An event means that the receiver sends or closes; otherwise this is a pause.
            let most = left(until)?.min(look);
            let _ = poll_for(&self.tcp, PollFlags::IN, most);
            self.check_open()?;
            look = LONGEST_LOOK.min(look * 2);
        }
        self.check_open()
    }

    fn flush(&mut self, until: Instant) -> io::Result<()> {
        let Some(session) = &mut self.tls else { return Ok(()) };
        while session.wants_write() {
            if let Err(error) = session.write_tls(&mut self.tcp) {
                retry(&error, &self.tcp, until)?;
            }
        }
        Ok(())
    }
}

impl Drop for Wire {
    /// Says goodbye, as TLS wants it.
    fn drop(&mut self) {
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
            let _ = session.write_tls(&mut self.tcp);
        }
    }
}

/// Waits if an error of a write only says that there is no room.
fn retry(error: &io::Error, tcp: &TcpStream, until: Instant) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => wait(tcp, PollFlags::OUT, until),
        kind => Err(error.raw_os_error().map_or(kind.into(), io::Error::from_raw_os_error)),
    }
}

fn wait(tcp: &TcpStream, flags: PollFlags, until: Instant) -> io::Result<()> {
    poll_for(tcp, flags, left(until)?)
}

fn poll_for(tcp: &TcpStream, flags: PollFlags, most: Duration) -> io::Result<()> {
    let most = Timespec::try_from(most).ok();
    poll(&mut [PollFd::new(tcp, flags)], most.as_ref())?;
    Ok(())
}

/// The time that is left.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::ConnectionAborted, "the receiver has closed the connection")
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
