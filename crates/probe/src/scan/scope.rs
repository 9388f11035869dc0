//! Processes in a control group and below it.

use std::collections::VecDeque;
use std::path::Path;

use rustix::io::Errno;

use super::dir::{Dir, MAX_FILE, number};

/// The processes in a cgroup v2 directory and below it.
///
/// # Errors
/// When the directory itself cannot be read. Directories that vanish below it are skipped.
pub(crate) fn members(scope: &Path) -> Result<Vec<i64>, Errno> {
    let mut pids = Vec::new();
    let mut text = Vec::new();
    let mut waiting = VecDeque::from([Dir::open(scope)?]);
    waiting.front().map_or(Ok(()), |top| top.read("cgroup.procs", MAX_FILE, &mut text))?;
    while let Some(dir) = waiting.pop_front() {
        // A group of single threads has no list of processes; the group above it names them.
        if dir.read("cgroup.procs", MAX_FILE, &mut text).is_ok() {
            pids.extend(text.split(|&b| b == b'\n').filter_map(number).filter(|&pid| pid > 0));
        }
        let below = dir.dirs().unwrap_or_default();
        waiting.extend(below.iter().filter_map(|name| dir.dir(name.as_slice()).ok()));
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn groups_below_count() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("cgroup.procs"), "12\n7\n").unwrap();
        fs::write(root.path().join("a/b/cgroup.procs"), "30\n0\nx\n").unwrap();
        assert_eq!(members(root.path()), Ok(vec![7, 12, 30]));
        assert_eq!(members(&root.path().join("a/b")), Ok(vec![30]));
        assert_eq!(members(&root.path().join("a")), Err(Errno::NOENT));
    }
}
