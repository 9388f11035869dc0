//! What is open before an event: its fd and other ones that it refers to.

use std::collections::BTreeSet;
use std::net::IpAddr;

use peregrine_event::{Event, ParamType};
use peregrine_fields::View;
use peregrine_state::{Fd, FdKind, L4Proto, Role, State, Thread};

use super::yaml::map;
use crate::world;
use peregrine_params::{Shown, text};

type Parts = Vec<(String, Shown)>;

/// Appends the fd of an event, and the others.
pub(super) fn put(parts: &mut Parts, before: &State, view: &View<'_>, named: &BTreeSet<String>) {
    let event = view.event();
    let Some(thread) = before.by_tid(event.tid) else { return };
    let used = world::used_fd(event.ty).and_then(|index| event.i64(index));
    if let Some((number, fd)) = used.and_then(|number| Some((number, before.fd(thread, number)?))) {
        let gives_ends = world::gives_ends(event.ty);
        // A message may change the ends of a socket; rules see the new ones.
        let after = view.state().by_tid(event.tid).and_then(|it| view.state().fd(it, number));
        let seen = after.filter(|after| !gives_ends && after.kind.typechar() == fd.kind.typechar());
        let own = describe(seen.unwrap_or(fd), fd.role, named, gives_ends);
        super::yaml::put(parts, "fd", map(own));
    }
    put_addresses(parts, view, named);
    let others = others(before, thread, event, used, named);
    if let (Some((_, Shown::Map(process))), false) =
        (parts.iter_mut().find(|(name, _)| name == "proc"), others.is_empty())
    {
        super::yaml::put(process, "fds", map(others));
    }
}

/// Appends which ends of the connection are this machine's, if rules ask for it.
fn put_addresses(parts: &mut Parts, view: &View<'_>, named: &BTreeSet<String>) {
    let local = ["fd.lip", "fd.lport", "fd.rip", "fd.rport", "fd.is_server", "fd.lnet", "fd.rnet"];
    let asked = named.iter().any(|name| local.iter().any(|start| name.starts_with(start)));
    let (state, event) = (view.state(), view.event());
    let Some(thread) = state.by_tid(event.tid).filter(|_| asked) else { return };
    let number = world::used_fd(event.ty).unwrap_or_default();
    let Some(fd) = event.i64(number).and_then(|number| state.fd(thread, number)) else { return };
    let ends: [IpAddr; 2] = match fd.kind {
        FdKind::Ipv4(tuple) => [tuple.sip.into(), tuple.dip.into()],
        FdKind::Ipv6(tuple) => [tuple.sip.into(), tuple.dip.into()],
        _ => return,
    };
    let own = ends.into_iter().filter(|ip| state.interfaces().has(*ip));
    let own: BTreeSet<_> = own.map(|ip| ip.to_string()).collect();
    let own = own.into_iter().map(Shown::Text).collect();
    super::yaml::put(parts, "addresses", Shown::List(own));
}

/// Fds in other parameters, and those of standard input and output if rules name them.
fn others(
    before: &State,
    thread: &Thread,
    event: &Event<'_>,
    used: Option<i64>,
    named: &BTreeSet<String>,
) -> Parts {
    let params = event.ty.info().params.iter().enumerate();
    let params = params.filter(|(_, info)| info.ty == ParamType::Fd);
    let mut numbers: BTreeSet<i64> = params.filter_map(|(index, _)| event.i64(index)).collect();
    let standard = [("proc.stdin", 0), ("proc.stdout", 1), ("proc.stderr", 2)];
    for (start, number) in standard {
        if named.iter().any(|name| name.starts_with(start)) {
            numbers.insert(number);
        }
    }
    // What the event makes is not open before it.
    let made = event.i64(0);
    numbers.retain(|number| Some(*number) != used && *number >= 0);
    let open = numbers.into_iter().filter(|number| Some(*number) != made || *number <= 2);
    let describe = |number| {
        let fd = before.fd(thread, number)?;
        Some((number, describe(fd, fd.role, named, false)))
    };
    open.filter_map(describe).map(|(number, fd)| (number.to_string(), map(fd))).collect()
}

