//! Sockets by inode, from the tables of a network namespace.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use peregrine_event::snapshot::FdKind;

use super::budget::Deadline;
use super::dir::{Dir, MAX_FILE, number};
use super::fds::ty;
use super::status::{hex, word, words};

/// Protocol codes of the format.
const TCP: u8 = 2;
const UDP: u8 = 3;
const RAW: u8 = 5;

/// The sockets of every namespace met so far, each read once.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    namespaces: HashMap<u64, Table>,
}

#[derive(Debug)]
struct Table {
    read: Instant,
    sockets: HashMap<u64, FdKind>,
}

impl Sockets {
    /// What the socket with this inode is. The tables are those of the process that `proc` is
    /// about.
    pub(crate) fn find(
        &mut self,
        proc: &Dir,
        namespace: u64,
        ino: u64,
        deadline: Deadline,
    ) -> Option<FdKind> {
        let table = self
            .namespaces
            .entry(namespace)
            .or_insert_with(|| Table { read: Instant::now(), sockets: read(proc, deadline) });
        table.sockets.get(&ino).cloned()
    }

    /// Forgets tables that are older than this.
    pub(crate) fn expire(&mut self, age: Duration) {
        self.namespaces.retain(|_, table| table.read.elapsed() < age);
    }
}

/// A socket with its inode.
type Socket = (u64, FdKind);

/// Reads the tables of a namespace. One that is missing is of a protocol the kernel does not speak.
fn read(proc: &Dir, deadline: Deadline) -> HashMap<u64, FdKind> {
    let mut sockets = HashMap::new();
    let mut text = Vec::new();
    let mut table = |name: &str, parse: &dyn Fn(&[u8]) -> Option<Socket>| {
        if !deadline.is_over() && proc.read(name, MAX_FILE, &mut text).is_ok() {
            let found = text.split(|&b| b == b'\n').skip(1).filter_map(parse);
            // A connection without an open descriptor has no inode.
            sockets.extend(found.filter(|&(ino, _)| ino != 0));
        }
    };
    for (name, l4proto) in [("net/tcp", TCP), ("net/udp", UDP), ("net/raw", RAW)] {
        table(name, &|line| ipv4(line, l4proto));
    }
    for (name, l4proto) in [("net/tcp6", TCP), ("net/udp6", UDP), ("net/raw6", RAW)] {
        table(name, &|line| ipv6(line, l4proto));
    }
    table("net/unix", &unix);
    table("net/netlink", &netlink);
    sockets
}

pub(super) fn ipv4(line: &[u8], l4proto: u8) -> Option<Socket> {
    let mut words = words(line).skip(1);
    let address = |text: &[u8]| {
        let (address, port) = split_port(text)?;
        // The number is the address as it is in memory.
        Some((Ipv4Addr::from(u32::try_from(hex(address)?).ok()?.to_ne_bytes()), port))
    };
    let (sip, sport) = address(words.next()?)?;
    let (dip, dport) = address(words.next()?)?;
    let ino = number(words.nth(6)?)? as u64;
    Some((
        ino,
        if dip.is_unspecified() {
            FdKind::Ipv4Server { ip: sip, port: sport, l4proto }
        } else {
            FdKind::Ipv4 { sip, dip, sport, dport, l4proto }
        },
    ))
}

pub(super) fn ipv6(line: &[u8], l4proto: u8) -> Option<Socket> {
    let mut words = words(line).skip(1);
    let address = |text: &[u8]| {
        let (digits, port) = split_port(text)?;
        let digits: &[u8; 32] = digits.try_into().ok()?;
        let mut address = [0; 16];
        for (bytes, digits) in address.chunks_exact_mut(4).zip(digits.chunks_exact(8)) {
            bytes.copy_from_slice(&u32::try_from(hex(digits)?).ok()?.to_ne_bytes());
        }
        Some((Ipv6Addr::from(address), port))
    };
    let (sip, sport) = address(words.next()?)?;
    let (dip, dport) = address(words.next()?)?;
    let ino = number(words.nth(6)?)? as u64;
    Some((
        ino,
        if dip.is_unspecified() {
            FdKind::Ipv6Server { ip: sip, port: sport, l4proto }
        } else {
            FdKind::Ipv6 { sip, dip, sport, dport, l4proto }
        },
    ))
}

