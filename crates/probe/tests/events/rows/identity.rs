//! Identity of processes: ids, capabilities, limits, and the calls that query them.

use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallGetuidX, "one's own", || see! { uid: ok!(getuid()) }),
    row(SyscallGetuidX, "of another user", || {
        ok!(setresuid(1234, -1, -1));
        see! { uid: 1234 }.and(SyscallGetuidX, see! { uid: sys!(getuid()) })
    }),
    row(SyscallGeteuidX, "of another user", || {
        ok!(setresuid(-1, 1235, -1));
        see! { euid: ok!(geteuid()) }
    }),
    row(SyscallGetgidX, "of another group", || {
        ok!(setresgid(77, -1, -1));
        see! { gid: ok!(getgid()) }
    }),
    row(SyscallGetegidX, "of another group", || {
        ok!(setresgid(-1, 78, -1));
        see! { egid: ok!(getegid()) }
    }),
    row(SyscallGetresuidX, "all three", || {
        let mut ids = [0_u32; 3];
        ok!(setresuid(1, 2, 3));
        let [r, e, s] = &mut ids;
        see! { res: ok!(getresuid(r, e, s)), ruid: 1, euid: 2, suid: 3 }
    }),
    row(SyscallGetresuidX, "bad pointers", || see! { res: sys!(getresuid(BAD, BAD, BAD)), ruid: 0, euid: 0, suid: 0 }),
    row(SyscallGetresgidX, "all three", || {
        let mut ids = [0_u32; 3];
        ok!(setresgid(4, 5, 6));
        let [r, e, s] = &mut ids;
        see! { res: ok!(getresgid(r, e, s)), rgid: 4, egid: 5, sgid: 6 }
    }),
    row(SyscallGetresgidX, "bad pointers", || see! { res: sys!(getresgid(BAD, 0, BAD)), rgid: 0, egid: 0, sgid: 0 }),
    row(SyscallSetuidX, "another user", || see! { res: ok!(setuid(1000)), uid: 1000 }),
    row(SyscallSetuidX, "back to root", || {
        ok!(setuid(1000));
        see! { res: sys!(setuid(0)), uid: 0 }
    }),
    row(SyscallSetgidX, "another group", || see! { res: ok!(setgid(1001)), gid: 1001 }),
    row(SyscallSetgidX, "none", || see! { res: sys!(setgid(-1)), gid: -1 }),
    row(SyscallSetreuidX, "another user", || see! { res: ok!(setreuid(7, 8)), ruid: 7, euid: 8 }),
    row(SyscallSetreuidX, "unchanged", || see! { res: ok!(setreuid(-1, -1)), ruid: -1, euid: -1 }),
    row(SyscallSetregidX, "another group", || see! { res: ok!(setregid(9, -1)), rgid: 9, egid: -1 }),
    row(SyscallSetregidX, "without the right to", || {
        ok!(setuid(1000));
        see! { res: sys!(setregid(0, 55)), rgid: 0, egid: 55 }
    }),
    row(SyscallSetresuidX, "another user", || see! { res: ok!(setresuid(1, 2, 3)), ruid: 1, euid: 2, suid: 3 }),
    row(SyscallSetresuidX, "without the right to", || {
        ok!(setresuid(1, 1, 1));
        see! { res: sys!(setresuid(-1, 0, -1)), ruid: -1, euid: 0, suid: -1 }
    }),
    row(SyscallSetresgidX, "another group", || see! { res: ok!(setresgid(4, -1, 6)), rgid: 4, egid: -1, sgid: 6 }),
    row(SyscallSetresgidX, "without the right to", || {
        ok!(setresuid(1, 1, 1));
        see! { res: sys!(setresgid(1, 2, 3)), rgid: 1, egid: 2, sgid: 3 }
    }),
    row(SyscallSetpgidX, "one's own", || see! { res: ok!(setpgid(0, 0)), pid: 0, pgid: 0 }),
    row(SyscallSetpgidX, "no such process", || see! { res: sys!(setpgid(-1, -2)), pid: -1, pgid: -2 }),
    row(SyscallSetsidX, "one's own", || see! { res: ok!(setsid()) }),
    row(SyscallSetsidX, "twice", || {
        ok!(setsid());
        see! { res: sys!(setsid()) }
    }),
    row(SyscallCapsetX, "fewer", || {
        let header = [0x2008_0522_u32, 0];
        let data: [u32; 6] = [1 << 3, 1 << 3 | 2, 0, 1 << 8, 1 << 8, 0];
        // Effective, permitted, inheritable: low words first.
        let res = ok!(capset(&header, &data));
        see! { res: res, cap_inheritable: 0, cap_permitted: 1_u64 << 40 | 10, cap_effective: 1_u64 << 40 | 8 }
    }),
    row(SyscallCapsetX, "a bad pointer", || {
        let [inheritable, permitted, effective] = capabilities();
        see! { res: sys!(capset(BAD, BAD)), cap_inheritable: inheritable, cap_permitted: permitted, cap_effective: effective }
    }),
    row(SyscallGetrlimitX, "of files", || {
        let mut limit = [0_u64; 2];
        let res = ok!(getrlimit(RLIMIT_NOFILE, &mut limit));
        see! { res: res, cur: limit[0], max: limit[1], resource: flags("RLIMIT_NOFILE") }
    }),
    row(SyscallGetrlimitX, "of nothing", || see! { res: sys!(getrlimit(99, BAD)), cur: -1, max: -1, resource: flags("RLIMIT_UNKNOWN") }),
    row(SyscallSetrlimitX, "of the core", || see! { res: ok!(setrlimit(RLIMIT_CORE, &[5_u64, 6])), cur: 5, max: 6, resource: flags("RLIMIT_CORE") }),
    row(SyscallSetrlimitX, "a bad pointer", || see! { res: sys!(setrlimit(RLIMIT_CPU, BAD)), cur: 0, max: 0, resource: flags("RLIMIT_CPU") }),
    row(SyscallPrlimitX, "one's own", || {
        let mut old = [0_u64; 2];
        let res = ok!(prlimit64(0, RLIMIT_STACK, &[1_u64 << 20, 1 << 30], &mut old));
        see! { res: res, newcur: 1_u64 << 20, newmax: 1_u64 << 30, oldcur: old[0], oldmax: old[1], pid: 0, resource: flags("RLIMIT_STACK") }
    }),
    row(SyscallPrlimitX, "no such process", || {
        see! { res: sys!(prlimit64(-1, 77, BAD, BAD)), newcur: 0, newmax: 0, oldcur: -1, oldmax: -1, pid: -1, resource: flags("RLIMIT_UNKNOWN") }
    }),
    row(SyscallPrctlX, "a name", || {
        see! { res: ok!(prctl(PR_SET_NAME, c"a name of its own")), option: flags("PR_SET_NAME"), arg2_str: "a name of its own", arg2_int: 0 }
    }),
    row(SyscallPrctlX, "whose name", || {
        let mut name = [0_u8; 16];
        ok!(prctl(PR_SET_NAME, c"short"));
        see! { res: ok!(prctl(PR_GET_NAME, &mut name)), option: flags("PR_GET_NAME"), arg2_str: "short", arg2_int: 0 }
    }),
    row(SyscallPrctlX, "who looks after orphans", || {
        let mut yes = 0_i32;
        ok!(prctl(PR_SET_CHILD_SUBREAPER, 1));
        let res = ok!(prctl(PR_GET_CHILD_SUBREAPER, &mut yes));
        see! { res: res, option: flags("PR_GET_CHILD_SUBREAPER"), arg2_str: empty(), arg2_int: 1 }.and(
            SyscallPrctlX,
            see! { res: 0, option: flags("PR_SET_CHILD_SUBREAPER"), arg2_str: empty(), arg2_int: 1 },
        )
    }),
    row(SyscallPrctlX, "nothing that is known", || {
        see! { res: sys!(prctl(-1, u64::MAX, 0, 0, 0)), option: -1, arg2_str: empty(), arg2_int: -1 }
    }),
    row(SyscallSeccompX, "what is there", || {
        let action = 0x7fff_0000_u32;
        see! { res: ok!(seccomp(2, 0, &action)), op: 2, flags: 0 }
    }),
    row(SyscallSeccompX, "more than 32 bits", || see! { res: sys!(seccomp(5_u64 << 32 | 77, u64::MAX, BAD)), op: 77, flags: u32::MAX }),
    row(SyscallUnshareX, "namespaces", || {
        see! { res: ok!(unshare(CLONE_NEWUTS | CLONE_NEWNS | CLONE_FILES)), flags: flags("CLONE_NEWUTS|CLONE_NEWNS|CLONE_FILES") }
    }),
    row(SyscallUnshareX, "all", || see! { res: sys!(unshare(-1)), flags: anything("which bits have a name") }),
    row(SyscallSetnsX, "one's own", || {
        let fd = ok!(openat(AT_FDCWD, c"/proc/self/ns/uts", 0));
        see! { res: ok!(setns(fd, CLONE_NEWUTS)), fd: fd, nstype: flags("CLONE_NEWUTS") }
    }),
    row(SyscallSetnsX, "those of a child", || {
        let child = held(|| _ = ok!(unshare(CLONE_NEWNS | CLONE_NEWPID)));
        let path = c(format!("/proc/{}/ns/mnt", child.pid));
        let fd = ok!(openat(AT_FDCWD, path.as_c_str(), 0));
        let res = ok!(setns(fd, CLONE_NEWNS));
        child.let_go();
        see! { res: res, fd: fd, nstype: flags("CLONE_NEWNS") }
    }),
    row(SyscallSetnsX, "a file", || {
        let fd = anonymous();
        see! { res: sys!(setns(fd, 0)), fd: fd, nstype: 0 }
    }),
    row(SyscallKillX, "oneself, with nothing", || {
        let pid = std::process::id();
        see! { res: ok!(kill(pid, 0)), pid: pid, sig: 0 }
    }),
    row(SyscallKillX, "a child", || {
        let pid = fork(|| loop { stay(); });
        let res = ok!(kill(pid, SIGTERM));
        wait(pid);
        see! { res: res, pid: pid, sig: SIGTERM }
    }),
    row(SyscallKillX, "a signal that is none", || see! { res: sys!(kill(std::process::id(), 99)), pid: std::process::id(), sig: 99 }),
    row(SyscallTkillX, "oneself, with nothing", || {
        let pid = std::process::id();
        see! { res: ok!(tkill(pid, 0)), tid: pid, sig: 0 }
    }),
    row(SyscallTkillX, "no such process", || see! { res: sys!(tkill(-4, 9)), tid: -4, sig: 9 }),
    row(SyscallTgkillX, "oneself, with nothing", || {
        let pid = std::process::id();
        see! { res: ok!(tgkill(pid, pid, 0)), pid: pid, tid: pid, sig: 0 }
    }),
    row(SyscallTgkillX, "no such process", || see! { res: sys!(tgkill(-1, -2, 64)), pid: -1, tid: -2, sig: 64 }),
    row(SyscallFutexX, "wakes no thread", || {
        let word = 5_u32;
        let at = std::ptr::from_ref(&word) as u64;
        see! { res: ok!(futex(at, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0)), addr: at, op: flags("FUTEX_WAKE|FUTEX_PRIVATE_FLAG"), val: 1 }
    }),
    row(SyscallFutexX, "a bad pointer", || {
        see! { res: sys!(futex(BAD, FUTEX_WAIT_BITSET, 9_u64 << 32 | 3, 0, 0, 1)), addr: BAD, op: flags("FUTEX_WAIT_BITSET"), val: 3 }
    }),
    row(SyscallNanosleepX, "a moment", || see! { res: ok!(nanosleep(&[0_u64, 1000], 0)), interval: 1000 }),
    row(SyscallNanosleepX, "a time that is none", || see! { res: sys!(nanosleep(&[3_u64, 2_000_000_000], 0)), interval: 5_000_000_000_u64 }),
    row(SyscallNanosleepX, "before it began", || see! { res: sys!(nanosleep(&[-3_i64, 1], 0)), interval: 0 }),
    row(SyscallSemgetX, "one's own", || {
        let id = ok!(semget(IPC_PRIVATE, 2, IPC_CREAT | IPC_EXCL | 0o600));
        ok!(semctl(id, 0, IPC_RMID));
        see! { res: id, key: IPC_PRIVATE, nsems: 2, semflg: flags("IPC_CREAT|IPC_EXCL") }
    }),
    row(SyscallSemgetX, "none", || see! { res: sys!(semget(-77, -1, 0)), key: -77, nsems: -1, semflg: 0 }),
    row(SyscallSemctlX, "a value", || {
        let id = ok!(semget(IPC_PRIVATE, 2, IPC_CREAT));
        let res = ok!(semctl(id, 1, SETVAL, 42));
        ok!(semctl(id, 0, IPC_RMID));
        see! { res: res, semid: id, semnum: 1, cmd: flags("SETVAL"), val: 42 }
            .and(SyscallSemctlX, see! { res: 0, semid: id, semnum: 0, cmd: flags("IPC_RMID"), val: 0 })
    }),
    row(SyscallSemctlX, "none", || see! { res: sys!(semctl(-1, -2, 99, 5)), semid: -1, semnum: -2, cmd: 0, val: 0 }),
    row(SyscallSemopX, "two", || {
        let id = ok!(semget(IPC_PRIVATE, 2, IPC_CREAT));
        let ops = [0_i16, 3, IPC_NOWAIT as i16, 1, 4, SEM_UNDO as i16];
        let res = ok!(semop(id, &ops, 2));
        ok!(semctl(id, 0, IPC_RMID));
        see! { res: res, nsops: 2, sem_num_0: 0, sem_op_0: 3, sem_flg_0: flags("IPC_NOWAIT"), sem_num_1: 1, sem_op_1: 4, sem_flg_1: flags("SEM_UNDO"), semid: id }
    }),
    row(SyscallSemopX, "one that must wait", || {
        let id = ok!(semget(IPC_PRIVATE, 2, IPC_CREAT));
        let res = sys!(semop(id, &[0_i16, -1, IPC_NOWAIT as i16], 1));
        ok!(semctl(id, 0, IPC_RMID));
        see! { res: res, nsops: 1, sem_num_0: 0, sem_op_0: 0, sem_flg_0: 0, sem_num_1: 0, sem_op_1: 0, sem_flg_1: 0, semid: id }
    }),
    row(SyscallSemopX, "a bad pointer", || {
        see! { res: sys!(semop(-1, BAD, u32::MAX)), nsops: u32::MAX, sem_num_0: 0, sem_op_0: 0, sem_flg_0: 0, sem_num_1: 0, sem_op_1: 0, sem_flg_1: 0, semid: -1 }
    }),
];

/// Inheritable, permitted, effective.
pub(super) fn capabilities() -> [u64; 3] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    ["CapInh:\t", "CapPrm:\t", "CapEff:\t"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap(), 16).unwrap()
    })
}
