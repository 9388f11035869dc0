//! Operations on files by name or descriptor, except opening, reading and writing.

use super::prelude::*;

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    row(SyscallStatX, "a file", || {
        std::fs::write("there", "x").unwrap();
        let mut to = [0_u64; 32];
        see! { res: ok!(stat(c"there", &mut to)), path: "there" }
    }),
    row(SyscallStatX, "bad pointers", || see! { res: sys!(stat(BAD, BAD)), path: empty() }),
    row(SyscallStatX, "the longest path", || {
        let path = long_path();
        see! { res: sys!(stat(path.as_c_str(), BAD)), path: &path }
    }),
    row(SyscallStatX, "a path that is too long", || {
        let (path, mut cut) = (c("x".repeat(5000)), "x".repeat(4095));
        cut.push('\0');
        see! { res: sys!(stat(path.as_c_str(), BAD)), path: cut.into_bytes() }
    }),
    row(SyscallStatX, "a path without an end", || {
        let path = unterminated(b"/tmp/without-end");
        see! { res: sys!(stat(path, BAD)), path: empty() }
    }),
    row(SyscallStatX, "a path that is empty", || see! { res: sys!(stat(c"", BAD)), path: "" }),
    row(SyscallStatX, "a path of no letters", || {
        see! { res: sys!(stat(c"\xff\x01\n", BAD)), path: c"\xff\x01\n" }
    }),
    row(SyscallLstatX, "a link", || {
        std::os::unix::fs::symlink("nowhere", "link").unwrap();
        let mut to = [0_u64; 32];
        see! { res: ok!(lstat(c"link", &mut to)), path: "link" }
    }),
    row(SyscallLstatX, "bad pointers", || see! { res: sys!(lstat(u64::MAX, BAD)), path: empty() }),
    row(SyscallFstatX, "a file", || {
        let (fd, mut to) = (anonymous(), [0_u64; 32]);
        see! { res: ok!(fstat(fd, &mut to)), fd: fd }
    }),
    row(SyscallFstatX, "one that is not open", || see! { res: sys!(fstat(-100, BAD)), fd: -100 }),
    row(SyscallNewfstatatX, "below a directory", || {
        let (fd, mut to) = (directory("d"), [0_u64; 32]);
        std::os::unix::fs::symlink("nowhere", "d/link").unwrap();
        see! { res: ok!(newfstatat(fd, c"link", &mut to, AT_SYMLINK_NOFOLLOW)), dirfd: fd, path: "link", flags: flags("AT_SYMLINK_NOFOLLOW") }
    }),
    row(SyscallNewfstatatX, "a bad path", || {
        see! { res: sys!(newfstatat(-5, BAD, BAD, -1)), dirfd: -5, path: empty(), flags: flags("AT_EMPTY_PATH|AT_NO_AUTOMOUNT|AT_SYMLINK_NOFOLLOW") }
    }),
    row(SyscallAccessX, "a file", || {
        std::fs::write("there", "x").unwrap();
        see! { res: ok!(access(c"there", R_OK | W_OK)), name: "there", mode: flags("R_OK|W_OK") }
    }),
    row(SyscallAccessX, "a mode that is none", || see! { res: sys!(access(c"x", -1)), name: "x", mode: flags("R_OK|W_OK|X_OK") }),
    row(SyscallRenameX, "a file", || {
        std::fs::write("old", "x").unwrap();
        see! { res: ok!(rename(c"old", c"new")), oldpath: "old", newpath: "new" }
    }),
    row(SyscallRenameX, "bad pointers", || see! { res: sys!(rename(BAD, 0)), oldpath: empty(), newpath: empty() }),
    row(SyscallRenameatX, "between directories", || {
        let (from, to) = (directory("from"), directory("to"));
        std::fs::write("from/x", "").unwrap();
        see! { res: ok!(renameat(from, c"x", to, c"y")), olddirfd: from, oldpath: "x", newdirfd: to, newpath: "y" }
    }),
    row(SyscallRenameatX, "the longest paths", || {
        let path = long_path();
        let res = sys!(renameat(AT_FDCWD, path.as_c_str(), -3, path.as_c_str()));
        see! { res: res, olddirfd: AT_FDCWD, oldpath: &path, newdirfd: -3, newpath: &path }
    }),
    row(SyscallRenameat2X, "each for the other", || {
        std::fs::write("one", "").unwrap();
        std::fs::write("two", "").unwrap();
        let res = sys!(renameat2(AT_FDCWD, c"one", AT_FDCWD, c"two", 2));
        see! { res: res, olddirfd: AT_FDCWD, oldpath: "one", newdirfd: AT_FDCWD, newpath: "two", flags: flags("RENAME_EXCHANGE") }
    }),
    row(SyscallRenameat2X, "flags that do not go together", || {
        let res = sys!(renameat2(-1, c"", -2, BAD, 3));
        see! { res: res, olddirfd: -1, oldpath: "", newdirfd: -2, newpath: empty(), flags: flags("RENAME_NOREPLACE|RENAME_EXCHANGE") }
    }),
    row(SyscallLink_2X, "a file", || {
        std::fs::write("old", "").unwrap();
        see! { res: ok!(link(c"old", c"new")), oldpath: "old", newpath: "new" }
    }),
    row(SyscallLink_2X, "nothing", || see! { res: sys!(link(c"no", BAD)), oldpath: "no", newpath: empty() }),
    row(SyscallLinkat_2X, "a file", || {
        std::fs::write("old", "").unwrap();
        let fd = directory("d");
        let res = ok!(linkat(AT_FDCWD, c"old", fd, c"new", AT_SYMLINK_FOLLOW));
        see! { res: res, olddir: AT_FDCWD, oldpath: "old", newdir: fd, newpath: "new", flags: flags("AT_SYMLINK_FOLLOW") }
    }),
    row(SyscallLinkat_2X, "by descriptor", || {
        let fd = file("old");
        let res = sys!(linkat(fd, c"", AT_FDCWD, c"new", AT_EMPTY_PATH));
        see! { res: res, olddir: fd, oldpath: "", newdir: AT_FDCWD, newpath: "new", flags: flags("AT_EMPTY_PATH") }
    }),
    row(SyscallSymlinkX, "to nowhere", || see! { res: ok!(symlink(c"/nowhere", c"link")), target: "/nowhere", linkpath: "link" }),
    row(SyscallSymlinkX, "bad pointers", || see! { res: sys!(symlink(BAD, BAD)), target: empty(), linkpath: empty() }),
    row(SyscallSymlinkatX, "below a directory", || {
        let fd = directory("d");
        see! { res: ok!(symlinkat(c"../x", fd, c"link")), target: "../x", linkdirfd: fd, linkpath: "link" }
    }),
    row(SyscallSymlinkatX, "an empty target", || see! { res: sys!(symlinkat(c"", -1, c"x")), target: "", linkdirfd: -1, linkpath: "x" }),
    row(SyscallUnlink_2X, "a file", || {
        std::fs::write("x", "").unwrap();
        see! { res: ok!(unlink(c"x")), path: "x" }
    }),
    row(SyscallUnlink_2X, "a bad pointer", || see! { res: sys!(unlink(BAD)), path: empty() }),
    row(SyscallUnlinkat_2X, "a directory", || {
        let fd = directory("d");
        std::fs::create_dir("d/e").unwrap();
        see! { res: ok!(unlinkat(fd, c"e", AT_REMOVEDIR)), dirfd: fd, name: "e", flags: flags("AT_REMOVEDIR") }
    }),
    row(SyscallUnlinkat_2X, "nothing", || see! { res: sys!(unlinkat(AT_FDCWD, c"no", 1)), dirfd: AT_FDCWD, name: "no", flags: 0 }),
    row(SyscallMkdir_2X, "one", || see! { res: ok!(mkdir(c"d", 0o751)), path: "d", mode: 0o751 }),
    row(SyscallMkdir_2X, "all bits", || see! { res: sys!(mkdir(BAD, u32::MAX)), path: empty(), mode: u32::MAX }),
    row(SyscallMkdiratX, "one", || {
        let fd = directory("d");
        see! { res: ok!(mkdirat(fd, c"e", 0o700)), dirfd: fd, path: "e", mode: 0o700 }
    }),
    row(SyscallMkdiratX, "in a file", || {
        let fd = file("x");
        see! { res: sys!(mkdirat(fd, c"e", 0o1777)), dirfd: fd, path: "e", mode: 0o1777 }
    }),
    row(SyscallRmdir_2X, "one", || {
        std::fs::create_dir("d").unwrap();
        see! { res: ok!(rmdir(c"d")), path: "d" }
    }),
    row(SyscallRmdir_2X, "the root", || see! { res: sys!(rmdir(c"/")), path: "/" }),
    row(SyscallMknodX, "a pipe", || {
        see! { res: ok!(mknod(c"p", S_IFIFO | 0o640, 0)), path: "p", mode: flags("S_IFIFO|S_IRUSR|S_IWUSR|S_IRGRP"), dev: 0 }
    }),
    row(SyscallMknodX, "a device", || {
        let dev = makedev(1, 3);
        see! { res: sys!(mknod(c"null", S_IFCHR | 0o600, dev)), path: "null", mode: flags("S_IFCHR|S_IRUSR|S_IWUSR"), dev: encode_device(dev) }
    }),
    row(SyscallMknodX, "a device of large numbers", || {
        let dev = makedev(0xabc, 0xabcde);
        see! { res: sys!(mknod(BAD, S_IFBLK, dev as u32)), path: empty(), mode: flags("S_IFBLK"), dev: encode_device(dev) }
    }),
    row(SyscallMknodatX, "a socket", || {
        let fd = directory("d");
        see! { res: ok!(mknodat(fd, c"s", S_IFSOCK | 0o777, 0)), dirfd: fd, path: "s", mode: flags("S_IFSOCK|S_IRUSR|S_IWUSR|S_IXUSR|S_IRGRP|S_IWGRP|S_IXGRP|S_IROTH|S_IWOTH|S_IXOTH"), dev: 0 }
    }),
    row(SyscallMknodatX, "a device", || {
        let dev = makedev(8, 17);
        see! { res: sys!(mknodat(-1, c"s", S_IFBLK | 0o4000, dev)), dirfd: -1, path: "s", mode: flags("S_IFBLK|S_ISUID"), dev: encode_device(dev) }
    }),
    row(SyscallChmodX, "a file", || {
        std::fs::write("x", "").unwrap();
        see! { res: ok!(chmod(c"x", 0o4755)), filename: "x", mode: flags("S_ISUID|S_IRUSR|S_IWUSR|S_IXUSR|S_IRGRP|S_IXGRP|S_IROTH|S_IXOTH") }
    }),
    row(SyscallChmodX, "all bits", || see! { res: sys!(chmod(BAD, u64::MAX)), filename: empty(), mode: 0o7777 }),
    row(SyscallFchmodX, "a file", || {
        let fd = anonymous();
        see! { res: ok!(fchmod(fd, 0o2001)), fd: fd, mode: flags("S_ISGID|S_IXOTH") }
    }),
    row(SyscallFchmodX, "one that is not open", || see! { res: sys!(fchmod(-1, 0)), fd: -1, mode: 0 }),
    row(SyscallFchmodatX, "a file", || {
        let fd = directory("d");
        std::fs::write("d/x", "").unwrap();
        see! { res: ok!(fchmodat(fd, c"x", 0o1642)), dirfd: fd, filename: "x", mode: flags("S_ISVTX|S_IRUSR|S_IWUSR|S_IRGRP|S_IWOTH") }
    }),
    row(SyscallFchmodatX, "nothing", || see! { res: sys!(fchmodat(AT_FDCWD, c"no", 0)), dirfd: AT_FDCWD, filename: "no", mode: 0 }),
    row(SyscallChownX, "a file", || {
        std::fs::write("x", "").unwrap();
        see! { res: ok!(chown(c"x", 1234, -1)), path: "x", uid: 1234, gid: -1 }
    }),
    row(SyscallChownX, "a bad path", || see! { res: sys!(chown(BAD, 0, 7)), path: empty(), uid: 0, gid: 7 }),
    row(SyscallLchownX, "a link", || {
        std::os::unix::fs::symlink("nowhere", "link").unwrap();
        see! { res: ok!(lchown(c"link", -1, 55)), path: "link", uid: -1, gid: 55 }
    }),
    row(SyscallLchownX, "nothing", || see! { res: sys!(lchown(c"", 1, 2)), path: "", uid: 1, gid: 2 }),
    row(SyscallFchownX, "a file", || {
        let fd = anonymous();
        see! { res: ok!(fchown(fd, 0, 4)), fd: fd, uid: 0, gid: 4 }
    }),
    row(SyscallFchownX, "one that is not open", || see! { res: sys!(fchown(-9, u32::MAX, u32::MAX)), fd: -9, uid: -1, gid: -1 }),
    row(SyscallFchownatX, "by descriptor", || {
        let fd = anonymous();
        let res = ok!(fchownat(fd, c"", 3, 4, AT_EMPTY_PATH));
        see! { res: res, dirfd: fd, pathname: "", uid: 3, gid: 4, flags: flags("AT_EMPTY_PATH") }
    }),
    row(SyscallFchownatX, "a link that leads nowhere", || {
        let res = sys!(fchownat(AT_FDCWD, c"no", 0, 0, AT_SYMLINK_NOFOLLOW));
        see! { res: res, dirfd: AT_FDCWD, pathname: "no", uid: 0, gid: 0, flags: flags("AT_SYMLINK_NOFOLLOW") }
    }),
    row(SyscallGetdentsX, "a directory", || {
        let (fd, mut to) = (directory("d"), [0_u8; 512]);
        see! { res: ok!(getdents(fd, &mut to, 512)), fd: fd }
    }),
    row(SyscallGetdentsX, "no directory", || see! { res: sys!(getdents(1, BAD, 0)), fd: 1 }),
    row(SyscallGetdents64X, "a directory", || {
        let (fd, mut to) = (directory("d"), [0_u8; 512]);
        see! { res: ok!(getdents64(fd, &mut to, 512)), fd: fd }
    }),
    row(SyscallGetdents64X, "no directory", || see! { res: sys!(getdents64(-1, BAD, 0)), fd: -1 }),
    row(SyscallGetcwdX, "where one is", || {
        let mut to = [0_u8; 4096];
        see! { res: ok!(getcwd(&mut to, 4096)), path: std::env::current_dir().unwrap().to_str().unwrap() }
    }),
    row(SyscallGetcwdX, "no room", || {
        let mut to = [b'x'; 2];
        see! { res: sys!(getcwd(&mut to, 2)), path: empty() }
    }),
    row(SyscallChdirX, "a directory", || {
        std::fs::create_dir("d").unwrap();
        see! { res: ok!(chdir(c"d")), path: "d" }
    }),
    row(SyscallChdirX, "a bad pointer", || see! { res: sys!(chdir(BAD)), path: empty() }),
    row(SyscallFchdirX, "a directory", || {
        let fd = directory("d");
        see! { res: ok!(fchdir(fd)), fd: fd }
    }),
    row(SyscallFchdirX, "a file", || {
        let fd = anonymous();
        see! { res: sys!(fchdir(fd)), fd: fd }
    }),
    row(SyscallChrootX, "a directory", || {
        std::fs::create_dir("d").unwrap();
        see! { res: ok!(chroot(c"d")), path: "d" }
    }),
    row(SyscallChrootX, "nothing", || see! { res: sys!(chroot(c"no")), path: "no" }),
];
