//! The snapshot of the machine that comes before the first event: threads, open files, users,
//! addresses.
//!
//! Capture files contain it and the live source reads it from the kernel; `state` starts from it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One item of a snapshot, in the order of the source.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The machine itself.
    Machine(Machine),
    /// A network interface.
    Interface(Interface),
    /// A user.
    User(User),
    /// A group.
    Group(Group),
    /// A thread.
    Thread(Box<Thread>),
    /// Open files of the thread with this tid.
    Fds(i64, Vec<Fd>),
}

/// The machine. Fields that the source does not know are zero or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// CPUs.
    pub num_cpus: u32,
    /// Memory, bytes.
    pub memory: u64,
    /// Largest pid.
    pub max_pid: u64,
    /// Host name.
    pub hostname: Vec<u8>,
    /// Boot time, nanoseconds since the epoch.
    pub boot_ts: u64,
    /// Flags of the format.
    pub flags: u64,
}

/// A network interface with one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Name, `eth0`.
    pub name: Vec<u8>,
    /// Its address.
    pub address: InterfaceAddress,
    /// Link speed as the format has it.
    pub link_speed: u64,
}

/// Address of an interface.
#[derive(Clone, Debug, PartialEq)]
pub enum InterfaceAddress {
    /// IPv4.
    V4 {
        /// Address.
        address: Ipv4Addr,
        /// Mask.
        netmask: Ipv4Addr,
        /// Broadcast address.
        broadcast: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Address.
        address: Ipv6Addr,
        /// Mask.
        netmask: Ipv6Addr,
        /// Broadcast address.
        broadcast: Ipv6Addr,
    },
}

/// A user of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Number.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Name.
    pub name: Vec<u8>,
    /// Home directory.
    pub home: Vec<u8>,
    /// Shell.
    pub shell: Vec<u8>,
}

/// A group of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Number.
    pub gid: u32,
    /// Name.
    pub name: Vec<u8>,
}

/// A thread as a process list has it. Texts are without NUL; args, env and cgroups keep the NULs
/// that separate their items. They are shared, because the threads of a process have most of them
/// in common and there may be very many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the format's own")]
pub struct Thread {
    pub tid: i64,
    pub pid: i64,
    pub ptid: i64,
    pub sid: i64,
    pub vpgid: i64,
    pub pgid: i64,
    pub vtid: i64,
    pub vpid: i64,
    pub comm: Arc<[u8]>,
    pub exe: Arc<[u8]>,
    pub exepath: Arc<[u8]>,
    pub args: Arc<[u8]>,
    pub env: Arc<[u8]>,
    pub cgroups: Arc<[u8]>,
    pub cwd: Arc<[u8]>,
    pub root: Arc<[u8]>,
    pub fdlimit: i64,
    /// `clone_flags` of the format.
    pub flags: u32,
    pub uid: u32,
    pub gid: u32,
    pub loginuid: u32,
    pub vmsize_kb: u32,
    pub vmrss_kb: u32,
    pub vmswap_kb: u32,
    pub pfmajor: u64,
    pub pfminor: u64,
    pub pidns_init_start_ts: u64,
    /// When it began, nanoseconds since the epoch; 0 in captures, which do not say.
    pub clone_ts: u64,
    /// More of its process could be read: a whole description may follow.
    pub incomplete: bool,
    pub tty: u32,
    pub exe_writable: bool,
    pub exe_upper_layer: bool,
    pub exe_lower_layer: bool,
    pub exe_from_memfd: bool,
    pub cap_inheritable: u64,
    pub cap_permitted: u64,
    pub cap_effective: u64,
    pub exe_ino: u64,
    /// Nanoseconds since the epoch.
    pub exe_ino_ctime: u64,
    /// Nanoseconds since the epoch.
    pub exe_ino_mtime: u64,
}

/// An open file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fd {
    /// Number.
    pub fd: i64,
    /// Inode.
    pub ino: u64,
    /// What it is.
    pub kind: FdKind,
}

/// What an fd refers to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum FdKind {
    Ipv4 {
        sip: Ipv4Addr,
        dip: Ipv4Addr,
        sport: u16,
        dport: u16,
        l4proto: u8,
    },
    Ipv4Server {
        ip: Ipv4Addr,
        port: u16,
        l4proto: u8,
    },
    Ipv6 {
        sip: Ipv6Addr,
        dip: Ipv6Addr,
        sport: u16,
        dport: u16,
        l4proto: u8,
    },
    Ipv6Server {
        ip: Ipv6Addr,
        port: u16,
        l4proto: u8,
    },
    Unix {
        source: u64,
        destination: u64,
        name: Vec<u8>,
    },
    File {
        flags: u32,
        name: Vec<u8>,
        mount_id: u32,
        dev: u32,
    },
    /// Every kind that has only a name; `ty` is the fd type code of the format.
    Named {
        ty: u8,
        name: Vec<u8>,
    },
}
