//! The files beside a file: what a rotation renames, compresses and removes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, fchmod, fsync};

use crate::directory::{Directory, Entry};
use crate::users::is_trusted;
use crate::{FileError, FileMode};

/// The agent's own files in the directory of a file. Files of other users, links and everything
/// that is no regular file do not exist here.
#[derive(Debug)]
pub struct Siblings {
    directory: Directory,
}

impl Siblings {
    /// The files in the directory of this file, and the name of the file there.
    ///
    /// # Errors
    /// The directory can't be reached, or not without trusting another user.
    pub fn of(file: &Path) -> Result<(Self, &OsStr), FileError> {
        let (directory, name) = Directory::of(file)?;
        Ok((Self { directory }, name))
    }

    /// The names that begin with this, in order.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn names(&self, prefix: &OsStr) -> Result<Vec<OsString>, FileError> {
        let mut names = self.directory.names()?;
        names.retain(|name| name.as_bytes().starts_with(prefix.as_bytes()));
        names.retain(|name| matches!(self.own(name), Ok(Some(_))));
        names.sort();
        Ok(names)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// There is none of this name, or it can't be opened.
    pub fn open(&self, name: &OsStr) -> Result<File, FileError> {
        let entry = self.own(name)?.ok_or(rustix::io::Errno::NOENT)?;
        crate::file::read(&entry)
    }

    /// Creates a file that does not exist, with these permissions whatever the umask is.
    ///
    /// # Errors
    /// There is one of this name, or it can't be created.
    pub fn create(&self, name: &OsStr, mode: FileMode) -> Result<File, FileError> {
        let bits = Mode::from_raw_mode(mode.bits());
        let file = self.directory.create(name, rustix::fs::OFlags::empty(), bits)?;
        let _ = fchmod(&file, bits);
        Ok(file.into())
    }

    /// Gives a file a name that no file has.
    ///
    /// # Errors
    /// There is no file of the one name, or there is one of the other.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), FileError> {
        self.own(from)?.ok_or(rustix::io::Errno::NOENT)?;
        Ok(self.directory.rename(from, to)?)
    }

    /// Removes a file. It is no error if there is none.
    ///
    /// # Errors
    /// It can't be removed.
    pub fn remove(&self, name: &OsStr) -> Result<(), FileError> {
        match self.own(name)? {
            Some(_) => Ok(self.directory.remove(name)?),
            None => Ok(()),
        }
    }

    /// Writes the names of the directory to the disk.
    ///
    /// # Errors
    /// The system refuses.
    pub fn sync(&self) -> Result<(), FileError> {
        Ok(fsync(self.directory.readable()?)?)
    }

    fn own(&self, name: &OsStr) -> Result<Option<Entry>, FileError> {
        let entry = self.directory.entry(name)?;
        Ok(entry.filter(|entry| {
            FileType::from_raw_mode(entry.stat.st_mode) == FileType::RegularFile
                && is_trusted(entry.stat.st_uid)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_own_regular_files_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["log", "log.2", "log.1", "other"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        symlink("log", dir.path().join("log.3")).unwrap();
        fs::create_dir(dir.path().join("log.4")).unwrap();
        let path = dir.path().join("log");
        let (files, name) = Siblings::of(&path).unwrap();
        assert_eq!(name, "log");
        assert_eq!(files.names(OsStr::new("log.")).unwrap(), ["log.1", "log.2"]);
        assert!(files.open(OsStr::new("log.3")).is_err());
        assert!(files.rename(OsStr::new("log.3"), OsStr::new("log.5")).is_err());
        files.remove(OsStr::new("log.3")).unwrap();
        assert!(dir.path().join("log.3").is_symlink());
        let mut text = String::new();
        files.open(name).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "log");
    }

    #[test]
    fn nothing_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old").unwrap();
        let (files, name) = Siblings::of(&path).unwrap();
        assert!(files.create(name, FileMode::PRIVATE).is_err());
        let new = OsStr::new("new");
        let mut file = files.create(new, "0640".parse().unwrap()).unwrap();
        file.write_all(b"new").unwrap();
        let mode = fs::metadata(dir.path().join("new")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(files.rename(name, new).is_err());
        assert_eq!(fs::read(dir.path().join("new")).unwrap(), b"new");
        files.remove(name).unwrap();
        files.rename(new, name).unwrap();
        files.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        files.remove(new).unwrap();
    }
}
