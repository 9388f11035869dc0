//! Helpers for the rows about sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::prelude::*;

/// An IPv4 address of this machine.
pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The same in IPv6.
pub(super) fn loopback6(port: u16) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, port).into()
}

/// An IPv4-mapped IPv6 address.
pub(super) fn mapped(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port).into()
}

/// No address.
pub(super) fn nowhere() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 0).into()
}

/// As a sockaddr.
pub(super) fn raw(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address {
        SocketAddr::V4(v4) => {
            [&2_u16.to_ne_bytes()[..], &port, &v4.ip().octets(), &[0; 8]].concat()
        }
        SocketAddr::V6(v6) => {
            [&10_u16.to_ne_bytes()[..], &port, &[0; 4], &v6.ip().octets(), &[0; 4]].concat()
        }
    }
}

/// The sockaddr of a unix socket.
pub(super) fn raw_unix(path: &[u8]) -> Vec<u8> {
    [&1_u16.to_ne_bytes()[..], path].concat()
}

/// A socket of this kind (`SOCK_STREAM`, `SOCK_DGRAM`) for addresses like this one.
pub(super) fn socket_for(address: SocketAddr, kind: i32) -> i64 {
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    ok!(socket(family, kind, 0))
}

/// A bound socket, and its address.
pub(super) fn bound(address: SocketAddr, kind: i32) -> (i64, SocketAddr) {
    let fd = socket_for(address, kind);
    let raw = raw(address);
    let res = sys!(bind(fd, &raw[..], raw.len()));
    if res < 0 && address.is_ipv6() {
        skip("the machine has no IPv6");
    }
    assert_eq!(res, 0);
    (fd, local(fd))
}

/// A listening socket, and its address.
pub(super) fn listening(address: SocketAddr) -> (i64, SocketAddr) {
    let (fd, at) = bound(address, SOCK_STREAM);
    ok!(listen(fd, 5));
    (fd, at)
}

/// Two sockets connected by TCP: the client's and its address, the server's and its address.
pub(super) fn connected(address: SocketAddr) -> (i64, SocketAddr, i64, SocketAddr) {
    let (listener, server_at) = listening(address);
    let client = socket_for(address, SOCK_STREAM);
    let to = raw(server_at);
    ok!(connect(client, &to[..], to.len()));
    let server = ok!(accept4(listener, 0, 0, 0));
    (client, local(client), server, server_at)
}

/// A unix socket that is bound to a path.
pub(super) fn unix_at(path: &[u8], kind: i32) -> i64 {
    let (fd, to) = (ok!(socket(AF_UNIX, kind, 0)), raw_unix(path));
    ok!(bind(fd, &to[..], to.len()));
    fd
}

/// The local address of a socket.
pub(super) fn local(fd: i64) -> SocketAddr {
    let (mut to, mut len) = ([0_u8; 28], 28_u32);
    ok!(getsockname(fd, &mut to, &mut len));
    let port = u16::from_be_bytes([to[2], to[3]]);
    if to[0] == 2 {
        (<[u8; 4]>::try_from(&to[4..8]).unwrap(), port).into()
    } else {
        (<[u8; 16]>::try_from(&to[8..24]).unwrap(), port).into()
    }
}

/// A message header with these buffers, to or from this address.
pub(super) struct Message {
    parts: Vec<iovec>,
    name: Vec<u8>,
    control: Vec<u8>,
}

impl Message {
    /// With these buffers.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let parts = parts
            .iter()
            .map(|part| iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
        Self { parts: parts.collect(), name: Vec::new(), control: Vec::new() }
    }

    /// To this address, or with room for it.
    pub(super) fn name(mut self, name: Vec<u8>) -> Self {
        self.name = name;
        self
    }

    /// With this control data, or room for it.
    pub(super) fn control(mut self, control: Vec<u8>) -> Self {
        self.control = control;
        self
    }

    /// As a msghdr. Its pointers refer to `self`.
    pub(super) fn header(&mut self) -> msghdr {
        let mut header: msghdr = zeroed();
        if !self.name.is_empty() {
            header.msg_name = self.name.as_mut_ptr().cast();
            header.msg_namelen = self.name.len() as u32;
        }
        if !self.control.is_empty() {
            header.msg_control = self.control.as_mut_ptr().cast();
            header.msg_controllen = self.control.len();
        }
        header.msg_iov = self.parts.as_mut_ptr();
        header.msg_iovlen = self.parts.len();
        header
    }

    /// The control data that the kernel returned.
    pub(super) fn control_of(&self, header: &msghdr) -> Vec<u8> {
        self.control[..header.msg_controllen].to_vec()
    }
}
