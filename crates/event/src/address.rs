//! Socket addresses in parameters.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::wire::until_nul;

/// Family byte of unix sockets.
pub const AF_UNIX: u8 = 1;
/// Family byte of IPv4.
pub const AF_INET: u8 = 2;
/// Family byte of IPv6.
pub const AF_INET6: u8 = 10;

/// Value of a [`Sockaddr`](crate::ParamType::Sockaddr) parameter: one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockaddr<'a> {
    /// IPv4.
    V4(SocketAddrV4),
    /// IPv6.
    V6(SocketAddrV6),
    /// Path of a unix socket.
    Unix(&'a [u8]),
    /// A family whose addresses are not kept.
    Other(u8),
}

/// Value of a [`Socktuple`](crate::ParamType::Socktuple) parameter: both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum Socktuple<'a> {
    /// IPv4.
    V4 { source: SocketAddrV4, destination: SocketAddrV4 },
    /// IPv6.
    V6 { source: SocketAddrV6, destination: SocketAddrV6 },
    /// Unix sockets: their kernel addresses and the path of the server's.
    Unix { source: u64, destination: u64, path: &'a [u8] },
    /// A family whose addresses are not kept.
    Other(u8),
}

impl<'a> Sockaddr<'a> {
    /// Decodes the bytes of a parameter; `None` when they are too few for their family.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&family, rest) = bytes.split_first()?;
        Some(match family {
            AF_INET => Self::V4(v4(rest)?.0),
            AF_INET6 => Self::V6(v6(rest)?.0),
            AF_UNIX => Self::Unix(path(rest)?),
            other => Self::Other(other),
        })
    }

    /// Appends the bytes of a parameter.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => {
                out.push(AF_INET);
                put_v4(out, *address);
            }
            Self::V6(address) => {
                out.push(AF_INET6);
                put_v6(out, address);
            }
            Self::Unix(path) => {
                out.push(AF_UNIX);
                out.extend_from_slice(path);
                out.push(0);
            }
            Self::Other(family) => out.push(*family),
        }
    }
}

impl<'a> Socktuple<'a> {
    /// Decodes the bytes of a parameter; `None` when they are too few for their family.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&family, rest) = bytes.split_first()?;
        Some(match family {
            AF_INET => {
                let (source, rest) = v4(rest)?;
                Self::V4 { source, destination: v4(rest)?.0 }
            }
            AF_INET6 => {
                let (source, rest) = v6(rest)?;
                Self::V6 { source, destination: v6(rest)?.0 }
            }
            AF_UNIX => {
                let (source, rest) = rest.split_first_chunk()?;
                let (destination, rest) = rest.split_first_chunk()?;
                Self::Unix {
                    source: u64::from_le_bytes(*source),
                    destination: u64::from_le_bytes(*destination),
                    path: path(rest)?,
                }
            }
            other => Self::Other(other),
        })
    }

    /// Appends the bytes of a parameter.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4 { source, destination } => {
                out.push(AF_INET);
                put_v4(out, *source);
                put_v4(out, *destination);
            }
            Self::V6 { source, destination } => {
                out.push(AF_INET6);
                put_v6(out, source);
                put_v6(out, destination);
            }
            Self::Unix { source, destination, path } => {
                out.push(AF_UNIX);
                out.extend_from_slice(&source.to_le_bytes());
                out.extend_from_slice(&destination.to_le_bytes());
                out.extend_from_slice(path);
                out.push(0);
            }
            Self::Other(family) => out.push(*family),
        }
    }

    /// The same, with IPv4-mapped IPv6 addresses turned into IPv4 when both ends are mapped.
    #[must_use]
    pub fn unmapped(self) -> Self {
        let Self::V6 { source, destination } = self else { return self };
        match (mapped_v4(source.ip()), mapped_v4(destination.ip())) {
            (Some(from), Some(to)) => Self::V4 {
                source: SocketAddrV4::new(from, source.port()),
                destination: SocketAddrV4::new(to, destination.port()),
            },
            _ => self,
        }
    }
}

