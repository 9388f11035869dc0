//! Reading what a directory of `/proc` holds: small files, links and numbers, into memory that is
//! used again.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat, StatFs};
use rustix::io::Errno;
use rustix::path::Arg;

/// Longest path the kernel gives.
const PATH_MAX: usize = 4096;
/// Bytes per read.
const CHUNK: usize = 4096;
/// Most bytes of one file. Only the socket tables of large hosts have megabytes.
pub(crate) const MAX_FILE: usize = 256 << 20;

/// How names are resolved in a directory tree of a container.
const BELOW: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// An open directory. What is read through it stays of the same process, even if its number is used
/// again.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(Self)
    }

    pub(crate) fn dir(&self, name: impl Arg) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, name, flags, Mode::empty()).map(Self)
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
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        read_to_end(&file, limit, into, done)
    }

    /// Reads a file in an untrusted directory tree: links are resolved within the tree, and files
    /// that are not regular are refused, so that the read never blocks.
    pub(crate) fn read_below(
        &self,
        name: impl Arg,
        limit: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), Errno> {
        into.clear();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = rustix::fs::openat2(&self.0, name, flags, Mode::empty(), BELOW)?;
        if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
            return Err(Errno::INVAL);
        }
        read_to_end(&file, limit, into, |_| false)
    }

    /// What is behind a name in such a tree.
    pub(crate) fn stat_below(&self, name: impl Arg) -> Result<Stat, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::fstat(rustix::fs::openat2(&self.0, name, flags, Mode::empty(), BELOW)?)
    }

    /// Where a link leads.
    pub(crate) fn link(&self, name: impl Arg, into: &mut Vec<u8>) -> Result<(), Errno> {
        into.clear();
        into.reserve(PATH_MAX);
        rustix::fs::readlinkat_raw(&self.0, name, spare_capacity(into)).map(drop)
    }

    /// What is behind a name, links followed.
    pub(crate) fn stat(&self, name: impl Arg) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.0, name, AtFlags::empty())
    }

    /// What is behind a name, a link itself where it is one.
    pub(crate) fn lstat(&self, name: impl Arg) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The file system a file is on.
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
            let is_dir = |stat: Stat| FileType::from_raw_mode(stat.st_mode).is_dir();
            !name.starts_with(b".") && stat.is_ok_and(is_dir)
        });
        Ok(names)
    }

    fn each(&self, name: impl Arg, mut see: impl FnMut(&[u8])) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            see(entry?.file_name().to_bytes());
        }
        Ok(())
    }
}

fn read_to_end(
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
