//! Open files: what they refer to, and the events that open them before the event of a test.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use peregrine_event::snapshot::{self, Item, Thread};
use peregrine_event::{BuildError, Builder, EventType, Sockaddr};
use peregrine_state::{FdKind, L4Proto};

use super::values::Values;
use crate::Cause;
use crate::script::Step;
use peregrine_params::{Tuple, address, ends, tuple};

/// What an fd of a test refers to.
#[derive(Clone, Debug)]
pub(super) enum OpenFile {
    Path(OpenPath),
    Socket(Socket),
    Unix {
        name: Vec<u8>,
        /// Whether it was just made and is not connected before the event.
        fresh: bool,
    },
    /// A kind that has only a name; the code is that of the format.
    Other {
        code: u8,
        name: Vec<u8>,
    },
}

/// A file or directory.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenPath {
    pub(super) name: Vec<u8>,
    pub(super) directory: bool,
    pub(super) dev: u32,
    pub(super) ino: u64,
    pub(super) upper_layer: bool,
    pub(super) lower_layer: bool,
}

/// A socket of an IP family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    pub(super) role: Role,
    pub(super) l4proto: L4Proto,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    /// Whether it is connected before the event.
    pub(super) connected: bool,
    /// Whether it was just made and has no ends before the event.
    pub(super) fresh: bool,
}

/// What this machine is to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
    /// A server that has no client yet.
    Bound,
}

const O_RDWR: u32 = 3;
const O_DIRECTORY: u32 = 1 << 10;
const UPPER_LAYER: u32 = 1 << 15;
const LOWER_LAYER: u32 = 1 << 16;
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const SOCK_SEQPACKET: u32 = 5;
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_SCTP: u32 = 132;
const IPPROTO_RAW: u32 = 255;

/// What the fields of an fd say; `None` if none is given. `ty` is the event that uses it.
pub(super) fn read(values: &mut Values<'_>, ty: Option<EventType>) -> Option<OpenFile> {
    let given = |values: &Values<'_>, names: &[&str]| names.iter().any(|name| values.has(name));
    values.spec.starting("fd.").next()?;
    let sockets = ["fd.sip", "fd.cip", "fd.lip", "fd.rip", "fd.ip", "fd.sport", "fd.cport"];
    let more = [
        "fd.role",
        "fd.lport",
        "fd.rport",
        "fd.port",
        "fd.l4proto",
        "fd.is_server",
        "fd.connected",
    ];
    let name = values.text(0, "fd.name").or_else(|| values.text(0, "fd.nameraw"));
    let named = name.as_deref().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    let addressed = ends(named).is_some() || address(named).is_some();
    let about_sockets = ty.is_some_and(is_about_sockets);
    let code = match kind(values) {
        Kind::Told(code) => code,
        Kind::Wrong => return None,
        Kind::Open if given(values, &sockets) || given(values, &more) || addressed => IPV4,
        Kind::Open if values.string("fd.sockfamily").as_deref() == Some("unix") => UNIX,
        Kind::Open if about_sockets && named.starts_with('/') => UNIX,
        Kind::Open if about_sockets => IPV4,
        Kind::Open => FILE,
    };
    Some(match code {
        FILE | DIRECTORY => OpenFile::Path(OpenPath {
            name: name.unwrap_or_else(|| b"/tmp/file".to_vec()),
            directory: code == DIRECTORY,
            dev: values.u32(0, "fd.dev").unwrap_or_default(),
            ino: values.u64(0, "fd.ino").unwrap_or_default(),
            upper_layer: values.bool(0, "fd.is_upper_layer").unwrap_or_default(),
            lower_layer: values.bool(0, "fd.is_lower_layer").unwrap_or_default(),
        }),
        IPV4 | IPV6 => OpenFile::Socket(socket(values, named, ty, code == IPV6)),
        UNIX => OpenFile::Unix { name: name.unwrap_or_default(), fresh: values.has("fd.fresh") },
        code => OpenFile::Other { code, name: name.unwrap_or_default() },
    })
}

