//! What a process has open.

use peregrine_event::snapshot::{Fd, FdKind};
use peregrine_limits::FDS_PER_PROCESS;
use rustix::fs::{FileType, OFlags, Statx};

use super::budget::Deadline;
use super::dir::{self, Dir, number};
use super::mounts::MountTable;
use super::sockets::Sockets;
use super::status::word;

/// Codes of the format for kinds of open files that have only a name.
pub(crate) mod ty {
    pub(crate) const DIRECTORY: u8 = 2;
    pub(crate) const FIFO: u8 = 7;
    pub(crate) const EVENT: u8 = 9;
    pub(crate) const UNSUPPORTED: u8 = 10;
    pub(crate) const SIGNAL: u8 = 11;
    pub(crate) const EVENTPOLL: u8 = 12;
    pub(crate) const INOTIFY: u8 = 13;
    pub(crate) const TIMER: u8 = 14;
    pub(crate) const NETLINK: u8 = 15;
    pub(crate) const BPF: u8 = 17;
    pub(crate) const USERFAULTFD: u8 = 18;
    pub(crate) const IO_URING: u8 = 19;
    pub(crate) const MEMFD: u8 = 20;
    pub(crate) const PIDFD: u8 = 21;
}

/// Longest name the format holds.
const MAX_NAME: usize = 1023;
/// Open files that are given at once.
const PART: usize = 256;
/// What is wanted of `fdinfo` is in its first lines; some kinds of files have very many.
const MAX_INFO: usize = 512;

/// Reads fd tables; keeps what several processes share.
#[derive(Debug, Default)]
pub(crate) struct Fds {
    pub(crate) sockets: Sockets,
    numbers: Vec<i64>,
    link: Vec<u8>,
    info: Vec<u8>,
}

/// The process whose table is read.
struct Of<'p> {
    proc: &'p Dir,
    links: Dir,
    infos: Dir,
    mounts: &'p MountTable,
    namespace: u64,
    deadline: Deadline,
    safe: bool,
}

impl Fds {
    /// Gives the open files of the process that `proc` is about and that sees these mounts, in one
    /// or more parts; nothing when it is gone. `safe` leaves out what only the file itself knows.
    pub(crate) fn read(
        &mut self,
        proc: &Dir,
        mounts: &MountTable,
        deadline: Deadline,
        safe: bool,
        give: impl FnMut(Vec<Fd>),
    ) {
        let mut numbers = std::mem::take(&mut self.numbers);
        if proc.numbers("fd", &mut numbers).is_ok() {
            // The state does not hold more of a process.
            let numbers = numbers.get(..FDS_PER_PROCESS.get()).unwrap_or(&numbers);
            self.read_some(proc, mounts, deadline, safe, numbers, give);
        }
        self.numbers = numbers;
    }

    /// The same for the files with these numbers.
    pub(crate) fn read_some(
        &mut self,
        proc: &Dir,
        mounts: &MountTable,
        deadline: Deadline,
        safe: bool,
        numbers: &[i64],
        mut give: impl FnMut(Vec<Fd>),
    ) {
        let (Ok(links), Ok(infos)) = (proc.dir("fd"), proc.dir("fdinfo")) else { return };
        // A kernel without network namespaces has one for all.
        let namespace = proc.stat("ns/net").map_or(0, |stat| stat.stx_ino);
        let of = Of { proc, links, infos, mounts, namespace, deadline, safe };
        for part in numbers.chunks(PART) {
            let part = part.iter().take_while(|_| !deadline.is_over());
            give(part.filter_map(|&fd| self.open_file(&of, fd)).collect());
        }
    }

    fn open_file(&mut self, of: &Of<'_>, fd: i64) -> Option<Fd> {
        let name = rustix::path::DecInt::new(fd);
        of.links.link(name.as_c_str(), &mut self.link).ok()?;
        if let Some(ino) = bracketed(&self.link, b"socket:[") {
            // Sockets that are in no table have no address yet; a later event has it.
            let kind = self.sockets.find(of.proc, of.namespace, ino, of.deadline)?;
            return Some(Fd { fd, ino, kind });
        }
        if let Some(ino) = bracketed(&self.link, b"pipe:[") {
            return Some(Fd { fd, ino, kind: self.named(ty::FIFO) });
        }
        if of.safe {
            return None;
        }
        let stat = of.links.stat(name.as_c_str()).ok()?;
        let kind = match dir::file_type(&stat) {
            _ if self.link.starts_with(b"anon_inode:") || self.link.starts_with(b"pidfd:") => {
                FdKind::Named { ty: anonymous(&self.link), name: Vec::new() }
            }
            FileType::Fifo => self.named(ty::FIFO),
            FileType::Directory => self.named(ty::DIRECTORY),
            FileType::Socket => self.named(ty::UNSUPPORTED),
            FileType::RegularFile
            | FileType::BlockDevice
            | FileType::CharacterDevice
            | FileType::Symlink => {
                if self.link.starts_with(b"/memfd:") {
                    self.named(ty::MEMFD)
                } else {
                    self.file(of, fd, &stat)
                }
            }
            FileType::Unknown => FdKind::Named { ty: ty::UNSUPPORTED, name: Vec::new() },
        };
        Some(Fd { fd, ino: stat.stx_ino, kind })
    }

