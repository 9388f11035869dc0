//! Class `fd`.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use peregrine_event::params::{
    socket_accept_5_x as accept, socket_accept4_6_x as accept4, socket_connect_x as connect,
    syscall_creat_x as creat, syscall_open_by_handle_at_x as open_by_handle_at,
    syscall_open_x as open, syscall_openat_2_x as openat, syscall_openat2_x as openat2,
};
use peregrine_event::render::AT_FDCWD;
use peregrine_event::{EventType, path};
use peregrine_filter::Value;
use peregrine_state::{Fd as State, FdKind, Ipv4Tuple, Ipv6Tuple, L4Proto, Thread};

use super::common::{NA, flag};
use super::raw;
use crate::table::Fd;
use crate::view::View;
use crate::vocabulary::Arg;

peregrine_event::same_params!(open, creat: NAME);
peregrine_event::same_params!(openat, openat2: DIRFD, NAME);
peregrine_event::same_params!(connect, accept, accept4: TUPLE);

pub(crate) fn value<'a>(view: &View<'a>, field: Fd, arg: &Arg) -> Option<Value<'a>> {
    let subject = Subject::of(view, arg)?;
    let text = |text: &'a [u8]| Some(Value::Text(text));
    // These do not need the fd in the state.
    match field {
        Fd::Num => return Some(Value::Int(view.context.fd)),
        Fd::Name => return text(subject.name(view)?),
        Fd::NameRaw => return text(subject.name_raw(view)?),
        Fd::Directory => return text(subject.directory(view)?),
        Fd::ContainerName => return text(subject.in_container(view, subject.name(view)?)),
        Fd::ContainerDirectory => {
            return text(subject.in_container(view, subject.directory(view)?));
        }
        Fd::TypeChar => return text(subject.type_char(view)),
        Fd::Uid => {
            let (tid, fd) = (subject.thread.tid, view.context.fd);
            // Writing to memory can't fail.
            return text(view.text(|out| drop(write!(out, "{tid}{fd}"))));
        }
        Fd::Types if *arg == Arg::None => return Some(types(view, subject.thread)),
        _ => {}
    }
    let fd = subject.fd?;
    let ours = |ends: Ends| client_is_ours(view, subject.thread, fd, ends);
    match field {
        Fd::Type => text(fd.kind.type_name().as_bytes()),
        Fd::Types => Some(view.list([Value::Text(fd.kind.type_name().as_bytes())])),
        Fd::Filename => text(filename(fd)?),
        Fd::Ip | Fd::Net => Some(view.list(both_ends(fd, |end| Value::Ip(end.ip)))),
        Fd::Port | Fd::Proto => Some(view.list(both_ends(fd, |end| Value::Uint(end.port.into())))),
        Fd::ClientIp | Fd::ClientNet => client(fd).map(|end| Value::Ip(end.ip)),
        Fd::ServerIp | Fd::ServerNet => {
            fd.role?;
            server(fd).map(|end| Value::Ip(end.ip))
        }
        Fd::ClientPort => client(fd).map(|end| Value::Uint(end.port.into())),
        Fd::ServerPort => server(fd).map(|end| Value::Uint(end.port.into())),
        Fd::LocalIp | Fd::LocalNet => connection(fd)?.near(ours).map(|end| Value::Ip(end.ip)),
        Fd::RemoteIp | Fd::RemoteNet => connection(fd)?.far(ours).map(|end| Value::Ip(end.ip)),
        Fd::LocalPort => connection(fd)?.near(ours).map(|end| Value::Uint(end.port.into())),
        Fd::RemotePort => connection(fd)?.far(ours).map(|end| Value::Uint(end.port.into())),
        Fd::ClientProto => {
            fd.role?;
            Some(service(view, client(fd)))
        }
        // A bound port has a number, but no text.
        Fd::ServerProto => {
            server(fd).map(|end| service(view, connection(fd).is_some().then_some(end)))
        }
        Fd::LocalProto => Some(service(view, connection(fd)?.near(ours))),
        Fd::RemoteProto => Some(service(view, connection(fd)?.far(ours))),
        Fd::L4proto => text(match fd.l4proto() {
            L4Proto::Tcp => b"tcp",
            L4Proto::Udp => b"udp",
            L4Proto::Icmp => b"icmp",
            L4Proto::Raw => b"raw",
            L4Proto::Unknown | L4Proto::NotAvailable => NA,
        }),
        Fd::SockFamily if fd.kind.is_ip() => text(b"ip"),
        Fd::SockFamily if matches!(fd.kind, FdKind::Unix { .. }) => text(b"unix"),
        Fd::SockFamily => None,
        Fd::IsServer => flag(match fd.kind {
            FdKind::Ipv4Server { .. } | FdKind::Ipv6Server { .. } => true,
            FdKind::Ipv4(_) | FdKind::Ipv6(_) if view.state.is_live() => fd.is_server(),
            FdKind::Ipv4(tuple) => is_local(view, subject.thread, tuple.dip.into()),
            FdKind::Ipv6(tuple) => is_local(view, subject.thread, tuple.dip.into()),
            _ => false,
        }),
        Fd::Connected => flag(fd.connected),
        Fd::NameChanged => flag(view.context.name_changed),
        // No reverse lookup: a query would block and reveal what is monitored.
        Fd::ClientIpName | Fd::ServerIpName | Fd::LocalIpName | Fd::RemoteIpName => None,
        Fd::Dev => Some(Value::Int(fd.dev.cast_signed().into())),
        Fd::DevMajor => Some(Value::Int(fd.dev_major().into())),
        Fd::DevMinor => Some(Value::Int(fd.dev_minor().into())),
        Fd::Ino => Some(Value::Int(fd.ino.cast_signed())),
        Fd::IsUpperLayer => flag(fd.overlay_upper),
        Fd::IsLowerLayer => flag(fd.overlay_lower),
        Fd::Num
        | Fd::Name
        | Fd::NameRaw
        | Fd::Directory
        | Fd::ContainerName
        | Fd::ContainerDirectory
        | Fd::TypeChar
        | Fd::Uid => None,
    }
}

