//! Tells when files may have changed: configuration and rules, as people, editors and Kubernetes
//! change them.
//!
//! A [`Watcher`] has an inotify instance. For each [`Target`] it watches the file itself, the
//! directories that its path and every symbolic link on the way lead through, and the files of a
//! directory. So it notices a file that is written or replaced, a `..data` link of a ConfigMap that
//! is pointed elsewhere, and a path that comes into existence. It says that something changed, not
//! what: the reader compares contents. The crate knows nothing of what the files hold.
//!
//! ```
//! use peregrine_watch::{Target, Watcher};
//!
//! let directory = tempfile::tempdir()?;
//! let rules = directory.path().join("rules.yaml");
//! let mut watcher = Watcher::new()?;
//! // The file does not exist yet.
//! assert!(watcher.watch(&[Target::file(&rules)]).new);
//! assert!(!watcher.changed());
//! std::fs::write(&rules, "[]")?;
//! assert!(watcher.changed());
//! # Ok::<(), std::io::Error>(())
//! ```

mod plan;
mod watcher;

pub use plan::Target;
pub use watcher::{Unwatched, Watched, Watcher};
