//! Why a file is not used.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

/// Why a file can't be created or is not written to. The texts do not repeat the name of the file,
/// which the caller prints before them, and end with the remedy.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
    /// A directory on the path belongs to another user.
    #[error(
        "the directory {} belongs to user {uid}, who could replace the file: use a directory of root or of this \
         program's user", directory.display()
    )]
    DirectoryOwner {
        /// The directory.
        directory: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Every user can replace files of a directory on the path.
    #[error(
        "every user can write to the directory {0} and replace the file: `chmod o-w {0}`, or `chmod +t {0}`",
        directory.display()
    )]
    DirectoryMode {
        /// The directory.
        directory: PathBuf,
    },
    /// A symbolic link is not followed.
    #[error(
        "the symbolic link {} is not followed: use the path that it stands for, or remove the link",
        link.display()
    )]
    Link {
        /// The link.
        link: PathBuf,
    },
    /// The file belongs to another user.
    #[error("the file belongs to user {uid}: remove it, or use another name")]
    Owner {
        /// Its owner.
        uid: u32,
    },
    /// Every user can write to the file.
    #[error("every user can write to the file: `chmod o-w` it, or use another name")]
    Mode,
    /// The file has a second name, given by anyone who can write to the directory.
    #[error("the file has another name elsewhere (a hard link): remove it, or use another name")]
    HardLink,
    /// Something is mounted on the file, in a directory that every user can write to.
    #[error("the file is a mount point: use another directory")]
    MountPoint,
    /// It is neither a regular file nor a FIFO nor a character device.
    #[error("it is no file that can be written to, but a {kind}: use another name")]
    Kind {
        /// What it is.
        kind: &'static str,
    },
    /// Another process creates or removes files of this name all the time.
    #[error("another process keeps replacing the file: use another directory")]
    Contested,
}

impl From<Errno> for FileError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::System(error) => error,
            refused => Self::new(io::ErrorKind::PermissionDenied, refused),
        }
    }
}