/// Whether a field compares with both ends of a connection.
pub(crate) fn compares_both_ends(field: Fd) -> bool {
    matches!(field, Fd::Ip | Fd::Port | Fd::Proto | Fd::Net)
}

/// Name of the fd of the event.
pub(super) fn name<'a>(view: &View<'a>) -> Option<&'a [u8]> {
    Subject::of(view, &Arg::None)?.name(view)
}

/// The thread and the fd of an event that makes, uses or closes an fd.
struct Subject<'a> {
    thread: &'a Thread,
    fd: Option<&'a State>,
}

impl<'a> Subject<'a> {
    fn of(view: &View<'a>, arg: &Arg) -> Option<Self> {
        let thread = view.thread().filter(|_| view.is_about_fd())?;
        let fd = match arg {
            Arg::Index(number) => view.state.fd(thread, i64::try_from(*number).ok()?),
            _ => view.event_fd().or_else(|| view.state.fd(thread, view.context.fd)),
        };
        Some(Self { thread, fd })
    }

    fn name(&self, view: &View<'a>) -> Option<&'a [u8]> {
        match self.fd {
            Some(fd) => Some(&fd.name),
            None => told_name(view, self.thread, Path::Resolved),
        }
    }

    fn name_raw(&self, view: &View<'a>) -> Option<&'a [u8]> {
        let name = match self.fd {
            Some(fd) => fd.name_raw(),
            None => told_name(view, self.thread, Path::Raw)?,
        };
        let pairs = name.iter().zip(name.iter().skip(1));
        // No early exit: a loop without branches is faster.
        let doubled = pairs.fold(false, |doubled, (a, b)| doubled | ((*a == b'/') & (*b == b'/')));
        Some(if doubled { view.text(|out| without_doubled_slashes(name, out)) } else { name })
    }

    fn directory(&self, view: &View<'a>) -> Option<&'a [u8]> {
        let name = match self.fd.map(|fd| (fd, fd.kind)) {
            Some((fd, FdKind::Directory)) => return Some(&fd.name),
            Some((fd, FdKind::File)) => &fd.name,
            Some(_) => return None,
            None => told_name(view, self.thread, Path::Resolved)?,
        };
        Some(match name.iter().rposition(|&b| b == b'/') {
            None | Some(0) => b"/",
            Some(slash) if slash + 1 == name.len() => name,
            Some(slash) => name.get(..slash).unwrap_or(name),
        })
    }

    fn in_container(&self, view: &View<'a>, text: &'a [u8]) -> &'a [u8] {
        view.text(|out| {
            out.extend_from_slice(&self.thread.container);
            out.push(b':');
            out.extend_from_slice(text);
        })
    }

    fn type_char(&self, view: &View<'a>) -> &'static [u8] {
        match self.fd {
            Some(fd) => {
                let byte = usize::from(fd.kind.typechar() as u8);
                BYTES.get(byte..=byte).unwrap_or_default()
            }
            None => likely_type(view.event.ty),
        }
    }
}

/// Texts of one byte.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static BYTES: [u8; 128] = {
    let mut bytes = [0; 128];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = byte as u8;
        byte += 1;
    }
    bytes
};

/// The type of fd that an event creates, for an fd that the state does not have.
fn likely_type(ty: EventType) -> &'static [u8] {
    match ty {
        EventType::SyscallOpenat_2X | EventType::SyscallOpenat2X | EventType::SyscallCreatX => b"f",
        EventType::SocketSocketX | EventType::SocketAccept_5X | EventType::SocketAccept4_6X => b"4",
        EventType::SyscallPipeX | EventType::SyscallPipe2X => b"p",
        EventType::SyscallEventfdX | EventType::SyscallEventfd2X => b"e",
        EventType::SyscallSignalfdX | EventType::SyscallSignalfd4X => b"s",
        EventType::SyscallTimerfdCreateX => b"t",
        EventType::SyscallInotifyInitX | EventType::SyscallInotifyInit1X => b"i",
        _ => b"o",
    }
}

