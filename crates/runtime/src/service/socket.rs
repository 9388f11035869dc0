//! The socket of a service manager.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Longest time to send a message.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The address is used anew for each message, so that a manager that has made another socket with
/// the same name gets it.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl NotifySocket {
    /// `name` is a path, or `@` and the name of an abstract socket.
    ///
    /// # Errors
    /// When it is neither, or the system refuses a socket.
    pub(super) fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("NOTIFY_SOCKET is neither a path nor abstract")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { socket, address })
    }

    /// Sends lines of the form `NAME=value`.
    ///
    /// # Errors
    /// When the manager takes nothing.
    pub(super) fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_socket_is_reached() {
        let name = format!("peregrine-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let socket = NotifySocket::open(OsStr::new(&format!("@{name}"))).unwrap();
        socket.send("READY=1").unwrap();
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1");
    }

    #[test]
    fn other_names_are_refused() {
        assert!(NotifySocket::open(OsStr::new("vsock:2:1234")).is_err());
    }
}
