//! Class `fdlist`.

use std::io::Write;
use std::net::IpAddr;

use peregrine_event::params::{syscall_poll_x as poll, syscall_ppoll_x as ppoll};
use peregrine_event::{EventType, Fdlist, render};
use peregrine_filter::Value;
use peregrine_state::FdKind;

use super::common::NA;
use crate::table::FdList;
use crate::view::View;

peregrine_event::same_params!(poll, ppoll: FDS);

/// Whether events of this type have a list of fds.
pub(crate) fn has_list(ty: EventType) -> bool {
    matches!(ty, EventType::SyscallPollX | EventType::SyscallPpollX)
}

pub(crate) fn value<'a>(view: &View<'a>, field: FdList) -> Option<Value<'a>> {
    if !has_list(view.event.ty) {
        return None;
    }
    let fds = Fdlist::decode(view.event.param(poll::FDS)?)?;
    let thread = view.thread()?;
    let text = view.text(|out| {
        for (number, _) in fds.iter() {
            let fd = view.state.fd(thread, number);
            let kind = fd.map(|fd| fd.kind);
            let before = out.len();
            if !out.is_empty() {
                out.push(b',');
            }
            let start = out.len();
            // Writing to memory can't fail.
            let _ = match field {
                FdList::Nums => write!(out, "{number}"),
                FdList::Names => {
                    let name = fd.map(|fd| &*fd.name).filter(|name| !name.is_empty());
                    out.write_all(name.unwrap_or(NA))
                }
                FdList::ClientIps => write_ip(client_ip(kind), out),
                FdList::ServerIps => write_ip(server_ip(kind), out),
                FdList::ClientPorts => write_port(ports(kind).map(|(client, _)| client), out),
                FdList::ServerPorts => write_port(ports(kind).map(|(_, server)| server), out),
            };
            if out.len() == start {
                out.truncate(before);
            }
        }
    });
    (!text.is_empty()).then_some(Value::Text(text))
}

fn client_ip(kind: Option<FdKind>) -> Option<IpAddr> {
    match kind? {
        FdKind::Ipv4(tuple) => Some(tuple.sip.into()),
        FdKind::Ipv6(tuple) => Some(tuple.sip.into()),
        _ => None,
    }
}

fn server_ip(kind: Option<FdKind>) -> Option<IpAddr> {
    match kind? {
        FdKind::Ipv4(tuple) => Some(tuple.dip.into()),
        FdKind::Ipv6(tuple) => Some(tuple.dip.into()),
        FdKind::Ipv4Server { ip, .. } => Some(ip.into()),
        FdKind::Ipv6Server { ip, .. } => Some(ip.into()),
        _ => None,
    }
}

fn ports(kind: Option<FdKind>) -> Option<(u16, u16)> {
    match kind? {
        FdKind::Ipv4(tuple) => Some((tuple.sport, tuple.dport)),
        FdKind::Ipv6(tuple) => Some((tuple.sport, tuple.dport)),
        _ => None,
    }
}

fn write_ip(ip: Option<IpAddr>, out: &mut Vec<u8>) -> std::io::Result<()> {
    if let Some(ip) = ip {
        render::ip(ip, out);
    }
    Ok(())
}

fn write_port(port: Option<u16>, out: &mut Vec<u8>) -> std::io::Result<()> {
    port.map_or(Ok(()), |port| write!(out, "{port}"))
}
