//! Files and everything else that is an fd but no socket.

use std::mem;
use std::sync::Arc;

use peregrine_event::{path, wire};

use super::context::{ApplyContext, text, text_of};
use crate::fd::{AskedName, Fd, FdKind, Name};
use crate::state::{Scratch, State};
use crate::thread::{Thread, ThreadFlags};
use crate::tree::ThreadRef;

/// In place of a directory's fd: the working directory.
pub(super) const AT_FDCWD: i64 = -100;

const O_DIRECTORY: u32 = 1 << 10;
/// This flag and those above it are the kernel's answer, those below what the caller asked for.
const O_F_CREATED: u32 = 1 << 14;
const UPPER_LAYER: u32 = 1 << 15;
const LOWER_LAYER: u32 = 1 << 16;
const CREAT_UPPER_LAYER: u32 = 1 << 0;
const CREAT_LOWER_LAYER: u32 = 1 << 1;

const F_DUPFD: u64 = 1;
const F_SETFD: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 26;
const FD_CLOEXEC: u64 = 1;

const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// A path as a program asked for it.
struct Asked<'e> {
    dir: Option<i64>,
    name: &'e [u8],
    flags: u32,
}

/// What the kernel says of the file that was opened.
struct Found {
    dev: u32,
    ino: u64,
}

impl State {
    pub(super) fn open(&mut self, act: &mut ApplyContext<'_>) {
        let [_, name, flags, _, dev, ino] = act.event.params();
        let asked = Asked { dir: Some(AT_FDCWD), name: text_of(name), flags: u32_of(flags) };
        let enter = self.start_of(act);
        let asked = asked.unless_changed(enter.map(|enter| Asked {
            dir: Some(AT_FDCWD),
            name: text(enter, 0),
            flags: enter.u32(1).unwrap_or_default(),
        }));
        self.opened(act, &asked, Found::of(dev, ino));
    }

    pub(super) fn creat(&mut self, act: &mut ApplyContext<'_>) {
        let [_, name, _, dev, ino, layers] = act.event.params();
        let layers = u32_of(layers);
        let mut flags = 0;
        if layers & CREAT_UPPER_LAYER != 0 {
            flags = UPPER_LAYER;
        } else if layers & CREAT_LOWER_LAYER != 0 {
            flags = LOWER_LAYER;
        }
        let asked = Asked { dir: Some(AT_FDCWD), name: text_of(name), flags };
        let enter = self.start_of(act);
        let enter = enter.map(|e| Asked { dir: asked.dir, name: text(e, 0), flags: 0 });
        self.opened(act, &asked.unless_changed(enter), Found::of(dev, ino));
    }

    pub(super) fn openat(&mut self, act: &mut ApplyContext<'_>) {
        let [_, dir, name, flags, _, dev, ino] = act.event.params();
        self.opened_at(act, [dir, name, flags], Found::of(dev, ino));
    }

    pub(super) fn openat2(&mut self, act: &mut ApplyContext<'_>) {
        let [_, dir, name, flags, _, _, dev, ino] = act.event.params();
        self.opened_at(act, [dir, name, flags], Found::of(dev, ino));
    }

    fn opened_at(
        &mut self,
        act: &mut ApplyContext<'_>,
        [dir, name, flags]: [Option<&[u8]>; 3],
        found: Found,
    ) {
        let (dir, flags) = (dir.and_then(wire::int), u32_of(flags));
        let asked = Asked { dir, name: text_of(name), flags };
        let enter = self.start_of(act);
        let asked = asked.unless_changed(enter.map(|enter| Asked {
            dir: enter.i64(0),
            name: text(enter, 1),
            flags: enter.u32(2).unwrap_or_default(),
        }));
        self.opened(act, &asked, found);
    }

    pub(super) fn open_by_handle(&mut self, act: &mut ApplyContext<'_>) {
        let [_, _, flags, name, dev, ino] = act.event.params();
        let asked = Asked { dir: None, name: text_of(name), flags: u32_of(flags) };
        self.opened(act, &asked, Found::of(dev, ino));
    }

    fn opened(&mut self, act: &mut ApplyContext<'_>, asked: &Asked<'_>, found: Found) {
        let Some((at, fd)) = act.done_by() else { return };
        let Some(thread) = self.tree.get(at) else { return };
        let (name, asked_name) = if path::is_joined(asked.name) {
            (Name::from_slice(asked.name), AskedName::Same)
        } else {
            let Scratch { mut dir, mut joined } = mem::take(&mut self.scratch);
            dir.clear();
            joined.clear();
            if let Some(dirfd) = asked.dir {
                self.directory(thread, dirfd, asked.name, &mut dir);
            }
            path::join(&dir, asked.name, &mut joined);
            let name = Name::from_slice(&joined);
            let same = joined == asked.name;
            self.scratch = Scratch { dir, joined };
            (name, if same { AskedName::Same } else { AskedName::Other(asked.name.into()) })
        };
        let directory = asked.flags & O_DIRECTORY != 0;
        self.add_fd(
            act,
            fd,
            Fd {
                name,
                asked: asked_name,
                flags: asked.flags,
                dev: found.dev,
                ino: found.ino,
                overlay_upper: asked.flags & UPPER_LAYER != 0,
                overlay_lower: asked.flags & LOWER_LAYER != 0,
                ..Fd::new(if directory { FdKind::Directory } else { FdKind::File })
            },
        );
    }

