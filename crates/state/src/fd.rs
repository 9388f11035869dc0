//! What is known of one open file.

use std::net::{Ipv4Addr, Ipv6Addr};

use peregrine_event::address::mapped_v4;
use peregrine_event::snapshot;
use smallvec::SmallVec;

use crate::cells::DynamicCells;
use crate::net::{Interfaces, socket_name};

/// An open file of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Fd {
    /// What it refers to.
    pub kind: FdKind,
    /// Resolved path, connection (`1.2.3.4:5->6.7.8.9:80`) or other rendering; empty when there is
    /// none.
    pub name: Name,
    /// The path as the program gave it: ask [`Fd::name_raw`].
    pub(crate) asked: AskedName,
    /// Flags of its opening, as events encode them.
    pub flags: u32,
    /// Device.
    pub dev: u32,
    /// Mount, where a snapshot knows it.
    pub mount_id: u32,
    /// Inode.
    pub ino: u64,
    /// End of the connection that this process is.
    pub role: Option<Role>,
    /// Whether a connection was made.
    pub connected: bool,
    /// Whether it is the changed layer of an overlay file system.
    pub overlay_upper: bool,
    /// Whether it is the lower layer of an overlay file system.
    pub overlay_lower: bool,
    /// What plugins keep of it.
    pub(crate) dynamic: DynamicCells,
}

/// Name of an open file. Most are short, and then need no memory of their own.
pub type Name = SmallVec<[u8; 48]>;

/// What a program called a file when it opened it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum AskedName {
    /// It is not a path.
    #[default]
    None,
    /// The same as its resolved name.
    Same,
    Other(Box<[u8]>),
}

/// What an fd refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FdKind {
    /// Something this crate has no name for.
    Unknown,
    /// Something the source could not identify.
    Unsupported,
    File,
    Directory,
    Ipv4(Ipv4Tuple),
    Ipv6(Ipv6Tuple),
    /// Bound to a port.
    Ipv4Server {
        ip: Ipv4Addr,
        port: u16,
        l4proto: L4Proto,
    },
    /// Bound to a port.
    Ipv6Server {
        ip: Ipv6Addr,
        port: u16,
        l4proto: L4Proto,
    },
    /// Kernel addresses of both ends.
    Unix {
        source: u64,
        destination: u64,
    },
    Pipe,
    Event,
    Signal,
    Eventpoll,
    Inotify,
    Timer,
    Netlink,
    Bpf,
    Userfaultfd,
    IoUring,
    Memfd,
    Pidfd {
        pid: i64,
    },
}

/// Both ends of an IPv4 connection: source is the client, destination the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Ipv4Tuple {
    pub sip: Ipv4Addr,
    pub dip: Ipv4Addr,
    pub sport: u16,
    pub dport: u16,
    pub l4proto: L4Proto,
}

/// Both ends of an IPv6 connection: source is the client, destination the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Ipv6Tuple {
    pub sip: Ipv6Addr,
    pub dip: Ipv6Addr,
    pub sport: u16,
    pub dport: u16,
    pub l4proto: L4Proto,
}

/// Protocol above IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum L4Proto {
    #[default]
    Unknown,
    NotAvailable,
    Tcp,
    Udp,
    Icmp,
    Raw,
}

/// End of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Role {
    Client,
    Server,
}

const O_CLOEXEC: u32 = 1 << 12;
const EPOLL_CLOEXEC: u32 = 1 << 0;
const MFD_CLOEXEC: u32 = 1 << 0;

impl Fd {
    /// An open file of which only the kind is known.
    pub fn new(kind: FdKind) -> Self {
        Self {
            kind,
            name: Name::new(),
            asked: AskedName::None,
            flags: 0,
            dev: 0,
            mount_id: 0,
            ino: 0,
            role: None,
            connected: false,
            overlay_upper: false,
            overlay_lower: false,
            dynamic: DynamicCells::default(),
        }
    }

