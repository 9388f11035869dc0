//! A capture file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use peregrine_event::plugins::UnknownPlugin;
use peregrine_scap::{Reader, ScapError, open_file};
use thiserror::Error;

/// Why a capture file can't be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// It can't be opened.
    #[error("Could not open trace filename {} for reading: {}", path.display(), describe(error))]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It can't be read to its end.
    #[error("{}: {error}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: ScapError,
    },
    /// It has events of a plugin that is not loaded.
    #[error(transparent)]
    Plugin(UnknownPlugin),
}

/// Opens a capture file, or standard input for `-`. Errors in its content are returned when it is
/// read.
///
/// # Errors
/// When it can't be opened.
pub fn open_capture(path: &Path) -> Result<Reader<File>, ReplayError> {
    let file = open_file(path);
    file.map(Reader::new).map_err(|error| ReplayError::Open { path: path.to_owned(), error })
}

impl ReplayError {
    pub(crate) fn read(path: &Path, error: ScapError) -> Self {
        match error {
            ScapError::Plugin(unknown) => Self::Plugin(unknown),
            error => Self::Read { path: path.to_owned(), error },
        }
    }
}

/// The error without the number that an `io::Error` prints and Falco does not.
fn describe(error: &io::Error) -> String {
    let errno = error.raw_os_error().map(Errno::from_raw);
    errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned())
}
