//! Encodes entries of the snapshot lists in the newest form. The counterpart of `snapshot`.

use peregrine_event::snapshot::{
    Fd, FdKind, Group, Interface, InterfaceAddress, Machine, Thread, User,
};

use crate::format::{fd, interface};

/// Longest string that all readers accept: older ones have buffers of fixed size.
const MAX_PATH: usize = 1023;
const MAX_STRINGS: usize = 4096;
const MAX_CREDENTIAL: usize = 255;
const HOSTNAME: usize = 128;

pub(crate) fn machine(out: &mut Vec<u8>, machine: &Machine) {
    u32(out, machine.num_cpus);
    u64(out, machine.memory);
    u64(out, machine.max_pid);
    let mut hostname = [0; HOSTNAME];
    hostname
        .iter_mut()
        .zip(machine.hostname.iter().take(HOSTNAME - 1))
        .for_each(|(to, from)| *to = *from);
    out.extend_from_slice(&hostname);
    u64(out, machine.boot_ts);
    u64(out, machine.flags);
    out.extend_from_slice(&[0; 16]);
}

pub(crate) fn thread(out: &mut Vec<u8>, thread: &Thread) {
    sized(out, true, |out| {
        for id in [thread.tid, thread.pid, thread.ptid, thread.sid, thread.vpgid] {
            i64(out, id);
        }
        string(out, &thread.comm, MAX_PATH);
        string(out, &thread.exe, MAX_PATH);
        string(out, &thread.exepath, MAX_PATH);
        string(out, &thread.args, MAX_STRINGS);
        string(out, &thread.cwd, MAX_PATH);
        i64(out, thread.fdlimit);
        for number in [thread.flags, thread.uid, thread.gid] {
            u32(out, number);
        }
        for kilobytes in [thread.vmsize_kb, thread.vmrss_kb, thread.vmswap_kb] {
            u32(out, kilobytes);
        }
        u64(out, thread.pfmajor);
        u64(out, thread.pfminor);
        string(out, &thread.env, MAX_STRINGS);
        i64(out, thread.vtid);
        i64(out, thread.vpid);
        string(out, &thread.cgroups, MAX_STRINGS);
        string(out, &thread.root, MAX_PATH);
        u64(out, thread.pidns_init_start_ts);
        u32(out, thread.tty);
        u32(out, thread.loginuid);
        out.push(thread.exe_writable.into());
        for set in [thread.cap_inheritable, thread.cap_permitted, thread.cap_effective] {
            u64(out, set);
        }
        out.push(thread.exe_upper_layer.into());
        for number in [thread.exe_ino, thread.exe_ino_ctime, thread.exe_ino_mtime] {
            u64(out, number);
        }
        out.push(thread.exe_from_memfd.into());
        out.push(thread.exe_lower_layer.into());
        i64(out, thread.pgid);
    });
}

/// An open file; nothing if its kind is unknown.
pub(crate) fn fd(out: &mut Vec<u8>, file: &Fd) {
    let ty = match &file.kind {
        FdKind::Ipv4 { .. } => fd::IPV4,
        FdKind::Ipv4Server { .. } => fd::IPV4_SERVER,
        FdKind::Ipv6 { .. } => fd::IPV6,
        FdKind::Ipv6Server { .. } => fd::IPV6_SERVER,
        FdKind::Unix { .. } => fd::UNIX,
        FdKind::File { .. } => fd::FILE_V2,
        FdKind::Named { ty: 0, .. } => return,
        FdKind::Named { ty, .. } if fd::is_named(*ty) => *ty,
        FdKind::Named { .. } => fd::UNSUPPORTED,
    };
    sized(out, true, |out| {
        i64(out, file.fd);
        u64(out, file.ino);
        out.push(ty);
        match &file.kind {
            FdKind::Ipv4 { sip, dip, sport, dport, l4proto } => {
                out.extend_from_slice(&sip.octets());
                out.extend_from_slice(&dip.octets());
                u16(out, *sport);
                u16(out, *dport);
                out.push(*l4proto);
            }
            FdKind::Ipv4Server { ip, port, l4proto } => {
                out.extend_from_slice(&ip.octets());
                u16(out, *port);
                out.push(*l4proto);
            }
            FdKind::Ipv6 { sip, dip, sport, dport, l4proto } => {
                out.extend_from_slice(&sip.octets());
                out.extend_from_slice(&dip.octets());
                u16(out, *sport);
                u16(out, *dport);
                out.push(*l4proto);
            }
            FdKind::Ipv6Server { ip, port, l4proto } => {
                out.extend_from_slice(&ip.octets());
                u16(out, *port);
                out.push(*l4proto);
            }
            FdKind::Unix { source, destination, name } => {
                u64(out, *source);
                u64(out, *destination);
                string(out, name, MAX_PATH);
            }
            FdKind::File { flags, name, mount_id: _, dev } => {
                u32(out, *flags);
                string(out, name, MAX_PATH);
                u32(out, *dev);
            }
            FdKind::Named { name, .. } => string(out, name, MAX_PATH),
        }
    });
}

pub(crate) fn interface(out: &mut Vec<u8>, entry: &Interface) {
    sized(out, false, |out| {
        let name = truncated(&entry.name, MAX_PATH);
        let kind = match entry.address {
            InterfaceAddress::V4 { .. } => interface::IPV4,
            InterfaceAddress::V6 { .. } => interface::IPV6,
        };
        u16(out, kind);
        u16(out, name.len() as u16);
        match entry.address {
            InterfaceAddress::V4 { address, netmask, broadcast } => {
                for ip in [address, netmask, broadcast] {
                    out.extend_from_slice(&ip.octets());
                }
            }
            InterfaceAddress::V6 { address, netmask, broadcast } => {
                for ip in [address, netmask, broadcast] {
                    out.extend_from_slice(&ip.octets());
                }
            }
        }
        u64(out, entry.link_speed);
        out.extend_from_slice(name);
    });
}

pub(crate) fn user(out: &mut Vec<u8>, user: &User) {
    sized(out, true, |out| {
        out.push(0);
        u32(out, user.uid);
        u32(out, user.gid);
        string(out, &user.name, MAX_CREDENTIAL);
        string(out, &user.home, MAX_CREDENTIAL);
        string(out, &user.shell, MAX_CREDENTIAL);
    });
}

pub(crate) fn group(out: &mut Vec<u8>, group: &Group) {
    sized(out, true, |out| {
        out.push(1);
        u32(out, group.gid);
        string(out, &group.name, MAX_CREDENTIAL);
    });
}

/// An entry preceded by its length, which may include itself.
fn sized(out: &mut Vec<u8>, counts_itself: bool, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    u32(out, 0);
    write(out);
    let len = out.len() - at - if counts_itself { 0 } else { 4 };
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&(len as u32).to_le_bytes());
    }
}

/// Bytes preceded by their length, truncated to what readers accept.
fn string(out: &mut Vec<u8>, bytes: &[u8], max: usize) {
    let bytes = truncated(bytes, max);
    u16(out, bytes.len() as u16);
    out.extend_from_slice(bytes);
}

fn truncated(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}

fn u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}