    /// From an item of a snapshot; `None` for kinds that snapshots do not have.
    pub(crate) fn from_snapshot(item: snapshot::Fd, interfaces: &Interfaces) -> Option<Self> {
        let l4 = L4Proto::from_code;
        let mut fd = match item.kind {
            snapshot::FdKind::Ipv4 { sip, dip, sport, dport, l4proto } => {
                let l4proto = l4(l4proto);
                Self::new(FdKind::Ipv4(Ipv4Tuple { sip, dip, sport, dport, l4proto }))
            }
            snapshot::FdKind::Ipv6 { sip, dip, sport, dport, l4proto } => {
                let l4proto = l4(l4proto);
                Self::new(match (mapped_v4(&sip), mapped_v4(&dip)) {
                    (Some(sip), Some(dip)) => {
                        FdKind::Ipv4(Ipv4Tuple { sip, dip, sport, dport, l4proto })
                    }
                    _ => FdKind::Ipv6(Ipv6Tuple { sip, dip, sport, dport, l4proto }),
                })
            }
            snapshot::FdKind::Ipv4Server { ip, port, l4proto } => {
                Self::new(FdKind::Ipv4Server { ip, port, l4proto: l4(l4proto) })
            }
            snapshot::FdKind::Ipv6Server { ip, port, l4proto } => {
                Self::new(FdKind::Ipv6Server { ip, port, l4proto: l4(l4proto) })
            }
            snapshot::FdKind::Unix { source, destination, name } => Self {
                role: Some(if name.is_empty() { Role::Client } else { Role::Server }),
                name: name.into(),
                ..Self::new(FdKind::Unix { source, destination })
            },
            snapshot::FdKind::File { flags, name, mount_id, dev } => {
                Self { name: name.into(), flags, dev, mount_id, ..Self::new(FdKind::File) }
            }
            snapshot::FdKind::Named { ty, name } => {
                Self { name: name.into(), ..Self::new(FdKind::from_code(ty)?) }
            }
        };
        if let FdKind::Ipv4(Ipv4Tuple { l4proto, .. }) | FdKind::Ipv6(Ipv6Tuple { l4proto, .. }) =
            fd.kind
        {
            fd.connected = l4proto == L4Proto::Tcp;
        }
        if fd.kind.is_ip() {
            if matches!(fd.kind, FdKind::Ipv4(_)) {
                interfaces.complete(&mut fd.kind);
            }
            fd.name = socket_name(&fd.kind);
        }
        fd.ino = item.ino;
        Some(fd)
    }

    /// The path as the program gave it. Empty for what is no path.
    pub fn name_raw(&self) -> &[u8] {
        match &self.asked {
            AskedName::None => b"",
            AskedName::Same => &self.name,
            AskedName::Other(name) => name,
        }
    }

    /// Protocol of a socket as users see it: a connection with no known role has none.
    pub fn l4proto(&self) -> L4Proto {
        match self.kind {
            FdKind::Ipv4(Ipv4Tuple { l4proto, .. }) | FdKind::Ipv6(Ipv6Tuple { l4proto, .. }) => {
                if l4proto == L4Proto::Raw || self.role.is_some() {
                    l4proto
                } else {
                    L4Proto::NotAvailable
                }
            }
            FdKind::Ipv4Server { l4proto, .. } | FdKind::Ipv6Server { l4proto, .. } => l4proto,
            _ => L4Proto::NotAvailable,
        }
    }

    /// Whether this is a server's end.
    pub fn is_server(&self) -> bool {
        self.role == Some(Role::Server)
    }

    /// Whether an exec closes it.
    pub fn closes_on_exec(&self) -> bool {
        self.flags & self.cloexec_mask() != 0
    }

    /// Sets whether an exec closes it.
    pub fn set_close_on_exec(&mut self, on: bool) {
        self.flags &= !self.cloexec_mask();
        if on {
            self.flags |= O_CLOEXEC;
        }
    }

    // Every kind encodes its flags in its own way.
    fn cloexec_mask(&self) -> u32 {
        match self.kind {
            FdKind::Eventpoll => O_CLOEXEC | EPOLL_CLOEXEC,
            FdKind::Memfd => O_CLOEXEC | MFD_CLOEXEC,
            _ => O_CLOEXEC,
        }
    }

    /// Major number of the device.
    pub fn dev_major(&self) -> u32 {
        (self.dev & 0xf_ff00) >> 8
    }

    /// Minor number of the device.
    pub fn dev_minor(&self) -> u32 {
        (self.dev & 0xff) | (self.dev >> 12 & 0xf_ff00)
    }
}