/// The IPv4 address that an IPv6 address is mapped to. The unspecified address is mapped too: an
/// IPv6 socket that uses IPv4 has it before it is bound.
pub fn mapped_v4(ip: &Ipv6Addr) -> Option<Ipv4Addr> {
    if ip.is_unspecified() { Some(Ipv4Addr::UNSPECIFIED) } else { ip.to_ipv4_mapped() }
}

fn v4(bytes: &[u8]) -> Option<(SocketAddrV4, &[u8])> {
    let (ip, rest) = bytes.split_first_chunk::<4>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    Some((SocketAddrV4::new(Ipv4Addr::from(*ip), u16::from_le_bytes(*port)), rest))
}

fn v6(bytes: &[u8]) -> Option<(SocketAddrV6, &[u8])> {
    let (ip, rest) = bytes.split_first_chunk::<16>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    Some((SocketAddrV6::new(Ipv6Addr::from(*ip), u16::from_le_bytes(*port), 0, 0), rest))
}

/// A path ends with NUL; without it, the bytes were truncated.
fn path(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.last() == Some(&0)).then(|| until_nul(bytes))
}

fn put_v4(out: &mut Vec<u8>, address: SocketAddrV4) {
    out.extend_from_slice(&address.ip().octets());
    out.extend_from_slice(&address.port().to_le_bytes());
}

fn put_v6(out: &mut Vec<u8>, address: &SocketAddrV6) {
    out.extend_from_slice(&address.ip().octets());
    out.extend_from_slice(&address.port().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(ip: &str, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(ip.parse().unwrap(), port)
    }

    fn v6(ip: &str, port: u16) -> SocketAddrV6 {
        SocketAddrV6::new(ip.parse().unwrap(), port, 0, 0)
    }

    #[test]
    fn addresses_are_in_network_order_and_ports_in_host_order() {
        let bytes = [2, 127, 0, 0, 1, 0x39, 0x30];
        assert_eq!(Sockaddr::decode(&bytes), Some(Sockaddr::V4(v4("127.0.0.1", 12345))));
        assert_eq!(Sockaddr::decode(&bytes[..6]), None);
        assert_eq!(Sockaddr::decode(&[]), None);
    }

    #[test]
    fn encoding_reverses() {
        for address in [
            Sockaddr::V4(v4("10.0.0.1", 53)),
            Sockaddr::V6(v6("fe80::1", 443)),
            Sockaddr::Unix(b"/run/x.sock"),
            Sockaddr::Unix(b""),
            Sockaddr::Other(16),
        ] {
            let mut bytes = Vec::new();
            address.encode(&mut bytes);
            assert_eq!(Sockaddr::decode(&bytes), Some(address));
        }
        for tuple in [
            Socktuple::V4 { source: v4("1.2.3.4", 5), destination: v4("6.7.8.9", 10) },
            Socktuple::V6 { source: v6("::1", 5), destination: v6("2001:db8::2", 10) },
            Socktuple::Unix { source: 1 << 63, destination: 0, path: b"/run/x" },
            Socktuple::Other(17),
        ] {
            let mut bytes = Vec::new();
            tuple.encode(&mut bytes);
            assert_eq!(Socktuple::decode(&bytes), Some(tuple));
            bytes.pop();
            assert_eq!(Socktuple::decode(&bytes), None);
        }
    }

    #[test]
    fn ipv4_in_ipv6_shows_as_ipv4_when_both_ends_are() {
        let destination = v6("::ffff:10.0.0.2", 80);
        assert_eq!(
            Socktuple::V6 { source: v6("::", 0), destination }.unmapped(),
            Socktuple::V4 { source: v4("0.0.0.0", 0), destination: v4("10.0.0.2", 80) }
        );
        let mixed = Socktuple::V6 { source: v6("fe80::1", 1), destination };
        assert_eq!(mixed.unmapped(), mixed);
    }
}
