//! Calls through the 32-bit table, which 64-bit programs can make too.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::exec::succeeds;
use super::life::{born, parent};
use super::net::{listening, local, loopback, raw, socket_for};
use super::prelude::*;
use super::process::{begin, executed, execve, install};
use crate::programs;
use crate::sys::{Low, call32, exit};

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallOpenX, "of 32 bits", || {
        let mut low = low();
        let fd = call32(5, &[low.put(0, b"made\0"), (O_CREAT | O_RDWR) as u64, 0o640]);
        see! { fd: fd, name: "made", flags: flags("O_RDWR|O_CREAT|O_F_CREATED"), mode: 0o640, dev: device(fd), ino: inode(fd) }.narrow()
    }),
    row(SyscallOpenat_2X, "of 32 bits, a bad pointer", || {
        low();
        see! { fd: call32(295, &[-100_i64 as u64, BAD, 0]), dirfd: AT_FDCWD, name: empty(), flags: flags("O_RDONLY"), mode: 0, dev: 0, ino: 0 }.narrow()
    }),
    row(SyscallCloseX, "of 32 bits", || {
        low();
        let fd = anonymous();
        see! { res: call32(6, &[fd as u64]), fd: fd }.times(1).narrow()
    }),
    row(SyscallMkdir_2X, "of 32 bits, in registers wider than that", || {
        let mut low = low();
        let path = low.put(0, b"d\0");
        see! { res: call32(39, &[path | 0xdead_beef << 32, 0o700 | 1 << 40]), path: "d", mode: 0o700 }.narrow()
    }),
    row(SyscallReadvX, "of 32 bits", || {
        let (mut low, fd) = (low(), file("x"));
        let parts = [low.put(100, &[0; 4]) as u32, 4, low.put(200, &[0; 20]) as u32, 20];
        let parts = low.put(0, &bytes_of(&parts));
        see! { res: call32(145, &[fd as u64, parts, 2]), size: 10, data: b"0123456789", fd: fd }.narrow()
    }),
    row(SyscallNanosleepX, "of 32 bits", || {
        let mut low = low();
        let time = low.put(0, &bytes_of(&[0_u32, 2000]));
        see! { res: call32(162, &[time, 0]), interval: 2000 }.narrow()
    }),
    row(SyscallGetrlimitX, "of 32 bits", || {
        let mut low = low();
        ok!(setrlimit(RLIMIT_CORE, &[5_u64, 6]));
        let to = low.put(0, &[0; 8]);
        see! { res: call32(191, &[RLIMIT_CORE.into(), to]), cur: 5, max: 6, resource: flags("RLIMIT_CORE") }.narrow()
    }),
    row(SocketSocketX, "of 32 bits, through the one call for all", || {
        let mut low = low();
        let args = low.put(0, &bytes_of(&[AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0]));
        see! { fd: call32(102, &[1, args]), domain: flags("AF_INET"), type: SOCK_DGRAM | SOCK_CLOEXEC, proto: 0, flags: flags("O_CLOEXEC") }.narrow()
    }),
    row(SocketConnectX, "of 32 bits, through the one call for all", || {
        let (mut low, (_, there)) = (low(), listening(loopback(0)));
        let fd = socket_for(there, SOCK_STREAM);
        let to = low.put(100, &raw(there)) as u32;
        let args = low.put(0, &bytes_of(&[fd as u32, to, 16]));
        see! { res: call32(102, &[3, args]), tuple: (local(fd), there), fd: fd, addr: there }.narrow()
    }),
    row(SocketConnectX, "of 32 bits", || {
        let (mut low, (_, there)) = (low(), listening(loopback(0)));
        let fd = socket_for(there, SOCK_STREAM);
        let to = low.put(100, &raw(there));
        see! { res: call32(362, &[fd as u64, to, 16]), tuple: (local(fd), there), fd: fd, addr: there }.narrow()
    }),
    row(SocketSendmsgX, "of 32 bits", || {
        let (mut low, there) = (low(), loopback(9));
        let fd = socket_for(there, SOCK_DGRAM);
        let to = low.put(100, &raw(there)) as u32;
        let part = [low.put(200, b"narrow") as u32, 6];
        let parts = low.put(300, &bytes_of(&part)) as u32;
        let header = low.put(0, &bytes_of(&[to, 16, parts, 1, 0, 0, 0]));
        let res = call32(370, &[fd as u64, header, 0]);
        see! { res: res, data: b"narrow", fd: fd, size: 6, tuple: (local(fd), there) }.narrow()
    }),
    row(SyscallExecve_19X, "of 32 bits, of nothing", || {
        let mut low = low();
        let args = [low.put(100, b"exe\0") as u32, low.put(200, b"one\0") as u32, 0];
        let env = [low.put(300, b"A=1\0") as u32, 0];
        let (args, env) = (low.put(0, &bytes_of(&args)), low.put(50, &bytes_of(&env)));
        let res = call32(11, &[low.put(400, b"/no/program\0"), args, env]);
        let mut values = executed(std::process::id() as i32);
        values.retain(|(name, _)| *name != "flags");
        see! { res: res, exe: "exe", args: "one", env: "A=1", filename: "/no/program", flags: anything("as for calls of 64 bits"), ..values }.narrow()
    }),
    row(SyscallExecve_19X, "of 32 bits, of a program for 64", || {
        let mut low = low();
        install("program");
        let (path, args) = (low.put(0, b"program\0"), low.put(100, &bytes_of(&[0_u32])));
        succeeds("program", begin(|| call32(11, &[path, args, args])))
    }),
    row(SyscallClone_20X, "of 32 bits", || {
        low();
        let child = call32(120, &[SIGCHLD as u64]);
        if child == 0 {
            exit(3);
        }
        assert_eq!(wait(child as i32), 3 << 8);
        parent(child, flags("")).narrow().and(SyscallClone_20X, born(child, "").narrow())
    }),
    row(SyscallWriteX, "of a program for 32 bits", || {
        let child = helper();
        // The byte below its stack, which was never written.
        see! { res: 1, data: b"\0", fd: 1, size: 1 }.by(child).times(1).narrow()
    }),
    row(SyscallReadX, "of a program for 32 bits", || {
        let child = helper();
        see! { res: 1, data: b"x", fd: 0, size: 1 }.by(child).times(1).narrow()
    }),
    row(GenericX, "of 32 bits: getppid", || {
        low();
        call32(64, &[]);
        let code = peregrine_event::syscall_names().find(|(_, name)| *name == "getppid").unwrap().0;
        see! { ID: code, nativeID: crate::sys::number("getppid") }.times(1).narrow()
    }),
];

/// A 32-bit program that ran: it wrote a byte and read one.
fn helper() -> i64 {
    std::fs::write("program", programs::narrow()).unwrap();
    std::fs::set_permissions("program", Permissions::from_mode(0o755)).unwrap();
    low();
    let child = begin(|| execve(c"program", &[c"narrow"], &[]));
    let pid = child.pid;
    child.let_go();
    pid.into()
}

/// Memory that 32-bit calls can address, if the kernel has such calls.
fn low() -> Low {
    let child = fork(|| i32::from(call32(20, &[]) > 0));
    if wait(child) != 1 << 8 {
        skip("the kernel takes no calls of 32 bits");
    }
    Low::new()
}
