//! Credentials, limits and what the kernel counts of a thread.

use super::context::ApplyContext;
use crate::state::State;
use crate::thread::{Thread, ThreadFlags};
use crate::users::{Group, User};

const RLIMIT_NOFILE: u64 = 7;

/// Every capability there is.
const ALL_CAPS: u64 = (1 << 41) - 1;

impl State {
    pub(super) fn set_uid(&mut self, act: &mut ApplyContext<'_>, index: usize) {
        let Some(uid) = act.event.u32(index).filter(|_| act.ret == Some(0)) else { return };
        if let Some(thread) = self.actor_mut(act) {
            thread.uid = uid;
            let (container, gid) = (thread.container.clone(), thread.gid);
            self.note_user(&container, uid, gid);
        }
    }

    pub(super) fn set_gid(&mut self, act: &mut ApplyContext<'_>, index: usize) {
        let Some(gid) = act.event.u32(index).filter(|_| act.ret == Some(0)) else { return };
        if let Some(thread) = self.actor_mut(act) {
            thread.gid = gid;
            let (container, uid) = (thread.container.clone(), thread.uid);
            self.note_user(&container, uid, gid);
        }
    }

    pub(super) fn capset(&mut self, act: &mut ApplyContext<'_>) {
        let sets = [act.u64(1), act.u64(2), act.u64(3)];
        self.set_caps(act, sets);
    }

    /// Who makes or enters a user namespace has all capabilities in it.
    pub(super) fn enter_namespace(&mut self, act: &mut ApplyContext<'_>, flags: usize) {
        if ThreadFlags(act.u32(flags)).any(ThreadFlags::CLONE_NEWUSER) {
            self.set_caps(act, [ALL_CAPS; 3]);
        }
    }

    fn set_caps(&mut self, act: &ApplyContext<'_>, [inheritable, permitted, effective]: [u64; 3]) {
        if act.done().is_some()
            && let Some(thread) = self.actor_mut(act)
        {
            thread.cap_inheritable = inheritable;
            thread.cap_permitted = permitted;
            thread.cap_effective = effective;
        }
    }

    pub(super) fn rlimit(&mut self, act: &mut ApplyContext<'_>) {
        let current = act.event.i64(1).filter(|&current| current != -1);
        if act.u64(3) == RLIMIT_NOFILE
            && let Some(limit) = current
            && act.done().is_some()
        {
            self.set_fdlimit(act.at, limit);
        }
    }

    pub(super) fn prlimit(&mut self, act: &mut ApplyContext<'_>) {
        let current = act.event.i64(1).filter(|&current| current != -1);
        let (Some(limit), Some(tid)) = (current, act.event.i64(5)) else { return };
        if act.ret != Some(0) || act.event.u64(6) != Some(RLIMIT_NOFILE) {
            return;
        }
        let target = if tid == 0 { act.at } else { self.find_or_add(tid) };
        if target.and_then(|at| self.tree.get(at)).is_some_and(|thread| !thread.is_unknown()) {
            self.set_fdlimit(target, limit);
        }
    }

    fn set_fdlimit(&mut self, at: Option<crate::tree::ThreadRef>, limit: i64) {
        let leader = at.and_then(|at| self.tree.leader_ref(at));
        if let Some(leader) = leader.and_then(|at| self.tree.get_mut(at)) {
            leader.fdlimit = limit;
        }
    }

    /// Returns how long the thread ran, ns.
    pub(super) fn switch(&mut self, act: &mut ApplyContext<'_>) -> u64 {
        let live = self.config.live;
        let ran = if live { self.clock.switch(act.event.cpu, act.event.ts) } else { 0 };
        let swap = act.event.u32(5);
        let Some(thread) = self.actor_mut(act) else { return ran };
        thread.exec_time_total += ran;
        let Some(swap) = swap else { return ran };
        thread.pfmajor = act.u64(1);
        thread.pfminor = act.u64(2);
        let leader = act.at.and_then(|at| self.tree.leader_ref(at));
        if let Some(leader) = leader.and_then(|at| self.tree.get_mut(at)) {
            leader.vmsize_kb = act.u32(3);
            leader.vmrss_kb = act.u32(4);
            leader.vmswap_kb = swap;
        }
        ran
    }

    pub(super) fn memory(&mut self, act: &mut ApplyContext<'_>) {
        let Some(thread) = self.actor_mut(act) else { return };
        if let Some(size) = act.event.u32(1) {
            thread.vmsize_kb = size;
        }
        if let Some(swap) = act.event.u32(3) {
            thread.vmrss_kb = act.u32(2);
            thread.vmswap_kb = swap;
        }
    }

    /// Root is known on the host even where no list of users names it.
    pub(crate) fn note_user(&mut self, container: &[u8], uid: u32, gid: u32) {
        if !container.is_empty() {
            return;
        }
        if uid == 0 && self.users.user(b"", 0).is_none() {
            let user = User {
                uid,
                gid,
                name: b"root"[..].into(),
                home: b"/root"[..].into(),
                shell: b"<NA>"[..].into(),
            };
            self.add_user(b"", user);
        }
        if gid == 0 && self.users.group(b"", 0).is_none() {
            self.add_group(b"", Group { gid, name: b"root"[..].into() });
        }
    }

    pub(super) fn actor_mut(&mut self, act: &ApplyContext<'_>) -> Option<&mut Thread> {
        self.tree.get_mut(act.at?)
    }
}
