//! Opening files: at the exit and at the entry of calls.

use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallOpenX, "makes a file", || {
        let fd = ok!(open(c"made", O_CREAT | O_RDWR | O_EXCL | O_CLOEXEC, 0o640));
        see! { fd: fd, name: "made", flags: flags("O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC|O_F_CREATED"), mode: 0o640, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenX, "a file that is there", || {
        std::fs::write("there", "x").unwrap();
        let fd = ok!(open(c"there", O_CREAT | O_WRONLY | O_TRUNC | O_APPEND, 0o7777));
        see! { fd: fd, name: "there", flags: flags("O_WRONLY|O_CREAT|O_TRUNC|O_APPEND"), mode: 0o7777, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenX, "a mode without a file to make", || {
        std::fs::write("there", "x").unwrap();
        let fd = ok!(open(c"there", O_RDONLY, 0o777));
        see! { fd: fd, name: "there", flags: flags("O_RDONLY"), mode: 0, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenX, "a path without an end", || {
        let path = unterminated(b"/etc/passwd");
        see! { fd: sys!(open(path, 0)), name: empty(), flags: flags("O_RDONLY"), mode: 0, dev: 0, ino: 0 }
    }),
    row(SyscallOpenX, "nothing, all flags", || {
        let res = sys!(open(c"no/where", -1, -1));
        see! { fd: res, name: "no/where", flags: 0x3ffd, mode: 0o7777, dev: 0, ino: 0 }
    }),
    row(SyscallOpenX, "no path", || {
        see! { fd: sys!(open(c"", O_WRONLY)), name: "", flags: flags("O_WRONLY"), mode: 0, dev: 0, ino: 0 }
    }),
    row(SyscallOpenE, "a file", || {
        sys!(open(c"made", O_CREAT | O_RDWR | O_NONBLOCK, 0o600));
        see! { name: "made", flags: flags("O_RDWR|O_CREAT|O_NONBLOCK"), mode: 0o600 }
    }),
    row(SyscallOpenE, "a bad pointer", || {
        sys!(open(BAD, O_DIRECTORY, 0o600));
        see! { name: empty(), flags: flags("O_RDONLY|O_DIRECTORY"), mode: 0 }
    }),
    row(SyscallOpenat_2X, "makes a file below a directory", || {
        let dir = directory("d");
        let fd = ok!(openat(dir, c"made", O_CREAT | O_WRONLY | O_SYNC, 0o1600));
        see! { fd: fd, dirfd: dir, name: "made", flags: flags("O_WRONLY|O_CREAT|O_SYNC|O_DSYNC|O_F_CREATED"), mode: 0o1600, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "a directory", || {
        std::fs::create_dir("d").unwrap();
        let fd = ok!(openat(AT_FDCWD, c"d", O_DIRECTORY | O_RDONLY | O_LARGEFILE_NATIVE, 0));
        see! { fd: fd, dirfd: AT_FDCWD, name: "d", flags: flags("O_RDONLY|O_DIRECTORY|O_LARGEFILE"), mode: 0, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "a file without a name", || {
        let fd = ok!(openat(AT_FDCWD, c".", O_TMPFILE | O_RDWR, 0o600));
        see! { fd: fd, dirfd: AT_FDCWD, name: ".", flags: flags("O_RDWR|O_TMPFILE|O_DIRECTORY"), mode: 0o600, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "through a link", || {
        std::fs::write("there", "x").unwrap();
        std::os::unix::fs::symlink("there", "link").unwrap();
        let fd = ok!(openat(-100, c"link", 0));
        see! { fd: fd, dirfd: AT_FDCWD, name: "link", flags: flags("O_RDONLY"), mode: 0, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "paths just as long as what is written at once", || {
        let open = |len: usize| {
            let path = c("x".repeat(len));
            see! { fd: sys!(openat(-8, path.as_c_str(), 3)), dirfd: -8, name: &path, flags: flags("O_RDONLY"), mode: 0, dev: 0, ino: 0 }
        };
        open(62).and(SyscallOpenat_2X, open(63)).and(SyscallOpenat_2X, open(64))
    }),
    row(SyscallOpenat_2X, "the longest path", || {
        let path = long_path();
        see! { fd: sys!(openat(-8, path.as_c_str(), 3)), dirfd: -8, name: &path, flags: flags("O_RDONLY"), mode: 0, dev: 0, ino: 0 }
    }),
    row(SyscallOpenat_2X, "a path that is too long", || {
        let (path, mut cut) = (c("x".repeat(5000)), "x".repeat(4095));
        cut.push('\0');
        see! { fd: sys!(openat(AT_FDCWD, path.as_c_str(), 0)), dirfd: AT_FDCWD, name: cut.into_bytes(), flags: flags("O_RDONLY"), mode: 0, dev: 0, ino: 0 }
    }),
    row(SyscallOpenat_2X, "a bad pointer", || {
        see! { fd: sys!(openat(3, BAD, O_CREAT, 0)), dirfd: 3, name: empty(), flags: flags("O_RDONLY|O_CREAT"), mode: 0, dev: 0, ino: 0 }
    }),
    row(SyscallOpenat_2X, "a file of the lower layer of an overlay", || {
        overlay(|| std::fs::write("lower/x", "").unwrap());
        let fd = ok!(openat(AT_FDCWD, c"all/x", O_RDONLY));
        see! { fd: fd, dirfd: AT_FDCWD, name: "all/x", flags: flags("O_RDONLY|FD_LOWER_LAYER"), mode: 0, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "a file of the upper layer of an overlay", || {
        overlay(|| std::fs::write("lower/x", "").unwrap());
        let fd = ok!(openat(AT_FDCWD, c"all/x", O_RDWR));
        see! { fd: fd, dirfd: AT_FDCWD, name: "all/x", flags: flags("O_RDWR|FD_UPPER_LAYER"), mode: 0, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "below another root", || {
        std::fs::create_dir("root").unwrap();
        std::fs::write("root/there", "x").unwrap();
        ok!(chroot(c"root"));
        let mut stat = zeroed::<stat>();
        let fd = ok!(openat(AT_FDCWD, c"/there", O_RDONLY));
        ok!(fstat(fd, &mut stat));
        see! { fd: fd, dirfd: AT_FDCWD, name: "/there", flags: flags("O_RDONLY"), mode: 0, dev: encode_device(stat.st_dev), ino: stat.st_ino }
    }),
    row(SyscallOpenat_2X, "on a private mount", || {
        std::fs::create_dir("m").unwrap();
        own_mounts();
        ok!(mount(c"none", c"m", c"tmpfs", 0, 0));
        let fd = ok!(openat(AT_FDCWD, c"m/made", O_CREAT | O_RDWR, 0o600));
        see! { fd: fd, dirfd: AT_FDCWD, name: "m/made", flags: flags("O_RDWR|O_CREAT|O_F_CREATED"), mode: 0o600, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2X, "a device", || {
        let fd = ok!(openat(AT_FDCWD, c"/dev/null", O_WRONLY | O_NONBLOCK));
        see! { fd: fd, dirfd: AT_FDCWD, name: "/dev/null", flags: flags("O_WRONLY|O_NONBLOCK"), mode: 0, dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat_2E, "a file", || {
        sys!(openat(AT_FDCWD, c"/etc/passwd", O_WRONLY | O_CREAT, 0o4777));
        see! { dirfd: AT_FDCWD, name: "/etc/passwd", flags: flags("O_WRONLY|O_CREAT"), mode: 0o4777 }
    }),
    row(SyscallOpenat_2E, "a bad pointer", || {
        sys!(openat(-1, BAD, 0));
        see! { dirfd: -1, name: empty(), flags: flags("O_RDONLY"), mode: 0 }
    }),
    row(SyscallOpenat_2E, "a name that is not in memory yet", || {
        // Most hooks cannot fault pages in. The exit event has the name, because the kernel read it
        // meanwhile.
        let (fd, kind) = (anonymous(), MAP_PRIVATE);
        ok!(pwrite64(fd, c"far", 4, 0));
        let name = ok!(mmap(0, 4096, PROT_READ, kind, fd, 0));
        let res = sys!(openat(AT_FDCWD, name, 0));
        see! { dirfd: AT_FDCWD, name: one_of([empty(), "far".into()]), flags: flags("O_RDONLY"), mode: 0 }.and(
            SyscallOpenat_2X,
            see! { fd: res, dirfd: AT_FDCWD, name: "far", flags: flags("O_RDONLY"), mode: 0, dev: 0, ino: 0 },
        )
    }),
    row(SyscallOpenat2X, "below a directory only", || {
        let dir = directory("d");
        let fd = ok!(openat2(dir, c"made", &how(O_CREAT | O_RDWR, 0o644, 8), 24));
        see! { fd: fd, dirfd: dir, name: "made", flags: flags("O_RDWR|O_CREAT|O_F_CREATED"), mode: 0o644, resolve: flags("RESOLVE_BENEATH"), dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenat2X, "all ways to resolve", || {
        let res = sys!(openat2(AT_FDCWD, c"..", &how(O_RDONLY, 0, 0x3f), 24));
        see! { fd: res, dirfd: AT_FDCWD, name: "..", flags: flags("O_RDONLY"), mode: 0, resolve: flags("RESOLVE_BENEATH|RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV|RESOLVE_CACHED"), dev: 0, ino: 0 }
    }),
    row(SyscallOpenat2X, "nothing said how", || {
        see! { fd: sys!(openat2(AT_FDCWD, c"x", BAD, 24)), dirfd: AT_FDCWD, name: "x", flags: flags("O_RDONLY"), mode: 0, resolve: 0, dev: 0, ino: 0 }
    }),
    row(SyscallOpenat2E, "a file", || {
        sys!(openat2(-7, c"x", &how(O_CREAT, 0o400, 4), 24));
        see! { dirfd: -7, name: "x", flags: flags("O_RDONLY|O_CREAT"), mode: 0o400, resolve: flags("RESOLVE_NO_SYMLINKS") }
    }),
    row(SyscallOpenat2E, "bad pointers", || {
        sys!(openat2(AT_FDCWD, BAD, BAD, 24));
        see! { dirfd: AT_FDCWD, name: empty(), flags: flags("O_RDONLY"), mode: 0, resolve: 0 }
    }),
    row(SyscallCreatX, "makes a file", || {
        let fd = ok!(creat(c"made", 0o751));
        see! { fd: fd, name: "made", mode: 0o751, dev: device(fd), ino: inode(fd), creat_flags: 0 }
    }),
    row(SyscallCreatX, "a file on an overlay", || {
        overlay(|| ());
        let fd = ok!(creat(c"all/made", 0o600));
        see! { fd: fd, name: "all/made", mode: 0o600, dev: device(fd), ino: inode(fd), creat_flags: flags("FD_UPPER_LAYER_CREAT") }
    }),
    row(SyscallCreatX, "a bad pointer", || see! { fd: sys!(creat(BAD, -1)), name: empty(), mode: 0o7777, dev: 0, ino: 0, creat_flags: 0 }),
    row(SyscallCreatE, "a file", || {
        sys!(creat(c"made", 0o751));
        see! { name: "made", mode: 0o751 }
    }),
    row(SyscallCreatE, "a path without an end", || {
        sys!(creat(unterminated(b"made"), 0o600));
        see! { name: empty(), mode: 0o600 }
    }),
    row(SyscallOpenByHandleAtX, "a file", || {
        std::fs::write("there", "x").unwrap();
        let (mut handle, mut mount) = ([0_u32; 34], 0_i32);
        handle[0] = 128;
        ok!(name_to_handle_at(AT_FDCWD, c"there", &mut handle, &mut mount, 0));
        let dir = ok!(openat(AT_FDCWD, c".", O_RDONLY));
        let fd = sys!(open_by_handle_at(dir, &handle, O_RDONLY));
        if fd == error(ESTALE) || fd == error(EOPNOTSUPP) {
            skip("the file system has no handles");
        }
        let path = std::env::current_dir().unwrap().join("there");
        see! { fd: fd, mountfd: dir, flags: flags("O_RDONLY"), path: path.to_str().unwrap(), dev: device(fd), ino: inode(fd) }
    }),
    row(SyscallOpenByHandleAtX, "no handle", || {
        see! { fd: sys!(open_by_handle_at(-1, BAD, O_PATH)), mountfd: -1, flags: flags("O_RDONLY"), path: empty(), dev: 0, ino: 0 }
    }),
];

/// The C library's constant is zero on 64-bit machines.
#[cfg(target_arch = "x86_64")]
const O_LARGEFILE_NATIVE: i32 = 0o100_000;
#[cfg(target_arch = "aarch64")]
const O_LARGEFILE_NATIVE: i32 = 0o400_000;

fn how(flags: i32, mode: u64, resolve: u64) -> [u64; 3] {
    [flags as u64, mode, resolve]
}
