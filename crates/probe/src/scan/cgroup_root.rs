//! Paths of control groups as the host has them, also from within a container.
//!
//! The kernel names a group by its way from the root of the reader's cgroup namespace: `/../b` is a
//! sibling of that root. A process in a container must know where on the host this root is.

use super::dir::{Dir, MAX_FILE, number};

/// Deepest nesting that is searched.
const MAX_DEPTH: usize = 32;

/// Where on the host the root of our cgroup namespace is, without a slash at the end: empty for the
/// host's own namespace, and where that can't be found out. `unified` is the host's mount of
/// version 2.
pub(crate) fn own_root(proc: &Dir, unified: &Dir) -> Vec<u8> {
    let (mut ours, mut hosts) = (Vec::new(), Vec::new());
    let known = proc.link("self/ns/cgroup", &mut ours).is_ok()
        && proc.link("1/ns/cgroup", &mut hosts).is_ok();
    if !known || ours == hosts {
        return Vec::new();
    }
    // We may be in a group below that root.
    let mut text = Vec::new();
    let read = proc.read("self/cgroup", MAX_FILE, &mut text);
    let mut lines = text.split(|&b| b == b'\n').filter(|_| read.is_ok());
    let below = lines.find_map(|line| line.strip_prefix(b"0::")).unwrap_or(b"/");
    let below = if below == b"/" { b"" } else { below };
    // The lists of the host name us by the id that we know ourselves.
    let pid = i64::from(rustix::process::getpid().as_raw_nonzero().get());
    let mut path = Vec::new();
    if find(unified, pid, &mut path, MAX_DEPTH) && path.ends_with(below) {
        path.truncate(path.len() - below.len());
        return path;
    }
    Vec::new()
}

/// The path from the host's root of a group that has this path from our root.
pub(crate) fn absolute(root: &[u8], path: &[u8]) -> Vec<u8> {
    let (mut root, mut rest) = (root, path);
    while let Some(up) =
        rest.strip_prefix(b"/..").filter(|up| up.is_empty() || up.starts_with(b"/"))
    {
        let above = root.iter().rposition(|&b| b == b'/').unwrap_or(0);
        root = root.get(..above).unwrap_or_default();
        rest = up;
    }
    let rest = if rest == b"/" { b"" } else { rest };
    let path = [root, rest].concat();
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// Looks below a directory for the group that a process is in, and adds the way to it to `path`.
fn find(dir: &Dir, pid: i64, path: &mut Vec<u8>, depth: usize) -> bool {
    let mut procs = Vec::new();
    if dir.read("cgroup.procs", MAX_FILE, &mut procs).is_ok()
        && procs.split(|&b| b == b'\n').any(|line| number(line) == Some(pid))
    {
        return true;
    }
    if depth == 0 {
        return false;
    }
    let len = path.len();
    for name in dir.dirs().unwrap_or_default() {
        let Ok(below) = dir.dir(name.as_slice()) else { continue };
        path.push(b'/');
        path.extend_from_slice(&name);
        if find(&below, pid, path, depth - 1) {
            return true;
        }
        path.truncate(len);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ways_up_and_down() {
        let root = b"/pods/a/ours";
        assert_eq!(absolute(root, b"/"), root);
        assert_eq!(absolute(root, b"/sub"), b"/pods/a/ours/sub");
        assert_eq!(absolute(root, b"/../theirs/x"), b"/pods/a/theirs/x");
        assert_eq!(absolute(root, b"/../../../init.scope"), b"/init.scope");
        assert_eq!(absolute(root, b"/../../.."), b"/");
        assert_eq!(absolute(root, b"/..odd"), b"/pods/a/ours/..odd");
        assert_eq!(absolute(b"", b"/user.slice"), b"/user.slice");
        assert_eq!(absolute(b"", b"/../x"), b"/x");
    }

    #[test]
    fn our_root_is_found_among_the_hosts_groups() {
        let host = tempfile::tempdir().unwrap();
        let path = |name: &str| host.path().join(name);
        for dir in ["proc/self/ns", "proc/1/ns", "cgroup/other", "cgroup/pods/a/ours/sub"] {
            fs::create_dir_all(path(dir)).unwrap();
        }
        let me = format!("0\n{}\n", std::process::id());
        fs::write(path("cgroup/cgroup.procs"), "1\n0\n").unwrap();
        fs::write(path("cgroup/pods/a/ours/sub/cgroup.procs"), me).unwrap();
        fs::write(path("proc/self/cgroup"), "1:cpu:/\n0::/sub\n").unwrap();
        symlink("cgroup:[1]", path("proc/1/ns/cgroup")).unwrap();
        let open = |name| Dir::open(&path(name)).unwrap();
        assert_eq!(own_root(&open("proc"), &open("cgroup")), b"");
        symlink("cgroup:[2]", path("proc/self/ns/cgroup")).unwrap();
        assert_eq!(own_root(&open("proc"), &open("cgroup")), b"/pods/a/ours");
        assert_eq!(own_root(&open("proc"), &open("cgroup/other")), b"");
        fs::remove_file(path("proc/self/ns/cgroup")).unwrap();
        symlink("cgroup:[1]", path("proc/self/ns/cgroup")).unwrap();
        assert_eq!(own_root(&open("proc"), &open("cgroup")), b"");
    }

    proptest! {
        #[test]
        fn any_path_has_an_absolute_one(root in "(/[a-z]{0,3}){0,3}", path in "[/.a]{0,12}") {
            absolute(root.as_bytes(), path.as_bytes());
        }
    }
}
