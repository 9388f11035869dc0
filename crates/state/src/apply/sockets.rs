//! Sockets: their ends, and which of them is the client.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use peregrine_event::address::{AF_INET, AF_INET6, AF_UNIX, mapped_v4};
use peregrine_event::params::{
    socket_accept_5_x as accept, socket_accept4_6_x as accept4, socket_bind_x as bind,
    socket_connect_e as connect_enter, socket_connect_x as connect, socket_socket_x as socket,
    socket_socketpair_x as socketpair,
};
use peregrine_event::wire::Abi;
use peregrine_event::{Event, Sockaddr, Socktuple};

use super::context::ApplyContext;
use crate::fd::{Fd, FdKind, Ipv4Tuple, Ipv6Tuple, L4Proto, Name, Role};
use crate::net::{swap_ends, tuple_name, tuple_text, unix_name, written};
use crate::partition::Partition;
use crate::tree::Tree;

peregrine_event::same_params!(accept, accept4: TUPLE);

const AF_NETLINK: u32 = 16;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
/// Bits of a socket's type; those above are flags.
const SOCK_TYPE: u32 = 0xff;
const IPPROTO_IP: u32 = 0;
const IPPROTO_ICMP: u32 = 1;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_RAW: u32 = 255;

const O_CLOEXEC: u32 = 1 << 12;
const EINPROGRESS: i64 = 115;

/// Direction of data through a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    In,
    Out,
}

impl Partition {
    pub(super) fn socket(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        if let Some((_, fd)) = cx.done_by() {
            let (domain, ty) = (cx.u32(socket::DOMAIN), cx.u32(socket::TYPE));
            let kind = socket_kind(domain, ty, cx.u32(socket::PROTO));
            let flags = cx.u32(socket::FLAGS);
            self.add_fd(tree, cx, fd, Fd { flags, ..Fd::new(kind) });
        }
    }

    pub(super) fn socketpair(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        let fds = (cx.event.i64(socketpair::FD1), cx.event.i64(socketpair::FD2));
        let (Some(one), Some(other)) = fds else { return };
        if cx.done_by().is_none() {
            return;
        }
        if one == other {
            cx.fd_at = None;
            return;
        }
        let (source, destination) = (cx.u64(socketpair::SOURCE), cx.u64(socketpair::PEER));
        let kind = FdKind::Unix { source, destination };
        self.add_fd(tree, cx, one, Fd::new(kind));
        self.add_fd(tree, cx, other, Fd::new(kind));
    }

    pub(super) fn bind(&mut self, cx: &mut ApplyContext<'_>) {
        let address = cx.event.param(bind::ADDR).and_then(Sockaddr::decode);
        let (Some((owner, fd)), Some(_), Some(address)) = (cx.fd_at, cx.done(), address) else {
            return;
        };
        let Some(info) = self.fds.get_mut(owner, fd) else { return };
        let l4proto = protocol(&info.kind);
        let bound = match address {
            Sockaddr::V4(at) => Some((IpAddr::from(*at.ip()), at.port())),
            // An IPv6 socket that talks IPv4.
            Sockaddr::V6(at) => {
                Some((mapped_v4(at.ip()).map_or(IpAddr::from(*at.ip()), IpAddr::from), at.port()))
            }
            _ => None,
        };
        // Without a port it is the client's own choice of address.
        if let Some((ip, port)) = bound.filter(|&(_, port)| port > 0) {
            info.kind = match ip {
                IpAddr::V4(ip) => FdKind::Ipv4Server { ip, port, l4proto },
                IpAddr::V6(ip) => FdKind::Ipv6Server { ip, port, l4proto },
            };
            info.role = Some(Role::Server);
        }
        cx.renamed = rename(info, address_name(&address));
    }

    pub(super) fn accept(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, flags: u32) {
        let Some((at, fd)) = cx.done_by() else { return };
        if let Some(activity) = self.activity_mut(at) {
            activity.fd = fd;
        }
        let tuple = cx.event.param(accept::TUPLE).and_then(Socktuple::decode);
        let Some(tuple) = tuple.map(Socktuple::unmapped) else { return };
        let Some(kind) = new_connection(&tuple, L4Proto::Tcp) else { return };
        let info = Fd {
            name: tuple_text(&tuple),
            flags: flags & O_CLOEXEC,
            role: Some(Role::Server),
            connected: true,
            ..Fd::new(kind)
        };
        self.add_fd(tree, cx, fd, info);
    }

