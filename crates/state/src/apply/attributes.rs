//! What a process changes of itself: credentials, limits and directories.

use std::mem;

use peregrine_event::params::{
    syscall_capset_x as capset, syscall_chdir_x as chdir, syscall_chroot_x as chroot,
    syscall_getcwd_x as getcwd, syscall_getrlimit_x as getrlimit, syscall_prlimit_x as prlimit,
    syscall_setrlimit_x as setrlimit, syscall_unshare_x as unshare,
};
use peregrine_event::path;
use peregrine_event::snapshot::{Group, User};

use super::context::ApplyContext;
use crate::state::State;
use crate::thread::{Thread, ThreadFlags};
use crate::tree::ThreadRef;

peregrine_event::same_params!(chdir, getcwd: PATH);
peregrine_event::same_params!(getrlimit, setrlimit: CUR, RESOURCE);

const RLIMIT_NOFILE: u64 = 7;

/// Every capability there is.
const ALL_CAPS: u64 = (1 << 41) - 1;

impl State {
    pub(super) fn set_uid(&mut self, cx: &ApplyContext<'_>, param: usize) {
        let Some(uid) = cx.event.u32(param).filter(|_| cx.ret == Some(0)) else { return };
        if let Some(thread) = self.actor_mut(cx) {
            thread.uid = uid;
            let (container, gid) = (thread.container.clone(), thread.gid);
            self.note_user(&container, uid, gid);
        }
    }

    pub(super) fn set_gid(&mut self, cx: &ApplyContext<'_>, param: usize) {
        let Some(gid) = cx.event.u32(param).filter(|_| cx.ret == Some(0)) else { return };
        if let Some(thread) = self.actor_mut(cx) {
            thread.gid = gid;
            let (container, uid) = (thread.container.clone(), thread.uid);
            self.note_user(&container, uid, gid);
        }
    }

    pub(super) fn capset(&mut self, cx: &ApplyContext<'_>) {
        let sets = [capset::CAP_INHERITABLE, capset::CAP_PERMITTED, capset::CAP_EFFECTIVE];
        self.set_caps(cx, sets.map(|set| cx.u64(set)));
    }

    pub(super) fn unshare(&mut self, cx: &ApplyContext<'_>) {
        let flags = ThreadFlags(cx.u32(unshare::FLAGS));
        self.enter_namespace(cx, flags.0);
        let Some((at, _)) = cx.done_by() else { return };
        if flags.any(ThreadFlags::CLONE_FILES) {
            self.unshare_files(at);
        }
        // A mount namespace comes with directories of one's own.
        if flags.any(ThreadFlags::CLONE_FS.or(ThreadFlags::CLONE_NEWNS)) {
            self.unshare_directory(at);
        }
    }

    /// A thread that makes or enters a user namespace has all capabilities in it.
    pub(super) fn enter_namespace(&mut self, cx: &ApplyContext<'_>, flags: u32) {
        if ThreadFlags(flags).any(ThreadFlags::CLONE_NEWUSER) {
            self.set_caps(cx, [ALL_CAPS; 3]);
        }
    }

    fn set_caps(&mut self, cx: &ApplyContext<'_>, [inheritable, permitted, effective]: [u64; 3]) {
        if cx.done().is_some()
            && let Some(thread) = self.actor_mut(cx)
        {
            thread.cap_inheritable = inheritable;
            thread.cap_permitted = permitted;
            thread.cap_effective = effective;
        }
    }

    pub(super) fn rlimit(&mut self, cx: &ApplyContext<'_>) {
        let current = cx.event.i64(getrlimit::CUR).filter(|&current| current != -1);
        if cx.u64(getrlimit::RESOURCE) == RLIMIT_NOFILE
            && let Some(limit) = current
            && cx.done().is_some()
        {
            self.set_fdlimit(cx.at, limit);
        }
    }

    pub(super) fn prlimit(&mut self, cx: &ApplyContext<'_>) {
        let current = cx.event.i64(prlimit::NEWCUR).filter(|&current| current != -1);
        let (Some(limit), Some(tid)) = (current, cx.event.i64(prlimit::PID)) else { return };
        if cx.ret != Some(0) || cx.event.u64(prlimit::RESOURCE) != Some(RLIMIT_NOFILE) {
            return;
        }
        let target = if tid == 0 { cx.at } else { self.find_or_add(tid) };
        if target.and_then(|at| self.tree.get(at)).is_some_and(|thread| !thread.is_unknown()) {
            self.set_fdlimit(target, limit);
        }
    }

    fn set_fdlimit(&mut self, at: Option<ThreadRef>, limit: i64) {
        let leader = at.and_then(|at| self.tree.leader_ref(at));
        if let Some(leader) = leader.and_then(|at| self.tree.get_mut(at)) {
            leader.fdlimit = limit;
        }
    }

    pub(super) fn chdir(&mut self, cx: &ApplyContext<'_>) {
        if let (Some((at, _)), name) = (cx.done_by(), cx.text(chdir::PATH)) {
            self.set_cwd(at, name);
        }
    }

    pub(super) fn fchdir(&mut self, cx: &ApplyContext<'_>) {
        let (Some((at, _)), Some((owner, fd))) = (cx.done_by(), cx.fd_at) else { return };
        if let Some(name) = self.partition.fds.get(owner, fd).map(|info| info.name.clone()) {
            self.set_cwd(at, &name);
        }
    }

    fn set_cwd(&mut self, at: ThreadRef, name: &[u8]) {
        let own = self.tree.get(at).is_some_and(|thread| !thread.cwd.is_empty());
        let owner = if own { Some(at) } else { self.tree.leader_ref(at) };
        let Some(leader) = owner.and_then(|owner| self.tree.get_mut(owner)) else { return };
        let mut cwd = mem::take(&mut self.partition.scratch.joined);
        cwd.clear();
        path::join(&leader.cwd, name, &mut cwd);
        if cwd.last() != Some(&b'/') {
            cwd.push(b'/');
        }
        if *leader.cwd != *cwd {
            leader.cwd = cwd.as_slice().into();
        }
        self.partition.scratch.joined = cwd;
    }

    pub(super) fn chroot(&mut self, cx: &ApplyContext<'_>) {
        let Some((at, 0)) = cx.done_by() else { return };
        let Some(thread) = self.tree.get(at) else { return };
        let mut root = Vec::new();
        path::join(self.tree.cwd(thread), cx.text(chroot::PATH), &mut root);
        if let Some(thread) = self.tree.get_mut(at) {
            thread.root = root.into();
        }
        self.find_container(at);
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

    pub(super) fn actor_mut(&mut self, cx: &ApplyContext<'_>) -> Option<&mut Thread> {
        self.tree.get_mut(cx.at?)
    }
}
