//! Fields whose values are one of a few words: for linters and editors.

/// Types of fds, as [`FdKind::type_name`](peregrine_state::FdKind::type_name) gives them.
const FD_TYPES: &[&str] = &[
    "file",
    "directory",
    "ipv4",
    "ipv6",
    "unix",
    "pipe",
    "event",
    "signalfd",
    "eventpoll",
    "inotify",
    "timerfd",
    "netlink",
    "bpf",
    "userfaultfd",
    "io_uring",
    "memfd",
    "pidfd",
];
/// Their letters.
const FD_LETTERS: &[&str] =
    &["f", "d", "4", "6", "u", "p", "e", "s", "l", "i", "t", "n", "b", "r", "m", "P", "o", "X"];

/// The words that the value of a field is one of; none if it can have other values.
#[must_use]
pub fn words(field: &str) -> &'static [&'static str] {
    match field {
        "evt.category" => &[
            "file",
            "net",
            "IPC",
            "wait",
            "signal",
            "sleep",
            "time",
            "process",
            "scheduler",
            "memory",
            "user",
            "system",
            "internal",
            "other",
            "unknown",
        ],
        "fd.l4proto" => &["tcp", "udp", "icmp", "raw"],
        "fd.sockfamily" => &["ip", "unix"],
        "fd.type" | "fd.types" => FD_TYPES,
        "fd.typechar" => FD_LETTERS,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use peregrine_state::{FdKind, L4Proto};

    use super::*;

    #[test]
    fn types_and_letters_of_all_fds_are_words() {
        let l4proto = L4Proto::Tcp;
        let ipv4 = FdKind::Ipv4Server { ip: Ipv4Addr::UNSPECIFIED, port: 0, l4proto };
        let ipv6 = FdKind::Ipv6Server { ip: Ipv6Addr::UNSPECIFIED, port: 0, l4proto };
        let unix = FdKind::Unix { source: 0, destination: 0 };
        let kinds = || {
            let others = (0..=u8::MAX).filter_map(FdKind::from_code);
            [FdKind::Unknown, ipv4, ipv6, unix].into_iter().chain(others)
        };
        let names: BTreeSet<_> = kinds().map(|kind| kind.type_name()).collect();
        let known: BTreeSet<_> = FD_TYPES.iter().copied().chain(["<NA>"]).collect();
        assert_eq!(names, known);
        let letters: BTreeSet<_> = kinds().map(|kind| kind.typechar().to_string()).collect();
        assert_eq!(letters, FD_LETTERS.iter().map(|letter| (*letter).to_owned()).collect());
    }
}
