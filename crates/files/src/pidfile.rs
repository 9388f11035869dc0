//! The file with the number of this process.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::{FileMode, create};

/// More than the longest number of a process, with a new line.
const MAX_BYTES: u64 = 32;

/// Holds the number of this process, until it is dropped.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file. The number in a file that another process has left is replaced. A file
    /// that holds something else is not a pid file and stays as it is; neither does the file's
    /// name lead elsewhere (see the [crate](crate)).
    ///
    /// # Errors
    /// When the file can't be written, or holds something else.
    pub fn write(path: &Path) -> io::Result<Self> {
        let is_regular = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if is_regular && number(path)?.is_none() {
            return Err(io::Error::other("the file holds something else than a process id"));
        }
        // The number of this process is no secret: tools of other users read it.
        let mut file = create(path, FileMode::PUBLIC)?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    /// Removes the file, unless another process has taken it over.
    fn drop(&mut self) {
        if number(&self.0).is_ok_and(|pid| pid == Some(std::process::id())) {
            // What can't be removed is replaced by the next process.
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// The number in a file, 0 if it is empty; `None` if the file holds something else.
fn number(path: &Path) -> io::Result<Option<u32>> {
    let mut text = String::new();
    match File::open(path)?.take(MAX_BYTES).read_to_string(&mut text) {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
        Err(_) => return Ok(None),
        Ok(_) => {}
    }
    Ok(if text.is_empty() { Some(0) } else { text.trim_ascii().parse().ok() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_file_holds_the_number_and_goes_with_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        for stale in [None, Some(""), Some("123456\n")] {
            if let Some(stale) = stale {
                fs::write(&path, stale).unwrap();
            }
            let file = PidFile::write(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
            drop(file);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_is_no_pid_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        for other in ["alerts: 5\n", "12 34", "99999999999999999999999999999999999999"] {
            fs::write(&path, other).unwrap();
            assert!(PidFile::write(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(PidFile::write(&path).is_err());
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(PidFile::write(&link).is_err());
        assert_eq!(fs::read(&path).unwrap(), [0xff, 0xfe]);
    }

    #[test]
    fn a_file_that_another_process_has_taken_over_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    }
}