    pub(super) fn connect(&mut self, cx: &mut ApplyContext<'_>, enter: Option<&Event<'_>>) {
        // A connection under way counts as made: its end is not seen.
        let made = cx.ret.is_some_and(|ret| ret >= 0 || ret == -EINPROGRESS);
        let (Some((owner, fd)), true) = (cx.fd_at, made) else { return };
        self.count_enter(enter);
        let Some(info) = self.fds.get_mut(owner, fd) else { return };
        info.connected = true;
        let asked = enter.and_then(|e| e.param(connect_enter::ADDR)).and_then(Sockaddr::decode);
        match cx.event.param(connect::TUPLE) {
            Some(tuple) if !tuple.is_empty() => {
                let Some(tuple) = Socktuple::decode(tuple) else { return };
                let announced = cx.event.param(connect::ADDR).and_then(Sockaddr::decode);
                cx.renamed = connected(info, trusted(tuple, announced, asked));
            }
            // TCP fast open knows no source yet.
            _ => {
                let Some(asked) = asked else { return };
                cx.renamed = connecting(info, &asked);
            }
        }
    }

    /// Data came in; the socket tuple is in this parameter.
    pub(super) fn received(&mut self, cx: &mut ApplyContext<'_>, tuple: usize) {
        self.moved_data(cx, Some((tuple, Flow::In)));
    }

    /// The same with control data, which may bring open files of the sender.
    pub(super) fn received_message(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        [tuple, control]: [usize; 2],
    ) {
        self.received(cx, tuple);
        let control = cx.event.param(control).filter(|control| !control.is_empty());
        if let (Some((at, _)), Some(control)) = (cx.done_by(), control) {
            let word = if cx.event.abi == Abi::COMPAT { 4 } else { 8 };
            rights(control, word).for_each(|fd| self.fd_arrived(tree, at, fd));
        }
    }

    /// Data went out; the socket tuple is in this parameter.
    pub(super) fn sent(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, tuple: usize) {
        self.guess_socket(tree, cx, tuple);
        self.sent_many(cx, tuple);
    }

    /// The same where the kernel reports each message of one call.
    pub(super) fn sent_many(&mut self, cx: &mut ApplyContext<'_>, tuple: usize) {
        self.moved_data(cx, Some((tuple, Flow::Out)));
    }

    /// An unknown fd that is used to send to an address is a UDP socket.
    fn guess_socket(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, tuple: usize) {
        let (None, Some(_), Some(fd)) = (cx.fd_at, cx.done_by(), cx.fd()) else { return };
        let family = cx.event.param(tuple).and_then(|tuple| tuple.first().copied());
        if let Some(family @ (AF_INET | AF_INET6)) = family {
            let kind = socket_kind(family.into(), SOCK_DGRAM, IPPROTO_UDP);
            self.add_fd(tree, cx, fd, Fd::new(kind));
        }
    }

    /// Data went through a socket: it is connected, and the event may contain its ends.
    pub(super) fn moved_data(&mut self, cx: &mut ApplyContext<'_>, tuple: Option<(usize, Flow)>) {
        let (Some((owner, fd)), Some(_)) = (cx.fd_at, cx.done()) else { return };
        let Some(old) = self.fds.get(owner, fd) else { return };
        let socket = matches!(old.kind, FdKind::Ipv4(_) | FdKind::Ipv6(_));
        if !socket && tuple.is_none() {
            return;
        }
        let tcp = matches!(old.kind, FdKind::Ipv4(Ipv4Tuple { l4proto: L4Proto::Tcp, .. }));
        // The ends of a TCP connection never change, those of others may with every message.
        let mut new = tuple.filter(|_| old.name.is_empty() || !tcp).and_then(|(param, flow)| {
            let announced = cx.event.param(param).and_then(Socktuple::decode)?;
            self.with_ends(old, announced.unmapped(), flow)
        });
        if socket && !old.connected {
            new.get_or_insert_with(|| old.clone()).connected = true;
        }
        if let Some(new) = new
            && let Some(info) = self.fds.get_mut(owner, fd)
        {
            cx.renamed |= info.name != new.name;
            *info = new;
        }
    }

