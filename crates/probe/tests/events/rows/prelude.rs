//! Helpers to write rows with.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;

pub(super) use libc::*;
pub(super) use peregrine_event::EventType::*;

use crate::frame::Expected;
pub(super) use crate::frame::{Row, Values, see, skip};
pub(super) use crate::is::{
    Is, anything, between, dynamic, empty, flags, kernel_address, one_of, text, texts, unix,
};
pub(super) use crate::sys::{
    BAD, bytes_of, exit, fork, handle, held, ok, sys, touch, unterminated, wait, zeroed,
};

/// A row.
pub(super) const fn row(
    event: peregrine_event::EventType,
    case: &'static str,
    act: fn() -> Expected,
) -> Row {
    Row { event, case, act }
}

/// An error as a result.
pub(super) fn error(number: c_int) -> i64 {
    -i64::from(number)
}

/// An open file without a name.
pub(super) fn anonymous() -> i64 {
    ok!(memfd_create(c"row", 0))
}

/// An open file with a name, and something in it.
pub(super) fn file(name: &str) -> i64 {
    std::fs::write(name, "0123456789").unwrap();
    ok!(openat(AT_FDCWD, c(name).as_c_str(), O_RDWR, 0))
}

/// A directory, opened.
pub(super) fn directory(name: &str) -> i64 {
    std::fs::create_dir(name).unwrap();
    ok!(openat(AT_FDCWD, c(name).as_c_str(), O_RDONLY | O_DIRECTORY, 0))
}

/// Waits until a thread of this process has ended.
pub(super) fn gone(thread: i64) {
    while std::fs::exists(format!("/proc/self/task/{thread}")).unwrap() {
        std::thread::yield_now();
    }
}

/// Waits for a signal.
pub(super) fn stay() {
    sys!(ppoll(0, 0, 0, 0, 0));
}

/// A NUL-terminated text.
pub(super) fn c(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap()
}

/// The inode behind a descriptor.
pub(super) fn inode(fd: i64) -> u64 {
    std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino()
}

/// The device of the file behind a descriptor, in the encoding of the format.
pub(super) fn device(fd: i64) -> u32 {
    encode_device(std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().dev())
}

/// A device in the encoding of the format.
pub(super) fn encode_device(dev: u64) -> u32 {
    let (major, minor) = (major(dev), minor(dev));
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

/// Changes to a directory in which `all` is an overlay of `lower`, which is filled first, and
/// `upper`.
pub(super) fn overlay(fill: impl FnOnce()) {
    own_mounts();
    std::fs::create_dir("base").unwrap();
    ok!(mount(c"none", c"base", c"tmpfs", 0, 0));
    ok!(chdir(c"base"));
    for name in ["lower", "upper", "work", "all"] {
        std::fs::create_dir(name).unwrap();
    }
    fill();
    let layers = c"lowerdir=lower,upperdir=upper,workdir=work";
    if sys!(mount(c"none", c"all", c"overlay", 0, layers)) < 0 {
        skip("the kernel has no overlays, and there was no module for them");
    }
}

/// Enters a private mount namespace.
pub(super) fn own_mounts() {
    ok!(unshare(CLONE_NEWNS));
    ok!(mount(0, c"/", 0, MS_REC | MS_PRIVATE, 0));
}

/// The longest path that the kernel accepts: 4095 bytes; the file does not exist.
pub(super) fn long_path() -> CString {
    c("a/".repeat(2047) + "z")
}
