//! Creates the files that the agent writes: captures, alert files, metrics, profiles, pid files.
//!
//! The agent runs as root, and its files hold arguments and environments of processes. Another user
//! must neither read them nor make the agent write to a file of the user's choice. Therefore
//! [`create`] and [`append`] give new files a [`FileMode`] that does not depend on the umask, walk
//! the path one directory at a time, and refuse directories, links and files that another user
//! controls. [`Siblings`] renames, reads and removes the agent's own files beside such a file.
//! [`replace`] and [`read_small`] are for files of the user, such as rules files that a command
//! formats, and tokens. The crate knows paths, owners and modes; it does not know what the files
//! hold.
//!
//! - A directory is used if it belongs to root or the agent's user and others can't write to it,
//!   or it is sticky as `/tmp` is.
//! - A symbolic link to a directory is followed if it belongs to root or the agent's user, in a
//!   directory that only they can write to.
//! - A regular file that exists must belong to root or the agent's user. [`create`] replaces it;
//!   [`append`] also wants that others can't write to it.
//! - A FIFO or a character device is opened if only root or the agent's user can write to its
//!   directory, or it belongs to them.
//! - A symbolic link with the name of the file is refused unless it leads to a file descriptor of
//!   this process, as `/dev/stdout` does.
//!
//! Under `sudo`, the user who called it counts as the agent's user; in a user namespace, so do
//! owners that have no number there.
//!
//! ```
//! use std::io::Write;
//!
//! use peregrine_files::{FileMode, append, create};
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("alerts.log");
//! create(&path, FileMode::PRIVATE)?.write_all(b"one\n")?;
//! append(&path, FileMode::PRIVATE)?.write_all(b"two\n")?;
//! assert_eq!(std::fs::read(&path)?, b"one\ntwo\n");
//! # Ok::<(), std::io::Error>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod directory;
mod error;
mod file;
mod mode;
mod pidfile;
mod replace;
mod siblings;
mod small;
mod users;

pub use error::FileError;
pub use file::{append, create, private_directory};
pub use mode::{FileMode, ModeError};
pub use pidfile::PidFile;
pub use replace::replace;
pub use siblings::Siblings;
pub use small::{SmallFileError, read_small};

/// Directory for files that are kept between runs. [`private_directory`] makes it.
pub const STATE_DIRECTORY: &str = "/var/lib/peregrine";
