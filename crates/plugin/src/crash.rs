//! A process that dies in a plugin says in which.

use core::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use crate::call;

/// Fatal signals, with their names.
const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];

/// What handled these signals before, in the same order.
static BEFORE: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

/// From now on, a fatal signal during a call of a plugin writes a line to standard error that names
/// the plugin and the function. Then the signal does what it did before.
///
/// This happens by itself before the first library is opened: libraries that install handlers of
/// their own pass on what is not theirs.
pub fn report_crashes() {
    static ONCE: Once = Once::new();
    // Miri has no signals.
    if !cfg!(miri) {
        ONCE.call_once(install);
    }
}

fn install() {
    // SAFETY: all bits zero are a valid `sigaction`: no flags, an empty mask, the default action.
    let zero: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let before = SIGNALS.map(|(signal, _)| {
        let mut before = zero;
        // SAFETY: without a new action, the call only writes the present one to its last argument.
        unsafe { libc::sigaction(signal, ptr::null(), &raw mut before) };
        before
    });
    if BEFORE.set(before).is_err() {
        return;
    }
    let mut action = zero;
    action.sa_sigaction = handler as *const () as usize;
    // On the alternative stack, as the stack may be what has overflowed.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for (signal, _) in SIGNALS {
        // SAFETY: the handler has the signature that SA_SIGINFO asks for, and only does what a
        // signal handler may.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

/// Writes the line, and lets the signal do what it did before.
extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let known = SIGNALS.iter().position(|(known, _)| *known == signal);
    let name = known.and_then(|index| SIGNALS.get(index)).map_or("a signal", |(_, name)| name);
    let note = call::current();
    // SAFETY: a note is alive until its call returns, and this thread is in it. The name of the
    // plugin outlives the call.
    let note = unsafe { note.as_ref().map(|note| (&*note.plugin, note.function)) };
    // Once: what was there before may abort in turn.
    static TOLD: AtomicBool = AtomicBool::new(false);
    let note = note.filter(|_| !TOLD.swap(true, Ordering::Relaxed));
    if let Some((plugin, function)) = note {
        for part in
            ["\nError: plugin '", plugin, "' has crashed in '", function, "' (", name, ")\n"]
        {
            // SAFETY: `write` may be called in signal handlers; the part is readable. Nothing can
            // be done when it fails.
            unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
        }
    }
    // What was there before takes over when the instruction that failed runs again.
    if let Some(before) = known.and_then(|index| BEFORE.get()?.get(index)) {
        // SAFETY: the action is one that was in force.
        unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
    }
    // SAFETY: with SA_SIGINFO, the kernel passes what describes the signal.
    let sent = unsafe { info.as_ref() }.is_none_or(|info| info.si_code <= 0);
    if sent {
        // A signal that was sent does not come again by itself. This one stays pending until the
        // handler returns.
        // SAFETY: `raise` may be called in signal handlers.
        unsafe { libc::raise(signal) };
    }
}
