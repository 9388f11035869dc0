//! Files and all other fds that are not sockets.

use std::mem;
use std::sync::Arc;

use peregrine_event::params::{
    syscall_close_range_x as close_range, syscall_creat_e as creat_enter, syscall_creat_x as creat,
    syscall_fcntl_x as fcntl, syscall_ioctl_3_x as ioctl, syscall_memfd_create_x as memfd_create,
    syscall_open_by_handle_at_x as open_by_handle_at, syscall_open_e as open_enter,
    syscall_open_x as open, syscall_openat_2_e as openat_enter, syscall_openat_2_x as openat,
    syscall_openat2_e as openat2_enter, syscall_openat2_x as openat2,
    syscall_pidfd_getfd_x as pidfd_getfd, syscall_pidfd_open_x as pidfd_open,
    syscall_pipe_x as pipe, syscall_pipe2_x as pipe2,
};
use peregrine_event::render::AT_FDCWD;
use peregrine_event::{Event, path, wire};

use super::context::{ApplyContext, text, text_of};
use crate::fd::{AskedName, Fd, FdKind, Name};
use crate::partition::{Partition, Scratch};
use crate::thread::{Thread, ThreadFlags};
use crate::tree::Tree;

peregrine_event::same_params!(openat_enter, openat2_enter: DIRFD, NAME, FLAGS);
peregrine_event::same_params!(pipe, pipe2: FD1, FD2, INO);

const O_WRONLY: u32 = 1 << 1;
const O_DIRECTORY: u32 = 1 << 10;
const O_TMPFILE: u32 = 1 << 13;
/// This flag and those above it are the kernel's answer, those below what the caller asked for.
const O_F_CREATED: u32 = 1 << 14;
const UPPER_LAYER: u32 = 1 << 15;
const LOWER_LAYER: u32 = 1 << 16;
const CREAT_UPPER_LAYER: u32 = 1 << 0;
const CREAT_LOWER_LAYER: u32 = 1 << 1;

/// Of `openat2`: the directory is the root.
const RESOLVE_IN_ROOT: u32 = 1 << 1;

const F_DUPFD: u64 = 1;
const F_SETFD: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 26;
const FD_CLOEXEC: u64 = 1;

const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// Opens the other end of a pseudoterminal.
const TIOCGPTPEER: u64 = 0x5441;

/// A path as a program asked for it.
struct OpenRequest<'e> {
    dir: Option<i64>,
    /// The directory is the root of the path.
    rooted: bool,
    name: &'e [u8],
    flags: u32,
}

/// What the kernel says of the file that was opened.
struct Found {
    dev: u32,
    ino: u64,
}

impl Partition {
    pub(super) fn open(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        enter: Option<&Event<'_>>,
    ) {
        let params: [_; 6] = cx.event.params();
        let name = text_of(params[open::NAME]);
        let flags = u32_of(params[open::FLAGS]);
        let asked = OpenRequest { dir: Some(AT_FDCWD), rooted: false, name, flags };
        self.count_enter(enter);
        let asked = asked.unless_changed(enter.map(|enter| OpenRequest {
            dir: Some(AT_FDCWD),
            rooted: false,
            name: text(enter, open_enter::NAME),
            flags: enter.u32(open_enter::FLAGS).unwrap_or_default(),
        }));
        self.opened(tree, cx, &asked, Found::of(params[open::DEV], params[open::INO]));
    }

    pub(super) fn creat(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        enter: Option<&Event<'_>>,
    ) {
        let params: [_; 6] = cx.event.params();
        let layers = u32_of(params[creat::CREAT_FLAGS]);
        let mut flags = 0;
        if layers & CREAT_UPPER_LAYER != 0 {
            flags = UPPER_LAYER;
        } else if layers & CREAT_LOWER_LAYER != 0 {
            flags = LOWER_LAYER;
        }
        let name = text_of(params[creat::NAME]);
        let asked = OpenRequest { dir: Some(AT_FDCWD), rooted: false, name, flags };
        self.count_enter(enter);
        let name = |enter| text(enter, creat_enter::NAME);
        let enter = enter.map(|enter| OpenRequest { name: name(enter), flags: 0, ..asked });
        let found = Found::of(params[creat::DEV], params[creat::INO]);
        self.opened(tree, cx, &asked.unless_changed(enter), found);
    }

