//! Addresses of the machine, and how connections are written.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use peregrine_event::Socktuple;
use peregrine_event::snapshot::{Interface, InterfaceAddress};
use peregrine_limits as limits;

use crate::fd::{Fd, FdKind, Ipv4Tuple, Ipv6Tuple, L4Proto, Name};

/// Addresses of the machine.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    /// Whether ends of connections that an event lacks are guessed.
    guesses: bool,
    v4: Vec<V4>,
    v6: Vec<Ipv6Addr>,
    // As the source described them.
    described: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct V4 {
    address: Ipv4Addr,
    netmask: Ipv4Addr,
}

impl Interfaces {
    /// Without addresses. The reference's recordings lack ends that it guesses itself; live, an end
    /// that the kernel does not tell is unknown, since the socket may be in another network
    /// namespace.
    pub(crate) fn new(live: bool) -> Self {
        Self { guesses: !live, ..Self::default() }
    }

    /// Whether one of the machine's interfaces has this address.
    pub fn has(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4.iter().any(|interface| interface.address == ip),
            IpAddr::V6(ip) => self.v6.iter().any(|&address| same_v6_net(address, ip)),
        }
    }

    /// Whether this address is private or in a net of one of the interfaces.
    pub fn is_near(&self, ip: Ipv4Addr) -> bool {
        let [a, b, ..] = ip.octets();
        // The third test is wider than the private net 172.16.0.0/12 on purpose: so users know it.
        a == 10 || (a, b) == (192, 168) || (a == 172 && b & 0x3f == 16) || self.in_net(ip)
    }

    fn in_net(&self, ip: Ipv4Addr) -> bool {
        self.v4.iter().any(|interface| interface.holds(ip))
    }

    /// The interfaces as the source described them.
    pub fn described(&self) -> &[Interface] {
        &self.described
    }

    pub(crate) fn add(&mut self, interface: &Interface) {
        if self.described.len() >= limits::INTERFACES.get() {
            limits::INTERFACES.reach();
            return;
        }
        self.described.push(interface.clone());
        match interface.address {
            InterfaceAddress::V4 { address, netmask, .. } => self.v4.push(V4 { address, netmask }),
            InterfaceAddress::V6 { address, .. } => self.v6.push(address),
        }
    }

    /// Fills the end of a connection that is not known yet with the machine's likely address,
    /// unless the run is live.
    pub(crate) fn complete(&self, kind: &mut FdKind) {
        match kind {
            _ if !self.guesses => {}
            FdKind::Ipv4(tuple) => {
                let same_port = tuple.sport == tuple.dport;
                if tuple.sip.is_unspecified() {
                    let likely = self.likely_v4(tuple.dip);
                    if !(likely == tuple.dip && same_port) {
                        tuple.sip = likely;
                    }
                } else if tuple.dip.is_unspecified() {
                    let likely = self.likely_v4(tuple.sip);
                    if !(likely == tuple.sip && same_port) {
                        tuple.dip = likely;
                    }
                }
            }
            FdKind::Ipv6(tuple) => {
                let same_port = tuple.sport == tuple.dport;
                if tuple.sip.is_unspecified() {
                    let likely = self.likely_v6(tuple.dip);
                    if !(likely == tuple.dip && same_port) {
                        tuple.sip = likely;
                    }
                } else if tuple.dip.is_unspecified() {
                    let likely = self.likely_v6(tuple.sip);
                    if !(likely == tuple.sip && same_port) {
                        tuple.dip = likely;
                    }
                }
            }
            _ => {}
        }
    }

    /// The address itself when it is ours, else ours in the same net, else our first to the
    /// outside.
    fn likely_v4(&self, peer: Ipv4Addr) -> Ipv4Addr {
        let exact = self.v4.iter().find(|interface| interface.address == peer);
        let near = || self.v4.iter().find(|interface| interface.holds(peer));
        let other = || self.v4.iter().find(|interface| interface.address != Ipv4Addr::LOCALHOST);
        let found = exact.or_else(near).or_else(other);
        found.map_or(Ipv4Addr::UNSPECIFIED, |interface| interface.address)
    }

    fn likely_v6(&self, peer: Ipv6Addr) -> Ipv6Addr {
        let exact = self.v6.iter().find(|&&address| address == peer);
        let near = || self.v6.iter().find(|&&address| same_v6_net(address, peer));
        let other = || self.v6.iter().find(|&&address| address != Ipv6Addr::LOCALHOST);
        *exact.or_else(near).or_else(other).unwrap_or(&Ipv6Addr::UNSPECIFIED)
    }
}

impl V4 {
    fn holds(self, ip: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        self.address.to_bits() & mask == ip.to_bits() & mask
    }
}

/// The first 64 bits are the net, as no source gives the prefix.
fn same_v6_net(a: Ipv6Addr, b: Ipv6Addr) -> bool {
    a.segments()[..4] == b.segments()[..4]
}

