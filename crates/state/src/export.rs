//! The state as a snapshot, with which a recording begins.

mod descriptions;

use std::sync::Arc;

use hashbrown::HashSet;
use peregrine_event::snapshot::{self, Group, Item, User};

pub(crate) use descriptions::{CONTAINER_UNAVAILABLE, FILES, TIMES};
pub use descriptions::{CONTAINERS_LOOKED_UP, Description, FullSnapshot};

use crate::fd::{Fd, FdKind, Role};
use crate::fds::FdTable;
use crate::state::State;
use crate::thread::{Thread, ThreadFlags};

impl State {
    /// The snapshot that a source would give of the machine now: loading it gives this state again.
    /// Of the threads, only those that are `wanted`, with their processes and all ancestors, which
    /// their fields refer to.
    pub fn snapshot(&self, wanted: impl Fn(&Thread) -> bool) -> Vec<Item> {
        let mut items = vec![Item::Machine(self.machine().clone())];
        items.extend(self.interfaces().described().iter().cloned().map(Item::Interface));
        let host = self.users().host();
        items.extend(host.users().map(|user| {
            let (name, home, shell) = (user.name.into(), user.home.into(), user.shell.into());
            Item::User(User { uid: user.uid, gid: user.gid, name, home, shell })
        }));
        items
            .extend(host.groups().map(|(gid, name)| Item::Group(Group { gid, name: name.into() })));
        let threads = self.with_relatives(wanted);
        items.extend(threads.iter().map(|thread| Item::Thread(Box::new(self.thread_item(thread)))));
        let ports = self.server_ports_now();
        for thread in threads {
            if let Some(table) = self.own_fds(thread).filter(|table| !table.is_empty()) {
                items.push(Item::Fds(thread.tid, fd_items(table, &ports)));
            }
        }
        items
    }

    /// Threads, each process before those it started where they are in that order now.
    fn with_relatives(&self, wanted: impl Fn(&Thread) -> bool) -> Vec<&Thread> {
        let known = |thread: &&Thread| !thread.is_unknown();
        let mut tids = HashSet::new();
        for thread in self.tree().iter().filter(known).filter(|thread| wanted(thread)) {
            let leader = self.leader(thread).into_iter();
            let above = self.ancestors(thread).filter(known);
            for relative in leader.chain(above) {
                tids.insert(relative.tid);
                tids.extend(self.leader(relative).map(|leader| leader.tid));
            }
            tids.insert(thread.tid);
        }
        self.tree().iter().filter(|thread| tids.contains(&thread.tid)).filter(known).collect()
    }

    fn thread_item(&self, thread: &Thread) -> snapshot::Thread {
        let exec = &thread.exec;
        let activity = self.tree.find(thread.tid).and_then(|at| self.partition.activity(at));
        let pipe = activity.map(|activity| activity.pipe).unwrap_or_default();
        let usage = activity.map(|activity| activity.usage).unwrap_or_default();
        // Readers take the threads of a snapshot to be active.
        let mut flags = thread.flags.or(pipe).or(ThreadFlags::ACTIVE);
        if self.exiting == Some(thread.tid) {
            // Its exit is the current event, which the recording contains.
            flags.remove(ThreadFlags::CLOSED);
        }
        snapshot::Thread {
            tid: thread.tid,
            pid: thread.pid,
            ptid: thread.ptid,
            sid: thread.sid,
            vpgid: thread.vpgid,
            pgid: thread.pgid,
            vtid: thread.vtid,
            vpid: thread.vpid,
            comm: exec.comm().into(),
            exe: Arc::clone(&exec.exe),
            exepath: Arc::clone(&exec.exepath),
            args: ended(exec.args.bytes()),
            env: ended(thread.env.bytes()),
            cgroups: ended(thread.cgroups.bytes()),
            cwd: Arc::clone(&thread.cwd),
            root: Arc::clone(&thread.root),
            fdlimit: thread.fdlimit,
            flags: flags.0,
            uid: thread.uid,
            gid: thread.gid,
            loginuid: thread.loginuid,
            vmsize_kb: usage.vmsize_kb,
            vmrss_kb: usage.vmrss_kb,
            vmswap_kb: usage.vmswap_kb,
            pfmajor: usage.pfmajor,
            pfminor: usage.pfminor,
            pidns_init_start_ts: thread.pidns_init_start_ts,
            clone_ts: thread.clone_ts,
            incomplete: false,
            tty: thread.tty,
            exe_writable: exec.exe_writable,
            exe_upper_layer: exec.exe_upper_layer,
            exe_lower_layer: exec.exe_lower_layer,
            exe_from_memfd: exec.exe_from_memfd,
            cap_inheritable: thread.cap_inheritable,
            cap_permitted: thread.cap_permitted,
            cap_effective: thread.cap_effective,
            exe_ino: exec.exe_ino,
            exe_ino_ctime: exec.exe_ino_ctime,
            exe_ino_mtime: exec.exe_ino_mtime,
        }
    }

    fn server_ports_now(&self) -> HashSet<u16> {
        let threads = self.tree().iter().filter_map(|thread| self.own_fds(thread));
        let fds = threads.flat_map(FdTable::iter);
        fds.filter_map(|(_, fd)| fd.kind.server_port()).collect()
    }
}

fn fd_items(table: &FdTable, server_ports: &HashSet<u16>) -> Vec<snapshot::Fd> {
    table
        .iter()
        .filter(|(_, fd)| fd.kind != FdKind::Unknown)
        .map(|(number, fd)| snapshot::Fd {
            fd: number,
            ino: fd.ino,
            kind: fd_kind(fd, server_ports),
        })
        .collect()
}

fn fd_kind(fd: &Fd, server_ports: &HashSet<u16>) -> snapshot::FdKind {
    use snapshot::FdKind as Told;
    match fd.kind {
        FdKind::Ipv4(tuple) => {
            let l4proto = tuple.l4proto.code();
            let (sip, sport, dip, dport) = (tuple.sip, tuple.sport, tuple.dip, tuple.dport);
            // Snapshots tell the own end first, and readers turn what was accepted at a port they
            // know of.
            if fd.role == Some(Role::Server) && server_ports.contains(&dport) {
                Told::Ipv4 { sip: dip, dip: sip, sport: dport, dport: sport, l4proto }
            } else {
                Told::Ipv4 { sip, dip, sport, dport, l4proto }
            }
        }
        FdKind::Ipv6(tuple) => Told::Ipv6 {
            sip: tuple.sip,
            dip: tuple.dip,
            sport: tuple.sport,
            dport: tuple.dport,
            l4proto: tuple.l4proto.code(),
        },
        FdKind::Ipv4Server { ip, port, l4proto } => {
            Told::Ipv4Server { ip, port, l4proto: l4proto.code() }
        }
        FdKind::Ipv6Server { ip, port, l4proto } => {
            Told::Ipv6Server { ip, port, l4proto: l4proto.code() }
        }
        FdKind::Unix { source, destination } => {
            Told::Unix { source, destination, name: fd.name.to_vec() }
        }
        FdKind::File => Told::File {
            flags: fd.flags,
            name: fd.name.to_vec(),
            mount_id: fd.mount_id,
            dev: fd.dev,
        },
        kind => Told::Named { ty: kind.code(), name: fd.name.to_vec() },
    }
}

/// Texts with a NUL after each, as snapshots have them.
fn ended(texts: &[u8]) -> Arc<[u8]> {
    match texts {
        [] => Arc::default(),
        texts => [texts, &[0]].concat().into(),
    }
}

#[cfg(test)]
mod tests;