    /// Appends the directory that `name` is relative to; false when it is not known.
    pub(super) fn directory(
        &self,
        thread: &Thread,
        dirfd: i64,
        name: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        if name.first() == Some(&b'/') {
            return true;
        }
        if dirfd == AT_FDCWD {
            out.extend_from_slice(self.cwd(thread));
            return true;
        }
        let Some(fd) = self.fd(thread, dirfd) else {
            out.extend_from_slice(b"<UNKNOWN>");
            return false;
        };
        out.extend_from_slice(&fd.name);
        if fd.name.last().is_some_and(|&last| last != b'/') {
            out.push(b'/');
        }
        true
    }

    /// A new fd of a kind that has no more to it.
    pub(super) fn new_fd(&mut self, act: &mut ApplyContext<'_>, kind: FdKind, flags: u32) {
        if let Some((_, fd)) = act.done_by() {
            self.add_fd(act, fd, Fd { flags, ..Fd::new(kind) });
        }
    }

    pub(super) fn memfd_create(&mut self, act: &mut ApplyContext<'_>) {
        if let Some((_, fd)) = act.done_by() {
            let (name, flags) = (act.text(1).into(), act.u32(2));
            self.add_fd(act, fd, Fd { name, flags, ..Fd::new(FdKind::Memfd) });
        }
    }

    pub(super) fn pidfd_open(&mut self, act: &mut ApplyContext<'_>) {
        if let Some((_, fd)) = act.done_by() {
            let pid = act.event.i64(1).unwrap_or(-1);
            let name = format!("/proc/{pid}").into_bytes().into();
            let flags = act.u32(2);
            self.add_fd(act, fd, Fd { name, flags, ..Fd::new(FdKind::Pidfd { pid }) });
        }
    }

    pub(super) fn pidfd_getfd(&mut self, act: &mut ApplyContext<'_>) {
        let (Some((at, fd)), Some(pidfd)) = (act.done_by(), act.event.i64(1)) else { return };
        let target = act.event.i64(2).unwrap_or(-1);
        let found = self.tree.get(at).and_then(|thread| {
            let FdKind::Pidfd { pid } = self.fd(thread, pidfd)?.kind else { return None };
            self.fd(self.by_tid(pid)?, target).cloned()
        });
        if let Some(mut info) = found {
            info.set_close_on_exec(true);
            self.add_fd(act, fd, info);
            act.renamed = false;
        }
    }

    pub(super) fn pipe(&mut self, act: &mut ApplyContext<'_>, flags: u32) {
        if act.done_by().is_none() {
            return;
        }
        let ino = act.u64(3);
        for index in [1, 2] {
            if let Some(fd) = act.event.i64(index) {
                self.add_fd(act, fd, Fd { ino, flags, ..Fd::new(FdKind::Pipe) });
            }
        }
    }

    pub(super) fn close(&mut self, act: &mut ApplyContext<'_>) {
        if act.done().is_some() {
            self.pending.fd = act.fd_at;
        }
    }

    pub(super) fn close_range(&mut self, act: &mut ApplyContext<'_>) {
        let Some((at, _)) = act.done_by() else { return };
        let (first, last) = (i64::from(act.u32(1)), i64::from(act.u32(2)));
        let Some(table) = self.fd_owner(at).and_then(|at| self.fds.table_mut(at)) else { return };
        if act.u32(3) & CLOSE_RANGE_CLOEXEC != 0 {
            table.for_each_mut(|fd, info| {
                if (first..=last).contains(&fd) {
                    info.set_close_on_exec(true);
                }
            });
        } else {
            let before = table.len();
            table.retain(|fd, _| !(first..=last).contains(&fd));
            self.counters.removed_fds += (before - table.len()) as u64;
        }
    }

    pub(super) fn dup(&mut self, act: &mut ApplyContext<'_>, cloexec: bool) {
        let (Some((at, fd)), Some(_)) = (act.done_by(), act.fd_at) else { return };
        // Who replaces standard input or output is likely part of a shell pipe.
        if let (Some(thread), 0 | 1) = (self.tree.get_mut(at), fd) {
            thread.flags.insert(if fd == 0 {
                ThreadFlags::PIPE_DST
            } else {
                ThreadFlags::PIPE_SRC
            });
        }
        self.copy_fd(act, fd, cloexec);
    }

