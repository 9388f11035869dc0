//! A root directory like a container's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_bind_recursive};

/// Directories with programs and libraries.
const PROGRAMS: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib64", "dev"];

/// Builds it on a file system of its own, in the mount namespace of this process.
pub(super) fn build(jail: &str) -> PathBuf {
    fs::create_dir_all(jail).unwrap();
    mount("none", jail, "tmpfs", MountFlags::empty(), Some(c"size=64m")).unwrap();
    let jail = Path::new(jail);
    for name in PROGRAMS {
        let (host, inside) = (Path::new("/").join(name), jail.join(name));
        match fs::read_link(&host) {
            Ok(target) => symlink(target, inside).unwrap(),
            Err(_) if host.is_dir() => {
                fs::create_dir(&inside).unwrap();
                mount_bind_recursive(&host, &inside).unwrap();
            }
            Err(_) => {}
        }
    }
    for name in ["etc", "proc", "tmp"] {
        fs::create_dir(jail.join(name)).unwrap();
    }
    jail.to_owned()
}

/// The text of an account file of about this size.
pub(super) fn passwd(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for uid in 1000.. {
        text.push_str(&format!("user{uid}:x:{uid}:{uid}::/home/user{uid}:/bin/sh\n"));
        if text.len() >= bytes {
            break;
        }
    }
    text
}
