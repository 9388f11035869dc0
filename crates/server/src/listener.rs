//! Where connections come from: a TCP port or a unix socket.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connections::Peer;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port.
    Tcp {
        /// IPv4 or IPv6 address; blanks around it are ignored.
        address: String,
        /// Port; 0 lets the system choose one.
        port: u32,
    },
    /// A unix socket at this path, for the owner and the group of the program. One that no program
    /// listens on is replaced. The file is removed at the end.
    Unix(PathBuf),
}

/// The address that a server has, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Address and port.
    Tcp(SocketAddr),
    /// Path of a socket.
    Unix(PathBuf),
}

/// A client's connection.
pub(crate) type Stream = Box<dyn Connection>;

pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

/// Listens, not yet on the server's thread.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(TcpListener),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// Accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix { listener: tokio::net::UnixListener, _file: SocketFile },
}

/// The file of a unix socket; dropping it removes the file if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

/// Owner and group may connect.
const MODE: Mode = Mode::from_raw_mode(0o660);
/// Connections that wait to be accepted. The kernel allows no more than `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

impl Listen {
    pub(crate) fn bind(&self) -> io::Result<Bound> {
        match self {
            Self::Tcp { address, port } => {
                let port = u16::try_from(*port).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidInput, "ports end at 65535")
                })?;
                let listener = TcpListener::bind((address.trim(), port))?;
                listener.set_nonblocking(true)?;
                Ok(Bound::Tcp(listener))
            }
            Self::Unix(path) => {
                remove_stale(path)?;
                let socket = unix_socket()?;
                // The file gets the mode of the descriptor, less the umask: it is never open to
                // others, not even for a moment.
                fchmod(&socket, MODE)?;
                bind(&socket, &SocketAddrUnix::new(path)?)?;
                let file = SocketFile { inode: inode(path)?, path: path.clone() };
                listen(&socket, BACKLOG)?;
                Ok(Bound::Unix(socket.into(), file))
            }
        }
    }
}

/// As errors show it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, port } => write!(f, "{address}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Address {
    /// Whether it can be reached through every network interface.
    #[must_use]
    pub fn is_on_all_interfaces(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.ip().is_unspecified())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{}:{}", address.ip(), address.port()),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Bound {
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, file) => Ok(Address::Unix(file.path.clone())),
        }
    }

    /// Registers with the current runtime.
    pub(crate) fn register(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(listener) => Listener::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Self::Unix(listener, file) => {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                Listener::Unix { listener, _file: file }
            }
        })
    }
}

impl Listener {
    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Box::new(stream), Peer::of(address.ip())))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred()?.uid();
                Ok((Box::new(stream), Peer::User(user)))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Removes a socket that no program listens on. Anything else stays, so that binding fails.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = |file: fs::Metadata| file.file_type().is_socket();
    if !fs::symlink_metadata(path).is_ok_and(is_socket) {
        return Ok(());
    }
    match connect(unix_socket()?, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        _ => Ok(()),
    }
}
