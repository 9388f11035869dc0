//! What attackers do, each in a process of its own: `--actor NAME ARGUMENTS`.
//!
//! An actor prints `ready`, then does what the lines of its standard input say and answers each
//! with a line. It ends when its standard input does.

mod container;
mod foreign_root;
mod fuse;
mod fuse_accounts;
mod fuse_files;
mod jail;
mod load;
mod mounts;

use std::io::{BufRead, stdin};

/// Runs an actor until it is dismissed.
pub(crate) fn run(arguments: &[String]) -> ! {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // All that attack share the first CPU and its ring.
    pin(arguments.first() == Some(&"quiet"));
    match arguments.as_slice() {
        ["quiet", directory, interval] => load::quiet(directory, interval.parse().unwrap()),
        ["loop", path] => load::looped(path),
        ["threads", count, _long] => load::threads(count.parse().unwrap()),
        ["foreign-root", jail, link @ ..] => foreign_root::run(jail, link.first().copied()),
        ["mounts", directory, count] => mounts::run(directory, count.parse().unwrap()),
        ["containers", jail, groups @ ..] => container::run(jail, groups),
        ["fuse-accounts", jail, group] => fuse_accounts::run(jail, group),
        ["fuse-files", directory, victims @ ..] => fuse_files::run(directory, victims),
        ["holds", path] => fuse_files::holds(path),
        ["mmap-lock", path] => fuse_files::mmap_lock(path),
        other => panic!("no actor is called {other:?}"),
    }
}

/// Answers the lines of the standard input until it ends.
fn serve(mut act: impl FnMut(&str) -> String) -> ! {
    println!("ready");
    for line in stdin().lock().lines().map_while(Result::ok) {
        println!("{}", act(&line));
    }
    std::process::exit(0)
}

/// Pins this process to a CPU: the first for those that flood, the last for the quiet group.
fn pin(last: bool) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = nix::sched::CpuSet::new();
    set.set(if last { cpus - 1 } else { 0 }).unwrap();
    // Where only some CPUs may be used, all share these.
    let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
}

/// Opens a path and closes it, this often.
fn flood(path: &str, times: u64) -> String {
    for _ in 0..times {
        drop(std::fs::File::open(path));
    }
    format!("opened {times}")
}