    fn file(&mut self, of: &Of<'_>, fd: i64, stat: &Statx) -> FdKind {
        let name = rustix::path::DecInt::new(fd);
        let read = of.infos.read_small(name.as_c_str(), MAX_INFO, &mut self.info);
        let info = if read.is_ok() { Info::parse(&self.info) } else { Info::default() };
        // Some file systems show programs another device than the one they are mounted from.
        let dev = of.mounts.device(info.mount_id);
        let dev = dev.unwrap_or_else(|| dir::device(stat));
        FdKind::File { flags: info.flags, name: self.name(), mount_id: info.mount_id, dev }
    }

    fn named(&self, ty: u8) -> FdKind {
        FdKind::Named { ty, name: self.name() }
    }

    fn name(&self) -> Vec<u8> {
        self.link.get(..MAX_NAME).unwrap_or(&self.link).to_vec()
    }
}

/// What `/proc/<pid>/fdinfo/<fd>` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Info {
    flags: u32,
    mount_id: u32,
}

impl Info {
    fn parse(text: &[u8]) -> Self {
        let mut info = Self::default();
        for line in text.split(|&b| b == b'\n') {
            if let Some(value) = line.strip_prefix(b"flags:") {
                let digits = word(value, 0).and_then(|word| std::str::from_utf8(word).ok());
                let flags = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
                info.flags = flags.map_or(0, open_flags);
            } else if let Some(value) = line.strip_prefix(b"mnt_id:") {
                let id = word(value, 0).and_then(number).and_then(|id| u32::try_from(id).ok());
                info.mount_id = id.unwrap_or(0);
            }
        }
        info
    }
}

/// Flags of an open file as the format has them.
fn open_flags(flags: u32) -> u32 {
    let given = OFlags::from_bits_retain(flags);
    let access = match given & OFlags::RWMODE {
        OFlags::WRONLY => 1 << 1,
        OFlags::RDWR => 3,
        _ => 1,
    };
    let table = [
        (OFlags::CREATE, 1 << 2),
        (OFlags::APPEND, 1 << 3),
        (OFlags::DSYNC, 1 << 4),
        (OFlags::EXCL, 1 << 5),
        (OFlags::NONBLOCK, 1 << 6),
        (OFlags::SYNC, 1 << 7),
        (OFlags::TRUNC, 1 << 8),
        (OFlags::DIRECT, 1 << 9),
        (OFlags::DIRECTORY, 1 << 10),
        (OFlags::CLOEXEC, 1 << 12),
        (OFlags::TMPFILE, 1 << 13),
    ];
    // `SYNC` and `DSYNC` share a bit, and so do `TMPFILE` and `DIRECTORY`, which no file is opened
    // with.
    let set = table.iter().filter(|(flag, _)| given.intersects(*flag));
    set.fold(access, |all, (_, bit)| all | bit)
}

/// The kind of an anonymous file, by its name in the kernel.
fn anonymous(link: &[u8]) -> u8 {
    match link.strip_prefix(b"anon_inode:").unwrap_or(b"[pidfd]") {
        b"[eventfd]" => ty::EVENT,
        b"[eventpoll]" => ty::EVENTPOLL,
        b"inotify" => ty::INOTIFY,
        b"[signalfd]" => ty::SIGNAL,
        b"[timerfd]" => ty::TIMER,
        b"[io_uring]" => ty::IO_URING,
        b"[userfaultfd]" => ty::USERFAULTFD,
        b"[pidfd]" => ty::PIDFD,
        b"bpf-map" | b"bpf-prog" | b"bpf-link" | b"bpf_link" | b"bpf_iter" => ty::BPF,
        _ => ty::UNSUPPORTED,
    }
}

/// The number in a text like `socket:[123]`.
fn bracketed(link: &[u8], prefix: &[u8]) -> Option<u64> {
    number(link.strip_prefix(prefix)?.strip_suffix(b"]")?).map(i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_are_those_of_the_format() {
        let text = b"pos:\t0\nflags:\t02102001\nmnt_id:\t29\nino:\t7\n";
        assert_eq!(Info::parse(text).mount_id, 29);
        let cloexec = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
        assert_eq!(open_flags(cloexec.bits()), 0b1_0000_0000_1010);
        assert_eq!(open_flags(OFlags::RDWR.bits()), 3);
        assert_eq!(open_flags(0), 1);
    }

    #[test]
    fn names_of_files_without_directory() {
        assert_eq!(anonymous(b"anon_inode:[eventpoll]"), ty::EVENTPOLL);
        assert_eq!(anonymous(b"anon_inode:bpf-prog"), ty::BPF);
        assert_eq!(anonymous(b"pidfd:[12]"), ty::PIDFD);
        assert_eq!(anonymous(b"anon_inode:[perf_event]"), ty::UNSUPPORTED);
        assert_eq!(bracketed(b"socket:[812]", b"socket:["), Some(812));
        assert_eq!(bracketed(b"socket:[8a]", b"socket:["), None);
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, line in "(flags:|mnt_id:)?[\\x00-\\x7f]{0,30}\n") {
            Info::parse(&text);
            Info::parse(line.repeat(2).as_bytes());
            bracketed(&text, b"");
            anonymous(&text);
        }
    }
}