    /// The socket with the ends of an event; `None` when they are known already.
    fn with_ends(&self, old: &Fd, tuple: Socktuple<'_>, flow: Flow) -> Option<Fd> {
        let mut new = old.clone();
        let changed = match tuple {
            Socktuple::V4 { source, destination } => update_v4(&mut new.kind, source, destination),
            Socktuple::V6 { source, destination } => update_v6(&mut new.kind, source, destination),
            Socktuple::Unix { source, destination, path } => {
                if keeps_unix_name(old, source, destination, path) {
                    return None;
                }
                new.kind = FdKind::Unix { source, destination };
                new.name = unix_name(source, destination, path);
                return (new != *old).then_some(new);
            }
            Socktuple::Other(_) => {
                if !matches!(old.kind, FdKind::Ipv4(_) | FdKind::Ipv6(_)) {
                    new.name = tuple_text(&tuple);
                    return (new != *old).then_some(new);
                }
                true
            }
        };
        if !changed {
            return None;
        }
        // A TCP socket keeps its peer, so a socket of unknown protocol whose ends change uses UDP.
        // So does a server that exchanges messages itself; old recordings list it as one of TCP.
        let server = matches!(old.kind, FdKind::Ipv4Server { .. } | FdKind::Ipv6Server { .. });
        match &mut new.kind {
            FdKind::Ipv4(Ipv4Tuple { l4proto, .. }) | FdKind::Ipv6(Ipv6Tuple { l4proto, .. })
                if *l4proto == L4Proto::Unknown
                    || (server && !self.live && *l4proto == L4Proto::Tcp) =>
            {
                *l4proto = L4Proto::Udp;
            }
            _ => {}
        }
        self.interfaces.complete(&mut new.kind);
        // Servers start with a read, clients with a write.
        let role = *new.role.get_or_insert(match flow {
            Flow::In => Role::Server,
            Flow::Out => Role::Client,
        });
        // The source of a message is the client's end, unless it is an answer.
        if (flow, role) == (Flow::In, Role::Client) || (flow, role) == (Flow::Out, Role::Server) {
            swap_ends(&mut new);
        }
        new.name = tuple_name(&new.kind);
        (new != *old).then_some(new)
    }
}

/// Whether a unix socket is called as before: it is bound and not connected, or its ends are those
/// that its name has.
fn keeps_unix_name(old: &Fd, source: u64, destination: u64, path: &[u8]) -> bool {
    let FdKind::Unix { source: one, destination: other } = old.kind else { return false };
    let has_address = !old.name.is_empty() && !old.name.windows(2).any(|two| two == b"->");
    let bound = has_address && (old.role.is_none() || source == 0 || destination == 0);
    let ends = [(one, other), (other, one)].contains(&(source, destination));
    bound || (ends && (path.is_empty() || !old.name.ends_with(b" ")))
}

/// The open files that come with a message. Control data is a list of records: length, level, type
/// and data, each at a multiple of the size of a `word`, in which the length is.
fn rights(mut control: &[u8], word: usize) -> impl Iterator<Item = i64> {
    /// `SOL_SOCKET` and `SCM_RIGHTS`.
    const RIGHTS: [u8; 8] = [1, 0, 0, 0, 1, 0, 0, 0];
    let records = std::iter::from_fn(move || {
        let head = word + RIGHTS.len();
        let length = control.get(..4)?.first_chunk()?;
        let length = (u32::from_le_bytes(*length) as usize).max(head);
        let kind = control.get(word..head)?;
        let data = control.get(head..length.min(control.len())).unwrap_or_default();
        control = control.get(length.next_multiple_of(word)..).unwrap_or_default();
        Some(if kind == RIGHTS { data.as_chunks::<4>().0 } else { &[] })
    });
    records.flatten().map(|fd| i32::from_le_bytes(*fd).into())
}

