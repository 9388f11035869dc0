//! Why the last operation of a plugin on a table has failed.
//!
//! Each thread has its own, so that the text that one thread reads is not freed by another.

use core::ffi::c_char;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::CString;
use std::ptr;

/// Which instance the error belongs to, its text, and that text as plugins get it.
#[derive(Default)]
struct LastError {
    instance: usize,
    text: Option<Cow<'static, str>>,
    given: CString,
}

thread_local! {
    static LAST: RefCell<LastError> = RefCell::default();
}

/// Keeps the error of an instance.
pub(super) fn set(instance: usize, text: Cow<'static, str>) {
    // Without the thread-local, the thread ends.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            (last.instance, last.text) = (instance, Some(text));
        }
    });
}

/// The text of the last error of an instance, or null. It stays until the next one of this thread.
pub(super) fn get(instance: usize) -> *const c_char {
    let text = LAST.try_with(|last| {
        let mut last = last.try_borrow_mut().ok()?;
        let text = last.text.as_deref().filter(|_| last.instance == instance)?;
        last.given = CString::new(text.replace('\0', " ")).unwrap_or_default();
        Some(last.given.as_ptr())
    });
    text.ok().flatten().unwrap_or(ptr::null())
}
