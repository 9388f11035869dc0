//! The directory of a spool.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use peregrine_files::{FileError, FileMode, append, create, private_directory};
use rustix::fs::{Access, FlockOperation, Mode, OFlags, access, flock, open};
use rustix::io::Errno;

use crate::SpoolError;

/// A directory that no other spool uses, in this process or another one.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

const SUFFIX: &str = ".spool";

impl Directory {
    /// Makes the directory and those above it if they are missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Directory { path: path.to_owned(), source };
        make(path).map_err(failed)?;
        let mode = fs::metadata(path).map_err(|error| failed(error.into()))?.mode();
        if mode & 0o022 != 0 {
            return Err(SpoolError::Shared { path: path.to_owned() });
        }
        let lock = append(&path.join("lock"), FileMode::PRIVATE).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(SpoolError::Locked { path: path.to_owned() }),
            Err(error) => Err(failed(error.into())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The segments: the numbers of their first records, in order, and their sizes.
    pub(crate) fn segments(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Some(first) = entry.file_name().to_str().and_then(first_of) {
                segments.push((first, entry.metadata()?.len()));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// The path of the segment whose first record has this number.
    pub(crate) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:020}{SUFFIX}"))
    }

    /// Creates a file, in place of one that is there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        Ok(create(path, FileMode::PRIVATE)?)
    }

    /// Opens a file that exists. Nothing but a regular file is opened.
    pub(crate) fn open_existing(&self, path: &Path, write: bool) -> io::Result<File> {
        let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Removes a segment.
    pub(crate) fn remove(&self, first: u64) {
        // It holds nothing that is needed: if it stays, the next run removes it.
        let _ = fs::remove_file(self.segment(first));
    }

    /// Makes new names durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Whether a spool could use a directory, as far as that shows without one.
///
/// # Errors
/// It could not.
pub fn check(path: &Path) -> Result<(), SpoolError> {
    let failed = |source: io::Error| SpoolError::Directory {
        path: path.to_owned(),
        source: FileError::System(source),
    };
    let here = Path::new(".");
    let mut ancestors =
        path.ancestors().map(|it| if it.as_os_str().is_empty() { here } else { it });
    let Some(existing) = ancestors.find(|ancestor| ancestor.exists()) else {
        return Err(failed(io::ErrorKind::NotFound.into()));
    };
    let metadata = fs::metadata(existing).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    if existing == path && metadata.mode() & 0o022 != 0 {
        return Err(SpoolError::Shared { path: path.to_owned() });
    }
    access(existing, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))
}

fn make(path: &Path) -> Result<(), FileError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && !parent.exists()
    {
        make(parent)?;
    }
    private_directory(path)
}

fn first_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX)?;
    let digits = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|first| digits && *first < u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_has_one_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        check(&path).unwrap();
        let first = Directory::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(Directory::open(&path), Err(SpoolError::Locked { .. })));
        check(&path).unwrap();
        check(Path::new("a/relative/path")).unwrap();
        drop(first);
        Directory::open(&path).unwrap();
    }

    #[test]
    fn a_directory_of_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(matches!(Directory::open(dir.path()), Err(SpoolError::Shared { .. })));
        assert!(matches!(check(dir.path()), Err(SpoolError::Shared { .. })));
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(check(&file.join("x")), Err(SpoolError::Directory { .. })));
        assert!(matches!(Directory::open(&file), Err(SpoolError::Directory { .. })));
    }

    #[test]
    fn only_segments_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        for name in ["1.spool", "+0000000000000000001.spool", "99999999999999999999.spool", "x"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::write(directory.segment(70), "abc").unwrap();
        fs::write(directory.segment(6), "").unwrap();
        assert_eq!(directory.segments().unwrap(), [(6, 0), (70, 3)]);
        directory.remove(6);
        assert_eq!(directory.segments().unwrap(), [(70, 3)]);
    }
}