#[derive(PartialEq)]
enum Path {
    Raw,
    Resolved,
}

/// Name of an fd that the state does not have, from the parameters of the event: the call failed,
/// or the creation of the fd was not captured.
fn told_name<'a>(view: &View<'a>, thread: &'a Thread, want: Path) -> Option<&'a [u8]> {
    let event = view.event;
    match event.ty {
        ty if !ty.is_exit() => None,
        EventType::SyscallOpenX | EventType::SyscallCreatX => Some(printed(view, open::NAME)),
        EventType::SocketAccept_5X | EventType::SocketAccept4_6X | EventType::SocketConnectX => {
            Some(printed(view, connect::TUPLE))
        }
        EventType::SyscallOpenat_2X | EventType::SyscallOpenat2X => {
            let name = event.param(openat::NAME).filter(|name| !name.is_empty()).map(raw::text)?;
            if want == Path::Raw {
                return Some(name);
            }
            let dir = directory(view, thread, event.i64(openat::DIRFD)?);
            Some(view.text(|out| path::join(dir, name, out)))
        }
        EventType::SyscallOpenByHandleAtX => event.param(open_by_handle_at::PATH).map(raw::text),
        _ => Some(b""),
    }
}

/// A parameter of the event as it is printed.
fn printed<'a>(view: &View<'a>, param: usize) -> &'a [u8] {
    view.text(|out| {
        view.renderer().buffers(view.run.buffers).arg(param, out);
    })
}

/// Path of a directory fd, with a slash at its end.
pub(super) fn directory<'a>(view: &View<'a>, thread: &'a Thread, fd: i64) -> &'a [u8] {
    if fd == AT_FDCWD {
        return view.state.cwd(thread);
    }
    view.state.fd(thread, fd).map_or(UNKNOWN, |dir| slashed(view, &dir.name))
}

/// Text in place of an unknown directory.
pub(super) const UNKNOWN: &[u8] = b"<UNKNOWN>";

/// A path with a slash at its end, unless it is empty.
pub(super) fn slashed<'a>(view: &View<'a>, path: &'a [u8]) -> &'a [u8] {
    match path.last() {
        None | Some(b'/') => path,
        _ => view.text(|out| {
            out.extend_from_slice(path);
            out.push(b'/');
        }),
    }
}

