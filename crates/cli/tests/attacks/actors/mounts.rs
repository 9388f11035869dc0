//! Many mounts, and as many open files in mounts that are in no mount table.

use std::fs::{self, File};
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{flood, serve};

/// Mounts `count` times, and opens `count` files in mounts that are detached then.
pub(super) fn run(directory: &str, count: usize) -> ! {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    let flags = MountFlags::empty();
    mount("none", directory, "tmpfs", flags, Some(c"size=16m")).unwrap();
    let directory = Path::new(directory);
    let (source, point) = (directory.join("source"), directory.join("point"));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&point).unwrap();
    fs::write(source.join("file"), "").unwrap();
    for number in 0..count {
        let point = directory.join(number.to_string());
        fs::create_dir(&point).unwrap();
        mount_bind(&source, &point).unwrap();
    }
    let mut open = Vec::new();
    for _ in 0..count {
        mount_bind(&source, &point).unwrap();
        open.push(File::open(point.join("file")).unwrap());
        unmount(&point, UnmountFlags::DETACH).unwrap();
    }
    serve(|line| match line {
        "count" => format!("{} open", open.len()),
        times => flood("/", times.parse().unwrap()),
    })
}
