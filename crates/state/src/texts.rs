//! Lists of texts, shared by all threads that inherit them.

use std::fmt;
use std::sync::Arc;

/// An immutable list of texts (arguments, environment, cgroups). Cloning shares it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Texts(Option<Arc<[u8]>>);

impl Texts {
    /// The texts of a buffer in which each is ended by NUL; the last one may lack it.
    pub fn new(bytes: &[u8]) -> Self {
        let body = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        Self((!body.is_empty()).then(|| body.into()))
    }

    /// The texts of such a buffer, shared with `self` if they are equal.
    pub(crate) fn same_or_new(&self, bytes: &[u8]) -> Self {
        let body = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        if self.bytes() == body { self.clone() } else { Self::new(bytes) }
    }

    /// Whether both are in the same memory.
    pub(crate) fn is_shared(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.0.iter().flat_map(|body| body.split(|&b| b == 0))
    }

    /// The text with this index.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.iter().nth(index)
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |body| 1 + body.iter().filter(|&&b| b == 0).count())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All of them, with a NUL between one and the next.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_every_nul_but_the_last() {
        let texts = Texts::new(b"-c\0\0x y\0");
        assert_eq!(texts.iter().collect::<Vec<_>>(), [&b"-c"[..], b"", b"x y"]);
        assert_eq!((texts.len(), texts.get(2)), (3, Some(&b"x y"[..])));
        assert_eq!(Texts::new(b"a").iter().collect::<Vec<_>>(), [b"a"]);
    }

    #[test]
    fn nothing_is_no_text() {
        for empty in [&b""[..], b"\0"] {
            assert!(Texts::new(empty).is_empty());
            assert_eq!(Texts::new(empty).len(), 0);
        }
    }
}