/// Whether an event makes or uses sockets.
pub(super) fn is_about_sockets(ty: EventType) -> bool {
    ty.info().id.starts_with("PPME_SOCKET_")
}

/// Codes of kinds that are read in a way of their own.
const FILE: u8 = 1;
const DIRECTORY: u8 = 2;
const IPV4: u8 = 3;
const IPV6: u8 = 4;
const UNIX: u8 = 8;

enum Kind {
    Told(u8),
    /// It is not given.
    Open,
    /// There is no such kind.
    Wrong,
}

/// The kind by `fd.type` or `fd.typechar`.
fn kind(values: &mut Values<'_>) -> Kind {
    let ipv4 = FdKind::Ipv4Server { ip: Ipv4Addr::UNSPECIFIED, port: 0, l4proto: L4Proto::Tcp };
    let ipv6 = FdKind::Ipv6Server { ip: Ipv6Addr::UNSPECIFIED, port: 0, l4proto: L4Proto::Tcp };
    let sockets = [(IPV4, ipv4), (IPV6, ipv6), (UNIX, FdKind::Unix { source: 0, destination: 0 })];
    let others = (0..=32).filter_map(|code| Some((code, FdKind::from_code(code)?)));
    let kinds: Vec<_> = sockets.into_iter().chain(others).collect();
    for (field, letter) in [("fd.type", false), ("fd.typechar", true)] {
        let Some(word) = values.string(field) else { continue };
        let is = |kind: &FdKind| match letter {
            true => kind.typechar().to_string() == word,
            false => kind.type_name() == word,
        };
        if let Some((code, _)) = kinds.iter().find(|(_, kind)| is(kind)) {
            return Kind::Told(*code);
        }
        if let Some(given) = values.spec.get(field) {
            let names: Vec<_> = match letter {
                true => kinds.iter().map(|(_, kind)| kind.typechar().to_string()).collect(),
                false => kinds.iter().map(|(_, kind)| kind.type_name().to_owned()).collect(),
            };
            let problem = Cause::Value.at(&given.label, format!("an fd has no type `{word}`"));
            values.problems.push(problem.help(format!("there are: {}", names.join(", "))));
        }
        return Kind::Wrong;
    }
    Kind::Open
}

fn socket(values: &mut Values<'_>, name: &str, ty: Option<EventType>, v6: bool) -> Socket {
    let name_of = ty.map(EventType::name).unwrap_or_default();
    let named = ends(name);
    let bound = address(name).filter(|_| named.is_none());
    let fresh = values.string("fd.fresh");
    let l4proto = match fresh.as_deref().or(values.string("fd.l4proto").as_deref()) {
        Some("udp") => L4Proto::Udp,
        Some("icmp") => L4Proto::Icmp,
        Some("raw") => L4Proto::Raw,
        Some("other") => L4Proto::Unknown,
        // Messages with an address are usually those of UDP.
        None if matches!(name_of, "sendto" | "recvfrom" | "sendmmsg" | "recvmmsg") => L4Proto::Udp,
        _ => L4Proto::Tcp,
    };
    let told = values.string("fd.role");
    let server = told.map(|role| role == "server").or_else(|| values.bool(0, "fd.is_server"));
    let role = match server {
        _ if matches!(name_of, "bind" | "listen") || bound.is_some() => Role::Bound,
        Some(true) => Role::Server,
        Some(false) => Role::Client,
        None if matches!(name_of, "accept" | "accept4") => Role::Server,
        None if l4proto == L4Proto::Udp && name_of.starts_with("recv") => Role::Server,
        None => Role::Client,
    };
    let near_is_client = role == Role::Client;
    let (near_ip, near_port) = (values.ip("fd.lip"), values.port("fd.lport"));
    let (far_ip, far_port) = (values.ip("fd.rip"), values.port("fd.rport"));
    let (any_ip, any_port) = (values.ip("fd.ip"), values.port("fd.port"));
    let (client_ip, server_ip) = match near_is_client {
        true => (near_ip, far_ip.or(any_ip)),
        false => (far_ip.or(any_ip), near_ip),
    };
    let (client_port, server_port) = match near_is_client {
        true => (near_port, far_port.or(any_port)),
        false => (far_port, near_port.or(any_port)),
    };
    let client_ip = values.ip("fd.cip").or(client_ip).or(named.map(|(client, _)| client.ip()));
    let server_ip = values.ip("fd.sip").or(server_ip);
    let server_ip = server_ip.or(named.map(|(_, server)| server.ip())).or(bound.map(|it| it.ip()));
    let v6 = v6 || [client_ip, server_ip].into_iter().flatten().any(|ip| ip.is_ipv6());
    let (near, far) = match v6 {
        true => (IpAddr::V6(LOCAL_V6), IpAddr::V6(REMOTE_V6)),
        false => (IpAddr::V4(LOCAL_V4), IpAddr::V4(REMOTE_V4)),
    };
    let (client, server) = if near_is_client { (near, far) } else { (far, near) };
    let of_name = named.map(|(client, _)| client.port());
    let client_port = values.port("fd.cport").or(client_port).or(of_name).unwrap_or(40_000);
    let of_name = named.map(|(_, server)| server.port()).or(bound.map(|it| it.port()));
    let server_port = values.port("fd.sport").or(server_port).or(of_name).unwrap_or(443);
    Socket {
        role,
        l4proto,
        client: SocketAddr::new(client_ip.unwrap_or(client), client_port),
        server: SocketAddr::new(server_ip.unwrap_or(server), server_port),
        connected: values.bool(0, "fd.connected").unwrap_or(role != Role::Bound),
        fresh: fresh.is_some(),
    }
}

