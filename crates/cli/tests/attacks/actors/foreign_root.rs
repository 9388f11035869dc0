//! A root directory in which `/proc/1/stat` is what the attacker likes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::chroot;

use super::{flood, serve};

/// Makes a FIFO, or a symlink to this path, and changes its root directory.
pub(super) fn run(jail: &str, link: Option<&str>) -> ! {
    let directory = Path::new(jail).join("proc/1");
    fs::create_dir_all(&directory).unwrap();
    let stat = directory.join("stat");
    match link {
        Some(target) => symlink(target, &stat).unwrap(),
        None => mknodat(CWD, &stat, FileType::Fifo, Mode::RUSR, 0).unwrap(),
    }
    chroot(jail).unwrap();
    std::env::set_current_dir("/").unwrap();
    serve(|line| flood("/proc/1", line.parse().unwrap()))
}