    pub(super) fn openat(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        enter: Option<&Event<'_>>,
    ) {
        let params: [_; 7] = cx.event.params();
        let asked = [params[openat::DIRFD], params[openat::NAME], params[openat::FLAGS]];
        let found = Found::of(params[openat::DEV], params[openat::INO]);
        self.opened_at(tree, cx, asked, false, found, enter);
    }

    pub(super) fn openat2(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        enter: Option<&Event<'_>>,
    ) {
        let params: [_; 8] = cx.event.params();
        let asked = [params[openat2::DIRFD], params[openat2::NAME], params[openat2::FLAGS]];
        let found = Found::of(params[openat2::DEV], params[openat2::INO]);
        let rooted = u32_of(params[openat2::RESOLVE]) & RESOLVE_IN_ROOT != 0;
        self.opened_at(tree, cx, asked, rooted, found, enter);
    }

    fn opened_at(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        [dir, name, flags]: [Option<&[u8]>; 3],
        rooted: bool,
        found: Found,
        enter: Option<&Event<'_>>,
    ) {
        let (dir, flags) = (dir.and_then(wire::int), u32_of(flags));
        let asked = OpenRequest { dir, rooted, name: text_of(name), flags };
        self.count_enter(enter);
        let asked = asked.unless_changed(enter.map(|enter| OpenRequest {
            dir: enter.i64(openat_enter::DIRFD),
            rooted,
            name: text(enter, openat_enter::NAME),
            flags: enter.u32(openat_enter::FLAGS).unwrap_or_default(),
        }));
        self.opened(tree, cx, &asked, found);
    }

    pub(super) fn open_by_handle(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        let params: [_; 6] = cx.event.params();
        let name = text_of(params[open_by_handle_at::PATH]);
        let flags = u32_of(params[open_by_handle_at::FLAGS]);
        let found = Found::of(params[open_by_handle_at::DEV], params[open_by_handle_at::INO]);
        self.opened(tree, cx, &OpenRequest { dir: None, rooted: false, name, flags }, found);
    }

    fn opened(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        asked: &OpenRequest<'_>,
        found: Found,
    ) {
        let Some((at, fd)) = cx.done_by() else { return };
        let Some(thread) = tree.get(at) else { return };
        let (name, asked_name) = if path::is_joined(asked.name) && !asked.rooted {
            (Name::from_slice(asked.name), AskedName::Same)
        } else {
            let Scratch { mut dir, mut joined } = mem::take(&mut self.scratch);
            dir.clear();
            joined.clear();
            if let Some(dirfd) = asked.dir {
                let name = if asked.rooted { b"" } else { asked.name };
                self.directory(tree, thread, dirfd, name, &mut dir);
            }
            if asked.rooted {
                // Nothing leads out of the directory.
                let inside = asked.name.iter().position(|&b| b != b'/').unwrap_or(0);
                path::join(b"/", asked.name.get(inside..).unwrap_or_default(), &mut joined);
                let last = dir.len().saturating_sub(usize::from(dir.last() == Some(&b'/')));
                joined.splice(..0, dir.get(..last).unwrap_or_default().iter().copied());
            } else {
                path::join(&dir, asked.name, &mut joined);
            }
            let name = Name::from_slice(&joined);
            let same = joined == asked.name;
            self.scratch = Scratch { dir, joined };
            (name, if same { AskedName::Same } else { AskedName::Other(asked.name.into()) })
        };
        // The kernel's flag for a file without a name includes that for directories, so that other
        // recorders tell both for either. Such a file is written, a directory is not.
        let unnamed = asked.flags & (O_TMPFILE | O_WRONLY) == O_TMPFILE | O_WRONLY;
        let directory = asked.flags & O_DIRECTORY != 0 && !unnamed;
        let info = Fd {
            name,
            asked: asked_name,
            flags: asked.flags,
            dev: found.dev,
            ino: found.ino,
            overlay_upper: asked.flags & UPPER_LAYER != 0,
            overlay_lower: asked.flags & LOWER_LAYER != 0,
            ..Fd::new(if directory { FdKind::Directory } else { FdKind::File })
        };
        self.add_fd(tree, cx, fd, info);
    }

