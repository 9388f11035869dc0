//! Files below a root directory that another process controls.
//!
//! A process that controls a directory tree can put anything there: links out of it, pipes that
//! never deliver, file systems whose server never answers. [`ForeignRoot`] is the only way to open
//! a file in such a tree. It walks the path name by name from the root directory, so that no link
//! leads out of it, and checks the kind of file system of each name before that file system is
//! asked for anything: only those that keep their files on a disk or in memory are entered. Only
//! regular files are opened.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, Statx};
use rustix::io::Errno;

use super::dir::{self, Dir};
use super::mounts::{FileSystem, MountTable};

/// Most names on the way to a file, those in links included. Longest chain of links in the kernel:
/// 40.
const MAX_NAMES: usize = 512;

/// A root directory that another process controls.
#[derive(Debug)]
pub(crate) struct ForeignRoot {
    root: OwnedFd,
    mounts: Arc<MountTable>,
}

/// A regular file below such a directory, not open for reading yet.
#[derive(Debug)]
pub(crate) struct ForeignFile {
    path: OwnedFd,
    pub(crate) stat: Statx,
}

impl ForeignRoot {
    /// The root directory of the process that `process` is about, which sees these mounts.
    pub(crate) fn of(process: &Dir, mounts: Arc<MountTable>) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(process, "root", flags, Mode::empty())?;
        Ok(Self { root, mounts })
    }

    /// A regular file.
    pub(crate) fn file(&self, path: &[u8]) -> Result<ForeignFile, Errno> {
        let (path, stat) = self.walk(path)?;
        if dir::file_type(&stat).is_file() {
            Ok(ForeignFile { path, stat })
        } else {
            Err(Errno::INVAL)
        }
    }

    /// Whether there is something at a path, be it a link. Links before the last name are followed.
    pub(crate) fn exists(&self, path: &[u8]) -> bool {
        let (above, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => path.split_at(slash),
            None => (&b""[..], path),
        };
        let name = name.strip_prefix(b"/").unwrap_or(name);
        self.walk(above).is_ok_and(|(dir, _)| open(&dir, name).is_ok())
    }

    /// What is at a path, and its attributes. Links are resolved as for the process itself.
    fn walk(&self, path: &[u8]) -> Result<(OwnedFd, Statx), Errno> {
        // In reverse order.
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut count = 0;
        let mut push = |names: &mut Vec<Vec<u8>>, path: &[u8]| {
            let before = names.len();
            names.extend(path.rsplit(|&b| b == b'/').filter(|n| !n.is_empty()).map(<[u8]>::to_vec));
            count += names.len() - before;
            if count > MAX_NAMES { Err(Errno::LOOP) } else { Ok(()) }
        };
        push(&mut names, path)?;
        let mut checked = None;
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        let stat = self.check(&root, &mut checked)?;
        let (root, mut below) = ((root, stat), Vec::<(OwnedFd, Statx)>::new());
        while let Some(name) = names.pop() {
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    below.pop();
                    continue;
                }
                _ => {}
            }
            let (dir, _) = below.last().unwrap_or(&root);
            let found = open(dir, &name)?;
            let stat = self.check(&found, &mut checked)?;
            if dir::file_type(&stat).is_symlink() {
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?.into_bytes();
                if target.first() == Some(&b'/') {
                    below.clear();
                }
                push(&mut names, &target)?;
            } else {
                below.push((found, stat));
            }
        }
        Ok(below.pop().unwrap_or(root))
    }

    /// The attributes of a file, unless its file system has to be asked for them or is a refused
    /// one. `checked` is the mount that was found good before.
    fn check(&self, file: &OwnedFd, checked: &mut Option<u32>) -> Result<Statx, Errno> {
        let stat = dir::cached_stat(file)?;
        let mount = dir::mount_id(&stat);
        if mount.is_some() && mount == *checked {
            return Ok(stat);
        }
        let known = mount.and_then(|id| self.mounts.file_system(id));
        // The table of a process in a chroot lacks the mount that its root directory is on.
        let file_system = match known {
            Some(file_system) => file_system,
            None => FileSystem::of(&rustix::fs::fstatfs(file)?),
        };
        if file_system == FileSystem::Other {
            return Err(Errno::XDEV);
        }
        *checked = mount;
        Ok(stat)
    }
}