/// The kind of a socket just made.
fn socket_kind(domain: u32, ty: u32, protocol: u32) -> FdKind {
    let raw = ty == SOCK_RAW;
    let l4proto = match protocol {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_ICMP if raw => L4Proto::Raw,
        IPPROTO_TCP => L4Proto::Tcp,
        IPPROTO_UDP => L4Proto::Udp,
        IPPROTO_ICMP => L4Proto::Icmp,
        IPPROTO_IP if ty & SOCK_TYPE == SOCK_STREAM => L4Proto::Tcp,
        IPPROTO_IP if ty & SOCK_TYPE == SOCK_DGRAM => L4Proto::Udp,
        IPPROTO_RAW => L4Proto::Raw,
        _ => L4Proto::Unknown,
    };
    const UNIX: u32 = AF_UNIX as u32;
    const INET: u32 = AF_INET as u32;
    const INET6: u32 = AF_INET6 as u32;
    match domain {
        UNIX => FdKind::Unix { source: 0, destination: 0 },
        INET => FdKind::Ipv4(Ipv4Tuple { l4proto, ..NO_V4 }),
        INET6 => FdKind::Ipv6(Ipv6Tuple { l4proto, ..NO_V6 }),
        AF_NETLINK => FdKind::Netlink,
        _ => FdKind::Unknown,
    }
}

/// The kind of a connection that an event contains for the first time.
fn new_connection(tuple: &Socktuple<'_>, l4proto: L4Proto) -> Option<FdKind> {
    Some(match *tuple {
        Socktuple::V4 { source, destination } => FdKind::Ipv4(Ipv4Tuple {
            sip: *source.ip(),
            dip: *destination.ip(),
            sport: source.port(),
            dport: destination.port(),
            l4proto,
        }),
        Socktuple::V6 { source, destination } => FdKind::Ipv6(Ipv6Tuple {
            sip: *source.ip(),
            dip: *destination.ip(),
            sport: source.port(),
            dport: destination.port(),
            l4proto,
        }),
        Socktuple::Unix { source, destination, .. } => FdKind::Unix { source, destination },
        Socktuple::Other(_) => return None,
    })
}

/// The tuple of a connect with the destination to believe: the kernel's own where it differs from
/// what the program's memory says at the end, else what that memory said at the start.
fn trusted<'a>(
    tuple: Socktuple<'a>,
    announced: Option<Sockaddr<'a>>,
    asked: Option<Sockaddr<'a>>,
) -> Socktuple<'a> {
    match (tuple, announced, asked) {
        (
            Socktuple::V4 { source, destination },
            Some(Sockaddr::V4(announced)),
            Some(Sockaddr::V4(asked)),
        ) if announced == destination => Socktuple::V4 { source, destination: asked },
        (
            Socktuple::V6 { source, destination },
            Some(Sockaddr::V6(announced)),
            Some(Sockaddr::V6(asked)),
        ) if announced == destination => Socktuple::V6 { source, destination: asked },
        (
            Socktuple::Unix { source, destination, path },
            Some(Sockaddr::Unix(announced)),
            Some(Sockaddr::Unix(asked)),
        ) if announced == path => Socktuple::Unix { source, destination, path: asked },
        _ => tuple,
    }
}

/// A connect succeeded. Returns whether the name changed.
fn connected(info: &mut Fd, tuple: Socktuple<'_>) -> bool {
    let name = match tuple.unmapped() {
        Socktuple::V4 { source, destination } => {
            let changed = update_v4(&mut info.kind, source, destination);
            // A server of UDP that connects only chooses one of its clients.
            if changed && info.is_server() && protocol(&info.kind) == L4Proto::Udp {
                swap_ends(info);
            }
            tuple_name(&info.kind)
        }
        Socktuple::V6 { source, destination } => {
            update_v6(&mut info.kind, source, destination);
            tuple_name(&info.kind)
        }
        Socktuple::Unix { source, destination, path } => {
            if !matches!(info.kind, FdKind::Unix { .. }) {
                return false;
            }
            info.kind = FdKind::Unix { source, destination };
            unix_name(source, destination, path)
        }
        Socktuple::Other(_) => return false,
    };
    info.role.get_or_insert(Role::Client);
    rename(info, name)
}

