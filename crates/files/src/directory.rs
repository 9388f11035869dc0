//! The directory of a file, reached one component at a time.
//!
//! Each directory is opened below the one before it and checked through its descriptor, so a
//! directory that is renamed or replaced meanwhile is not used.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, fstat, mkdirat,
    openat, openat2, readlinkat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::FileError;
use crate::users::is_trusted;

/// Symbolic links that are followed at most, as in the kernel.
const MOST_LINKS: usize = 40;

/// Opens a name without following it and without any effect on what it names.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Creates a file that does not exist.
const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Who can create files in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    /// Root and the agent's user.
    Trusted,
    /// A group too.
    Group,
    /// Every user. The directory is sticky: only the owner of a file can remove it.
    Everyone,
}

/// A directory whose files no other user can replace.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    writers: Writers,
}

/// A name in a directory, and what it is.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) fd: OwnedFd,
    pub(crate) stat: Stat,
}

impl Directory {
    /// The directory of a file, and the name of the file in it.
    ///
    /// # Errors
    /// It can't be reached, or not without trusting another user.
    pub(crate) fn of(file: &Path) -> Result<(Self, &OsStr), FileError> {
        let name = file.file_name().ok_or(Errno::ISDIR)?;
        let parent = file.parent().unwrap_or(Path::new(""));
        Ok((Self::open(parent)?, name))
    }

    /// Opens a directory, following trusted links.
    fn open(path: &Path) -> Result<Self, FileError> {
        let mut directory = Self::begin(path)?;
        let mut pending = Vec::new();
        push(&mut pending, path);
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let Entry { fd, stat } = directory.look(&name)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let path = directory.path.join(&name);
                directory = Self::checked(fd, stat, path)?;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            if directory.is_shared() || !is_trusted(stat.st_uid) {
                return Err(FileError::Link { link: directory.path.join(&name) });
            }
            let target = link_text(&fd)?;
            if target.has_root() {
                directory = Self::begin(&target)?;
            }
            push(&mut pending, &target);
        }
        Ok(directory)
    }

    /// Where a path begins: at the root, or in the working directory.
    fn begin(path: &Path) -> Result<Self, FileError> {
        let start = if path.has_root() { "/" } else { "." };
        let fd = openat(CWD, start, LOOK, Mode::empty())?;
        let stat = fstat(&fd)?;
        Self::checked(fd, stat, PathBuf::from(start))
    }

    fn checked(fd: OwnedFd, stat: Stat, path: PathBuf) -> Result<Self, FileError> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR.into());
        }
        if !is_trusted(stat.st_uid) {
            return Err(FileError::DirectoryOwner { directory: path, uid: stat.st_uid });
        }
        let mode = Mode::from_raw_mode(stat.st_mode);
        let writers = match () {
            () if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) => {
                return Err(FileError::DirectoryMode { directory: path });
            }
            () if mode.contains(Mode::WOTH) => Writers::Everyone,
            () if mode.contains(Mode::WGRP) && stat.st_gid != 0 => Writers::Group,
            () => Writers::Trusted,
        };
        Ok(Self { fd, path, writers })
    }

    /// Whether others can put files and links into the directory.
    pub(crate) fn is_shared(&self) -> bool {
        self.writers != Writers::Trusted
    }

    /// The path of a file in the directory.
    pub(crate) fn join(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The entry of this name; `None` if there is none.
    ///
    /// # Errors
    /// It can't be opened, or something is mounted on it in a directory for everyone: a user can
    /// mount a file system that lies about owners over a file.
    pub(crate) fn entry(&self, name: &OsStr) -> Result<Option<Entry>, FileError> {
        match self.look(name) {
            Ok(entry) => Ok(Some(entry)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::XDEV) => Err(FileError::MountPoint),
            Err(error) => Err(error.into()),
        }
    }

    fn look(&self, name: &OsStr) -> Result<Entry, Errno> {
        let plain = || openat(&self.fd, name, LOOK, Mode::empty());
        let fd = match self.writers {
            Writers::Everyone => {
                let within = ResolveFlags::NO_XDEV;
                match openat2(&self.fd, name, LOOK, Mode::empty(), within) {
                    // The system call is newer than 5.4, and container runtimes may block it.
                    Err(Errno::NOSYS | Errno::PERM) => plain()?,
                    opened => opened?,
                }
            }
            Writers::Trusted | Writers::Group => plain()?,
        };
        let stat = fstat(&fd)?;
        Ok(Entry { fd, stat })
    }

    /// Creates a file; fails with `EEXIST` if there is one.
    pub(crate) fn create(&self, name: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        openat(&self.fd, name, CREATE | flags, mode)
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Gives a file another name, which no file must have.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
        match renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // Some file systems can't, for example NFS: only the agent uses these names.
            Err(Errno::INVAL | Errno::NOSYS) => {
                match statat(&self.fd, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => renameat(&self.fd, from, &self.fd, to),
                    Err(error) => Err(error),
                    Ok(_) => Err(Errno::EXIST),
                }
            }
            renamed => renamed,
        }
    }

    /// All names.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.readable()?)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The directory, opened for more than looking up names.
    pub(crate) fn readable(&self) -> Result<OwnedFd, Errno> {
        openat(&self.fd, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Makes a directory that nobody else can enter, or checks the one that exists.
    pub(crate) fn private(&self, name: &OsStr) -> Result<(), FileError> {
        match mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Self::open(&self.path.join(name)).map(drop),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a symbolic link says.
pub(crate) fn link_text(link: &OwnedFd) -> Result<PathBuf, Errno> {
    let text = readlinkat(link, "", Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
}

/// Puts the components of a path in front of those that are to be walked.
fn push(pending: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    pending.extend(names);
}