/// The values of an fd, with its role before the event. An event that `gives_ends` to a socket
/// tells them itself.
fn describe(fd: &Fd, before: Option<Role>, named: &BTreeSet<String>, gives_ends: bool) -> Parts {
    let mut parts = Vec::new();
    let mut put = |name: &str, value: Shown| parts.push((name.to_owned(), value));
    match fd.kind {
        FdKind::Ipv4(tuple) => {
            put("type", Shown::Text("ipv4".to_owned()));
            let ends = ((tuple.sip.into(), tuple.sport), (tuple.dip.into(), tuple.dport));
            socket(fd, before, ends, tuple.l4proto, gives_ends, &mut put);
        }
        FdKind::Ipv6(tuple) => {
            put("type", Shown::Text("ipv6".to_owned()));
            let ends = ((tuple.sip.into(), tuple.sport), (tuple.dip.into(), tuple.dport));
            socket(fd, before, ends, tuple.l4proto, gives_ends, &mut put);
        }
        FdKind::Ipv4Server { l4proto, .. } | FdKind::Ipv6Server { l4proto, .. } => {
            put("type", Shown::Text(fd.kind.type_name().to_owned()));
            put("name", text(&fd.name));
            put("l4proto", Shown::Text(protocol(l4proto).to_owned()));
        }
        FdKind::Unix { .. } => {
            put("type", Shown::Text("unix".to_owned()));
            if fd.name.is_empty() || gives_ends {
                put("fresh", Shown::plain(true));
            } else {
                put("name", text(&fd.name));
            }
        }
        kind => {
            put("type", Shown::Text(kind.type_name().to_owned()));
            if !fd.name.is_empty() {
                put("name", text(&fd.name));
            }
        }
    }
    let layers = [("is_upper_layer", fd.overlay_upper), ("is_lower_layer", fd.overlay_lower)];
    for (name, _) in layers.into_iter().filter(|(_, set)| *set) {
        put(name, Shown::plain(true));
    }
    if named.contains("fd.dev") || named.contains("fd.dev.major") || named.contains("fd.dev.minor")
    {
        put("dev", Shown::plain(fd.dev));
    }
    if named.contains("fd.ino") {
        put("ino", Shown::plain(fd.ino));
    }
    parts
}

type End = (IpAddr, u16);

fn socket(
    fd: &Fd,
    before: Option<Role>,
    (client, server): (End, End),
    l4proto: L4Proto,
    gives_ends: bool,
    put: &mut impl FnMut(&str, Shown),
) {
    if fd.role.is_none() && !fd.name.is_empty() {
        // It is bound to an address without a port.
        return put("name", text(&fd.name));
    }
    match before {
        _ if gives_ends => return put("fresh", Shown::Text(protocol(l4proto).to_owned())),
        None => put("fresh", Shown::Text(protocol(l4proto).to_owned())),
        Some(Role::Server) => put("role", Shown::Text("server".to_owned())),
        Some(Role::Client) => put("role", Shown::Text("client".to_owned())),
    }
    if fd.role.is_some() {
        put("l4proto", Shown::Text(protocol(l4proto).to_owned()));
        put("cip", Shown::Text(client.0.to_string()));
        put("cport", Shown::plain(client.1));
        put("sip", Shown::Text(server.0.to_string()));
        put("sport", Shown::plain(server.1));
    }
}

fn protocol(l4proto: L4Proto) -> &'static str {
    match l4proto {
        L4Proto::Tcp => "tcp",
        L4Proto::Udp => "udp",
        L4Proto::Icmp => "icmp",
        L4Proto::Raw => "raw",
        L4Proto::Unknown | L4Proto::NotAvailable => "other",
    }
}
