//! Sets of paths: whether a path is one of them, or below one.

use hashbrown::HashMap;

use crate::glob;

/// A trie of paths by components, which may be shell patterns. Leading, trailing and repeated
/// slashes are ignored.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathSet {
    /// Whether a path of the set ends here.
    end: bool,
    plain: HashMap<Box<[u8]>, PathSet>,
    globs: Vec<(Box<[u8]>, PathSet)>,
}

impl PathSet {
    pub(crate) fn insert(&mut self, path: &[u8]) {
        let mut node = self;
        for component in components(path) {
            if component.iter().any(|b| b"?*[".contains(b)) {
                let known = node.globs.iter().position(|(pattern, _)| **pattern == *component);
                let at = known.unwrap_or_else(|| {
                    node.globs.push((component.into(), Self::default()));
                    node.globs.len() - 1
                });
                let Some((_, next)) = node.globs.get_mut(at) else { return };
                node = next;
            } else {
                node = node.plain.entry(component.into()).or_default();
            }
        }
        node.end = true;
    }

    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        self.covers_rest(&mut components(path))
    }

    fn covers_rest<'a>(&self, rest: &mut (impl Iterator<Item = &'a [u8]> + Clone)) -> bool {
        if self.end {
            return true;
        }
        let Some(component) = rest.next() else { return false };
        self.plain.get(component).is_some_and(|next| next.covers_rest(&mut rest.clone()))
            || self.globs.iter().any(|(pattern, next)| {
                glob::matches(pattern, component, false) && next.covers_rest(&mut rest.clone())
            })
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|b| *b == b'/').filter(|component| !component.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> PathSet {
        let mut set = PathSet::default();
        for path in paths {
            set.insert(path.as_bytes());
        }
        set
    }

    #[test]
    fn a_path_covers_itself_and_what_is_below() {
        let set = set(&["/var/run", "/etc", "/lib/x/y"]);
        for path in ["/var/run", "/var/run/docker.sock", "/etc/", "etc//passwd", "/lib/x/y"] {
            assert!(set.covers(path.as_bytes()), "{path}");
        }
        for path in ["/var", "/var/runner", "/lib/x", "/", "", "/x/etc"] {
            assert!(!set.covers(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn shorter_paths_win_in_any_order() {
        assert!(set(&["/usr/lib", "/usr"]).covers(b"/usr/bin"));
        assert!(set(&["/usr", "/usr/lib"]).covers(b"/usr/bin"));
    }

    #[test]
    fn the_root_covers_everything() {
        assert!(set(&["/"]).covers(b"anything"));
        assert!(set(&[""]).covers(b""));
    }

    #[test]
    fn components_may_be_patterns() {
        let set = set(&["/home/*/.ssh", "/opt/v[0-9]", "/home/root/x"]);
        for path in ["/home/anna/.ssh/id_rsa", "/opt/v3/bin", "/home/root/.ssh"] {
            assert!(set.covers(path.as_bytes()), "{path}");
        }
        for path in ["/home/anna/b/.ssh", "/opt/v33", "/home/anna"] {
            assert!(!set.covers(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn an_empty_set_covers_nothing() {
        assert!(!set(&[]).covers(b"/"));
    }
}