impl FdKind {
    /// The port on which it listens.
    pub(crate) fn server_port(&self) -> Option<u16> {
        match *self {
            Self::Ipv4Server { port, .. } | Self::Ipv6Server { port, .. } => Some(port),
            _ => None,
        }
    }

    /// The letter users know it by; two kinds share `u`.
    pub fn typechar(&self) -> char {
        match self {
            Self::Unknown => 'o',
            Self::Unsupported => 'X',
            Self::File => 'f',
            Self::Directory => 'd',
            Self::Ipv4(_) | Self::Ipv4Server { .. } => '4',
            Self::Ipv6(_) | Self::Ipv6Server { .. } => '6',
            Self::Unix { .. } | Self::Userfaultfd => 'u',
            Self::Pipe => 'p',
            Self::Event => 'e',
            Self::Signal => 's',
            Self::Eventpoll => 'l',
            Self::Inotify => 'i',
            Self::Timer => 't',
            Self::Netlink => 'n',
            Self::Bpf => 'b',
            Self::IoUring => 'r',
            Self::Memfd => 'm',
            Self::Pidfd { .. } => 'P',
        }
    }

    /// The word users know it by, `<NA>` where there is none.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Unsupported => "<NA>",
            Self::File => "file",
            Self::Directory => "directory",
            Self::Ipv4(_) | Self::Ipv4Server { .. } => "ipv4",
            Self::Ipv6(_) | Self::Ipv6Server { .. } => "ipv6",
            Self::Unix { .. } => "unix",
            Self::Pipe => "pipe",
            Self::Event => "event",
            Self::Signal => "signalfd",
            Self::Eventpoll => "eventpoll",
            Self::Inotify => "inotify",
            Self::Timer => "timerfd",
            Self::Netlink => "netlink",
            Self::Bpf => "bpf",
            Self::Userfaultfd => "userfaultfd",
            Self::IoUring => "io_uring",
            Self::Memfd => "memfd",
            Self::Pidfd { .. } => "pidfd",
        }
    }

    /// The kind with this code of the format that has nothing but a name; `None` for other codes.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 | 16 => Self::File,
            2 => Self::Directory,
            7 => Self::Pipe,
            9 => Self::Event,
            10 => Self::Unsupported,
            11 => Self::Signal,
            12 => Self::Eventpoll,
            13 => Self::Inotify,
            14 => Self::Timer,
            15 => Self::Netlink,
            17 => Self::Bpf,
            18 => Self::Userfaultfd,
            19 => Self::IoUring,
            20 => Self::Memfd,
            21 => Self::Pidfd { pid: 0 },
            _ => return None,
        })
    }

    /// Code of the format. Sockets and files have the code that their snapshots have.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Directory => 2,
            Self::Ipv4(_) => 3,
            Self::Ipv6(_) => 4,
            Self::Ipv4Server { .. } => 5,
            Self::Ipv6Server { .. } => 6,
            Self::Pipe => 7,
            Self::Unix { .. } => 8,
            Self::Event => 9,
            Self::Unsupported => 10,
            Self::Signal => 11,
            Self::Eventpoll => 12,
            Self::Inotify => 13,
            Self::Timer => 14,
            Self::Netlink => 15,
            Self::File => 16,
            Self::Bpf => 17,
            Self::Userfaultfd => 18,
            Self::IoUring => 19,
            Self::Memfd => 20,
            Self::Pidfd { .. } => 21,
        }
    }

    /// Whether it is a connection or a bound port of either IP version.
    pub fn is_ip(&self) -> bool {
        matches!(
            self,
            Self::Ipv4(_) | Self::Ipv6(_) | Self::Ipv4Server { .. } | Self::Ipv6Server { .. }
        )
    }
}

impl L4Proto {
    /// Its code in the format.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::NotAvailable => 1,
            Self::Tcp => 2,
            Self::Udp => 3,
            Self::Icmp => 4,
            Self::Raw => 5,
        }
    }

    /// From its code in the format.
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::NotAvailable,
            2 => Self::Tcp,
            3 => Self::Udp,
            4 => Self::Icmp,
            5 => Self::Raw,
            _ => Self::Unknown,
        }
    }
}
