//! Which function of which plugin a thread is in.
//!
//! Each call of a plugin leaves a note in a thread-local, which costs two stores. The handler of
//! fatal signals ([`crate::report_crashes`]) reads it, so that a process that dies in a plugin says
//! whose call it was.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

/// What a thread is doing in a plugin.
#[derive(Debug)]
pub(crate) struct Note {
    /// Name of the plugin, or its file while its name is not known.
    pub(crate) plugin: *const str,
    /// The function.
    pub(crate) function: &'static str,
}

thread_local! {
    // Without a destructor and with a constant initial value, so that a signal handler can read it.
    static CURRENT: Cell<*const Note> = const { Cell::new(ptr::null()) };
}

/// Runs a call of a plugin.
///
/// An exception that leaves the plugin ends the process here, where the note is still there: Rust
/// catches none of other languages. A panic, which only our own code can have brought about, goes
/// on.
pub(crate) fn in_plugin<R>(plugin: &str, function: &'static str, call: impl FnOnce() -> R) -> R {
    let note = Note { plugin, function };
    let before = CURRENT.replace(&raw const note);
    let result = catch_unwind(AssertUnwindSafe(call));
    CURRENT.set(before);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The note of this thread, or null. For signal handlers: it is valid until the handler returns.
pub(crate) fn current() -> *const Note {
    CURRENT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_within_a_call_has_its_own_note() {
        let function = || {
            let note = current();
            // SAFETY: notes are alive while their call runs, and this runs in it.
            (!note.is_null()).then(|| unsafe { (*note).function })
        };
        assert_eq!(function(), None);
        in_plugin("one", "init", || {
            assert_eq!(function(), Some("init"));
            in_plugin("two", "get_metrics", || assert_eq!(function(), Some("get_metrics")));
            assert_eq!(function(), Some("init"));
        });
        assert_eq!(function(), None);
    }

    #[test]
    fn a_panic_removes_the_note() {
        let panic = catch_unwind(|| in_plugin("one", "init", || resume_unwind(Box::new(7))));
        assert!(panic.is_err());
        assert!(current().is_null());
    }
}