    /// Appends the directory that `name` is relative to; false when it is not known.
    pub(super) fn directory(
        &self,
        tree: &Tree,
        thread: &Thread,
        dirfd: i64,
        name: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        if name.first() == Some(&b'/') {
            return true;
        }
        if dirfd == AT_FDCWD {
            out.extend_from_slice(tree.cwd(thread));
            return true;
        }
        let Some(fd) = self.fd(tree, thread, dirfd) else {
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
    pub(super) fn new_fd(
        &mut self,
        tree: &Tree,
        cx: &mut ApplyContext<'_>,
        kind: FdKind,
        flags: u32,
    ) {
        if let Some((_, fd)) = cx.done_by() {
            self.add_fd(tree, cx, fd, Fd { flags, ..Fd::new(kind) });
        }
    }

    pub(super) fn memfd_create(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        if let Some((_, fd)) = cx.done_by() {
            let name = cx.text(memfd_create::NAME).into();
            let flags = cx.u32(memfd_create::FLAGS);
            self.add_fd(tree, cx, fd, Fd { name, flags, ..Fd::new(FdKind::Memfd) });
        }
    }

    pub(super) fn pidfd_open(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        if let Some((_, fd)) = cx.done_by() {
            let pid = cx.event.i64(pidfd_open::PID).unwrap_or(-1);
            let name = format!("/proc/{pid}").into_bytes().into();
            let flags = cx.u32(pidfd_open::FLAGS);
            self.add_fd(tree, cx, fd, Fd { name, flags, ..Fd::new(FdKind::Pidfd { pid }) });
        }
    }

    /// The file comes from another process. If that is in another partition, the file stays
    /// unknown.
    pub(super) fn pidfd_getfd(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        let pidfd = cx.event.i64(pidfd_getfd::PID_FD);
        let (Some((at, fd)), Some(pidfd)) = (cx.done_by(), pidfd) else { return };
        let target = cx.event.i64(pidfd_getfd::TARGET_FD).unwrap_or(-1);
        let found = tree.get(at).and_then(|thread| {
            let FdKind::Pidfd { pid } = self.fd(tree, thread, pidfd)?.kind else { return None };
            self.fd(tree, tree.by_tid(pid)?, target).cloned()
        });
        match found {
            Some(mut info) => {
                info.set_close_on_exec(true);
                self.add_fd(tree, cx, fd, info);
                cx.renamed = false;
            }
            None => self.fd_arrived(tree, at, fd),
        }
    }

    /// A terminal may open its other end.
    pub(super) fn ioctl(&mut self, tree: &Tree, cx: &ApplyContext<'_>) {
        if let Some((at, fd)) = cx.done_by()
            && cx.u64(ioctl::REQUEST) == TIOCGPTPEER
        {
            self.fd_arrived(tree, at, fd);
        }
    }

    pub(super) fn pipe(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, flags: u32) {
        if cx.done_by().is_none() {
            return;
        }
        let ino = cx.u64(pipe::INO);
        for end in [pipe::FD1, pipe::FD2] {
            if let Some(fd) = cx.event.i64(end) {
                self.add_fd(tree, cx, fd, Fd { ino, flags, ..Fd::new(FdKind::Pipe) });
            }
        }
    }

    pub(super) fn close(&mut self, tree: &Tree, cx: &ApplyContext<'_>) {
        if cx.done().is_some() {
            self.closing = cx.fd_at;
            if !self.arrived.is_empty()
                && let (Some(at), Some(fd)) = (cx.at, cx.fd())
                && let Some(owner) = tree.fd_owner(at)
            {
                self.fd_told(owner, fd);
            }
        }
    }

    pub(super) fn close_range(&mut self, tree: &Tree, cx: &ApplyContext<'_>) {
        let Some((at, _)) = cx.done_by() else { return };
        let Some(owner) = tree.fd_owner(at) else { return };
        let first = i64::from(cx.u32(close_range::FIRST));
        let last = i64::from(cx.u32(close_range::LAST));
        if cx.u32(close_range::FLAGS) & CLOSE_RANGE_CLOEXEC == 0 {
            self.retain_fds(owner, |fd, _| !(first..=last).contains(&fd));
        } else if let Some(table) = self.fds.table_mut(owner) {
            for (fd, info) in table.iter_mut() {
                if (first..=last).contains(&fd) && !info.closes_on_exec() {
                    Arc::make_mut(info).set_close_on_exec(true);
                }
            }
        }
    }

    pub(super) fn dup(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, cloexec: bool) {
        let Some((at, fd)) = cx.done_by() else { return };
        // A thread that replaces standard input or output is likely part of a shell pipe.
        let pipe = match fd {
            0 => ThreadFlags::PIPE_DST,
            1 => ThreadFlags::PIPE_SRC,
            _ => ThreadFlags::default(),
        };
        if let Some(activity) = self.activity_mut(at) {
            activity.pipe.insert(pipe);
        }
        self.copy_fd(tree, cx, fd, cloexec);
    }

    pub(super) fn fcntl(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>) {
        let Some((_, ret)) = cx.done_by() else { return };
        match (cx.u64(fcntl::CMD), cx.fd_at) {
            (F_DUPFD, _) => self.copy_fd(tree, cx, ret, false),
            (F_DUPFD_CLOEXEC, _) => self.copy_fd(tree, cx, ret, true),
            (F_SETFD, Some((owner, fd))) => {
                let on = cx.u64(fcntl::ARG) & FD_CLOEXEC != 0;
                if self.fds.get(owner, fd).is_some_and(|info| info.closes_on_exec() != on)
                    && let Some(info) = self.fds.get_mut(owner, fd)
                {
                    info.set_close_on_exec(on);
                }
            }
            _ => {}
        }
    }

    /// Makes `fd` another number of the file the event is about.
    fn copy_fd(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, fd: i64, cloexec: bool) {
        let shared = cx.fd_at.and_then(|(owner, fd)| self.fds.table(owner)?.shared(fd));
        let Some(mut info) = shared.cloned() else {
            // Whatever the number was before, it is another file now.
            if let Some(at) = cx.at.filter(|_| cx.fd() != Some(fd)) {
                self.fd_arrived(tree, at, fd);
            }
            return;
        };
        if info.closes_on_exec() != cloexec {
            Arc::make_mut(&mut info).set_close_on_exec(cloexec);
        }
        self.put_fd(tree, cx, fd, info);
    }

    /// Adds an open file, which then is what the event is about.
    pub(super) fn add_fd(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, fd: i64, info: Fd) {
        let named = !info.name.is_empty();
        let info = self.fds.share(info);
        self.put_fd(tree, cx, fd, info);
        cx.renamed = named && cx.fd_at.is_some();
    }

    fn put_fd(&mut self, tree: &Tree, cx: &mut ApplyContext<'_>, fd: i64, info: Arc<Fd>) {
        cx.fd_at = None;
        let Some(at) = cx.at else { return };
        let Some(owner) = tree.fd_owner(at) else { return };
        if self.insert_fd(owner, fd, info) {
            cx.fd_at = Some((owner, fd));
        }
        if let Some(activity) = self.activity_mut(at) {
            activity.fd = fd;
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

impl<'e> OpenRequest<'e> {
    /// The arguments of the enter event count: a program may change its memory during the call. The
    /// kernel's own flags are only in the exit event.
    fn unless_changed(self, enter: Option<Self>) -> Self {
        match enter {
            Some(enter) if enter.name != b"<NA>" => {
                Self { flags: enter.flags | (self.flags & !(O_F_CREATED - 1)), ..enter }
            }
            _ => self,
        }
    }
}
