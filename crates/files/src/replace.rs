//! Gives a file that a user has named another content.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Gives a file another content at once: a reader, such as an agent that reloads its rules, sees
/// the old one or the new one. Mode and owner stay; a symbolic link stays, and what it leads to is
/// replaced.
///
/// # Errors
/// The file or its directory can't be written. The file is then as it was.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let was = fs::metadata(&path)?;
    if !was.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Not the name of a rules file: an agent that watches the directory ignores it.
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = fill(file, &was, content).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn fill(mut file: File, was: &fs::Metadata, content: &[u8]) -> io::Result<()> {
    let is = file.metadata()?;
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        fchown(&file, Some(was.uid()), Some(was.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(was.mode() & 0o7777))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["rules.yaml", "link.yaml"].map(|name| directory.path().join(name));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("rules.yaml", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        assert!(replace(directory.path(), b"new").is_err());
        assert!(replace(&directory.path().join("none"), b"new").is_err());
    }
}
