//! The files that a path of the configuration or of the command line stands for.

use std::path::{Path, PathBuf};
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
