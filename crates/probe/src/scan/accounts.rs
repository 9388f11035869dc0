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
use super::status::words;

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

/// Size of the map of a user namespace: the kernel allows 340 lines.
const MAP_BYTES: usize = 64 << 10;

/// The ids of a user namespace, as the machine has them: the kernel reports those.
#[derive(Debug, Default)]
struct IdMap {
    /// First id inside, the same outside, and how many follow. Empty for the same ids.
    ranges: Vec<[u32; 3]>,
}

impl IdMap {
    /// From the text of `/proc/<tid>/uid_map` or `gid_map`.
    fn parse(text: &[u8]) -> Self {
        let range = |line: &[u8]| {
            let mut numbers = words(line).map(id);
            Some([numbers.next()??, numbers.next()??, numbers.next()??])
        };
        Self { ranges: lines(text).filter_map(range).collect() }
    }

    /// `None` for an id that is not mapped, which no process can have.
    fn outside(&self, id: u32) -> Option<u32> {
        if self.ranges.is_empty() {
            return Some(id);
        }
        self.ranges.iter().find_map(|&[inside, outside, count]| {
            let offset = id.checked_sub(inside).filter(|&offset| offset < count)?;
            outside.checked_add(offset)
        })
    }
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
        let (uids, gids) = (self.id_map(tid, "uid_map"), self.id_map(tid, "gid_map"));
        if passwd.is_some_and(|file| file.read(limit, &mut self.text).is_ok()) {
            let users = users(&self.text).filter_map(|user| {
                let (uid, gid) = (uids.outside(user.uid)?, gids.outside(user.gid));
                Some(User { uid, gid: gid.unwrap_or(user.gid), ..user })
            });
            users.for_each(|user| give(Part::User(user)));
        }
        if group.is_some_and(|file| file.read(limit, &mut self.text).is_ok()) {
            let groups = groups(&self.text)
                .filter_map(|group| Some(Group { gid: gids.outside(group.gid)?, ..group }));
            groups.for_each(|group| give(Part::Group(group)));
        }
        // They are large once and small most times.
        self.text = Vec::new();
    }

    /// Which ids of this machine the ids of a thread's user namespace are.
    fn id_map(&self, tid: i64, name: &str) -> IdMap {
        let mut text = Vec::new();
        let thread = self.proc.dir(rustix::path::DecInt::new(tid).as_c_str());
        let read = thread.and_then(|thread| thread.read_small(name, MAP_BYTES, &mut text));
        read.map_or_else(|_| IdMap::default(), |()| IdMap::parse(&text))
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

    #[test]
    fn users_of_a_user_namespace_have_the_ids_of_the_machine() {
        let map =
            IdMap::parse(b"         0     301000      65536\n     70000       1000          1\n");
        let outside = [0, 33, 65_535, 65_536, 70_000].map(|id| map.outside(id));
        assert_eq!(outside, [Some(301_000), Some(301_033), Some(366_535), None, Some(1000)]);
        let host = IdMap::parse(b"         0          0 4294967295\n");
        assert_eq!((host.outside(7), IdMap::default().outside(7)), (Some(7), Some(7)));
        assert_eq!(IdMap::parse(b"0 4294967295 9\nrubbish").outside(1), None);
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(text: Vec<u8>, line in "[a-z0-9:#\n]{0,60}") {
            IdMap::parse(&text).outside(0);
            users(&text).chain(users(line.as_bytes())).for_each(drop);
            groups(&text).chain(groups(line.as_bytes())).for_each(drop);
        }
    }
}
