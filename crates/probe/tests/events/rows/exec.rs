//! Execution of programs, and exits of processes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::prelude::*;
use super::process::{Begun, begin, executed, execve, install, process};
use crate::frame::Expected;
use crate::programs;
use crate::sys::pointers;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallExecve_19X, "with arguments and an environment", || {
        install("program");
        succeeds("program", begin(|| execve(c"program", &[c"a name", c"one", c"", c"three words here"], &[c"A=1", c"B="])))
    }),
    row(SyscallExecve_19X, "without either", || {
        install("program");
        // Kernels from 5.18 on add an empty argument.
        succeeds("program", begin(|| sys!(execve(c"program", 0, 0))))
    }),
    row(SyscallExecve_19X, "with a list of arguments that is empty", || {
        install("program");
        succeeds("program", begin(|| execve(c"program", &[], &[])))
    }),
    row(SyscallExecve_19X, "by the longest path", || {
        install("program");
        let path = c("./".repeat(2044) + "program");
        let child = begin(|| execve(&path, &[c"far"], &[]));
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, filename: &path, ..values }.by(pid.into()).times(1)
    }),
    row(SyscallExecve_19X, "huge arguments", || {
        install("program");
        let child = begin(|| {
            let many = vec![c"0123456789abcdef"; 1000];
            execve(c"program", &many, &many)
        });
        let all = b"0123456789abcdef\0".repeat(1000);
        // Both are truncated to 4096 bytes; for the arguments, the first one counts as well, and an
        // environment that is cut says so.
        let (args, env) = (cut(&all[17..], 4096 - 17), [&all[..4092], b"...\0"].concat());
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, args: args, env: env, filename: "program", ..values }.by(pid.into()).times(1)
    }),
    row(SyscallExecve_19X, "by another user, a file of root", || {
        install("program");
        fs::set_permissions(".", fs::Permissions::from_mode(0o755)).unwrap();
        let child = begin(|| {
            ok!(setresgid(44, 44, 44));
            ok!(setresuid(1234, 1234, 1234));
            execve(c"program", &[c"program"], &[])
        });
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, flags: flags(""), uid: 1234, gid: 44, cap_effective: 0, filename: "program", ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "by another user, a file of its own", || {
        install("program");
        std::os::unix::fs::chown("program", Some(1234), None).unwrap();
        fs::set_permissions(".", fs::Permissions::from_mode(0o755)).unwrap();
        let child = begin(|| {
            ok!(setresuid(1234, 1234, 1234));
            execve(c"program", &[c"program"], &[])
        });
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, flags: flags("EXE_WRITABLE"), filename: "program", ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "of a program that gives the rights of its owner", || {
        install("program");
        std::os::unix::fs::chown("program", Some(1234), None).unwrap();
        fs::set_permissions("program", fs::Permissions::from_mode(0o4755)).unwrap();
        let child = begin(|| execve(c"program", &[c"program"], &[]));
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, uid: 1234, filename: "program", ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "by a thread that is not the first", || {
        install("program");
        succeeds("program", begin(|| {
            let thread = std::thread::spawn(|| execve(c"program", &[c"from a thread"], &[]));
            thread.join().unwrap()
        }))
    }),
    row(SyscallExecve_19X, "by a child that has the memory of its parent", || {
        install("program");
        // The library calls it this way, and lets the parent continue only after the exec.
        let mut command = Command::new("./program");
        let mut child = command.arg("spawned").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let (pid, values) = (child.id() as i32, executed(child.id() as i32));
        child.stdin.take().unwrap().write_all(b"x").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(programs::STATUS));
        see! { res: 0, filename: "./program", ..values }.by(pid.into()).times(1)
    }),
    row(SyscallExecve_19X, "in a user namespace of one's own", || {
        install("program");
        let child = begin(|| {
            if sys!(unshare(CLONE_NEWUSER)) < 0 {
                exit(99);
            }
            execve(c"program", &[c"program"], &[])
        });
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        // The owner is root as before, whatever its number in the namespace.
        see! { res: 0, filename: "program", ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "of a script", || {
        install("program");
        let program = std::env::current_dir().unwrap().join("program");
        fs::write("script", format!("#!{} an argument\n", program.display())).unwrap();
        fs::set_permissions("script", fs::Permissions::from_mode(0o755)).unwrap();
        succeeds("script", begin(|| execve(c"script", &[c"script", c"its own"], &[])))
    }),
    row(SyscallExecve_19X, "through a link", || {
        install("program");
        std::os::unix::fs::symlink("program", "link").unwrap();
        succeeds("link", begin(|| execve(c"link", &[c"link"], &[])))
    }),
    row(SyscallExecve_19X, "below another root", || {
        fs::create_dir("root").unwrap();
        install("root/program");
        let real = std::env::current_dir().unwrap().join("root/program");
        let child = begin(|| {
            ok!(chroot(c"root"));
            execve(c"/program", &[c"program"], &[])
        });
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, trusted_exepath: real.to_str().unwrap(), filename: "/program", ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "on a private mount", || {
        fs::create_dir("m").unwrap();
        let program = programs::native();
        let real = std::env::current_dir().unwrap().join("m/program");
        let child = begin(|| {
            ok!(unshare(CLONE_NEWNS));
            ok!(mount(0, c"/", 0, MS_REC | MS_PRIVATE, 0));
            ok!(mount(c"none", c"m", c"tmpfs", 0, 0));
            fs::write("m/program", &program).unwrap();
            chmod_at(c"m/program");
            execve(c"m/program", &[c"program"], &[])
        });
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, trusted_exepath: real.to_str().unwrap(), filename: "m/program", ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "as the first of a pid namespace", || {
        install("program");
        let mut seen = None;
        let outer = begin(|| {
            ok!(unshare(CLONE_NEWPID));
            let inner = fork(|| {
                execve(c"program", &[c"inner"], &[]);
                100
            });
            exit(wait(inner) >> 8);
        });
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", outer.pid)).unwrap_or_default();
        if let Ok(inner) = children.trim().parse() {
            seen = Some((inner, executed(inner)));
        }
        outer.let_go();
        let Some((inner, values)) = seen else { skip("the kernel does not list children") };
        see! { res: 0, filename: "program", ..values }.by(inner.into())
    }),
    row(SyscallExecve_19X, "of a file without a name", || {
        if !fs::exists("/dev/fd").unwrap() {
            skip("there is no /dev/fd, which some kernels look for");
        }
        let fd = in_memory();
        let child = begin(|| {
            sys!(execveat(fd, c"", &pointers(&[c"x"])[..], &pointers(&[])[..], AT_EMPTY_PATH))
        });
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, flags: flags("EXE_WRITABLE|EXE_FROM_MEMFD"), trusted_exepath: "memfd:program", filename: format!("/dev/fd/{fd}"), ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "of a file without a name, by a path", || {
        let path = c(format!("/proc/self/fd/{}", in_memory()));
        let child = begin(|| execve(&path, &[c"x"], &[]));
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, flags: flags("EXE_WRITABLE|EXE_FROM_MEMFD"), trusted_exepath: "memfd:program", filename: &path, ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "below a directory", || {
        let fd = directory("d");
        install("d/program");
        let child = begin(|| sys!(execveat(fd, c"program", &pointers(&[c"x"])[..], &pointers(&[])[..], 0)));
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, filename: format!("/dev/fd/{fd}/program"), ..values }.by(pid.into()).times(1)
    }),
    row(SyscallExecve_19X, "of the lower layer of an overlay", || layered(false)),
    row(SyscallExecve_19X, "of the upper layer of an overlay", || layered(true)),
    row(SyscallExecve_19X, "of a file that is gone", || {
        install("program");
        let file = File::open("program").unwrap();
        fs::remove_file("program").unwrap();
        let path = c(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let real = std::env::current_dir().unwrap().join("program");
        let child = begin(|| execve(&path, &[c"gone"], &[]));
        let (pid, values) = (child.pid, executed(child.pid));
        child.let_go();
        see! { res: 0, trusted_exepath: real.to_str().unwrap(), filename: &path, ..values }.by(pid.into())
    }),
    row(SyscallExecve_19X, "of a program for 32 bits", || {
        if cfg!(not(target_arch = "x86_64")) {
            skip("this architecture has none");
        }
        fs::write("program", programs::narrow()).unwrap();
        fs::set_permissions("program", fs::Permissions::from_mode(0o755)).unwrap();
        if !runs("./program") {
            skip("the kernel runs no programs for 32 bits");
        }
        succeeds("program", begin(|| execve(c"program", &[c"narrow", c"arg"], &[c"E=1"]))).narrow()
    }),
    row(SyscallExecve_19X, "of nothing", || {
        let res = execve(c"/no/program", &[c"exe", c"one", c"two"], &[c"A=1"]);
        failed(res, texts(&["exe"]), texts(&["one", "two"]), texts(&["A=1"]), c"/no/program".into())
    }),
    row(SyscallExecve_19X, "bad pointers", || failed(sys!(execve(BAD, BAD, BAD)), empty(), empty(), empty(), empty())),
    row(SyscallExecve_19X, "nothing at all", || failed(sys!(execve(0, 0, 0)), "".into(), empty(), empty(), empty())),
    row(SyscallExecve_19X, "of nothing, with more arguments than are kept", || {
        let many = vec![c"0123456789abcdef"; 1000];
        let res = execve(c"no", &many, &[]);
        failed(res, c"0123456789abcdef".into(), b"0123456789abcdef\0".repeat(23).into(), empty(), "no".into())
    }),
    row(SyscallExecve_19X, "of nothing, with an argument that is too long", || {
        let long = c("x".repeat(10_000));
        let res = execve(c"no", &[c"exe", &long, c"after"], &[]);
        failed(res, "exe".into(), cut(&[b'x'; 5000], 4092).into(), empty(), "no".into())
    }),
    row(SyscallExecve_19X, "with an argument that no program is given", || {
        install("program");
        let huge = c("x".repeat(200_000));
        let res = execve(c"program", &[c"exe", &huge], &[]);
        assert_eq!(res, error(E2BIG));
        failed(res, "exe".into(), cut(&[b'x'; 5000], 4092).into(), empty(), "program".into())
    }),
    row(SyscallExecve_19X, "by a path without an end", || {
        let res = sys!(execve(unterminated(b"/bin/sh"), 0, 0));
        failed(res, "".into(), empty(), empty(), empty())
    }),
    row(SyscallExecve_19X, "of nothing, with a list that ends where memory does", || {
        let list = unterminated(&(c"arg".as_ptr() as u64).to_ne_bytes());
        let res = sys!(execve(c"no", list, list));
        failed(res, "arg".into(), empty(), "arg".into(), "no".into())
    }),
    row(SyscallExecve_19X, "without the right to", || {
        fs::write("file", "").unwrap();
        let res = execve(c"file", &[c"file"], &[]);
        failed(res, "file".into(), empty(), empty(), "file".into())
    }),
    row(SyscallExecveatX, "of nothing", || {
        let fd = directory("d");
        let (args, env) = (pointers(&[c"exe", c"one"]), pointers(&[c"A=1"]));
        let res = sys!(execveat(fd, c"no", &args[..], &env[..], 0));
        let mut values = executed(std::process::id() as i32);
        values.retain(|(name, _)| *name != "flags");
        see! { res: res, exe: "exe", args: texts(&["one"]), env: texts(&["A=1"]), flags: own_flags(), ..values }
    }),
    row(SyscallExecveatX, "bad pointers", || {
        let res = sys!(execveat(-1, BAD, BAD, BAD, -1));
        let values = executed(std::process::id() as i32);
        see! { res: res, exe: empty(), args: empty(), env: empty(), flags: own_flags(), ..values }
    }),
    row(Procexit_1E, "with a status", || {
        let child = fork(|| 3);
        wait(child);
        see! { status: 3 << 8, ret: 3, sig: 0, core: 0, reaper_tid: 0 }.by(child.into()).times(1)
    }),
    row(Procexit_1E, "by a signal", || {
        let child = fork(|| loop { stay(); });
        ok!(kill(child, SIGKILL));
        wait(child);
        see! { status: SIGKILL, ret: 0, sig: SIGKILL, core: 0, reaper_tid: 0 }.by(child.into())
    }),
    row(Procexit_1E, "by a fault, without a core", || {
        ok!(setrlimit(RLIMIT_CORE, &[0_u64, 0]));
        let child = fork(|| {
            // Unlike SIGQUIT, no shell lets its jobs ignore it.
            ok!(kill(std::process::id(), SIGABRT));
            0
        });
        let status = wait(child);
        see! { status: status, ret: 0, sig: SIGABRT, core: u8::from(status & 0x80 != 0), reaper_tid: 0 }.by(child.into())
    }),
    row(Procexit_1E, "of a thread", || {
        let thread = std::thread::spawn(|| ok!(gettid())).join().unwrap();
        gone(thread);
        see! { status: 0, ret: 0, sig: 0, core: 0, reaper_tid: 0 }.by(thread)
    }),
    row(Procexit_1E, "that leaves children to a subreaper", || {
        ok!(prctl(PR_SET_CHILD_SUBREAPER, 1));
        let child = fork(|| {
            let orphan = fork(|| {
                sys!(nanosleep(&[0_u64, 50_000_000], 0));
                0
            });
            i32::from(orphan < 0)
        });
        wait(child);
        wait(-1);
        see! { status: 0, ret: 0, sig: 0, core: 0, reaper_tid: std::process::id() }.by(child.into())
    }),
    row(Procexit_1E, "of many that live short", || {
        let mut expected: Option<Expected> = None;
        for status in 1..40 {
            let child = fork(|| status);
            wait(child);
            let one = see! { status: status << 8, ret: status, sig: 0, core: 0, reaper_tid: 0 }.by(child.into()).times(1);
            expected = Some(match expected {
                Some(all) => all.and(Procexit_1E, one),
                None => one,
            });
        }
        expected.unwrap()
    }),
    row(Schedswitch_6E, "that waits", || {
        ok!(nanosleep(&[0_u64, 2_000_000], 0));
        let values = process(std::process::id() as i32);
        let used = values.into_iter().filter(|(name, _)| name.starts_with("vm_") || name.starts_with("pgft_"));
        see! { next: anything("the next task"), ..used.collect::<Values>() }
    }),
];

/// A successful exec. It is reported once.
pub(super) fn succeeds(filename: &str, child: Begun) -> Expected {
    let (pid, values) = (child.pid, executed(child.pid));
    child.let_go();
    see! { res: 0, filename: filename, ..values }.by(pid.into()).times(1)
}

/// A failed exec: the request and its caller.
fn failed(res: i64, exe: Is, args: Is, env: Is, filename: Is) -> Expected {
    assert!(res < 0);
    let values = executed(std::process::id() as i32);
    see! { res: res, exe: exe, args: args, env: env, filename: filename, flags: own_flags(), ..values }
}

/// The test binary may be owned by root or another user, on an overlay or not.
fn own_flags() -> Is {
    one_of(
        ["EXE_WRITABLE", "EXE_WRITABLE|EXE_UPPER_LAYER", "EXE_WRITABLE|EXE_LOWER_LAYER"].map(flags),
    )
}

/// A prefix, with a NUL at its end.
fn cut(bytes: &[u8], len: usize) -> Vec<u8> {
    [&bytes[..len - 1], &[0]].concat()
}

fn chmod_at(path: &std::ffi::CStr) -> i64 {
    sys!(fchmodat(AT_FDCWD, path, 0o755))
}

/// The program in a memfd.
fn in_memory() -> i64 {
    let fd = ok!(memfd_create(c"program", 0));
    let mut file = fs::OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}")).unwrap();
    file.write_all(&programs::native()).unwrap();
    fd
}

/// Whether the kernel can execute a program.
fn runs(path: &str) -> bool {
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.code() == Some(programs::STATUS))
}

/// A program on an overlay, in one of its two layers.
fn layered(upper: bool) -> Expected {
    overlay(|| install("lower/program"));
    if upper {
        install("all/program");
    }
    let child = begin(|| execve(c"all/program", &[c"layered"], &[]));
    let (pid, values) = (child.pid, executed(child.pid));
    child.let_go();
    let layer = if upper { "EXE_WRITABLE|EXE_UPPER_LAYER" } else { "EXE_WRITABLE|EXE_LOWER_LAYER" };
    see! { res: 0, flags: flags(layer), filename: "all/program", ..values }.by(pid.into())
}
