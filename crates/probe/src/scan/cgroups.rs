//! The control groups of a thread as users know them: `subsystem=path`, whatever the version.

use hashbrown::HashMap;

use super::cgroup_root::{absolute, own_root};
use super::dir::{Dir, MAX_FILE};
use super::foreign::directory_of_host;
use super::mounts::unescape;
use super::status::words;

/// Longest list the format holds.
const MAX: usize = 4096;
/// The subsystems of events. A group of version 2 that has none of them is told as `unified`.
const SHOWN: &[&[u8]] = &[b"cpuset", b"cpu", b"io", b"memory"];
/// Lists and directories remembered before memory is given back.
const REMEMBERED: usize = 4096;

/// Knows where version 2 is mounted, and which subsystems its directories have.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    // As the first process sees it, which is how the host does.
    unified: Option<Dir>,
    // The root that the kernel's paths are relative to, when this process runs in a container.
    root: Vec<u8>,
    subsystems: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    // Many threads are in the same groups.
    lists: HashMap<Vec<u8>, Vec<u8>>,
}

impl Cgroups {
    /// Looks for the mount in the table of the first process.
    pub(crate) fn new(proc: &Dir) -> Self {
        let mut mounts = Vec::new();
        let read = proc.read("1/mounts", MAX_FILE, &mut mounts);
        let mounted = unified_mounts(if read.is_ok() { &mounts } else { b"" });
        let found: Vec<Dir> =
            mounted.filter_map(|path| directory_of_host(proc, &path).ok()).collect();
        // Beside version 1 there may be a mount without subsystems: another one is better.
        let mut unified = None;
        for dir in found {
            let rich = subsystems(&dir, b"").is_some_and(|subsystems| !subsystems.is_empty());
            if rich || unified.is_none() {
                unified = Some(dir);
            }
            if rich {
                break;
            }
        }
        let root = unified.as_ref().map_or_else(Vec::new, |unified| own_root(proc, unified));
        Self { unified, root, ..Self::default() }
    }

    /// The list for the text of `/proc/<tid>/cgroup`. Each item is ended by NUL.
    pub(crate) fn list(&mut self, text: &[u8]) -> Vec<u8> {
        if let Some(list) = self.lists.get(text) {
            return list.clone();
        }
        if self.lists.len() >= REMEMBERED {
            self.lists.clear();
            self.subsystems.clear();
        }
        let (mut list, mut unified) = (Vec::new(), None);
        for line in text.split(|&b| b == b'\n') {
            let mut fields = line.splitn(3, |&b| b == b':');
            let (Some(id), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if !names.is_empty() {
                let names = names.split(|&b| b == b',');
                names.for_each(|name| push(&mut list, name, path));
            } else if id == b"0" && self.unified.is_some() {
                let path = absolute(&self.root, path);
                self.resolve(&path, &mut list);
                unified = Some(path);
            }
        }
        if let Some(path) = unified.filter(|path| path.len() > 1 && !self.has_any(path, SHOWN)) {
            push(&mut list, b"unified", &path);
        }
        self.lists.insert(text.to_vec(), list.clone());
        list
    }

    /// Version 2 has one path for all subsystems, but not every directory has all of them: what a
    /// directory lacks is in the hands of the nearest one above that has it.
    fn resolve(&mut self, path: &[u8], list: &mut Vec<u8>) {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut path = path;
        loop {
            for name in self.subsystems(path) {
                if !found.contains(name) {
                    push(list, name, path);
                    found.push(name.clone());
                }
            }
            path = match path.iter().rposition(|&b| b == b'/') {
                _ if path.len() <= 1 => return,
                None => return,
                Some(0) => b"/",
                Some(slash) => path.get(..slash).unwrap_or_default(),
            };
        }
    }

    /// Whether a directory of version 2 has any of these subsystems.
    fn has_any(&mut self, path: &[u8], names: &[&[u8]]) -> bool {
        self.subsystems(path).iter().any(|name| names.contains(&name.as_slice()))
    }

    fn subsystems(&mut self, path: &[u8]) -> &[Vec<u8>] {
        let unified = self.unified.as_ref();
        self.subsystems.entry_ref(path).or_insert_with(|| {
            unified.and_then(|unified| subsystems(unified, path)).unwrap_or_default()
        })
    }
}

/// Adds an item, unless the list is full.
fn push(list: &mut Vec<u8>, name: &[u8], path: &[u8]) {
    if list.len() + name.len() + path.len() + 2 <= MAX {
        list.extend_from_slice(name);
        list.push(b'=');
        list.extend_from_slice(path);
        list.push(0);
    }
}

/// The subsystems of a directory below a mount of version 2.
fn subsystems(unified: &Dir, path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
    let mut text = Vec::new();
    let name = [path, slash, b"cgroup.controllers"].concat();
    unified.read(name.as_slice(), MAX, &mut text).ok()?;
    Some(words(&text).map(<[u8]>::to_vec).collect())
}

/// Where version 2 is mounted, by a text like that of `/proc/mounts`.
fn unified_mounts(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.split(|&b| b == b'\n').filter_map(|line| {
        let mut words = words(line).skip(1);
        let path = words.next()?;
        (words.next()? == b"cgroup2").then(|| unescape(path))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn version_1_names_its_subsystems() {
        let text = b"4:cpu,cpuacct:/a:b\n1:name=systemd:/user\n0::/user\n";
        let list = Cgroups::default().list(text);
        assert_eq!(list, b"cpu=/a:b\0cpuacct=/a:b\0name=systemd=/user\0");
    }

    #[test]
    fn version_2_finds_each_subsystem_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let mount = root.path().join("1/root/sys/fs/cg roup");
        fs::create_dir_all(mount.join("a/b")).unwrap();
        fs::write(mount.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        fs::write(mount.join("a/cgroup.controllers"), "memory pids\n").unwrap();
        fs::write(mount.join("a/b/cgroup.controllers"), "pids\n").unwrap();
        let mounts = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cg\\040roup cgroup2 rw 0 0\n";
        fs::write(root.path().join("1/mounts"), mounts).unwrap();
        let mut cgroups = Cgroups::new(&Dir::open(root.path()).unwrap());
        let list = cgroups.list(b"0::/a/b\n");
        assert_eq!(list, b"pids=/a/b\0memory=/a\0cpu=/\0unified=/a/b\0");
        assert_eq!(cgroups.list(b"0::/a/b\n"), list);
        assert_eq!(cgroups.list(b"0::/a\n"), b"memory=/a\0pids=/a\0cpu=/\0");
        let list = cgroups.list(b"0::/gone\n");
        assert_eq!(list, b"cpu=/\0memory=/\0pids=/\0unified=/gone\0");
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, lines in "([0-9]:[a-z,=]{0,9}:[/a-z.]{0,30}\n?){0,4}") {
            Cgroups::default().list(&text);
            prop_assert!(Cgroups::default().list(lines.as_bytes()).len() <= MAX);
            unified_mounts(&text).for_each(drop);
        }
    }
}