impl ForeignFile {
    /// Reads the file from its start, at most `limit` bytes.
    pub(crate) fn read(&self, limit: usize, into: &mut Vec<u8>) -> Result<(), Errno> {
        into.clear();
        // This very file is opened, whatever its path leads to by now.
        let path = format!("/proc/self/fd/{}", self.path.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        // Not `open`: the filter of system calls knows only this one.
        let file = rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty())?;
        dir::read_to_end(&file, limit, into, |_| false)
    }
}

/// A directory as the first process sees it, which is how the host does. `path` is from the host's
/// own tables, not from a container.
pub(crate) fn directory_of_host(proc: &Dir, path: &[u8]) -> Result<Dir, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = [b"1/root", path].concat();
    rustix::fs::openat(proc, path.as_slice(), flags, Mode::empty()).map(Dir::from)
}

/// One name in a directory, without slashes. No link is followed, and the file system that is
/// mounted there is not asked. (`openat2` could say so too, but its flags are out of the sight of
/// the filter of system calls.)
fn open(dir: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use rustix::fs::{CWD, FileType};

    use super::*;

    fn tree() -> (tempfile::TempDir, ForeignRoot) {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("7/root/etc/below")).unwrap();
        fs::write(path("secret"), "secret").unwrap();
        fs::write(path("7/root/etc/real"), "text").unwrap();
        let root = ForeignRoot::of(&Dir::open(&path("7")).unwrap(), Arc::default()).unwrap();
        (place, root)
    }

    fn read(root: &ForeignRoot, path: &str) -> Result<String, Errno> {
        let mut text = Vec::new();
        root.file(path.as_bytes())?.read(100, &mut text)?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn links_stay_inside() {
        let (place, root) = tree();
        let link = |target: &str, name: &str| {
            symlink(target, place.path().join("7/root").join(name)).unwrap();
        };
        link("/etc/real", "absolute");
        link("../../../etc/real", "etc/below/up");
        link("below", "etc/dir");
        link("../../../../secret", "etc/out");
        link(place.path().join("secret").to_str().unwrap(), "etc/far");
        link("loop", "loop");
        let me = format!("/proc/{}/root/etc/passwd", std::process::id());
        link(&me, "magic");
        for name in ["etc/real", "/etc//./real", "absolute", "etc/dir/up", "etc/below/../real"] {
            assert_eq!(read(&root, name).as_deref(), Ok("text"), "{name}");
        }
        for name in ["etc/out", "etc/far", "magic", "etc/none"] {
            assert_eq!(read(&root, name), Err(Errno::NOENT), "{name}");
        }
        assert_eq!(read(&root, "loop"), Err(Errno::LOOP));
        assert_eq!(read(&root, "etc/real/x"), Err(Errno::NOTDIR));
        assert!(root.exists(b"loop") && root.exists(b"/etc/out") && root.exists(b"etc/dir/up"));
        assert!(!root.exists(b"etc/none") && !root.exists(b"none/x"));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (place, root) = tree();
        let fifo = place.path().join("7/root/etc/fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        for name in ["etc", "/", "etc/fifo"] {
            assert_eq!(root.file(name.as_bytes()).err(), Some(Errno::INVAL), "{name}");
        }
    }

    #[test]
    fn file_systems_that_compute_their_files_are_refused() {
        let process = Dir::open(Path::new("/proc/self")).unwrap();
        let refused = |mounts| {
            let root = ForeignRoot::of(&process, mounts).unwrap();
            root.file(b"proc/self/status").err()
        };
        assert_eq!(refused(Arc::default()), Some(Errno::XDEV));
        assert_eq!(refused(Arc::new(MountTable::read(&process, usize::MAX))), Some(Errno::XDEV));
    }
}