/// Addresses of this machine and of another one, unless they are given.
const LOCAL_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);

impl Socket {
    /// The end that is this machine's.
    pub(super) fn near(&self) -> SocketAddr {
        if self.role == Role::Client { self.client } else { self.server }
    }

    fn far(&self) -> SocketAddr {
        if self.role == Role::Client { self.server } else { self.client }
    }

    /// Both ends, the one that data comes from first.
    pub(super) fn flow(&self, out: bool) -> Tuple {
        let (near, far) = (self.near(), self.far());
        if out { Tuple::Ip(near, far) } else { Tuple::Ip(far, near) }
    }

    /// Both ends, the client first.
    pub(super) fn tuple(&self) -> Tuple {
        Tuple::Ip(self.client, self.server)
    }

    /// Domain, type and protocol of the call that makes it.
    pub(super) fn arguments(&self) -> (u32, u32, u32) {
        let domain = if self.near().is_ipv6() { AF_INET6 } else { AF_INET };
        let (ty, protocol) = match self.l4proto {
            L4Proto::Udp => (SOCK_DGRAM, 0),
            L4Proto::Icmp => (SOCK_DGRAM, IPPROTO_ICMP),
            L4Proto::Raw => (SOCK_RAW, IPPROTO_RAW),
            L4Proto::Unknown => (SOCK_SEQPACKET, IPPROTO_SCTP),
            _ => (SOCK_STREAM, 0),
        };
        (domain, ty, protocol)
    }

    /// Whether the ends are those of one connection, and not of a message.
    fn is_stream(&self) -> bool {
        self.l4proto == L4Proto::Tcp
    }

    fn encoded_server(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self.server {
            SocketAddr::V4(address) => Sockaddr::V4(address).encode(&mut out),
            SocketAddr::V6(address) => Sockaddr::V6(address).encode(&mut out),
        }
        out
    }
}

/// How far a file is prepared before the event of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepared {
    /// Open, and connected if it is a socket.
    Whole,
    /// A socket that has no ends yet: the event gives them.
    Bare,
}

