//! Reading what a directory of `/proc` holds: small files, links and numbers, into memory that is
//! used again.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, StatFs, Statx, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Longest path the kernel gives.
const PATH_MAX: usize = 4096;
/// Bytes per read.
const CHUNK: usize = 4096;
/// Most bytes of one file. Only the socket tables of large hosts have megabytes.
pub(crate) const MAX_FILE: usize = 64 << 20;

/// An open directory. What is read through it stays of the same process, even if its number is used
/// again. Names never lead through `root` or another link of a process, behind which is what it
/// controls: [`foreign`](super::foreign) is for that.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    /// A directory of the host, or one that the operator has named.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty()).map(Self)
    }

    pub(crate) fn dir(&self, name: impl Arg) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.open_at(name, flags).map(Self)
    }

    /// Reads a file from its start, at most `limit` bytes.
    pub(crate) fn read(
        &self,
        name: impl Arg,
        limit: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), Errno> {
        self.read_until(name, limit, into, |_| false)
    }

    /// The same for a file that the kernel writes in one go, so that a read that is not filled is
    /// the last: all but tables are.
    pub(crate) fn read_small(
        &self,
        name: impl Arg,
        limit: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), Errno> {
        self.read_until(name, limit, into, |into| into.len() < into.capacity())
    }

    fn read_until(
        &self,
        name: impl Arg,
        limit: usize,
        into: &mut Vec<u8>,
        done: impl Fn(&Vec<u8>) -> bool,
    ) -> Result<(), Errno> {
        into.clear();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = self.open_at(name, flags)?;
        read_to_end(&file, limit, into, done)
    }

    /// Where a link leads.
    pub(crate) fn link(&self, name: impl Arg, into: &mut Vec<u8>) -> Result<(), Errno> {
        into.clear();
        into.reserve(PATH_MAX);
        rustix::fs::readlinkat_raw(&self.0, name, spare_capacity(into)).map(drop)
    }

    /// The number in a link like `ns/pid`, which leads to `pid:[4026531836]`.
    pub(crate) fn namespace(&self, name: impl Arg, text: &mut Vec<u8>) -> Option<u64> {
        self.link(name, text).ok()?;
        let (_, text) = split_once(text, b'[')?;
        number(text.strip_suffix(b"]")?).map(i64::unsigned_abs)
    }

    /// What is behind a name, links followed, as far as the kernel knows it: a file system that has
    /// to ask a server is not waited for.
    pub(crate) fn stat(&self, name: impl Arg) -> Result<Statx, Errno> {
        statx(&self.0, name, AtFlags::empty())
    }

    /// The same of a link itself where there is one.
    pub(crate) fn lstat(&self, name: impl Arg) -> Result<Statx, Errno> {
        statx(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The file system a file is on, links followed. It may be asked, and be slow to answer.
    pub(crate) fn file_system(&self, name: impl Arg) -> Result<StatFs, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::fstatfs(rustix::fs::openat(&self.0, name, flags, Mode::empty())?)
    }

    /// The entries of a directory below this one that are numbers, in its order.
    pub(crate) fn numbers(&self, name: impl Arg, into: &mut Vec<i64>) -> Result<(), Errno> {
        into.clear();
        self.each(name, |entry| into.extend(number(entry)))
    }

    /// Names of the directories in this one, without those that begin with a dot.
    pub(crate) fn dirs(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = Vec::new();
        self.each(".", |entry| names.push(entry.to_vec()))?;
        names.retain(|name| {
            let stat = self.lstat(name.as_slice());
            !name.starts_with(b".") && stat.is_ok_and(|stat| file_type(&stat).is_dir())
        });
        Ok(names)
    }

    fn open_at(&self, name: impl Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.0, name, flags, Mode::empty())
    }

    fn each(&self, name: impl Arg, mut see: impl FnMut(&[u8])) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = self.open_at(name, flags)?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            see(entry?.file_name().to_bytes());
        }
        Ok(())
    }
}

impl From<OwnedFd> for Dir {
    fn from(directory: OwnedFd) -> Self {
        Self(directory)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What the kernel knows of an open file without asking the server of its file system.
pub(crate) fn cached_stat(file: &OwnedFd) -> Result<Statx, Errno> {
    statx(file, "", AtFlags::EMPTY_PATH)
}

fn statx(dir: &impl AsFd, name: impl Arg, flags: AtFlags) -> Result<Statx, Errno> {
    let flags = flags | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)
}

/// The kind of a file.
pub(crate) fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(stat.stx_mode.into())
}

/// The device of a file, as events have it.
pub(crate) fn device(stat: &Statx) -> u32 {
    device_code(stat.stx_dev_major, stat.stx_dev_minor)
}

/// Major and minor number in one, as the kernel packs them into 32 bits.
pub(crate) fn device_code(major: u32, minor: u32) -> u32 {
    (major & 0xfff) << 8 | minor & 0xff | (minor & !0xff) << 12
}

/// The mount a file is on. Kernels before 5.8 do not say.
pub(crate) fn mount_id(stat: &Statx) -> Option<u32> {
    let said = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    u32::try_from(stat.stx_mnt_id).ok().filter(|_| said)
}

/// Reads a file to its end, until `limit` or until it is `done`.
pub(crate) fn read_to_end(
    file: &OwnedFd,
    limit: usize,
    into: &mut Vec<u8>,
    done: impl Fn(&Vec<u8>) -> bool,
) -> Result<(), Errno> {
    loop {
        into.reserve(CHUNK);
        match rustix::io::read(file, spare_capacity(into)) {
            Ok(0) => return Ok(()),
            Ok(_) if into.len() >= limit || done(into) => {
                into.truncate(limit);
                return Ok(());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is before the first of these bytes, and what is after it.
pub(crate) fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(memchr::memchr(at, text)?)?;
    Some((before, rest.get(1..)?))
}

/// A decimal number that fills the text.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}