    pub(super) fn fcntl(&mut self, act: &mut ApplyContext<'_>) {
        let (Some((_, ret)), Some((owner, fd))) = (act.done_by(), act.fd_at) else { return };
        match act.u64(2) {
            F_SETFD => {
                let on = act.u64(3) & FD_CLOEXEC != 0;
                if self.fds.get(owner, fd).is_some_and(|info| info.closes_on_exec() != on)
                    && let Some(info) = self.fds.get_mut(owner, fd)
                {
                    info.set_close_on_exec(on);
                }
            }
            F_DUPFD => self.copy_fd(act, ret, false),
            F_DUPFD_CLOEXEC => self.copy_fd(act, ret, true),
            _ => {}
        }
    }

    /// Makes `fd` another number of the file the event is about.
    fn copy_fd(&mut self, act: &mut ApplyContext<'_>, fd: i64, cloexec: bool) {
        let shared = act.fd_at.and_then(|(owner, fd)| self.fds.table(owner)?.shared(fd));
        let Some(mut info) = shared.cloned() else { return };
        if info.closes_on_exec() != cloexec {
            Arc::make_mut(&mut info).set_close_on_exec(cloexec);
        }
        self.put_fd(act, fd, info);
    }

    pub(super) fn chdir(&mut self, act: &mut ApplyContext<'_>) {
        if let (Some((at, _)), name) = (act.done_by(), act.text(1)) {
            self.set_cwd(at, name);
        }
    }

    pub(super) fn fchdir(&mut self, act: &mut ApplyContext<'_>) {
        let (Some((at, _)), Some((owner, fd))) = (act.done_by(), act.fd_at) else { return };
        if let Some(name) = self.fds.get(owner, fd).map(|info| info.name.clone()) {
            self.set_cwd(at, &name);
        }
    }

    fn set_cwd(&mut self, at: ThreadRef, name: &[u8]) {
        let Some(leader) = self.tree.leader_ref(at) else { return };
        let Some(leader) = self.tree.get_mut(leader) else { return };
        let mut cwd = mem::take(&mut self.scratch.joined);
        cwd.clear();
        path::join(&leader.cwd, name, &mut cwd);
        if cwd.last() != Some(&b'/') {
            cwd.push(b'/');
        }
        if *leader.cwd != *cwd {
            leader.cwd = cwd.as_slice().into();
        }
        self.scratch.joined = cwd;
    }

    pub(super) fn chroot(&mut self, act: &mut ApplyContext<'_>) {
        let Some((at, 0)) = act.done_by() else { return };
        let Some(thread) = self.tree.get(at) else { return };
        let mut root = Vec::new();
        path::join(self.cwd(thread), act.text(1), &mut root);
        if let Some(thread) = self.tree.get_mut(at) {
            thread.root = root.into();
        }
        self.find_container(at);
    }

    /// Adds an open file, which then is what the event is about.
    pub(super) fn add_fd(&mut self, act: &mut ApplyContext<'_>, fd: i64, info: Fd) {
        let named = !info.name.is_empty();
        let info = self.fds.share(info);
        self.put_fd(act, fd, info);
        act.renamed = named && act.fd_at.is_some();
    }

    fn put_fd(&mut self, act: &mut ApplyContext<'_>, fd: i64, info: Arc<Fd>) {
        act.fd_at = None;
        let Some(at) = act.at else { return };
        let Some(owner) = self.fd_owner(at) else { return };
        match self.fds.insert(owner, fd, info) {
            Ok(()) => {
                self.counters.added_fds += 1;
                act.fd_at = Some((owner, fd));
            }
            Err(_) => self.counters.dropped_fds += 1,
        }
        if let Some(thread) = self.tree.get_mut(at) {
            thread.last.fd = fd;
        }
    }
}

impl Found {
    fn of(dev: Option<&[u8]>, ino: Option<&[u8]>) -> Self {
        Self { dev: u32_of(dev), ino: ino.and_then(wire::uint).unwrap_or_default() }
    }
}

/// A parameter, 0 when it is missing.
fn u32_of(param: Option<&[u8]>) -> u32 {
    param.and_then(wire::uint).unwrap_or_default() as u32
}

impl<'e> Asked<'e> {
    /// What the start of the syscall says counts: a program may change its memory while the kernel
    /// works. The kernel's own flags come with the end only.
    fn unless_changed(self, enter: Option<Self>) -> Self {
        match enter {
            Some(enter) if enter.name != b"<NA>" => {
                Self { flags: enter.flags | (self.flags & !(O_F_CREATED - 1)), ..enter }
            }
            _ => self,
        }
    }
}
