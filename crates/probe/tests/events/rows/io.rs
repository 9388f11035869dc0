//! Reading from and writing to descriptors.

use super::descriptors::pipe;
use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallReadX, "a file", || {
        let (fd, mut to) = (file("x"), [0_u8; 64]);
        see! { res: ok!(read(fd, &mut to, 64)), data: b"0123456789", fd: fd, size: 64 }
    }),
    row(SyscallReadX, "more than is kept", || {
        let (fd, mut to) = (ok!(openat(AT_FDCWD, c"/dev/zero", 0)), [1_u8; 4096]);
        see! { res: ok!(read(fd, &mut to, 4096)), data: &[0; 80], fd: fd, size: 4096 }
    }),
    row(SyscallReadX, "the end", || {
        let (fd, mut to) = (anonymous(), [0_u8; 4]);
        see! { res: ok!(read(fd, &mut to, 4)), data: empty(), fd: fd, size: 4 }
    }),
    row(SyscallReadX, "to a bad pointer", || {
        let fd = file("x");
        see! { res: sys!(read(fd, BAD, 4)), data: empty(), fd: fd, size: 4 }
    }),
    row(SyscallReadX, "more than 32 bits", || see! { res: sys!(read(-1, BAD, u64::MAX)), data: empty(), fd: -1, size: u32::MAX }),
    row(SyscallWriteX, "a file", || {
        let fd = anonymous();
        see! { res: ok!(write(fd, b"some\0text", 4)), data: b"some", fd: fd, size: 4 }
    }),
    row(SyscallWriteX, "more than is kept", || {
        let (fd, from) = (anonymous(), [7_u8; 500]);
        see! { res: ok!(write(fd, &from, 500)), data: &[7; 80], fd: fd, size: 500 }
    }),
    row(SyscallWriteX, "as far as there is memory", || {
        let (fd, from) = (pipe(0)[1], unterminated(b"12345"));
        // A pipe accepts a partial buffer; some kernels reject it.
        let res = sys!(write(fd, from, 50));
        see! { res: res, data: if res > 0 { &b"12345"[..] } else { b"" }, fd: fd, size: 50 }
    }),
    row(SyscallWriteX, "not permitted", || {
        let fd = ok!(openat(AT_FDCWD, c"/dev/null", O_RDONLY));
        see! { res: sys!(write(fd, c"data", 4)), data: b"data", fd: fd, size: 4 }
    }),
    row(SyscallWriteX, "nothing", || {
        let fd = anonymous();
        see! { res: ok!(write(fd, BAD, 0)), data: empty(), fd: fd, size: 0 }
    }),
    row(SyscallPreadX, "a file", || {
        let (fd, mut to) = (file("x"), [0_u8; 3]);
        see! { res: ok!(pread64(fd, &mut to, 3, 5)), data: b"567", fd: fd, size: 3, pos: 5 }
    }),
    row(SyscallPreadX, "below zero", || {
        let (fd, mut to) = (file("x"), [0_u8; 3]);
        see! { res: sys!(pread64(fd, &mut to, 3, -5)), data: empty(), fd: fd, size: 3, pos: -5 }
    }),
    row(SyscallPwriteX, "a file", || {
        let fd = anonymous();
        see! { res: ok!(pwrite64(fd, c"data", 4, 1_u64 << 33)), data: b"data", fd: fd, size: 4, pos: 1_u64 << 33 }
    }),
    row(SyscallPwriteX, "a pipe", || {
        let [_, fd] = pipe(0);
        see! { res: sys!(pwrite64(fd, c"data", 4, 0)), data: b"data", fd: fd, size: 4, pos: 0 }
    }),
    row(SyscallReadvX, "in parts", || {
        let (fd, one, two) = (file("x"), [0_u8; 3], [0_u8; 20]);
        see! { res: ok!(readv(fd, &parts(&[&one, &two])[..], 2)), size: 10, data: b"0123456789", fd: fd }
    }),
    row(SyscallReadvX, "bad parts", || {
        let fd = file("x");
        see! { res: sys!(readv(fd, BAD, 2)), size: 0, data: empty(), fd: fd }
    }),
    row(SyscallReadvX, "more parts than any", || {
        let fd = file("x");
        see! { res: sys!(readv(fd, BAD, u64::MAX)), size: 0, data: empty(), fd: fd }
    }),
    row(SyscallWritevX, "in parts", || {
        let fd = anonymous();
        let parts = parts(&[b"one ", b"", b"two"]);
        see! { res: ok!(writev(fd, &parts[..], 3)), data: b"one two", fd: fd, size: 7 }
    }),
    row(SyscallWritevX, "one part is bad", || {
        let (fd, mut all) = (-1, parts(&[b"one ", b"two "]));
        all[1].iov_base = BAD as *mut c_void;
        see! { res: sys!(writev(fd, &all[..], 2)), data: b"one ", fd: -1, size: 8 }
    }),
    row(SyscallPreadvX, "in parts", || {
        let (fd, one) = (file("x"), [0_u8; 3]);
        see! { res: ok!(preadv(fd, &parts(&[&one])[..], 1, 2, 0)), size: 3, data: b"234", fd: fd, pos: 2 }
    }),
    row(SyscallPreadvX, "a pipe", || {
        let ([fd, _], one) = (pipe(0), [0_u8; 3]);
        see! { res: sys!(preadv(fd, &parts(&[&one])[..], 1, 0, 0)), size: 0, data: empty(), fd: fd, pos: 0 }
    }),
    row(SyscallPwritevX, "in parts", || {
        let fd = anonymous();
        see! { res: ok!(pwritev(fd, &parts(&[b"abc", b"de"])[..], 2, 9, 0)), data: b"abcde", fd: fd, size: 5, pos: 9 }
    }),
    row(SyscallPwritevX, "bad parts", || see! { res: sys!(pwritev(-1, BAD, 9, 1, 0)), data: empty(), fd: -1, size: 0, pos: 1 }),
    row(SyscallLseekX, "from the end", || {
        let fd = file("x");
        see! { res: ok!(lseek(fd, -3, SEEK_END)), fd: fd, offset: -3, whence: flags("SEEK_END") }
    }),
    row(SyscallLseekX, "a pipe", || {
        let [fd, _] = pipe(0);
        see! { res: sys!(lseek(fd, 1, 77)), fd: fd, offset: 1, whence: flags("SEEK_SET") }
    }),
    row(SyscallSendfileX, "part of a file", || {
        let (from, to, mut offset) = (file("x"), pipe(0)[1], 4_u64);
        // The kernel advances the offset.
        see! { res: ok!(sendfile(to, from, &mut offset, 3)), offset: 7, out_fd: to, in_fd: from, size: 3 }
    }),
    row(SyscallSendfileX, "from where it is", || {
        let (from, to) = (file("x"), pipe(0)[1]);
        see! { res: ok!(sendfile(to, from, 0, 30)), offset: 0, out_fd: to, in_fd: from, size: 30 }
    }),
    row(SyscallSendfileX, "a bad offset", || see! { res: sys!(sendfile(-1, -2, BAD, u64::MAX)), offset: 0, out_fd: -1, in_fd: -2, size: u64::MAX }),
    row(SyscallSpliceX, "a file to a pipe", || {
        let (from, to) = (file("x"), pipe(0)[1]);
        see! { res: ok!(splice(from, 0, to, 0, 100, 5)), fd_in: from, fd_out: to, size: 100, flags: flags("SPLICE_F_MOVE|SPLICE_F_MORE") }
    }),
    row(SyscallSpliceX, "no pipe", || see! { res: sys!(splice(-1, 0, -2, 0, u64::MAX, -1)), fd_in: -1, fd_out: -2, size: u64::MAX, flags: 15 }),
    row(SyscallCopyFileRangeX, "part of a file", || {
        let (from, to, mut offset) = (file("x"), file("y"), 2_u64);
        let at = std::ptr::from_mut(&mut offset) as u64;
        see! { res: sys!(copy_file_range(from, at, to, 0, 5, 0)), fdout: to, offout: 0, fdin: from, offin: at, len: 5 }
    }),
    row(SyscallCopyFileRangeX, "bad pointers", || {
        see! { res: sys!(copy_file_range(-1, BAD, -2, 7, u64::MAX, 1)), fdout: -2, offout: 7, fdin: -1, offin: BAD, len: u64::MAX }
    }),
    row(SyscallProcessVmReadvX, "one's own", || {
        let (to, from) = ([0_u8; 6], b"memory");
        let (to, from) = (parts(&[&to]), parts(&[from]));
        let pid = std::process::id();
        see! { res: ok!(process_vm_readv(pid, &to[..], 1, &from[..], 1, 0)), pid: pid, data: b"memory" }
    }),
    row(SyscallProcessVmReadvX, "no such process", || see! { res: sys!(process_vm_readv(-1, BAD, 1, BAD, 1, 0)), pid: -1, data: empty() }),
    row(SyscallProcessVmWritevX, "one's own", || {
        let (to, from) = ([0_u8; 6], b"memory");
        let (to, from) = (parts(&[&to]), parts(&[from]));
        let pid = std::process::id();
        see! { res: ok!(process_vm_writev(pid, &from[..], 1, &to[..], 1, 0)), pid: pid, data: b"memory" }
    }),
    row(SyscallProcessVmWritevX, "no such process", || see! { res: sys!(process_vm_writev(0, BAD, 1, BAD, 1, 9)), pid: 0, data: empty() }),
    row(SyscallIoUringSetupX, "a ring", || {
        let mut params = [0_u32; 30];
        (params[1], params[2]) = (16, 0x18);
        let res = sys!(io_uring_setup(8, &mut params));
        see! { res: res, entries: 8, sq_entries: params[0], cq_entries: params[1], flags: flags("IORING_SETUP_CQSIZE|IORING_SETUP_CLAMP"), sq_thread_cpu: 0, sq_thread_idle: 0, features: params[5] & 0x7ff }
    }),
    row(SyscallIoUringSetupX, "one that the kernel looks after", || {
        let mut params = [0_u32; 30];
        (params[2], params[3], params[4]) = (6, 0, 1);
        let res = sys!(io_uring_setup(1, &mut params));
        see! { res: res, entries: 1, sq_entries: params[0], cq_entries: params[1], flags: flags("IORING_SETUP_SQPOLL|IORING_SETUP_SQ_AFF"), sq_thread_cpu: 0, sq_thread_idle: 1, features: params[5] & 0x7ff }
    }),
    row(SyscallIoUringSetupX, "a bad pointer", || {
        see! { res: sys!(io_uring_setup(-1, BAD)), entries: u32::MAX, sq_entries: 0, cq_entries: 0, flags: 0, sq_thread_cpu: 0, sq_thread_idle: 0, features: 0 }
    }),
    row(SyscallIoUringEnterX, "a ring", || {
        let mut params = [0_u32; 30];
        let fd = sys!(io_uring_setup(4, &mut params));
        see! { res: sys!(io_uring_enter(fd, 0, 0, 1, 0, 8)), fd: fd, to_submit: 0, min_complete: 0, flags: flags("IORING_ENTER_GETEVENTS"), sig: 0 }
    }),
    row(SyscallIoUringEnterX, "no ring", || {
        see! { res: sys!(io_uring_enter(-1, 3, 4, -1, BAD, 0)), fd: -1, to_submit: 3, min_complete: 4, flags: 15, sig: BAD }
    }),
    row(SyscallIoUringRegisterX, "what there is", || {
        let (mut params, mut known) = ([0_u32; 30], [0_u8; 16 + 8 * 8]);
        let fd = sys!(io_uring_setup(4, &mut params));
        let at = std::ptr::from_mut(&mut known) as u64;
        see! { res: sys!(io_uring_register(fd, 8, at, 8)), fd: fd, opcode: flags("IORING_REGISTER_PROBE"), arg: at, nr_args: 8 }
    }),
    row(SyscallIoUringRegisterX, "no ring", || see! { res: sys!(io_uring_register(-1, 3, BAD, -1)), fd: -1, opcode: flags("IORING_UNREGISTER_FILES"), arg: BAD, nr_args: u32::MAX }),
];

/// An iovec array.
fn parts(all: &[&[u8]]) -> Vec<iovec> {
    let part =
        |part: &&[u8]| iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
    all.iter().map(part).collect()
}