fn without_doubled_slashes(path: &[u8], out: &mut Vec<u8>) {
    for &byte in path {
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
}

fn filename(fd: &State) -> Option<&[u8]> {
    if fd.kind != FdKind::File {
        return None;
    }
    Some(match fd.name.iter().rposition(|&b| b == b'/') {
        None => b"/",
        Some(slash) if slash + 1 == fd.name.len() => &fd.name,
        Some(slash) => fd.name.get(slash + 1..).unwrap_or_default(),
    })
}

/// The types of the fds of a process, each once.
fn types<'a>(view: &View<'a>, thread: &'a Thread) -> Value<'a> {
    let mut seen = [""; 32];
    let mut len = 0;
    view.list(view.state.fds(thread).filter_map(move |(_, fd)| {
        let name = fd.kind.type_name();
        if seen.iter().take(len).any(|other| *other == name) {
            return None;
        }
        // There are fewer types than slots.
        *seen.get_mut(len)? = name;
        len += 1;
        Some(Value::Text(name.as_bytes()))
    }))
}

/// One end of a connection.
#[derive(Clone, Copy)]
struct End {
    ip: IpAddr,
    port: u16,
}

/// Both ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    client: End,
    server: End,
}

impl Ends {
    /// The end of the event's process, given whether that is the client's.
    fn near(self, client_is_ours: impl Fn(Self) -> bool) -> Option<End> {
        Some(if client_is_ours(self) { self.client } else { self.server })
    }

    /// The other end.
    fn far(self, client_is_ours: impl Fn(Self) -> bool) -> Option<End> {
        Some(if client_is_ours(self) { self.server } else { self.client })
    }
}

/// Whether the client's end is that of the process. Live, the calls that were made say so; in a
/// recording, as the reference has it, the client's address if it is one of the machine.
fn client_is_ours(view: &View<'_>, thread: &Thread, fd: &State, ends: Ends) -> bool {
    if view.state.is_live() { !fd.is_server() } else { is_local(view, thread, ends.client.ip) }
}

fn ends(kind: FdKind) -> Option<Ends> {
    let end = |ip, port| End { ip, port };
    Some(match kind {
        FdKind::Ipv4(Ipv4Tuple { sip, dip, sport, dport, .. }) => {
            Ends { client: end(sip.into(), sport), server: end(dip.into(), dport) }
        }
        FdKind::Ipv6(Ipv6Tuple { sip, dip, sport, dport, .. }) => {
            Ends { client: end(sip.into(), sport), server: end(dip.into(), dport) }
        }
        _ => return None,
    })
}

/// The bound port of a server.
fn bound(kind: FdKind) -> Option<End> {
    match kind {
        FdKind::Ipv4Server { ip, port, .. } => Some(End { ip: ip.into(), port }),
        FdKind::Ipv6Server { ip, port, .. } => Some(End { ip: ip.into(), port }),
        _ => None,
    }
}

/// A connection whose client end is known.
fn connection(fd: &State) -> Option<Ends> {
    fd.role?;
    ends(fd.kind)
}

fn client(fd: &State) -> Option<End> {
    connection(fd).map(|ends| ends.client)
}

fn server(fd: &State) -> Option<End> {
    bound(fd.kind).or_else(|| connection(fd).map(|ends| ends.server))
}

fn both_ends<'a>(fd: &State, of: impl Fn(End) -> Value<'a>) -> impl Iterator<Item = Value<'a>> {
    let ends = ends(fd.kind);
    let sides = [ends.map(|ends| ends.client), ends.map(|ends| ends.server), bound(fd.kind)];
    sides.into_iter().flatten().map(of)
}

/// A port as text; empty when there is none.
fn service<'a>(view: &View<'a>, end: Option<End>) -> Value<'a> {
    Value::Text(match end {
        // Writing to memory can't fail.
        Some(end) => view.text(|out| drop(write!(out, "{}", end.port))),
        None => b"",
    })
}

/// Whether an address belongs to this machine or to the container of the thread.
fn is_local(view: &View<'_>, thread: &Thread, ip: IpAddr) -> bool {
    let interfaces = view.state.interfaces();
    if thread.container.is_empty() {
        return interfaces.has(ip);
    }
    // Containers report IPv4 addresses only.
    let IpAddr::V4(ip) = ip else { return false };
    let is = |text: &str| text.parse::<Ipv4Addr>() == Ok(ip);
    let containers = view.state.containers();
    match containers.get(&thread.container).map(|own| own.ip.as_str()) {
        None | Some("") => containers.iter().any(|container| is(&container.ip)),
        Some(own) => is(own) || interfaces.has(ip.into()),
    }
}
