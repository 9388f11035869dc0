//! The parsers of `/proc` and of account files, for fuzz targets: each takes any bytes.

use super::{accounts, cgroup_root, machine, mounts, sockets, status};
use crate::scan::cgroups::Cgroups;

/// A mount table.
pub fn mountinfo(text: &[u8]) {
    text.split(|&b| b == b'\n').filter_map(mounts::Mount::parse).for_each(drop);
}

/// A thread's list of control groups; returns it as users see it.
pub fn cgroup(text: &[u8]) -> Vec<u8> {
    let half = text.len() / 2;
    if let Some((root, path)) = text.split_at_checked(half) {
        cgroup_root::absolute(root, path);
    }
    Cgroups::default().list(text)
}

/// `passwd` and `group`; returns how many accounts there are in the text.
pub fn accounts(text: &[u8]) -> usize {
    accounts::users(text).count() + accounts::groups(text).count()
}

/// `status`, `stat` and `limits` of a thread, `stat` of the machine.
pub fn status(text: &[u8]) {
    status::Status::parse(text);
    status::Stat::parse(text);
    status::max_open_files(text);
    machine::cpus(text);
    machine::value(text, b"btime");
}

/// The tables of sockets.
pub fn sockets(text: &[u8]) {
    for line in text.split(|&b| b == b'\n') {
        sockets::ipv4(line, 2);
        sockets::ipv6(line, 2);
        sockets::unix(line);
        sockets::netlink(line);
    }
}
