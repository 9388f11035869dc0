//! Small files of the user: tokens, certificates, keys.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use peregrine_limits::Limit;
use thiserror::Error;

/// Why a small file can't be read.
#[derive(Debug, Error)]
pub enum SmallFileError {
    /// The error of the system.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A directory, a FIFO or the like has its name.
    #[error("not a file")]
    NotAFile,
    /// It is larger than allowed.
    #[error("larger than {0}")]
    TooLarge(&'static Limit),
}

/// Reads a file that should be small. Never waits for a writer, as opening a FIFO would.
///
/// # Errors
/// When it can't be read, is no file, or exceeds the limit, which is then reached.
pub fn read_small(path: &Path, limit: &'static Limit) -> Result<Vec<u8>, SmallFileError> {
    if !fs::metadata(path)?.is_file() {
        return Err(SmallFileError::NotAFile);
    }
    let (mut bytes, most) = (Vec::new(), limit.get());
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        limit.reach();
        return Err(SmallFileError::TooLarge(limit));
    }
    Ok(bytes)
}

impl From<SmallFileError> for io::Error {
    fn from(error: SmallFileError) -> Self {
        match error {
            SmallFileError::Read(error) => error,
            other => Self::other(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_limits::TOKEN_FILE_BYTES;

    use super::*;

    #[test]
    fn only_small_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let read = || read_small(&path, &TOKEN_FILE_BYTES);
        assert!(matches!(read(), Err(SmallFileError::Read(_))));
        let most = TOKEN_FILE_BYTES.get();
        fs::write(&path, vec![b'x'; most]).unwrap();
        assert_eq!(read().unwrap().len(), most);
        fs::write(&path, vec![b'x'; most + 1]).unwrap();
        assert!(matches!(read(), Err(SmallFileError::TooLarge(_))));
        let other = read_small(directory.path(), &TOKEN_FILE_BYTES).map_err(io::Error::from);
        assert_eq!(other.unwrap_err().to_string(), "not a file");
    }
}
