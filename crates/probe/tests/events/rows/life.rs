//! The start of processes and threads.

use peregrine_event::EventType;

use super::prelude::*;
use super::process::{process, start_of};
use crate::frame::Expected;
use crate::sys::spawn;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallFork_20X, "a child", || {
        let child = spawn("fork", [0; 5], 3);
        assert_eq!(wait(child as i32), 3 << 8);
        parent(child, flags("")).and(SyscallFork_20X, born(child, ""))
    }),
    row(SyscallFork_20X, "one child too many", || {
        no_more();
        refused(spawn("fork", [0; 5], 3), flags(""))
    }),
    row(SyscallVfork_20X, "one child too many", || {
        no_more();
        refused(spawn("vfork", [0; 5], 3), flags(""))
    }),
    row(SyscallVfork_20X, "a child", || {
        let child = spawn("vfork", [0; 5], 4);
        assert_eq!(wait(child as i32), 4 << 8);
        parent(child, flags("")).and(SyscallVfork_20X, born(child, ""))
    }),
    row(SyscallClone_20X, "a child", || {
        let child = spawn("clone", [SIGCHLD as u64, 0, 0, 0, 0], 3);
        assert_eq!(wait(child as i32), 3 << 8);
        parent(child, flags("")).and(SyscallClone_20X, born(child, ""))
    }),
    row(SyscallClone_20X, "a child that shares files", || {
        let child = spawn("clone", [(CLONE_FILES | CLONE_FS | SIGCHLD) as u64, 0, 0, 0, 0], 3);
        wait(child as i32);
        parent(child, flags("CLONE_FILES|CLONE_FS"))
            .and(SyscallClone_20X, born(child, if guessed() { "CLONE_FILES" } else { "CLONE_FILES|CLONE_FS" }))
    }),
    row(SyscallClone_20X, "a thread", || {
        let thread = spawn("clone", [THREAD as u64, 0, 0, 0, 0], 3);
        gone(thread);
        parent(thread, flags(SHARED)).and(SyscallClone_20X, thread_of(thread))
    }),
    row(SyscallClone_20X, "flags that do not go together", || refused(spawn("clone", [CLONE_SIGHAND as u64, 0, 0, 0, 0], 3), flags("CLONE_SIGHAND"))),
    row(SyscallClone_20X, "a child that has the memory of its parent", || {
        let child = spawn("clone", [(CLONE_VM | CLONE_VFORK | SIGCHLD) as u64, 0, 0, 0, 0], 3);
        assert_eq!(wait(child as i32), 3 << 8);
        parent(child, flags("CLONE_VM|CLONE_VFORK"))
            .and(SyscallClone_20X, born(child, if guessed() { "" } else { "CLONE_VM|CLONE_VFORK" }))
    }),
    row(SyscallClone_20X, "a child in a pid namespace", || {
        let child = spawn("clone", [(CLONE_NEWPID | SIGCHLD) as u64, 0, 0, 0, 0], 5);
        in_namespace(child, SyscallClone_20X)
    }),
    row(SyscallClone_20X, "many children that live short", || {
        let children = [0; 10].map(|_| spawn("clone", [SIGCHLD as u64, 0, 0, 0, 0], 3));
        let both = |child| {
            assert_eq!(wait(child as i32), 3 << 8);
            parent(child, flags("")).times(1).and(SyscallClone_20X, born(child, "").times(1))
        };
        let all = children.map(both).into_iter();
        all.reduce(|all, one| all.and(SyscallClone_20X, one)).unwrap()
    }),
    row(SyscallClone3X, "a child", || {
        let args = [0_u64, 0, 0, 0, SIGCHLD as u64, 0, 0, 0];
        let child = spawn("clone3", [std::ptr::from_ref(&args) as u64, 64, 0, 0, 0], 6);
        crate::frame::must("clone3", child);
        assert_eq!(wait(child as i32), 6 << 8);
        parent(child, flags("")).and(beginning(SyscallClone3X), born(child, ""))
    }),
    row(SyscallClone3X, "a thread", || {
        let args = [THREAD as u64, 0, 0, 0, 0, 0, 0, 0];
        let thread = spawn("clone3", [std::ptr::from_ref(&args) as u64, 64, 0, 0, 0], 3);
        crate::frame::must("clone3", thread);
        gone(thread);
        parent(thread, flags(SHARED)).and(beginning(SyscallClone3X), thread_of(thread))
    }),
    row(SyscallClone3X, "a child in a pid namespace", || {
        let args = [CLONE_NEWPID as u64, 0, 0, 0, SIGCHLD as u64, 0, 0, 0];
        let child = spawn("clone3", [std::ptr::from_ref(&args) as u64, 64, 0, 0, 0], 5);
        crate::frame::must("clone3", child);
        in_namespace(child, beginning(SyscallClone3X))
    }),
    row(SyscallClone3X, "no arguments", || refused(spawn("clone3", [BAD, 64, 0, 0, 0], 1), 0.into())),
    row(SyscallClone3X, "all flags", || {
        let args = [u64::MAX; 8];
        refused(spawn("clone3", [std::ptr::from_ref(&args) as u64, 64, 0, 0, 0], 1), anything("which bits have a name"))
    }),
];

