//! Actors that look like containers: their control groups have such names, and their root directory
//! is their own.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::chroot;

use super::{jail, serve};

/// Size of the account file.
const PASSWD: usize = 4 << 20;

/// Executes itself as often as its argument says, and changes the account file each time.
const STORM: &str = "echo >>/etc/passwd; [ $1 = 0 ] || exec sh /storm $(($1 - 1))\n";

/// A control group that this process can enter, also after a change of its root directory.
pub(super) struct Group(Vec<File>);

impl Group {
    /// In one hierarchy or several, with colons between their paths.
    pub(super) fn open(paths: &str) -> Self {
        let procs = paths.split(':').map(|path| Path::new(path).join("cgroup.procs"));
        Self(procs.map(|procs| OpenOptions::new().write(true).open(procs).unwrap()).collect())
    }

    pub(super) fn enter(&mut self) {
        self.0.iter_mut().for_each(|procs| procs.write_all(b"0").unwrap());
    }
}

pub(super) fn enter_root(jail: &Path) {
    chroot(jail).unwrap();
    std::env::set_current_dir("/").unwrap();
}

pub(super) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Containers with large account files. `live` runs a program in each and waits until all have
/// ended; `storm N` runs a program N times as the first process of its PID namespace in the first
/// of them.
pub(super) fn run(jail: &str, groups: &[&str]) -> ! {
    let mut groups: Vec<Group> = groups.iter().map(|group| Group::open(group)).collect();
    let jail = jail::build(jail);
    fs::write(jail.join("etc/passwd"), jail::passwd(PASSWD)).unwrap();
    fs::write(jail.join("etc/group"), "root:x:0:\n").unwrap();
    fs::write(jail.join("storm"), STORM).unwrap();
    enter_root(&jail);
    serve(|line| match line.split_once(' ') {
        Some(("storm", times)) => {
            groups[0].enter();
            let begun = Instant::now();
            let mut command = program("unshare");
            command.args(["--pid", "--fork", "--kill-child", "sh", "/storm", times]);
            let status = command.status().unwrap();
            assert!(status.success(), "{status}");
            format!("{times} in {} ms", begun.elapsed().as_millis())
        }
        _ => {
            let run = |group: &mut Group| {
                group.enter();
                program("sleep").arg("1").spawn().unwrap()
            };
            let children: Vec<Child> = groups.iter_mut().map(run).collect();
            let ended = children.into_iter().filter_map(|mut child| child.wait().ok());
            format!("{} ended", ended.count())
        }
    })
}
