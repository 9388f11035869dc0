//! Descriptors: copying and closing them, and creating those that are not files.

use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallCloseX, "an open one", || {
        let fd = anonymous();
        see! { res: ok!(close(fd)), fd: fd }
    }),
    row(SyscallCloseX, "a negative one", || see! { res: sys!(close(-7)), fd: -7 }),
    row(SyscallCloseX, "more than 32 bits", || see! { res: sys!(close(0x1_7fff_ffff_u64)), fd: 0x7fff_ffff }),
    row(SyscallCloseRangeX, "a few", || {
        let fd = anonymous();
        ok!(dup3(fd, 900, 0));
        see! { res: ok!(close_range(900, 901, 0)), first: 900, last: 901, flags: flags("") }
    }),
    row(SyscallCloseRangeX, "to the end, on exec", || {
        see! { res: sys!(close_range(1000, u32::MAX, 4)), first: 1000, last: u32::MAX, flags: flags("CLOSE_RANGE_CLOEXEC") }
    }),
    row(SyscallCloseRangeX, "the wrong way round", || {
        see! { res: sys!(close_range(9, 3, 2)), first: 9, last: 3, flags: flags("CLOSE_RANGE_UNSHARE") }
    }),
    row(SyscallDup_1X, "an open one", || {
        let fd = anonymous();
        see! { res: ok!(dup(fd)), oldfd: fd }
    }),
    row(SyscallDup_1X, "one that is not open", || see! { res: sys!(dup(-1)), oldfd: -1 }),
    row(SyscallDup2X, "an open one", || {
        let fd = anonymous();
        see! { res: ok!(dup2(fd, 500)), oldfd: fd, newfd: 500 }
    }),
    row(SyscallDup2X, "to a number that is none", || see! { res: sys!(dup2(0, -9)), oldfd: 0, newfd: -9 }),
    row(SyscallDup3X, "an open one", || {
        let fd = anonymous();
        see! { res: ok!(dup3(fd, 501, O_CLOEXEC)), oldfd: fd, newfd: 501, flags: flags("O_CLOEXEC") }
    }),
    row(SyscallDup3X, "to itself", || see! { res: sys!(dup3(1, 1, 0)), oldfd: 1, newfd: 1, flags: 0 }),
    row(SyscallFcntlX, "copies", || {
        let fd = anonymous();
        see! { res: ok!(fcntl(fd, F_DUPFD, 60)), fd: fd, cmd: flags("F_DUPFD"), arg: 60 }
    }),
    row(SyscallFcntlX, "copies, on exec", || {
        let fd = anonymous();
        see! { res: ok!(fcntl(fd, F_DUPFD_CLOEXEC, 0)), fd: fd, cmd: flags("F_DUPFD_CLOEXEC"), arg: 0 }
    }),
    row(SyscallFcntlX, "sets flags", || {
        let fd = anonymous();
        see! { res: ok!(fcntl(fd, F_SETFL, O_APPEND)), fd: fd, cmd: flags("F_SETFL"), arg: O_APPEND }
    }),
    row(SyscallFcntlX, "a command that is none", || {
        see! { res: sys!(fcntl(1, 777, u64::MAX)), fd: 1, cmd: flags("UNKNOWN"), arg: u64::MAX }
    }),
    row(SyscallFcntlX, "size of a pipe", || {
        let [read, _] = pipe(0);
        see! { res: ok!(fcntl(read, F_GETPIPE_SZ, 0)), fd: read, cmd: flags("F_GETPIPE_SZ"), arg: 0 }
    }),
    row(SyscallFlockX, "for oneself", || {
        let fd = anonymous();
        see! { res: ok!(flock(fd, LOCK_EX | LOCK_NB)), fd: fd, operation: flags("LOCK_EX|LOCK_NB") }
    }),
    row(SyscallFlockX, "an operation that is none", || see! { res: sys!(flock(-3, 0)), fd: -3, operation: flags("LOCK_NONE") }),
    row(SyscallIoctl_3X, "how much can be read", || {
        let ([read, _], mut n) = (pipe(0), 0_i32);
        let at = std::ptr::from_mut(&mut n) as u64;
        see! { res: ok!(ioctl(read, FIONREAD, at)), fd: read, request: FIONREAD, argument: at }
    }),
    row(SyscallIoctl_3X, "a request that is none", || {
        see! { res: sys!(ioctl(-1, u32::MAX, BAD)), fd: -1, request: u32::MAX, argument: BAD }
    }),
    row(SyscallIoctl_3X, "a request of more than 32 bits", || {
        let ([read, _], mut n) = (pipe(0), 0_i32);
        let at = std::ptr::from_mut(&mut n) as u64;
        see! { res: ok!(ioctl(read, FIONREAD | 7 << 32, at)), fd: read, request: FIONREAD, argument: at }
    }),
    row(SyscallFcntlX, "a command of more than 32 bits", || {
        let fd = anonymous();
        see! { res: ok!(fcntl(fd, 7_u64 << 32 | F_DUPFD as u64, 3)), fd: fd, cmd: flags("F_DUPFD"), arg: 3 }
    }),
    row(SyscallPipeX, "one", || {
        let mut fds = [0_i32; 2];
        let res = ok!(pipe(&mut fds));
        see! { res: res, fd1: fds[0], fd2: fds[1], ino: inode(fds[0].into()) }
    }),
    row(SyscallPipeX, "nowhere to tell of it", || see! { res: sys!(pipe(BAD)), fd1: -1, fd2: -1, ino: 0 }),
    row(SyscallPipe2X, "with flags", || {
        let mut fds = [0_i32; 2];
        let res = ok!(pipe2(&mut fds, O_CLOEXEC | O_NONBLOCK | O_DIRECT));
        see! { res: res, fd1: fds[0], fd2: fds[1], ino: inode(fds[0].into()), flags: flags("O_CLOEXEC|O_NONBLOCK|O_DIRECT") }
    }),
    row(SyscallPipe2X, "flags that are none", || {
        let mut fds = [7_i32, 8];
        see! { res: sys!(pipe2(&mut fds, 1)), fd1: 7, fd2: 8, ino: 0, flags: flags("") }
    }),
    row(SyscallEventfdX, "with a value", || see! { res: ok!(eventfd(77)), initval: 77, flags: 0 }),
    row(SyscallEventfd2X, "with flags", || {
        see! { res: ok!(eventfd2(u32::MAX, O_NONBLOCK | O_CLOEXEC)), flags: flags("O_NONBLOCK|O_CLOEXEC"), initval: u32::MAX }
    }),
    row(SyscallEventfd2X, "a value of more than 32 bits", || {
        see! { res: sys!(eventfd2(0x5_0000_0001_u64, -1)), flags: flags("O_NONBLOCK|O_CLOEXEC"), initval: 1 }
    }),
    row(SyscallSignalfdX, "a mask", || {
        let mask = 1_u64 << (SIGUSR1 - 1);
        see! { res: ok!(signalfd(-1, &mask, 8)), fd: -1, mask: 0, flags: 0 }
    }),
    row(SyscallSignalfdX, "a bad mask", || see! { res: sys!(signalfd(-1, BAD, 8)), fd: -1, mask: 0, flags: 0 }),
    row(SyscallSignalfd4X, "with flags", || {
        let mask = 1_u64 << (SIGUSR1 - 1);
        see! { res: ok!(signalfd4(-1, &mask, 8, O_NONBLOCK)), flags: flags("O_NONBLOCK"), fd: -1, mask: 0 }
    }),
    row(SyscallSignalfd4X, "a descriptor of another kind", || {
        let (mask, fd) = (0_u64, anonymous());
        see! { res: sys!(signalfd4(fd, &mask, 8, O_CLOEXEC)), flags: flags("O_CLOEXEC"), fd: fd, mask: 0 }
    }),
    row(SyscallTimerfdCreateX, "of the clock since boot", || {
        // The format keeps 8 bits, which do not hold the last flag.
        see! { res: ok!(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK)), clockid: CLOCK_BOOTTIME, flags: 0x40 }
    }),
    row(SyscallTimerfdCreateX, "a clock that is none", || see! { res: sys!(timerfd_create(55, 0)), clockid: 55, flags: 0 }),
    row(SyscallInotifyInitX, "one", || see! { res: ok!(inotify_init()), flags: 0 }),
    row(SyscallInotifyInit1X, "with flags", || {
        see! { res: ok!(inotify_init1(IN_CLOEXEC)), flags: flags("O_CLOEXEC") }
    }),
    row(SyscallInotifyInit1X, "flags that are none", || see! { res: sys!(inotify_init1(1)), flags: 0 }),
    row(SyscallEpollCreateX, "one", || see! { res: ok!(epoll_create(10)), size: 10 }),
    row(SyscallEpollCreateX, "a size that is none", || see! { res: sys!(epoll_create(-5)), size: -5 }),
    row(SyscallEpollCreate1X, "one", || see! { res: ok!(epoll_create1(EPOLL_CLOEXEC)), flags: flags("EPOLL_CLOEXEC") }),
    row(SyscallEpollCreate1X, "flags that are none", || see! { res: sys!(epoll_create1(3)), flags: 0 }),
    row(SyscallEpollwaitX, "nothing comes", || {
        let (fd, mut events) = (ok!(epoll_create1(0)), [0_u64; 32]);
        see! { res: ok!(epoll_wait(fd, &mut events, 16, 0)), maxevents: 16 }
    }),
    row(SyscallEpollwaitX, "no room", || see! { res: sys!(epoll_wait(-1, BAD, -4, 0)), maxevents: -4 }),
    row(SyscallMemfdCreateX, "one", || {
        see! { fd: ok!(memfd_create(c"a name", MFD_CLOEXEC | MFD_ALLOW_SEALING)), name: "a name", flags: flags("MFD_CLOEXEC|MFD_ALLOW_SEALING") }
    }),
    row(SyscallMemfdCreateX, "a bad name", || see! { fd: sys!(memfd_create(BAD, 0)), name: empty(), flags: 0 }),
    row(SyscallMemfdCreateX, "a name without an end", || {
        let name = unterminated(b"abc");
        see! { fd: sys!(memfd_create(name, 0)), name: empty(), flags: 0 }
    }),
    row(SyscallUserfaultfdX, "for oneself", || {
        see! { res: sys!(userfaultfd(O_CLOEXEC | O_NONBLOCK)), flags: flags("O_CLOEXEC|O_NONBLOCK") }
    }),
    row(SyscallUserfaultfdX, "flags that are none", || see! { res: sys!(userfaultfd(0x10)), flags: 0 }),
    row(SyscallPidfdOpenX, "oneself", || {
        let pid = std::process::id();
        see! { fd: ok!(pidfd_open(pid, 0)), pid: pid, flags: 0 }
    }),
    row(SyscallPidfdOpenX, "no such process", || {
        see! { fd: sys!(pidfd_open(-1, PIDFD_NONBLOCK)), pid: -1, flags: flags("PIDFD_NONBLOCK") }
    }),
    row(SyscallPidfdGetfdX, "one's own", || {
        let (pidfd, fd) = (ok!(pidfd_open(std::process::id(), 0)), anonymous());
        see! { fd: ok!(pidfd_getfd(pidfd, fd, 0)), pid_fd: pidfd, target_fd: fd, flags: 0 }
    }),
    row(SyscallPidfdGetfdX, "no such process", || {
        see! { fd: sys!(pidfd_getfd(-1, -2, 99)), pid_fd: -1, target_fd: -2, flags: 99 }
    }),
    row(SyscallPollX, "one is ready, one is not, one is bad", || {
        let [read, write] = pipe(0);
        let mut fds = [poll_fd(read, POLLIN), poll_fd(write, POLLOUT), poll_fd(30_000, POLLIN)];
        see! { res: ok!(poll(&mut fds, 3, -1)), fds: fd_list(&[(read, 0), (write, 4), (30_000, 0x40)]), timeout: -1 }
    }),
    row(SyscallPollX, "none", || see! { res: ok!(poll(0, 0, 1)), fds: fd_list(&[]), timeout: 1 }),
    row(SyscallPollX, "a bad list", || {
        see! { res: sys!(poll(BAD, 2, 0)), fds: fd_list(&[(0, 0), (0, 0)]), timeout: 0 }
    }),
    row(SyscallPollX, "many", || {
        let [read, _] = pipe(0);
        let mut fds = [poll_fd(read, POLLIN); 40];
        see! { res: ok!(poll(&mut fds, 40, 0)), fds: fd_list(&[(read, 0); 16]), timeout: 0 }
    }),
    row(SyscallPpollX, "with a time and a mask", || {
        let [_, write] = pipe(0);
        let (mut fds, mut time, mask) = ([poll_fd(write, POLLOUT)], [1_u64, 500], 0x0fff_0123_4567_u64);
        let res = ok!(ppoll(&mut fds, 1, &mut time, &mask, 8));
        // The kernel writes the remaining time.
        see! { res: res, fds: fd_list(&[(write, 4)]), timeout: time[0] * 1_000_000_000 + time[1], sigmask: 0x0123_4567 }
    }),
    row(SyscallPpollX, "all bad", || {
        see! { res: sys!(ppoll(BAD, 1, BAD, BAD, 8)), fds: fd_list(&[(0, 0)]), timeout: 0, sigmask: 0 }
    }),
    row(SyscallSelectX, "nothing", || {
        let mut time = [0_u64; 2];
        see! { res: ok!(select(0, 0, 0, 0, &mut time)) }
    }),
    row(SyscallSelectX, "a bad set", || see! { res: sys!(select(1, BAD, 0, 0, 0)) }),
];

/// A pipe: where to read, where to write.
pub(super) fn pipe(flags: i32) -> [i64; 2] {
    let mut fds = [0_i32; 2];
    ok!(pipe2(&mut fds, flags));
    fds.map(i64::from)
}

fn poll_fd(fd: i64, events: i16) -> pollfd {
    pollfd { fd: fd as i32, events, revents: 0 }
}

/// Descriptors and their ready events, in the encoding of the format.
fn fd_list(all: &[(i64, u16)]) -> Vec<u8> {
    let mut bytes = (all.len() as u16).to_le_bytes().to_vec();
    for (fd, flags) in all {
        bytes.extend(fd.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
    }
    bytes
}
