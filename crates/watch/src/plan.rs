//! What has to be watched to notice a change of a path.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use peregrine_limits::WATCHED_FILES;

/// Symbolic links on the way of a path: as many as the kernel follows.
const MAX_LINKS: u32 = 40;

/// A path that is watched. It need not exist.
#[derive(Clone, Debug)]
pub struct Target {
    path: PathBuf,
    wanted: fn(&OsStr) -> bool,
}

/// Directories and files, by paths without symbolic links.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) directories: BTreeMap<PathBuf, Names>,
    pub(crate) files: BTreeSet<PathBuf>,
}

/// The entries of a directory that are of interest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    named: BTreeSet<OsString>,
    wanted: Vec<fn(&OsStr) -> bool>,
}

impl Target {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), wanted: |_| false }
    }

    /// A file, or a directory whose files with a `wanted` name matter.
    pub fn files_at(path: impl Into<PathBuf>, wanted: fn(&OsStr) -> bool) -> Self {
        Self { path: path.into(), wanted }
    }
}

impl Plan {
    /// What there is now.
    pub(crate) fn of(targets: &[Target]) -> Self {
        let mut plan = Self::default();
        targets.iter().for_each(|target| plan.add(target));
        plan
    }

    fn add(&mut self, target: &Target) {
        let Some(found) = self.follow(&target.path) else { return };
        if !found.is_dir() {
            self.files.insert(found);
            return;
        }
        self.names(&found).wanted.push(target.wanted);
        for entry in fs::read_dir(&found).into_iter().flatten().flatten() {
            if !(target.wanted)(&entry.file_name()) {
                continue;
            }
            if self.files.len() >= WATCHED_FILES.get() {
                WATCHED_FILES.reach();
                return;
            }
            // A file may also change by another name of it: a bind mount.
            if let Some(file) = self.follow(&entry.path()).filter(|path| path.is_file()) {
                self.files.insert(file);
            }
        }
    }

    /// Adds each name on the way of the path whose meaning can change: symbolic links, the file at
    /// the end, or the first name that does not exist. Returns what the path leads to.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let (mut at, mut rest) = (PathBuf::from("."), path.to_owned());
        let mut links = 0;
        loop {
            let mut components = rest.components();
            let first = components.next();
            let tail = components.as_path().to_owned();
            match first {
                None => return Some(at),
                Some(Component::RootDir) => at = PathBuf::from("/"),
                Some(Component::ParentDir) => at.push(".."),
                Some(Component::CurDir | Component::Prefix(_)) => {}
                Some(Component::Normal(name)) => {
                    let next = at.join(name);
                    let Ok(metadata) = fs::symlink_metadata(&next) else {
                        self.name(&at, name);
                        return None;
                    };
                    if metadata.is_symlink() {
                        self.name(&at, name);
                        links += 1;
                        let link = fs::read_link(&next).ok().filter(|_| links <= MAX_LINKS)?;
                        // An absolute link begins at the root, which resets `at`.
                        rest = link.join(tail);
                        continue;
                    }
                    if !metadata.is_dir() {
                        self.name(&at, name);
                    }
                    at = next;
                }
            }
            rest = tail;
        }
    }

    fn name(&mut self, directory: &Path, name: &OsStr) {
        self.names(directory).named.insert(name.to_owned());
    }

    fn names(&mut self, directory: &Path) -> &mut Names {
        self.directories.entry(directory.to_owned()).or_default()
    }
}

impl Names {
    /// Adds those of another path of the same directory.
    pub(crate) fn merge(&mut self, other: Self) {
        self.named.extend(other.named);
        self.wanted.extend(other.wanted);
    }

    /// Whether a change of this entry matters.
    pub(crate) fn contain(&self, name: &OsStr) -> bool {
        self.named.contains(name) || self.wanted.iter().any(|wanted| wanted(name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_files_and_missing_names_are_of_interest_and_plain_directories_are_not() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("real/deep")).unwrap();
        fs::write(path("real/deep/rules.yaml"), "").unwrap();
        symlink("real", path("link")).unwrap();
        let plan = Plan::of(&[
            Target::file(path("link/deep/../deep/rules.yaml")),
            Target::file(path("missing/rules.yaml")),
        ]);
        let root_names = &plan.directories[root.path()];
        assert!(root_names.contain("link".as_ref()) && root_names.contain("missing".as_ref()));
        assert!(!root_names.contain("real".as_ref()));
        let deep = path("real/deep/../deep");
        assert!(plan.directories[&deep].contain("rules.yaml".as_ref()));
        assert_eq!(plan.directories.len(), 2);
        assert_eq!(Vec::from_iter(&plan.files), [&deep.join("rules.yaml")]);
    }

    #[test]
    fn circles_of_links_end() {
        let root = tempfile::tempdir().unwrap();
        symlink("two", root.path().join("one")).unwrap();
        symlink("one", root.path().join("two")).unwrap();
        let plan = Plan::of(&[Target::file(root.path().join("one"))]);
        let names = &plan.directories[root.path()];
        assert!(names.contain("one".as_ref()) && names.contain("two".as_ref()));
        assert!(plan.files.is_empty());
    }
}