/// The steps that open a file as this fd of a thread.
pub(super) fn open(
    file: &OpenFile,
    fd: i64,
    thread: &Thread,
    ts: u64,
    prepared: Prepared,
) -> Result<Vec<Step>, BuildError> {
    let mut steps = Steps { steps: Vec::new(), ts, tid: thread.tid };
    match file {
        OpenFile::Path(path) => {
            let layers = [(path.upper_layer, UPPER_LAYER), (path.lower_layer, LOWER_LAYER)];
            let layers = layers.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag);
            let kind = if path.directory { O_DIRECTORY } else { O_RDWR };
            let flags = layers.fold(kind, |flags, flag| flags | flag);
            steps.event(EventType::SyscallOpenX, |event| {
                event.i64(fd).text(&path.name).u32(flags).u32(0).u32(path.dev).u64(path.ino);
            })?;
        }
        OpenFile::Socket(socket) => steps.socket(socket, fd, prepared)?,
        OpenFile::Unix { name, fresh } => {
            let parsed = std::str::from_utf8(name).ok().and_then(tuple);
            match parsed {
                None if !fresh && !name.is_empty() => {
                    let (source, destination, name) = (0, 0, name.clone());
                    let kind = snapshot::FdKind::Unix { source, destination, name };
                    steps.snapshot(thread, fd, kind);
                }
                _ => steps.event(EventType::SocketSocketX, |event| {
                    event.i64(fd).u32(AF_UNIX).u32(SOCK_STREAM).u32(0).u32(0);
                })?,
            }
            if let Some(Tuple::Unix { path, .. }) = &parsed {
                let address = Sockaddr::Unix(path.as_bytes());
                let tuple = parsed.as_ref();
                steps.event(EventType::SocketConnectX, |event| {
                    event.i64(0).with(|out| tuple.into_iter().for_each(|tuple| tuple.encode(out)));
                    event.i64(fd).sockaddr(&address);
                })?;
            }
        }
        OpenFile::Other { code, name } => {
            let kind = snapshot::FdKind::Named { ty: *code, name: name.clone() };
            steps.snapshot(thread, fd, kind);
        }
    }
    Ok(steps.steps)
}

struct Steps {
    steps: Vec<Step>,
    ts: u64,
    tid: i64,
}

impl Steps {
    /// An fd as a snapshot has it. The process owns it, whichever thread acts.
    fn snapshot(&mut self, thread: &Thread, fd: i64, kind: snapshot::FdKind) {
        let fds = vec![snapshot::Fd { fd, ino: 0, kind }];
        self.steps.push(Step::Item(Item::Fds(thread.pid, fds)));
    }

    fn event(&mut self, ty: EventType, fill: impl FnOnce(&mut Builder)) -> Result<(), BuildError> {
        let mut event = Builder::new(ty, self.ts, self.tid);
        fill(&mut event);
        let mut bytes = Vec::new();
        event.finish(&mut bytes)?;
        self.steps.push(Step::Setup(bytes));
        Ok(())
    }

    fn socket(&mut self, socket: &Socket, fd: i64, prepared: Prepared) -> Result<(), BuildError> {
        let whole = prepared == Prepared::Whole && !socket.fresh;
        let tuple = socket.tuple();
        if whole && socket.role == Role::Server && socket.is_stream() && socket.connected {
            return self.event(EventType::SocketAccept4_6X, |event| {
                event.i64(fd).with(|out| tuple.encode(out)).u8(0).u32(0).u32(0).u32(0);
            });
        }
        let (domain, ty, protocol) = socket.arguments();
        self.event(EventType::SocketSocketX, |event| {
            event.i64(fd).u32(domain).u32(ty).u32(protocol).u32(0);
        })?;
        let server = socket.encoded_server();
        match socket.role {
            _ if !whole => Ok(()),
            Role::Bound => self.event(EventType::SocketBindX, |event| {
                event.i64(0).param(&server).i64(fd);
            }),
            _ if !socket.connected => Ok(()),
            Role::Client => self.event(EventType::SocketConnectX, |event| {
                event.i64(0).with(|out| tuple.encode(out)).i64(fd).param(&server);
            }),
            Role::Server => self.event(EventType::SocketRecvfromX, |event| {
                event.i64(1).param(b"x").with(|out| tuple.encode(out)).i64(fd).u32(1);
            }),
        }
    }
}
