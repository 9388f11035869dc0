//! The machine itself and its network interfaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use nix::sys::socket::SockaddrStorage;
use peregrine_event::snapshot::{Interface, InterfaceAddress, Machine};

use super::dir::{Dir, MAX_FILE, number};
use super::status::word;

const SECOND: u64 = 1_000_000_000;

/// What the machine is, by its `/proc`.
pub(crate) fn machine(proc: &Dir) -> Machine {
    let (mut stat, mut memory, mut pids) = (Vec::new(), Vec::new(), Vec::new());
    // What can't be read stays 0.
    let _ = proc.read("stat", MAX_FILE, &mut stat);
    let _ = proc.read("meminfo", MAX_FILE, &mut memory);
    let _ = proc.read("sys/kernel/pid_max", 64, &mut pids);
    Machine {
        num_cpus: cpus(&stat),
        memory: value(&memory, b"MemTotal:").saturating_mul(1024),
        max_pid: word(&pids, 0).and_then(number).unwrap_or(0) as u64,
        hostname: rustix::system::uname().nodename().to_bytes().to_vec(),
        boot_ts: value(&stat, b"btime").saturating_mul(SECOND),
        flags: 0,
    }
}

/// The addresses of this machine, in the order of the system.
pub(crate) fn interfaces() -> Vec<Interface> {
    let Ok(addresses) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    addresses
        .filter_map(|item| {
            let v4 = |address: &Option<SockaddrStorage>| {
                address
                    .and_then(|a| Some(a.as_sockaddr_in()?.ip()))
                    .unwrap_or(Ipv4Addr::UNSPECIFIED)
            };
            let v6 = |address: &Option<SockaddrStorage>| {
                address
                    .and_then(|a| Some(a.as_sockaddr_in6()?.ip()))
                    .unwrap_or(Ipv6Addr::UNSPECIFIED)
            };
            // A link between two has the other end instead of a broadcast address.
            let far = item.broadcast.or(item.destination);
            let given = item.address?;
            let address = if given.as_sockaddr_in().is_some() {
                InterfaceAddress::V4 {
                    address: v4(&item.address),
                    netmask: v4(&item.netmask),
                    broadcast: v4(&far),
                }
            } else if given.as_sockaddr_in6().is_some() {
                InterfaceAddress::V6 {
                    address: v6(&item.address),
                    netmask: v6(&item.netmask),
                    broadcast: v6(&far),
                }
            } else {
                return None;
            };
            let name = item.interface_name.into_bytes();
            Some(Interface { name, address, link_speed: 0 })
        })
        .collect()
}

/// CPUs that are on: each has a line.
pub(super) fn cpus(stat: &[u8]) -> u32 {
    let lines = stat.split(|&b| b == b'\n').filter_map(|line| word(line, 0)?.strip_prefix(b"cpu"));
    lines.filter(|name| number(name).is_some()).count() as u32
}

/// The number in the line that begins with this word, 0 without such a line.
pub(super) fn value(text: &[u8], key: &[u8]) -> u64 {
    let mut lines = text.split(|&b| b == b'\n');
    let line = lines.find(|line| word(line, 0) == Some(key));
    line.and_then(|line| number(word(line, 1)?)).map_or(0, i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cpus_and_boot_time() {
        let text = b"cpu  1 2 3\ncpu0 1 2\ncpu1 1 2\nintr 5\nbtime 1700000000\nprocesses 4\n";
        assert_eq!(cpus(text), 2);
        assert_eq!(value(text, b"btime"), 1_700_000_000);
        assert_eq!(value(text, b"none"), 0);
    }

    #[test]
    fn this_machine_is_known() {
        let machine = machine(&Dir::open(Path::new("/proc")).unwrap());
        assert!(machine.num_cpus > 0 && machine.memory > 0 && machine.boot_ts > 0);
        assert!(!machine.hostname.is_empty());
        let loopback = |i: &Interface| matches!(i.address, InterfaceAddress::V4 { address, .. } if address.is_loopback());
        assert!(interfaces().is_empty() || interfaces().iter().any(loopback));
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, line in "(cpu|btime)?[0-9 \n]{0,40}") {
            cpus(&text);
            value(&text, b"btime");
            prop_assert!(cpus(line.as_bytes()) <= line.len() as u32);
            value(line.as_bytes(), b"btime");
        }
    }
}