const THREAD: i32 =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
const SHARED: &str = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM";

/// If a new thread's return from the kernel is not hooked and the kernel does not tell which call
/// created it (arm64 before Linux 5.15), its start is reported as `clone`, with the flags that can
/// be derived from what both share.
fn guessed() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    cfg!(target_arch = "aarch64") && version < (5, 15)
}

/// The event about a child's start.
fn beginning(call: EventType) -> EventType {
    if guessed() { SyscallClone_20X } else { call }
}

/// Changes to a user who may not create processes.
fn no_more() {
    ok!(setrlimit(RLIMIT_NPROC, &[0_u64, 0]));
    ok!(setresuid(1234, 1234, 1234));
}

/// This process.
fn me() -> Values {
    process(std::process::id() as i32)
}

fn set(values: &mut Values, name: &str, is: Is) {
    values
        .iter_mut()
        .filter(|(known, _)| *known == name)
        .for_each(|(_, value)| *value = is.clone());
}

/// A new process has few page faults, and little memory of its own.
fn small(mut values: Values) -> Values {
    set(&mut values, "pgft_maj", 0.into());
    set(&mut values, "pgft_min", between(0..=100_000));
    values
}

/// The parent's event.
pub(super) fn parent(child: i64, flags: Is) -> Expected {
    see! { res: child, flags: flags, ..me() }
}

/// The parent's event if no child was created.
fn refused(error: i64, flags: Is) -> Expected {
    assert!(error < 0);
    see! { res: error, exe: empty(), args: empty(), flags: flags, ..me() }
}

/// The child's event.
pub(super) fn born(child: i64, names: &'static str) -> Expected {
    let mut values = me();
    set(&mut values, "ptid", std::process::id().into());
    for name in ["tid", "pid", "vtid", "vpid"] {
        set(&mut values, name, child.into());
    }
    set(&mut values, "pidns_init_start_ts", start_of(1));
    see! { res: 0, flags: flags(names), ..small(values) }.by(child)
}

/// A thread's event.
fn thread_of(thread: i64) -> Expected {
    let mut values = me();
    for name in ["tid", "vtid"] {
        set(&mut values, name, thread.into());
    }
    set(&mut values, "pidns_init_start_ts", start_of(1));
    let names = if guessed() { "CLONE_VM|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD" } else { SHARED };
    see! { res: 0, flags: flags(names), ..small(values) }.by(thread)
}

/// Both events if the child is the first of a pid namespace; it exits with 5.
fn in_namespace(child: i64, beginning: EventType) -> Expected {
    assert_eq!(wait(child as i32), 5 << 8);
    let mut values = me();
    set(&mut values, "tid", child.into());
    set(&mut values, "pid", child.into());
    set(&mut values, "ptid", std::process::id().into());
    set(&mut values, "vtid", 1.into());
    set(&mut values, "vpid", 1.into());
    // It is the first of its namespace, and began with this row.
    let since_boot = Is::That("a time since boot", |ns| ns > 1_000_000_000);
    set(&mut values, "pidns_init_start_ts", since_boot);
    let names =
        if guessed() { "CLONE_CHILD_IN_PIDNS" } else { "CLONE_NEWPID|CLONE_CHILD_IN_PIDNS" };
    let born = see! { res: 0, flags: flags(names), ..small(values) }.by(child);
    parent(child, flags("CLONE_NEWPID")).and(beginning, born)
}
