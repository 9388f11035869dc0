//! Users and groups of the host, and of containers.

use peregrine_event::snapshot::{Group, Item, User};
use rustix::io::Errno;

use super::dir::number;

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
