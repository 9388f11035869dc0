//! Operations on the whole machine: mounts, modules, quotas, keys, BPF programs, other processes.

use std::sync::atomic::Ordering;

use peregrine_event::{native_syscalls, syscall_name};

use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallMountX, "a file system", || {
        own_mounts();
        std::fs::create_dir("m").unwrap();
        let res = ok!(mount(c"none", c"m", c"tmpfs", MS_NOSUID | MS_NODEV, c"size=4k"));
        see! { res: res, dev: "none", dir: "m", type: "tmpfs", flags: flags("NOSUID|NODEV") }
    }),
    row(SyscallMountX, "the same elsewhere", || {
        own_mounts();
        std::fs::create_dir("m").unwrap();
        let res = ok!(mount(c".", c"m", 0, MS_BIND | MS_REC, 0));
        see! { res: res, dev: ".", dir: "m", type: empty(), flags: flags("BIND|REC") }
    }),
    row(SyscallMountX, "with the number of old", || {
        let res = sys!(mount(BAD, c"/nowhere", BAD, 0xc0ed_0000_u32 | 1, BAD));
        see! { res: res, dev: empty(), dir: "/nowhere", type: empty(), flags: flags("RDONLY") }
    }),
    row(SyscallUmount2X, "a file system", || {
        own_mounts();
        std::fs::create_dir("m").unwrap();
        ok!(mount(c"none", c"m", c"tmpfs", 0, 0));
        see! { res: ok!(umount2(c"m", MNT_DETACH | UMOUNT_NOFOLLOW)), name: "m", flags: flags("DETACH|NOFOLLOW") }
    }),
    row(SyscallUmount2X, "a bad pointer", || see! { res: sys!(umount2(BAD, -1)), name: empty(), flags: flags("FORCE|DETACH|EXPIRE|NOFOLLOW") }),
    row(SyscallFsconfigX, "a text", || {
        let fd = file_system();
        let res = ok!(fsconfig(fd, 1, c"source", c"value", 0));
        see! { res: res, fd: fd, cmd: flags("FSCONFIG_SET_STRING"), key: "source", value_bytebuf: empty(), value_charbuf: "value", aux: 0 }
    }),
    row(SyscallFsconfigX, "a flag that is none", || {
        let fd = file_system();
        let res = sys!(fsconfig(fd, 0, c"nothing", 0, 0));
        see! { res: res, fd: fd, cmd: flags("FSCONFIG_SET_FLAG"), key: "nothing", value_bytebuf: empty(), value_charbuf: empty(), aux: 0 }
    }),
    row(SyscallFsconfigX, "no file system", || {
        let res = sys!(fsconfig(-1, 2, BAD, BAD, 5));
        see! { res: res, fd: -1, cmd: flags("FSCONFIG_SET_BINARY"), key: empty(), value_bytebuf: empty(), value_charbuf: empty(), aux: 5 }
    }),
    row(SyscallInitModuleX, "no module", || {
        see! { res: sys!(init_module(c"no module", 9, c"with=this")), img: b"no module", length: 9, uargs: "with=this" }
    }),
    row(SyscallInitModuleX, "a bad pointer", || see! { res: sys!(init_module(BAD, 7, BAD)), img: empty(), length: 7, uargs: empty() }),
    row(SyscallFinitModuleX, "no module", || {
        let fd = anonymous();
        see! { res: sys!(finit_module(fd, c"", 3)), fd: fd, uargs: "", flags: flags("MODULE_INIT_IGNORE_MODVERSIONS|MODULE_INIT_IGNORE_VERMAGIC") }
    }),
    row(SyscallFinitModuleX, "a bad pointer", || see! { res: sys!(finit_module(-1, BAD, 0)), fd: -1, uargs: empty(), flags: 0 }),
    row(SyscallDeleteModuleX, "none", || {
        see! { res: sys!(delete_module(c"peregrine_none", O_NONBLOCK)), name: "peregrine_none", flags: flags("O_NONBLOCK") }
    }),
    row(SyscallDeleteModuleX, "a bad pointer", || see! { res: sys!(delete_module(BAD, O_TRUNC)), name: empty(), flags: flags("O_TRUNC") }),
    row(SyscallQuotactlX, "turned on", || {
        let command = 0x80_0002 << 8;
        see! { res: sys!(quotactl(command, c"/dev/none", 4, c"/quota.file")), special: "/dev/none", quotafilepath: "/quota.file", cmd: flags("Q_QUOTAON"), type: flags("USRQUOTA"), id: 0, quota_fmt: flags("QFMT_VFS_V1"), ..no_quota() }
    }),
    row(SyscallQuotactlX, "limits of a user", || {
        let quota: [u64; 9] = [10, 20, 30, 40, 50, 60, 70, 80, 0x3f];
        see! { res: sys!(quotactl(0x80_0008 << 8, c"/dev/none", 1000, &quota)), special: "/dev/none", quotafilepath: empty(), dqb_bhardlimit: 10, dqb_bsoftlimit: 20, dqb_curspace: 30, dqb_ihardlimit: 40, dqb_isoftlimit: 50, dqb_btime: 70, dqb_itime: 80, cmd: flags("Q_SETQUOTA"), type: flags("USRQUOTA"), id: 1000, quota_fmt: flags("QFMT_NOT_USED"), ..no_quota() }
    }),
    row(SyscallQuotactlX, "how long one may exceed", || {
        let info: [u64; 3] = [600, 700, 2 | 7 << 32];
        see! { res: sys!(quotactl(0x80_0006 << 8 | 1, BAD, 0, &info)), special: empty(), quotafilepath: empty(), dqi_bgrace: 600, dqi_igrace: 700, dqi_flags: flags("V1_DQF_RSQUASH"), cmd: flags("Q_SETINFO"), type: flags("GRPQUOTA"), id: 0, quota_fmt: flags("QFMT_NOT_USED"), ..no_quota() }
    }),
    row(SyscallQuotactlX, "all wrong", || {
        see! { res: sys!(quotactl(-1, BAD, -1, BAD)), special: empty(), quotafilepath: empty(), cmd: 0, type: 0, id: 0, quota_fmt: flags("QFMT_NOT_USED"), ..no_quota() }
    }),
    row(SyscallBpf_2X, "a map", || {
        let map = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        see! { fd: sys!(bpf(0, &map, 64)), cmd: flags("BPF_MAP_CREATE") }
    }),
    row(SyscallBpf_2X, "a bad pointer", || see! { fd: sys!(bpf(5, BAD, 48)), cmd: flags("BPF_PROG_LOAD") }),
    row(SyscallKeyctlX, "a session of one's own", || {
        see! { res: sys!(keyctl(1, c"peregrine-test")), operation: flags("KEYCTL_JOIN_SESSION_KEYRING"), arg2: key_text("peregrine-test"), arg3: key(0), arg4: key(0), arg5: key(0) }
    }),
    row(SyscallKeyctlX, "whose keyring", || {
        see! { res: sys!(keyctl(0, -3, 0)), operation: flags("KEYCTL_GET_KEYRING_ID"), arg2: key(-3), arg3: key(0), arg4: key(0), arg5: key(0) }
    }),
    row(SyscallKeyctlX, "looks for a key", || {
        see! { res: sys!(keyctl(10, -3, c"user", c"peregrine:none", 7)), operation: flags("KEYCTL_SEARCH"), arg2: key(-3), arg3: key_text("user"), arg4: key_text("peregrine:none"), arg5: key(7) }
    }),
    row(SyscallKeyctlX, "an operation that is none", || {
        see! { res: sys!(keyctl(9999, 1, 2, 3, 4)), operation: 9999, arg2: key(0), arg3: key(0), arg4: key(0), arg5: key(0) }
    }),
    row(SyscallPtraceX, "looks into a child", || {
        let word = 0x1234_5678_9abc_def0_u64;
        let at = std::ptr::from_ref(&word) as u64;
        let (child, mut seen) = (traced(), 0_u64);
        let res = ok!(ptrace(PTRACE_PEEKDATA, child, at, &mut seen));
        end(child);
        see! { res: res, addr: dynamic(0, &at.to_ne_bytes()), data: dynamic(0, &word.to_ne_bytes()), request: flags("PTRACE_PEEKDATA"), pid: child }
    }),
    row(SyscallPtraceX, "lets a child go on, with a signal", || {
        let child = traced();
        let res = ok!(ptrace(PTRACE_CONT, child, 1, SIGKILL));
        wait(child);
        see! { res: res, addr: dynamic(0, &1_u64.to_ne_bytes()), data: dynamic(1, &[9]), request: flags("PTRACE_CONT"), pid: child }
    }),
    row(SyscallPtraceX, "no such process", || {
        let zero = 0_u64.to_ne_bytes();
        see! { res: sys!(ptrace(PTRACE_ATTACH, -5, BAD, BAD)), addr: dynamic(0, &zero), data: dynamic(0, &zero), request: flags("PTRACE_ATTACH"), pid: -5 }
    }),
    row(SyscallPtraceX, "a request that is none", || {
        let zero = 0_u64.to_ne_bytes();
        see! { res: sys!(ptrace(-1, std::process::id(), 0, 0)), addr: dynamic(0, &zero), data: dynamic(0, &zero), request: 0, pid: std::process::id() }
    }),
    row(SignaldeliverE, "one's own", || {
        let pid = std::process::id();
        handle(SIGUSR1);
        ok!(kill(pid, SIGUSR1));
        see! { spid: pid, dpid: pid, sig: SIGUSR1 }
    }),
    row(SignaldeliverE, "from another process", || {
        let (parent, child) = (std::process::id(), held(|| _ = handle(SIGRTMIN())));
        ok!(kill(child.pid, SIGRTMIN()));
        child.let_go();
        see! { spid: parent, dpid: child.pid, sig: SIGRTMIN() }.by(child.pid.into())
    }),
    row(SignaldeliverE, "of a child that ended", || {
        handle(SIGCHLD);
        let child = fork(|| 0);
        wait(child);
        see! { spid: child, dpid: std::process::id(), sig: SIGCHLD }
    }),
    row(SignaldeliverE, "of a timer", || {
        let taken = handle(SIGALRM);
        ok!(setitimer(ITIMER_REAL, &[0_u64, 0, 0, 1000], 0));
        // Without waiting for another call first. A timer of an emulated machine may be late.
        while !taken.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        see! { spid: 0, dpid: std::process::id(), sig: SIGALRM }
    }),
    row(SignaldeliverE, "from the kernel", || {
        let child = fork(|| {
            touch(BAD);
            0
        });
        assert_eq!(wait(child) & 0x7f, SIGSEGV);
        see! { spid: 0, dpid: child, sig: SIGSEGV }.by(child.into())
    }),
    row(GenericX, "getppid", || {
        ok!(getppid());
        generic("getppid")
    }),
    row(GenericX, "uname, a bad pointer", || {
        sys!(uname(BAD));
        generic("uname")
    }),
    row(GenericX, "mremap, all wrong", || {
        sys!(mremap(1, u64::MAX, u64::MAX, -1, 3));
        generic("mremap")
    }),
    row(GenericX, "reboot, wrong numbers", || {
        sys!(reboot(1, 2, 3, BAD));
        generic("reboot")
    }),
    row(GenericX, "sethostname, a bad pointer", || {
        sys!(sethostname(BAD, 5));
        generic("sethostname")
    }),
    row(GenericX, "settimeofday, bad pointers", || {
        sys!(settimeofday(BAD, BAD));
        generic("settimeofday")
    }),
    row(GenericX, "kexec_load, all wrong", || {
        sys!(kexec_load(BAD, 17, BAD, u64::MAX));
        generic("kexec_load")
    }),
    row(GenericX, "swapon, a bad pointer", || {
        sys!(swapon(BAD, 0));
        generic("swapon")
    }),
    row(GenericX, "readlinkat, the longest path", || {
        let path = long_path();
        sys!(readlinkat(AT_FDCWD, path.as_c_str(), BAD, 0));
        generic("readlinkat")
    }),
    row(GenericX, "truncate", || {
        std::fs::write("there", "x").unwrap();
        ok!(truncate(c"there", 0));
        generic_on("truncate", AT_FDCWD.into(), "there")
    }),
    row(GenericX, "ftruncate", || {
        let fd = anonymous();
        ok!(ftruncate(fd, 3));
        see! { ID: code("ftruncate"), nativeID: crate::sys::number("ftruncate"), dirfd: fd, path: empty() }
    }),
    row(GenericX, "the times of a file below a directory", || {
        let fd = directory("d");
        std::fs::write("d/f", "x").unwrap();
        ok!(utimensat(fd, c"f", 0, 0));
        generic_on("utimensat", fd, "f")
    }),
    row(GenericX, "the times of an open file", || {
        let fd = anonymous();
        ok!(utimensat(fd, 0, 0, 0));
        see! { ID: code("utimensat"), nativeID: crate::sys::number("utimensat"), dirfd: fd, path: empty() }
    }),
    row(GenericX, "open_tree, the longest path", || {
        let path = long_path();
        sys!(open_tree(AT_FDCWD, path.as_c_str(), 0));
        generic("open_tree")
    }),
    row(GenericX, "move_mount", || {
        let tree = ok!(open_tree(AT_FDCWD, c"/", 1));
        std::fs::create_dir("mnt").unwrap();
        let ret = sys!(move_mount(tree, c"", AT_FDCWD, c"mnt", 4));
        if ret < 0 {
            return generic("move_mount");
        }
        ok!(umount2(c"mnt", 2));
        let rest = vec![("newdirfd", Is::from(AT_FDCWD)), ("newpath", Is::from("mnt"))];
        see! { ID: code("move_mount"), nativeID: crate::sys::number("move_mount"), dirfd: tree, path: "", ..rest }
    }),
    row(GenericX, "personality", || {
        sys!(personality(u32::MAX));
        generic("personality")
    }),
    row(GenericX, "memfd_secret", || {
        sys!(memfd_secret(-1));
        generic("memfd_secret")
    }),
    row(GenericX, "every call without an event of its own, all wrong", || {
        let all = native_syscalls().iter().filter(|call| super::exit_of(call.exit) == GenericX);
        let names = all.filter_map(|call| syscall_name(call.sc)).filter(|name| !LEFT_OUT.contains(name));
        // Calls that the kernel lacks are seen only by the hook at the exit of all calls.
        let made = names.filter(|name| crate::sys::call(name, &[u64::MAX; 6]) != error(ENOSYS));
        made.map(generic).reduce(|all, one| all.and(GenericX, one)).unwrap()
    }),
    row(GenericX, "rseq, a bad pointer", || {
        sys!(rseq(BAD, 1, 2, 3));
        generic("rseq")
    }),
    row(GenericX, "statx, a bad pointer", || {
        sys!(statx(AT_FDCWD, BAD, 0, -1, BAD));
        generic("statx")
    }),
];