fn split_port(text: &[u8]) -> Option<(&[u8], u16)> {
    let colon = memchr::memrchr(b':', text)?;
    let port = u16::try_from(hex(text.get(colon + 1..)?)?).ok()?;
    Some((text.get(..colon)?, port))
}

pub(super) fn unix(line: &[u8]) -> Option<Socket> {
    let (source, mut rest) = cut(line);
    for _ in 0..5 {
        (_, rest) = cut(rest);
    }
    let (ino, rest) = cut(rest);
    let (source, ino) = (hex(source.strip_suffix(b":")?)?, number(ino)? as u64);
    // A name may hold spaces: it is all that is left. Abstract ones begin with `@` and may be
    // filled up with NULs, which are written so too.
    let mut name = rest.strip_prefix(b" ").unwrap_or_default();
    while let [b'@', .., b'@'] = name {
        name = name.get(..name.len() - 1).unwrap_or_default();
    }
    let name = name.to_vec();
    Some((ino, FdKind::Unix { source, destination: 0, name }))
}

/// The first word of a line, and what follows it.
fn cut(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_start();
    line.split_at(memchr::memchr(b' ', line).unwrap_or(line.len()))
}

pub(super) fn netlink(line: &[u8]) -> Option<Socket> {
    let ino = number(word(line, 9)?)? as u64;
    Some((ino, FdKind::Named { ty: ty::NETLINK, name: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn connections_and_servers() {
        let line = b"   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1 00 100 0 0 10 0";
        let ip = Ipv4Addr::LOCALHOST;
        assert_eq!(
            ipv4(line, TCP),
            Some((1234, FdKind::Ipv4Server { ip, port: 22, l4proto: TCP }))
        );
        let line = b"  10: 0100007F:C350 0200000A:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 77 1 00";
        let (sip, dip) = (ip, Ipv4Addr::new(10, 0, 0, 2));
        let kind = FdKind::Ipv4 { sip, dip, sport: 50_000, dport: 443, l4proto: TCP };
        assert_eq!(ipv4(line, TCP), Some((77, kind)));
        let line = b"  3: 00000000000000000000000001000000:0035 0000000000000000FFFF00000100007F:B001 07 00000000:00000000 00:00000000 00000000 0 0 9 2";
        let kind = FdKind::Ipv6 {
            sip: Ipv6Addr::LOCALHOST,
            dip: Ipv4Addr::LOCALHOST.to_ipv6_mapped(),
            sport: 53,
            dport: 0xb001,
            l4proto: UDP,
        };
        assert_eq!(ipv6(line, UDP), Some((9, kind)));
    }

    #[test]
    fn names_of_unix_sockets_may_hold_spaces() {
        let line = b"00000000deadbeef: 00000002 00000000 00010000 0001 01 23456 /run/a b.sock";
        let name = b"/run/a b.sock".to_vec();
        let kind = FdKind::Unix { source: 0xdead_beef, destination: 0, name };
        assert_eq!(unix(line), Some((23456, kind)));
        let line = b"0000000000000000: 00000002 00000000 00000000 0002 01   345";
        assert!(matches!(unix(line), Some((345, FdKind::Unix { name, .. })) if name.is_empty()));
    }

    #[test]
    fn netlink_sockets_have_no_name() {
        let line = b"00000000fe17 0   812        00000440 0        0        0        2        0        8123";
        let kind = FdKind::Named { ty: ty::NETLINK, name: Vec::new() };
        assert_eq!(netlink(line), Some((8123, kind)));
    }

    proptest! {
        #[test]
        fn any_line_can_be_parsed(line: Vec<u8>, text in "[0-9A-F: ]{0,200}") {
            for line in [&line, text.as_bytes()] {
                ipv4(line, TCP);
                ipv6(line, TCP);
                unix(line);
                netlink(line);
            }
        }
    }
}
