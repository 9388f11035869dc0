//! Names of images.

/// The parts of the name of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageName<'a> {
    /// `registry/path/name`.
    pub(crate) repository: &'a str,
    /// What follows the colon; empty where there is none.
    pub(crate) tag: &'a str,
    /// What follows the `@`, such as `sha256:…`; empty where there is none.
    pub(crate) digest: &'a str,
}

impl<'a> ImageName<'a> {
    /// Takes a name apart. A port of the registry is no tag.
    pub(crate) fn parse(name: &'a str) -> Self {
        let (name, digest) = name.split_once('@').unwrap_or((name, ""));
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => Self { repository, tag, digest },
            _ => Self { repository: name, tag: "", digest },
        }
    }

    /// Whether this is the id of an image, not a name: that of this image where it is known.
    pub(crate) fn is_id(name: &str, id: &str) -> bool {
        const SHORTEST: usize = 4;
        name.starts_with("sha256:")
            || name.len() >= SHORTEST
                && id.starts_with(name)
                && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let parts = |name| {
            let ImageName { repository, tag, digest } = ImageName::parse(name);
            (repository, tag, digest)
        };
        assert_eq!(parts("nginx"), ("nginx", "", ""));
        assert_eq!(parts("nginx:1.25"), ("nginx", "1.25", ""));
        assert_eq!(parts("localhost:5000/a/b"), ("localhost:5000/a/b", "", ""));
        assert_eq!(parts("r:5/b:t@sha256:1"), ("r:5/b", "t", "sha256:1"));
        assert_eq!(parts(""), ("", "", ""));
        assert!(ImageName::is_id("sha256:12", "") && ImageName::is_id("12ab", "12abcd"));
        assert!(!ImageName::is_id("beef", "12abcd") && !ImageName::is_id("", "12abcd"));
    }
}
