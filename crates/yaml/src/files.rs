//! The files that a path of the configuration or of the command line stands for.

use std::collections::HashMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use thiserror::Error;

/// A directory that can't be read.
#[derive(Debug, Error)]
#[error("Cannot read {}: {cause}", .directory.display())]
pub struct DirectoryError {
    /// The directory.
    pub directory: PathBuf,
    /// What the system says.
    pub cause: io::Error,
}

/// Whether a path is a pipe, which can be read only once.
#[must_use]
pub fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
}

/// What is in a file. The content of a pipe (`<(…)` of a shell) is kept, so that a reload finds it
/// again.
///
/// # Errors
/// It can't be read.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    static PIPES: Mutex<Option<HashMap<PathBuf, Vec<u8>>>> = Mutex::new(None);
    if !is_pipe(path) {
        return fs::read(path);
    }
    let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
    let pipes = pipes.get_or_insert_default();
    if let Some(content) = pipes.get(path) {
        return Ok(content.clone());
    }
    let content = fs::read(path)?;
    pipes.insert(path.to_owned(), content.clone());
    Ok(content)
}

/// The path itself, or the regular files of a directory sorted by name; of both only those that
/// are `wanted`. Whether a path that is no directory exists is for `wanted` to decide.
///
/// # Errors
/// The directory can't be read.
pub fn files_at(
    path: &Path,
    wanted: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, DirectoryError> {
    if !path.is_dir() {
        return Ok(wanted(path).then(|| path.to_owned()).into_iter().collect());
    }
    let unreadable = |cause| DirectoryError { directory: path.to_owned(), cause };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.is_file() && wanted(&file) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::{io::Write, io::pipe};

    use super::*;

    #[test]
    fn the_content_of_a_pipe_is_found_again() {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"a: 1\n").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        assert!(is_pipe(&path));
        assert_eq!(read_file(&path).unwrap(), b"a: 1\n");
        assert_eq!(read_file(&path).unwrap(), b"a: 1\n");
        assert!(read_file(Path::new("/no/such/file")).is_err());
    }
}
