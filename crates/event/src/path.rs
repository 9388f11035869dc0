//! Joining and normalizing paths the way alerts print them.

/// Longest path that is kept; longer ones become [`TOO_LONG`].
pub const MAX_PATH: usize = 1024;
/// What a path beyond [`MAX_PATH`] becomes.
pub const TOO_LONG: &[u8] = b"/DIR_TOO_LONG/FILENAME_TOO_LONG";

/// Appends `path` as seen from `dir` to `out`, without `.`, `..`, doubled and trailing slashes.
///
/// `dir` is taken as it is and should end with a slash; it does not count when `path` is absolute
/// or empty. The file system is not consulted, so links are not followed.
///
/// ```
/// let mut out = Vec::new();
/// peregrine_event::path::join(b"/var/log/", b"../lib//x/./y/", &mut out);
/// assert_eq!(out, b"/var/lib/x/y");
/// ```
pub fn join(dir: &[u8], path: &[u8], out: &mut Vec<u8>) {
    let base = out.len();
    out.extend_from_slice(dir);
    join_at(base, path, out);
}

/// [`join`] with a directory that `out` holds already, from `base` to its end.
pub fn join_at(base: usize, path: &[u8], out: &mut Vec<u8>) {
    let base = base.min(out.len());
    if out.len() - base + path.len() >= MAX_PATH {
        out.truncate(base);
        out.extend_from_slice(TOO_LONG);
        return;
    }
    if matches!(path.first(), None | Some(b'/')) {
        out.truncate(base);
    }
    if is_tidy(path) {
        out.extend_from_slice(path);
    } else {
        append_tidied(base, path, out);
    }
    if out.len() > base + 1 && out.last() == Some(&b'/') {
        out.pop();
    }
}

/// Whether a path is what [`join`] makes of it, whatever the directory.
///
/// ```
/// assert!(peregrine_event::path::is_joined(b"/var/log/x"));
/// assert!(!peregrine_event::path::is_joined(b"/var/log/"));
/// ```
#[inline]
pub fn is_joined(path: &[u8]) -> bool {
    matches!(path, [b'/', .., last] if *last != b'/') && path.len() < MAX_PATH && is_tidy(path)
}

/// Whether only a trailing slash may have to be removed.
fn is_tidy(path: &[u8]) -> bool {
    let pairs = path.iter().zip(path.iter().skip(1));
    // Looks at all of them, which is quicker than to stop early.
    let untidy =
        pairs.fold(false, |untidy, (a, b)| untidy | ((*a == b'/') & ((*b == b'/') | (*b == b'.'))));
    !untidy && path.first() != Some(&b'.')
}

fn append_tidied(base: usize, path: &[u8], out: &mut Vec<u8>) {
    let had_dir = out.len() > base;
    let mut rest = path;
    while let Some(&byte) = rest.first() {
        let at_start = out.len() == base || out.last() == Some(&b'/');
        let step = match rest {
            [b'.', b'.', b'/', ..] if at_start => {
                pop(out, base);
                3
            }
            [b'.', b'.'] if at_start => {
                pop(out, base);
                2
            }
            [b'.', b'/', ..] if at_start => 2,
            [b'.'] if at_start => 1,
            // A slash after a slash, or one left over where `..` went up to before the directory.
            [b'/', ..] if at_start && (out.len() > base || had_dir) => 1,
            _ => {
                out.push(byte);
                1
            }
        };
        rest = rest.get(step..).unwrap_or_default();
    }
}

/// Normalizes a path that needs no directory. See [`join`].
pub fn normalize(path: &[u8], out: &mut Vec<u8>) {
    join(b"", path, out);
}

/// Removes the last component after `base`, but never the first byte, which may be the root.
fn pop(out: &mut Vec<u8>, base: usize) {
    if out.len() <= base + 1 {
        return;
    }
    out.pop();
    while out.len() > base && out.last() != Some(&b'/') {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(dir: &str, path: &str) -> String {
        let mut out = b"kept".to_vec();
        join(dir.as_bytes(), path.as_bytes(), &mut out);
        String::from_utf8(out).unwrap().strip_prefix("kept").unwrap().to_owned()
    }

    #[test]
    fn goes_up_and_stops_at_the_root() {
        assert_eq!(joined("/foo/", "../a"), "/a");
        assert_eq!(joined("/", "../"), "/");
        assert_eq!(joined("/", "../../etc"), "/etc");
        assert_eq!(joined("/a/b/c/", "../../../../x/.."), "/");
        assert_eq!(joined("/x/", "/a/b/../../../c/"), "/c");
    }

    #[test]
    fn goes_up_to_nothing_without_a_root() {
        assert_eq!(joined("foo/", "..//a"), "a");
        assert_eq!(joined("a/", "../"), "");
        assert_eq!(joined("", ".."), "");
        assert_eq!(joined("", "a/../b"), "b");
    }

    #[test]
    fn drops_dots_and_slashes() {
        assert_eq!(joined("/", "./a/./b//c/."), "/a/b/c");
        assert_eq!(joined("", "//a//b"), "/a/b");
        assert_eq!(joined("/x/", "/"), "/");
        assert_eq!(joined("", "./"), "");
        assert_eq!(joined("", ""), "");
        assert_eq!(joined("/x/", ""), "");
    }

    #[test]
    fn keeps_names_that_begin_with_dots() {
        assert_eq!(joined("/x/", ".hidden/..two/.../t"), "/x/.hidden/..two/.../t");
    }

    #[test]
    fn takes_the_directory_as_it_is() {
        assert_eq!(joined("a", "../"), "a..");
        assert_eq!(joined("/app", "x"), "/appx");
        assert_eq!(joined("app////", "x//y"), "app////x/y");
    }

    #[test]
    fn replaces_what_is_too_long() {
        let dir = format!("/{}/", "d".repeat(1000));
        assert_eq!(joined(&dir, &"f".repeat(21)).len(), 1023);
        assert_eq!(joined(&dir, &"f".repeat(22)), "/DIR_TOO_LONG/FILENAME_TOO_LONG");
    }

    #[test]
    fn tidy_paths_need_no_look_at_each_byte() {
        for path in
            ["/a/b.c", "a/b/", "/", "", "a", "/.a", "/a//b", "./a", "a/.", "..", "/..", "a..", "//"]
        {
            for dir in ["", "/", "/x/", "x", "x/"] {
                let mut tidied = dir.as_bytes().to_vec();
                if path.is_empty() || path.starts_with('/') {
                    tidied.clear();
                }
                append_tidied(0, path.as_bytes(), &mut tidied);
                if tidied.len() > 1 && tidied.last() == Some(&b'/') {
                    tidied.pop();
                }
                assert_eq!(joined(dir, path).as_bytes(), tidied, "{dir} {path}");
                assert!(!is_joined(path.as_bytes()) || joined(dir, path) == path, "{path}");
            }
        }
    }

    #[test]
    fn bytes_need_not_be_utf8() {
        let mut out = Vec::new();
        join(b"/root/", b"../\xff\xfe/\x01", &mut out);
        assert_eq!(out, b"/\xff\xfe/\x01");
    }
}