/// Calls that do not return, block forever, end the process, or affect the whole machine.
const LEFT_OUT: [&str; 8] =
    ["exit", "exit_group", "pause", "rt_sigreturn", "sync", "uprobe", "uretprobe", "vhangup"];

/// The event of a call without one of its own.
fn generic(name: &str) -> crate::frame::Expected {
    see! { ID: code(name), nativeID: crate::sys::number(name) }
}

/// The same of a call that succeeded and acts on a path.
fn generic_on(name: &str, dirfd: i64, path: &'static str) -> crate::frame::Expected {
    see! { ID: code(name), nativeID: crate::sys::number(name), dirfd: dirfd, path: path }
}

fn code(name: &str) -> u16 {
    peregrine_event::syscall_names().find(|(_, known)| *known == name).unwrap().0
}

/// A file system under construction.
fn file_system() -> i64 {
    ok!(fsopen(c"tmpfs", 0))
}

/// The number of a key operation.
fn key(number: i64) -> Is {
    dynamic(0, &number.to_ne_bytes())
}

/// The text of a key operation.
fn key_text(name: &str) -> Is {
    dynamic(1, &[name.as_bytes(), &[0]].concat())
}

/// Default parameters of a quota event.
fn no_quota() -> Values {
    let numbers = [
        "dqb_bhardlimit",
        "dqb_bsoftlimit",
        "dqb_curspace",
        "dqb_ihardlimit",
        "dqb_isoftlimit",
        "dqb_btime",
        "dqb_itime",
        "dqi_bgrace",
        "dqi_igrace",
        "dqi_flags",
    ];
    let zeros = numbers.into_iter().map(|name| (name, 0.into()));
    zeros.chain([("quota_fmt_out", flags("QFMT_NOT_USED"))]).collect()
}

/// A stopped child that this process traces.
fn traced() -> i32 {
    let child = fork(|| {
        sys!(ptrace(PTRACE_TRACEME, 0, 0, 0));
        sys!(kill(std::process::id(), SIGSTOP));
        0
    });
    assert_eq!(wait(child) & 0xff, 0x7f);
    child
}

fn end(child: i32) {
    ok!(kill(child, SIGKILL));
    wait(child);
}
