//! What goes wrong with a spool.

use std::io;
use std::path::PathBuf;

use peregrine_files::FileError;
use thiserror::Error;

/// What went wrong with a spool. It goes on with what works.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The directory cannot be used.
    #[error("spool {path}: {source}", path = path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// Other users could put files into the directory.
    #[error("spool {path}: other users can write to the directory: `chmod go-w` it", path = path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
    },
    /// Another spool has the directory.
    #[error(
        "spool {path}: another process or output uses the directory: give each one of its own",
        path = path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Records cannot be written; they wait in memory.
    #[error("spool {path}: {source}; alerts wait in memory", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of an earlier run, or what became of it, cannot be read.
    #[error(
        "spool {path}: {reason}; the rest of the file ({records} alerts, {bytes} bytes) is skipped",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: DamageReason,
        /// Records that are lost.
        records: u64,
        /// Bytes that hold them, if they are there.
        bytes: u64,
    },
}

/// Why a file of a spool is not read to its end.
#[derive(Debug, Error)]
pub enum DamageReason {
    /// Its checksums do not fit its content.
    #[error("the file is damaged")]
    Content,
    /// It has another format.
    #[error("a newer version of the program has written the file")]
    Version,
    /// The system refuses.
    #[error(transparent)]
    Io(io::Error),
}
