//! What `peregrine demo` shows: a few suspicious acts, all of them harmless, that a child performs
//! in a mount namespace and a cgroup of its own.
//!
//! The crate knows nothing of rules, events or the engine that monitors the cgroup.
//!
//! ```
//! use peregrine_demo::Scratch;
//!
//! let scratch = Scratch::new(&std::env::temp_dir())?;
//! assert!(scratch.path().is_dir());
//! # Ok::<(), peregrine_demo::DemoError>(())
//! ```

mod acts;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Why a demo, or an act of it, does not work here.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no cgroup v2 file system.
    #[error("there is no cgroup v2 file system below /sys/fs/cgroup")]
    NoCgroups,
    /// The acts were started outside of a demo.
    #[error("the acts of the demo need a mount namespace of their own: run `peregrine demo`")]
    NotIsolated,
    /// The demo was given words that it does not know.
    #[error("`peregrine demo` takes no arguments")]
    Arguments,
    /// An act needs a program that is not installed.
    #[error("there is no program {0}")]
    NoProgram(String),
    /// A program of an act has failed.
    #[error("{0} failed")]
    Failed(String),
    /// A file or a mount.
    #[error("{what}: {reason}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        reason: io::Error,
    },
    /// Anything else from the system.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl DemoError {
    fn io(what: impl Into<String>, reason: impl Into<io::Error>) -> Self {
        Self::Io { what: what.into(), reason: reason.into() }
    }
}

/// Starts this program again, as a child that performs the acts. Returns when it has exited.
///
/// # Errors
/// `unshare`, which gives the child its mount namespace, can't be run.
pub fn perform(directory: &Path, cgroup: &Path) -> Result<(), DemoError> {
    let program = std::env::current_exe()?;
    let mut child = Command::new("unshare");
    child.arg("--mount").arg(program).args(["demo", "acts"]).arg(directory).arg(cgroup);
    let status = child.status();
    status.map(drop).map_err(|reason| DemoError::io("the program `unshare` is needed", reason))
}

/// Performs a part of the demo in the child: `words` are those behind `demo`.
///
/// # Errors
/// The words name no part, or the part fails.
pub fn run_part(words: &[OsString]) -> Result<(), DemoError> {
    match words {
        [] => Err(DemoError::Arguments),
        [part, rest @ ..] => acts::run(part, rest),
    }
}

/// Root of the cgroup v2 file system.
///
/// # Errors
/// There is none.
pub fn cgroup_root() -> Result<&'static Path, DemoError> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
    root.ok_or(DemoError::NoCgroups)
}

/// A directory that is removed on drop: with its files, or a cgroup once it has no processes.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory below this one, for its owner only.
    ///
    /// # Errors
    /// It can't be made.
    pub fn new(parent: &Path) -> Result<Self, DemoError> {
        let path = parent.join(format!("peregrine-demo-{}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|reason| DemoError::io(format!("cannot make {}", path.display()), reason))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The files of a cgroup can't be removed one by one; the cgroup can, once its last process
        // has exited.
        for _ in 0..20 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            if !self.0.join("cgroup.procs").exists() {
                let _ = fs::remove_dir_all(&self.0);
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