/// A connect began and only its destination is known. Returns whether the name changed.
fn connecting(info: &mut Fd, destination: &Sockaddr<'_>) -> bool {
    let v6 = |at: &SocketAddrV6| match mapped_v4(at.ip()) {
        Some(ip) => SocketAddr::from((ip, at.port())),
        None => SocketAddr::V6(*at),
    };
    let destination = match destination {
        Sockaddr::V4(at) => SocketAddr::V4(*at),
        Sockaddr::V6(at) => v6(at),
        other => return rename(info, address_name(other)),
    };
    info.kind = match destination {
        SocketAddr::V4(to) => {
            let known = v4_tuple(&info.kind);
            FdKind::Ipv4(Ipv4Tuple { dip: *to.ip(), dport: to.port(), ..known })
        }
        SocketAddr::V6(to) => {
            let known = v6_tuple(&info.kind);
            FdKind::Ipv6(Ipv6Tuple { dip: *to.ip(), dport: to.port(), ..known })
        }
    };
    false
}

const NO_V4: Ipv4Tuple = Ipv4Tuple {
    sip: std::net::Ipv4Addr::UNSPECIFIED,
    dip: std::net::Ipv4Addr::UNSPECIFIED,
    sport: 0,
    dport: 0,
    l4proto: L4Proto::Unknown,
};
const NO_V6: Ipv6Tuple = Ipv6Tuple {
    sip: std::net::Ipv6Addr::UNSPECIFIED,
    dip: std::net::Ipv6Addr::UNSPECIFIED,
    sport: 0,
    dport: 0,
    l4proto: L4Proto::Unknown,
};

/// What is known of both ends, as IPv4.
fn v4_tuple(kind: &FdKind) -> Ipv4Tuple {
    match *kind {
        FdKind::Ipv4(tuple) => tuple,
        _ => Ipv4Tuple { l4proto: protocol(kind), ..NO_V4 },
    }
}

/// What is known of both ends, as IPv6.
fn v6_tuple(kind: &FdKind) -> Ipv6Tuple {
    match *kind {
        FdKind::Ipv6(tuple) => tuple,
        _ => Ipv6Tuple { l4proto: protocol(kind), ..NO_V6 },
    }
}

fn protocol(kind: &FdKind) -> L4Proto {
    match *kind {
        FdKind::Ipv4(Ipv4Tuple { l4proto, .. })
        | FdKind::Ipv6(Ipv6Tuple { l4proto, .. })
        | FdKind::Ipv4Server { l4proto, .. }
        | FdKind::Ipv6Server { l4proto, .. } => l4proto,
        _ => L4Proto::Unknown,
    }
}

/// Sets both ends. Returns whether they are new in either direction.
fn update_v4(kind: &mut FdKind, source: SocketAddrV4, destination: SocketAddrV4) -> bool {
    let known = v4_tuple(kind);
    if matches!(kind, FdKind::Ipv4(_)) {
        let from = SocketAddrV4::new(known.sip, known.sport);
        let to = SocketAddrV4::new(known.dip, known.dport);
        if (source, destination) == (from, to) || (source, destination) == (to, from) {
            return false;
        }
    }
    *kind = FdKind::Ipv4(Ipv4Tuple {
        sip: *source.ip(),
        dip: *destination.ip(),
        sport: source.port(),
        dport: destination.port(),
        l4proto: known.l4proto,
    });
    true
}

/// See [`update_v4`].
fn update_v6(kind: &mut FdKind, source: SocketAddrV6, destination: SocketAddrV6) -> bool {
    let known = v6_tuple(kind);
    if matches!(kind, FdKind::Ipv6(_)) {
        let from = SocketAddrV6::new(known.sip, known.sport, 0, 0);
        let to = SocketAddrV6::new(known.dip, known.dport, 0, 0);
        if (source, destination) == (from, to) || (source, destination) == (to, from) {
            return false;
        }
    }
    *kind = FdKind::Ipv6(Ipv6Tuple {
        sip: *source.ip(),
        dip: *destination.ip(),
        sport: source.port(),
        dport: destination.port(),
        l4proto: known.l4proto,
    });
    true
}

/// How an address is written.
fn address_name(address: &Sockaddr<'_>) -> Name {
    match address {
        Sockaddr::V4(at) => written(|name| write!(name, "{}:{}", at.ip(), at.port())),
        Sockaddr::V6(at) => written(|name| write!(name, "{}:{}", at.ip(), at.port())),
        Sockaddr::Unix(path) => Name::from_slice(path),
        Sockaddr::Other(family) => written(|name| write!(name, "family {family}")),
    }
}

/// Returns whether the name changed.
fn rename(info: &mut Fd, name: Name) -> bool {
    let changed = info.name != name;
    info.name = name;
    changed
}
