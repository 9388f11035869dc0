//! A process that dies in a plugin says in which.

use core::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use crate::{call, ranges};

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
extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let known = SIGNALS.iter().position(|(known, _)| *known == signal);
    let name = known.and_then(|index| SIGNALS.get(index)).map_or("a signal", |(_, name)| name);
    let note = call::current();
    // SAFETY: a note is alive until its call returns, and this thread is in it. The name of the
    // plugin outlives the call.
    let note = unsafe { note.as_ref().map(|note| (&*note.plugin, note.function)) };
    // SAFETY: with SA_SIGINFO, the kernel passes the context of the thread.
    let thread_of = || unsafe { context.cast::<libc::ucontext_t>().as_ref() }.and_then(owner);
    // Once: what was there before may abort in turn.
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.swap(true, Ordering::Relaxed) {
    } else if let Some((plugin, function)) = note {
        tell(&["plugin '", plugin, "' has crashed in '", function, "' (", name, ")"]);
    } else if let Some(plugin) = thread_of() {
        tell(&["a thread of plugin '", plugin, "' has crashed (", name, ")"]);
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

/// Writes a line to standard error.
fn tell(parts: &[&str]) {
    for part in ["\nError: "].iter().chain(parts).chain(&["\n"]) {
        // SAFETY: `write` may be called in signal handlers; the part is readable. Nothing can be
        // done when it fails.
        unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
    }
}

/// The plugin in whose code a thread was: by its instruction, or by what is on its stack, as
/// `abort` is called from there.
fn owner(context: &libc::ucontext_t) -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let (instruction, stack) = {
        let registers = context.uc_mcontext.gregs;
        let register = |index: c_int| registers.get(index as usize).map_or(0, |it| *it as usize);
        (register(libc::REG_RIP), register(libc::REG_RSP))
    };
    #[cfg(target_arch = "aarch64")]
    let (instruction, stack) = (context.uc_mcontext.pc as usize, context.uc_mcontext.sp as usize);
    ranges::plugin_at(instruction).or_else(|| {
        /// Words of the stack. There are more on any: what describes a thread is at its end.
        const WORDS: usize = 256;
        let stack = (stack as *const usize).cast::<[usize; WORDS]>();
        if stack.is_null() || !stack.is_aligned() {
            return None;
        }
        // SAFETY: this is the stack of the thread, which does not run meanwhile.
        let words = unsafe { stack.read() };
        words.iter().find_map(|word| ranges::plugin_at(*word))
    })
}
