//! Socket addresses as text.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::address::{AF_INET, AF_INET6, AF_UNIX, Sockaddr, Socktuple};

/// One address: `10.0.0.1:80`, `::1:80` (no brackets), a path, or `family 16`.
pub fn sockaddr(address: &Sockaddr<'_>, out: &mut Vec<u8>) {
    match address {
        Sockaddr::V4(address) => v4(address, out),
        Sockaddr::V6(address) => v6(address, out),
        Sockaddr::Unix(path) => out.extend_from_slice(path),
        Sockaddr::Other(family) => other(*family, out),
    }
}

/// Both ends: `10.0.0.1:80->10.0.0.2:5000`. IPv6 addresses that stand for IPv4 ones are printed
/// as those.
pub fn socktuple(tuple: &Socktuple<'_>, out: &mut Vec<u8>) {
    match tuple.unmapped() {
        Socktuple::V4 { source, destination } => {
            v4(&source, out);
            out.extend_from_slice(b"->");
            v4(&destination, out);
        }
        Socktuple::V6 { source, destination } => {
            v6(&source, out);
            out.extend_from_slice(b"->");
            v6(&destination, out);
        }
        Socktuple::Unix { source, destination, path } => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{source:x}->{destination:x} ");
            out.extend_from_slice(path);
        }
        Socktuple::Other(family) => other(family, out),
    }
}

/// An address as `inet_ntop` writes it, which differs from Rust for `::1.2.3.4`.
pub fn ip(ip: IpAddr, out: &mut Vec<u8>) {
    let _ = match ip {
        IpAddr::V6(ip) if is_v4_compatible(&ip) => {
            let [.., a, b, c, d] = ip.octets();
            write!(out, "::{a}.{b}.{c}.{d}")
        }
        other => write!(out, "{other}"),
    };
}

/// Text for an address or tuple that is cut short.
pub(super) fn malformed(bytes: &[u8]) -> &'static [u8] {
    match bytes.first() {
        Some(&AF_UNIX) => b"INVALID PATH",
        Some(&AF_INET) => b"INVALID IPv4",
        Some(&AF_INET6) => b"INVALID IPv6",
        _ => b"INVALID SOCKADDR",
    }
}

fn v4(address: &SocketAddrV4, out: &mut Vec<u8>) {
    let _ = write!(out, "{}:{}", address.ip(), address.port());
}

fn v6(address: &SocketAddrV6, out: &mut Vec<u8>) {
    ip((*address.ip()).into(), out);
    let _ = write!(out, ":{}", address.port());
}

fn other(family: u8, out: &mut Vec<u8>) {
    let _ = write!(out, "family {family}");
}

fn is_v4_compatible(ip: &Ipv6Addr) -> bool {
    matches!(ip.segments(), [0, 0, 0, 0, 0, 0, high, _] if high != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(ip: &str, port: u16) -> SocketAddrV6 {
        SocketAddrV6::new(ip.parse().unwrap(), port, 0, 0)
    }

    #[test]
    fn addresses() {
        for (address, expected) in [
            (Sockaddr::V4("127.0.0.1:53".parse().unwrap()), "127.0.0.1:53"),
            (Sockaddr::V6(v6("::1", 80)), "::1:80"),
            (Sockaddr::V6(v6("::", 0)), ":::0"),
            (Sockaddr::V6(v6("::ffff:1.2.3.4", 5)), "::ffff:1.2.3.4:5"),
            (Sockaddr::V6(v6("::1.2.3.4", 5)), "::1.2.3.4:5"),
            (Sockaddr::V6(v6("2001:db8:0:0:1:0:0:1", 5)), "2001:db8::1:0:0:1:5"),
            (Sockaddr::Unix(b"/run/x.sock"), "/run/x.sock"),
            (Sockaddr::Other(16), "family 16"),
        ] {
            let mut out = Vec::new();
            sockaddr(&address, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn tuples() {
        for (tuple, expected) in [
            (
                Socktuple::V4 {
                    source: "10.0.0.1:1".parse().unwrap(),
                    destination: "10.0.0.2:2".parse().unwrap(),
                },
                "10.0.0.1:1->10.0.0.2:2",
            ),
            (
                Socktuple::V6 { source: v6("::1", 45862), destination: v6("::1", 43317) },
                "::1:45862->::1:43317",
            ),
            (
                Socktuple::V6 { source: v6("::", 7), destination: v6("::ffff:10.0.0.2", 80) },
                "0.0.0.0:7->10.0.0.2:80",
            ),
            (
                Socktuple::Unix {
                    source: 0xffff_8881_227e_1b00,
                    destination: 0,
                    path: b"/tmp/sock",
                },
                "ffff8881227e1b00->0 /tmp/sock",
            ),
        ] {
            let mut out = Vec::new();
            socktuple(&tuple, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