/// How a connection or a bound port of a snapshot is written; empty for everything else.
pub(crate) fn socket_name(kind: &FdKind) -> Name {
    if let FdKind::Ipv4(Ipv4Tuple { sip, dip, sport, dport, .. }) = *kind {
        return v4_name((sip, sport), (dip, dport));
    }
    written(|name| match *kind {
        FdKind::Ipv6(Ipv6Tuple { sip, dip, sport, dport, .. }) => {
            write!(name, "{sip}:{sport}->{dip}:{dport}")
        }
        FdKind::Ipv4Server { ip, port, .. } => write!(name, "{ip}:{port}"),
        FdKind::Ipv6Server { ip, port, .. } => write!(name, "{ip}:{port}"),
        _ => Ok(()),
    })
}

/// How a connection of an event is written: ports only where the protocol has them.
pub(crate) fn tuple_name(kind: &FdKind) -> Name {
    let l4proto = match kind {
        FdKind::Ipv4(tuple) => tuple.l4proto,
        FdKind::Ipv6(tuple) => tuple.l4proto,
        _ => return Name::new(),
    };
    match (kind, l4proto) {
        (_, L4Proto::Tcp | L4Proto::Udp) => socket_name(kind),
        (FdKind::Ipv4(tuple), L4Proto::Icmp | L4Proto::Raw) => {
            written(|name| write!(name, "{}->{}", tuple.sip, tuple.dip))
        }
        (FdKind::Ipv6(tuple), L4Proto::Icmp) => {
            written(|name| write!(name, "{}->{}", tuple.sip, tuple.dip))
        }
        _ => Name::from_slice(b"<unknown>"),
    }
}

// Writing to memory does not fail.
pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Name {
    let mut name = Vec::with_capacity(64);
    let _ = write(&mut name);
    Name::from_slice(&name)
}

/// Both ends of an IPv4 connection. Of these there are many, so that they are not left to `fmt`.
fn v4_name(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Name {
    // As long as the longest: twice `255.255.255.255:65535`, and an arrow.
    let mut text = Digits { bytes: [0; 48], len: 0 };
    text.end(source);
    text.push(b'-');
    text.push(b'>');
    text.end(destination);
    Name::from_slice(text.bytes.get(..text.len).unwrap_or_default())
}

/// A short text, put together of numbers.
struct Digits {
    bytes: [u8; 48],
    len: usize,
}

impl Digits {
    fn end(&mut self, (ip, port): (Ipv4Addr, u16)) {
        for (index, octet) in ip.octets().into_iter().enumerate() {
            if index > 0 {
                self.push(b'.');
            }
            self.number(octet.into());
        }
        self.push(b':');
        self.number(port);
    }

    fn number(&mut self, number: u16) {
        for power in [10_000, 1_000, 100, 10] {
            if number >= power {
                self.push(b'0' + (number / power % 10) as u8);
            }
        }
        self.push(b'0' + (number % 10) as u8);
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

/// How a unix connection is written.
pub(crate) fn unix_name(source: u64, destination: u64, path: &[u8]) -> Name {
    written(|name| {
        write!(name, "{source:x}->{destination:x} ")?;
        name.write_all(path)
    })
}

/// Exchanges both ends.
pub(crate) fn swap_ends(fd: &mut Fd) {
    match &mut fd.kind {
        FdKind::Ipv4(t) => {
            std::mem::swap(&mut t.sip, &mut t.dip);
            std::mem::swap(&mut t.sport, &mut t.dport);
        }
        FdKind::Ipv6(t) => {
            std::mem::swap(&mut t.sip, &mut t.dip);
            std::mem::swap(&mut t.sport, &mut t.dport);
        }
        _ => {}
    }
}

/// How both ends in an event are written.
pub(crate) fn tuple_text(tuple: &Socktuple<'_>) -> Name {
    match *tuple {
        Socktuple::V4 { source, destination } => {
            v4_name((*source.ip(), source.port()), (*destination.ip(), destination.port()))
        }
        // Users know IPv6 addresses without brackets.
        Socktuple::V6 { source: s, destination: d } => {
            written(|name| write!(name, "{}:{}->{}:{}", s.ip(), s.port(), d.ip(), d.port()))
        }
        Socktuple::Unix { source, destination, path } => unix_name(source, destination, path),
        Socktuple::Other(family) => written(|name| write!(name, "family {family}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_written_as_their_addresses_are() {
        for (a, b) in
            [("0.0.0.0:0", "9.10.99.100:9"), ("255.255.255.255:65535", "1.20.3.101:10000")]
        {
            let ends: [std::net::SocketAddrV4; 2] = [a, b].map(|end| end.parse().unwrap());
            let [source, destination] = ends.map(|end| (*end.ip(), end.port()));
            assert_eq!(&*v4_name(source, destination), format!("{a}->{b}").as_bytes());
            let destination = (*ends[0].ip(), ends[0].port());
            assert_eq!(&*v4_name(destination, destination), format!("{a}->{a}").as_bytes());
        }
    }
}
