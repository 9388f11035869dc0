//! Opening a file for writing.

use std::fs::File;
use std::path::Path;

use rustix::fd::AsRawFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fchmod, openat};
use rustix::io::Errno;

use crate::directory::{Directory, Entry, link_text};
use crate::users::is_trusted;
use crate::{FileError, FileMode};

/// Attempts to create a file that others create or remove meanwhile.
const ATTEMPTS: usize = 3;

/// Creates a file that did not exist, with these permissions whatever the umask is. A regular file
/// of the same name that belongs to root or the agent's user is removed first, not truncated: a
/// process that has it open keeps what it had, and a second name of it is not written to.
///
/// FIFOs, character devices and names such as `/dev/stdout` are opened as they are.
///
/// # Errors
/// The file can't be created, or another user could read, replace or redirect it.
pub fn create(path: &Path, mode: FileMode) -> Result<File, FileError> {
    open(path, mode, Existing::Replace)
}

/// Opens a file for appending. A file that exists keeps its permissions; otherwise it is created
/// with these, whatever the umask is.
///
/// # Errors
/// The file can't be opened, or another user could write to it, replace or redirect it.
pub fn append(path: &Path, mode: FileMode) -> Result<File, FileError> {
    open(path, mode, Existing::Append)
}

/// Makes a directory that only its owner can enter (0700), if there is none. Its parent must exist.
/// One that exists keeps its permissions.
///
/// # Errors
/// The directory can't be made, or another user could replace files in it.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    let (parent, name) = Directory::of(path)?;
    parent.private(name)
}

/// What becomes of a regular file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Replace,
    Append,
}

impl Existing {
    fn flags(self) -> OFlags {
        match self {
            Self::Replace => OFlags::empty(),
            Self::Append => OFlags::APPEND,
        }
    }
}

fn open(path: &Path, mode: FileMode, existing: Existing) -> Result<File, FileError> {
    if let Some(number) = own_descriptor(path) {
        return reopen(number, existing);
    }
    let (directory, name) = Directory::of(path)?;
    for _ in 0..ATTEMPTS {
        let Some(entry) = directory.entry(name)? else {
            let bits = Mode::from_raw_mode(mode.bits());
            match directory.create(name, existing.flags(), bits) {
                Ok(file) => {
                    // Gives back what the umask took: the file never had more than `mode`, and
                    // some file systems have no permissions to change.
                    let _ = fchmod(&file, bits);
                    return Ok(file.into());
                }
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            }
        };
        match FileType::from_raw_mode(entry.stat.st_mode) {
            FileType::RegularFile if existing == Existing::Replace => {
                check_owner(&entry)?;
                match directory.remove(name) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            FileType::RegularFile => {
                check_owner(&entry)?;
                if Mode::from_raw_mode(entry.stat.st_mode).contains(Mode::WOTH) {
                    return Err(FileError::Mode);
                }
                check_names(&directory, &entry)?;
                return reopen(entry.fd.as_raw_fd(), existing);
            }
            FileType::Fifo | FileType::CharacterDevice => {
                if directory.is_shared() {
                    check_owner(&entry)?;
                    check_names(&directory, &entry)?;
                }
                return reopen(entry.fd.as_raw_fd(), existing);
            }
            FileType::Symlink => {
                let trusted = !directory.is_shared() && is_trusted(entry.stat.st_uid);
                let target = link_text(&entry.fd)?;
                let Some(number) = own_descriptor(&target).filter(|_| trusted) else {
                    return Err(FileError::Link { link: directory.join(name) });
                };
                return reopen(number, existing);
            }
            FileType::Directory => return Err(FileError::Kind { kind: "directory" }),
            FileType::Socket => return Err(FileError::Kind { kind: "socket" }),
            _ => return Err(FileError::Kind { kind: "block device" }),
        }
    }
    Err(FileError::Contested)
}

fn check_owner(entry: &Entry) -> Result<(), FileError> {
    let uid = entry.stat.st_uid;
    if is_trusted(uid) { Ok(()) } else { Err(FileError::Owner { uid }) }
}

/// Without `fs.protected_hardlinks` every user can give a file of root a second name in `/tmp`.
fn check_names(directory: &Directory, entry: &Entry) -> Result<(), FileError> {
    if directory.is_shared() && entry.stat.st_nlink > 1 { Err(FileError::HardLink) } else { Ok(()) }
}

/// The file descriptor of this process that a name stands for: `/dev/stdout`, `/dev/fd/63`.
fn own_descriptor(path: &Path) -> Option<i32> {
    let path = path.to_str()?;
    match path {
        "/dev/stdout" => return Some(1),
        "/dev/stderr" => return Some(2),
        _ => {}
    }
    let number = path.strip_prefix("/proc/self/fd/").or_else(|| path.strip_prefix("/dev/fd/"))?;
    number.parse().ok().filter(|number| *number >= 0)
}

/// Opens what a descriptor refers to for writing. The kernel takes exactly the file that was
/// checked.
fn reopen(number: i32, existing: Existing) -> Result<File, FileError> {
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC | existing.flags();
    let file = openat(CWD, format!("/proc/self/fd/{number}"), flags, Mode::empty())?;
    Ok(file.into())
}

/// Opens a file for reading.
pub(crate) fn read(entry: &Entry) -> Result<File, FileError> {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", entry.fd.as_raw_fd());
    Ok(openat(CWD, path, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests;
