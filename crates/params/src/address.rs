//! Socket addresses as tests write them: `10.0.0.1:80`, `[::1]:80` or `::1:80`, a path.

use std::net::{IpAddr, SocketAddr};

use peregrine_event::{Sockaddr, Socktuple};

/// Both ends of a connection, or a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tuple {
    /// Source and destination.
    Ip(SocketAddr, SocketAddr),
    /// A pair of unix sockets.
    Unix {
        /// Address of the source in the kernel.
        source: u64,
        /// Address of the destination in the kernel.
        destination: u64,
        /// Path that the sockets are bound to, or empty.
        path: String,
    },
}

/// An address with a port, in the notation of Rust or that of events.
#[must_use]
pub fn address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (ip, port) = text.rsplit_once(':')?;
    Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, port.parse().ok()?))
}

/// `source->destination`.
#[must_use]
pub fn ends(text: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (source, destination) = text.split_once("->")?;
    Some((address(source.trim())?, address(destination.trim())?))
}

/// A pair of addresses, or of unix sockets: `ffff888->ffff999 /run/x.sock`.
#[must_use]
pub fn tuple(text: &str) -> Option<Tuple> {
    if let Some((source, destination)) = ends(text) {
        return Some(Tuple::Ip(source, destination));
    }
    let (source, rest) = text.split_once("->")?;
    let (destination, path) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (source, destination) = (number(source)?, number(destination)?);
    Some(Tuple::Unix { source, destination, path: path.to_owned() })
}

impl Tuple {
    /// The parameter of an event. Ends of different families become IPv6.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                Socktuple::V4 { source: *source, destination: *destination }.encode(out);
            }
            Self::Ip(source, destination) => {
                let (source, destination) = (v6(*source), v6(*destination));
                Socktuple::V6 { source, destination }.encode(out);
            }
            Self::Unix { source, destination, path } => {
                let (source, destination) = (*source, *destination);
                Socktuple::Unix { source, destination, path: path.as_bytes() }.encode(out);
            }
        }
    }
}

/// The parameter of an event for one address.
pub(super) fn encode_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address {
        SocketAddr::V4(address) => Sockaddr::V4(address).encode(out),
        SocketAddr::V6(address) => Sockaddr::V6(address).encode(out),
    }
}

fn v6(address: SocketAddr) -> std::net::SocketAddrV6 {
    match address {
        SocketAddr::V4(v4) => {
            std::net::SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0)
        }
        SocketAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_of_addresses() {
        assert_eq!(address("::1:80"), address("[::1]:80"));
        assert_eq!(address("10.0.0.1:80").map(|it| it.port()), Some(80));
        assert_eq!(address("10.0.0.1"), None);
        let unix = Tuple::Unix { source: 0xff, destination: 0, path: "/run/x".to_owned() };
        assert_eq!(tuple("ff->0 /run/x"), Some(unix));
    }
}
