//! Users and groups of the host, and of containers.

use std::path::Path;

use peregrine_event::snapshot::{Group, Item, User};
use peregrine_limits::ACCOUNT_FILE_BYTES;
use rustix::fs::Statx;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::dir::{Dir, number};
use super::foreign::{ForeignFile, ForeignRoot};
use super::mounts::Mounts;

const PASSWD: &[u8] = b"etc/passwd";
const GROUP: &[u8] = b"etc/group";

/// Reads the account files of containers.
#[derive(Debug)]
pub(crate) struct AccountFiles {
    proc: Dir,
    mounts: Mounts,
    text: Vec<u8>,
}

/// What is found in account files.
#[derive(Debug)]
pub(crate) enum Part {
    Version(Version),
    User(User),
    Group(Group),
}

/// Tells two versions of the account files of a container apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    passwd: Option<FileVersion>,
    group: Option<FileVersion>,
}

/// Device, inode, size, and times of content and inode, in seconds and nanoseconds.
type FileVersion = ((u32, u32), u64, u64, [i64; 4]);

impl AccountFiles {
    /// For the machine whose root directory is here.
    pub(crate) fn open(host_root: &Path) -> Result<Self, Errno> {
        let proc = Dir::open(&host_root.join("proc"))?;
        Ok(Self { proc, mounts: Mounts::default(), text: Vec::new() })
    }

    /// Gives the version of the files below the root directory of a thread, then the accounts in
    /// them unless that is the `known` version. Nothing when the thread is gone.
    pub(crate) fn read(&mut self, tid: i64, known: Option<Version>, mut give: impl FnMut(Part)) {
        let Some(root) = self.root(tid) else { return };
        // What can't be opened, or is no regular file of a local file system, has no accounts.
        let (passwd, group) = (root.file(PASSWD).ok(), root.file(GROUP).ok());
        let version = |file: &Option<ForeignFile>| Some(file_version(&file.as_ref()?.stat));
        let version = Version { passwd: version(&passwd), group: version(&group) };
        give(Part::Version(version));
        if known == Some(version) {
            return;
        }
        let limit = ACCOUNT_FILE_BYTES.get();
        if passwd.is_some_and(|file| file.read(limit, &mut self.text).is_ok()) {
            users(&self.text).for_each(|user| give(Part::User(user)));
        }
        if group.is_some_and(|file| file.read(limit, &mut self.text).is_ok()) {
            groups(&self.text).for_each(|group| give(Part::Group(group)));
        }
        // They are large once and small most times.
        self.text = Vec::new();
    }

    fn root(&mut self, tid: i64) -> Option<ForeignRoot> {
        let thread = self.proc.dir(rustix::path::DecInt::new(tid).as_c_str()).ok()?;
        self.mounts.expire();
        ForeignRoot::of(&thread, self.mounts.of(&thread)).ok()
    }
}

fn file_version(stat: &Statx) -> FileVersion {
    let (content, inode) = (stat.stx_mtime, stat.stx_ctime);
    let times = [content.tv_sec, content.tv_nsec.into(), inode.tv_sec, inode.tv_nsec.into()];
    ((stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino, stat.stx_size, times)
}

/// The users and groups in the files `passwd` and `group`, as far as `read` can read these.
pub(crate) fn items(
    mut read: impl FnMut(&str, &mut Vec<u8>) -> Result<(), Errno>,
) -> impl Iterator<Item = Item> {
    let (mut text, mut items) = (Vec::new(), Vec::new());
    if read("passwd", &mut text).is_ok() {
        items.extend(users(&text).map(Item::User));
    }
    if read("group", &mut text).is_ok() {
        items.extend(groups(&text).map(Item::Group));
    }
    items.into_iter()
}

/// The users in the text of `/etc/passwd`.
pub(super) fn users(text: &[u8]) -> impl Iterator<Item = User> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = id(fields.nth(1)?)?;
        let gid = id(fields.next()?)?;
        let home = fields.nth(1).unwrap_or_default();
        let shell = fields.next().unwrap_or_default();
        Some(User { uid, gid, name: name.into(), home: home.into(), shell: shell.into() })
    })
}

/// The groups in the text of `/etc/group`.
pub(super) fn groups(text: &[u8]) -> impl Iterator<Item = Group> {
    lines(text).filter_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some(Group { gid: id(fields.nth(1)?)?, name: name.into() })
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| !line.starts_with(b"#"))
}

fn id(text: &[u8]) -> Option<u32> {
    number(text).and_then(|id| u32::try_from(id).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_that_name_nobody_are_passed_over() {
        let text =
            b"# users\nroot:x:0:0:root:/root:/bin/bash\n\n+::::::\nbad:x:no:0:::\nme:x:1000:100::/home/me";
        let users: Vec<_> = users(text).collect();
        assert_eq!(users.len(), 2);
        let me = users.last().unwrap();
        assert_eq!((me.uid, me.gid, me.home.as_slice()), (1000, 100, &b"/home/me"[..]));
        assert_eq!(me.shell, b"");
        let groups: Vec<_> = groups(b"root:x:0:\nwheel:x:10:me,you\nbroken\n").collect();
        assert_eq!(groups[1], Group { gid: 10, name: b"wheel".to_vec() });
        assert_eq!(groups.len(), 2);
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, line in "[a-z0-9:#\n]{0,60}") {
            users(&text).chain(users(line.as_bytes())).for_each(drop);
            groups(&text).chain(groups(line.as_bytes())).for_each(drop);
        }
    }
}
