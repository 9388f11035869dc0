//! Users whose directories and files are trusted.

use std::fs;

use rustix::process::geteuid;

/// How the kernel shows owners that have no number in the user namespace of this process.
const UNMAPPED: u32 = 65_534;

/// Whether a file of this user is as good as one of the agent's: that of root, of the user of this
/// process, of the one who called `sudo`, and, in a user namespace, of those outside of it, who
/// control it anyway.
pub(crate) fn is_trusted(uid: u32) -> bool {
    uid == 0
        || uid == geteuid().as_raw()
        || Some(uid) == sudo_user()
        || uid == UNMAPPED
            && fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !is_mapped(uid, &map))
}

/// Only root has the environment of `sudo` from `sudo`.
fn sudo_user() -> Option<u32> {
    let uid = std::env::var("SUDO_UID").ok().filter(|_| geteuid().is_root())?;
    uid.parse().ok()
}

/// Whether a user exists in a namespace with this map: lines of first user inside, first user
/// outside, count.
fn is_mapped(uid: u32, map: &str) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (Some(Ok(first)), Some(_), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            // What can't be read must not make anyone trusted.
            return true;
        };
        uid.checked_sub(first).is_some_and(|offset| offset < count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmapped_users_are_those_outside_of_the_namespace() {
        assert!(is_mapped(UNMAPPED, "         0          0 4294967295\n"));
        assert!(is_mapped(UNMAPPED, "0 1000 1\n1 100000 65536\n"));
        assert!(!is_mapped(UNMAPPED, "0 1000 1\n"));
        assert!(!is_mapped(UNMAPPED, "0 1000 65534\n"));
        assert!(is_mapped(UNMAPPED, "what\n"));
    }
}
