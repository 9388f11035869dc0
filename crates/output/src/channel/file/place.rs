//! The open file, and whether its name still leads to it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use peregrine_files::{FileMode, append};

use super::super::error::ChannelError;

/// The open file. Shared with the thread that writes it to the disk.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: Arc<fs::File>,
    /// `None` for pipes and devices.
    identity: Option<Identity>,
    /// Of the directory.
    directory: Option<Identity>,
}

/// Device and inode.
type Identity = (u64, u64);

impl OpenFile {
    pub(crate) fn append(path: &Path, mode: FileMode) -> Result<Self, ChannelError> {
        let opened = append(path, mode);
        let file = opened.map_err(|source| ChannelError::Open { path: path.to_owned(), source })?;
        let metadata = file.metadata().ok().filter(Metadata::is_file);
        let identity = metadata.as_ref().map(identity);
        Ok(Self { file: Arc::new(file), identity, directory: directory(path) })
    }

    pub(crate) fn file(&self) -> &Arc<fs::File> {
        &self.file
    }

    /// Whether alerts should go into another file: this one is deleted, or its name leads to
    /// another one, or its directory is replaced by another one. A file that was only renamed is
    /// still the right one: who renames it says when the next one begins (SIGUSR1), or makes it.
    pub(crate) fn is_left(&self, path: &Path) -> bool {
        let Some(own) = self.identity else { return false };
        match fs::metadata(path) {
            Ok(found) => identity(&found) != own,
            Err(_) => {
                let deleted = self.file.metadata().is_ok_and(|own| own.nlink() == 0);
                let directory = directory(path);
                deleted || directory.is_some() && directory != self.directory
            }
        }
    }
}

fn directory(path: &Path) -> Option<Identity> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::metadata(parent.unwrap_or(Path::new("."))).as_ref().map(identity).ok()
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}
