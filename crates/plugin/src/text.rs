//! Texts that plugins return.

use core::ffi::c_char;

/// A text in the memory of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PluginText<'a> {
    /// Its bytes, without NUL.
    pub(crate) bytes: &'a [u8],
    /// Whether it is longer than the limit, so that the rest is not there.
    pub(crate) cut: bool,
}

impl<'a> PluginText<'a> {
    /// The text at this address, or its first `limit` bytes. `None` for a null pointer.
    ///
    /// # Safety
    /// `at` is null, or points to readable bytes up to a NUL or to the limit. They do not change
    /// during `'a`.
    pub(crate) unsafe fn at(at: *const c_char, limit: usize) -> Option<Self> {
        if at.is_null() {
            return None;
        }
        // SAFETY: all bytes up to the first NUL or the limit are readable, says the caller.
        let len = unsafe { length(at, limit.saturating_add(1)) };
        let shown = len.min(limit);
        // SAFETY: as above; there is no NUL among these.
        let bytes = unsafe { core::slice::from_raw_parts(at.cast(), shown) };
        Some(Self { bytes, cut: len > shown })
    }
}

/// Bytes before the first NUL, at most `limit`.
///
/// # Safety
/// All bytes up to the first NUL or the limit are readable.
unsafe fn length(at: *const c_char, limit: usize) -> usize {
    #[cfg(not(miri))]
    // SAFETY: the promise of the caller is that of the function.
    return unsafe { libc::strnlen(at, limit) };
    // Miri has no `strnlen`.
    #[cfg(miri)]
    // SAFETY: no byte after the first NUL is read.
    return (0..limit).find(|&index| unsafe { *at.add(index) } == 0).unwrap_or(limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_nul_or_at_the_limit() {
        let text = |text: &'static core::ffi::CStr, limit| {
            // SAFETY: a static text with its NUL.
            let text = unsafe { PluginText::at(text.as_ptr(), limit) }.unwrap();
            (text.bytes, text.cut)
        };
        assert_eq!(text(c"", 4), (&b""[..], false));
        assert_eq!(text(c"abcd", 4), (&b"abcd"[..], false));
        assert_eq!(text(c"abcde", 4), (&b"abcd"[..], true));
        assert_eq!(text(c"abc", 0), (&b""[..], true));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { PluginText::at(core::ptr::null(), 4) }, None);
    }
}
