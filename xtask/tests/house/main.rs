//! Holds the structure of the workspace: which crate may need which, how files import each other,
//! how long files and comment lines are, and where links of the documentation lead.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod circles;
mod crates;
mod created_files;
mod foreign;
mod imports;
mod limits;
mod links;
mod security;
mod source;

use std::path::{Path, PathBuf};

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The text of a file below the root.
fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
