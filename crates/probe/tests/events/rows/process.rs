//! Facts about processes from `/proc`, for the rows about their start.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::prelude::*;
use crate::programs;
use crate::sys::pointers;

/// What `/proc` says of a stopped process: parameters that fork and exec events share.
pub(super) fn process(pid: i32) -> Values {
    let proc = format!("/proc/{pid}");
    let read = |name: &str| fs::read(format!("{proc}/{name}")).unwrap();
    let stat = stat(pid);
    let status = status(pid);
    let statm = String::from_utf8(read("statm")).unwrap();
    let statm: Vec<u64> = statm.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let cmdline = read("cmdline");
    let (exe, args) = match cmdline.iter().position(|&byte| byte == 0) {
        Some(end) => cmdline.split_at(end + 1),
        None => (&cmdline[..], &[][..]),
    };
    let number = |field: &str| status[field].parse::<i64>().unwrap();
    let in_namespace =
        |field: &str| status[field].split('\t').next_back().unwrap().parse::<i64>().unwrap();
    let mut limit = [0_u64; 2];
    ok!(getrlimit(RLIMIT_NOFILE, &mut limit));
    vec![
        ("exe", exe.into()),
        ("args", args.into()),
        ("tid", pid.into()),
        ("pid", pid.into()),
        ("ptid", number("PPid").into()),
        ("cwd", empty()),
        ("fdlimit", limit[0].into()),
        ("pgft_maj", between(0..=stat[9])),
        ("pgft_min", between(0..=stat[7])),
        ("vm_size", between((statm[0] - statm[0].min(64)) * 4..=(statm[0] + 64) * 4)),
        ("vm_rss", between(0..=(statm[1] + 600) * 4)),
        ("vm_swap", 0.into()),
        ("comm", text(read("comm").strip_suffix(b"\n").unwrap())),
        ("cgroups", Is::OneOf(cgroups(pid))),
        ("uid", ids(&status["Uid"]).into()),
        ("gid", ids(&status["Gid"]).into()),
        ("vtid", in_namespace("NSpid").into()),
        ("vpid", in_namespace("NStgid").into()),
        ("pidns_init_start_ts", 0.into()),
    ]
}

/// What `/proc` says of a stopped process after an exec.
pub(super) fn executed(pid: i32) -> Values {
    let (stat, status) = (stat(pid), status(pid));
    let capability = |field: &str| Is::from(u64::from_str_radix(&status[field], 16).unwrap());
    let exe = format!("/proc/{pid}/exe");
    let metadata = fs::metadata(&exe).unwrap();
    let path = fs::read_link(&exe).unwrap();
    let login = fs::read_to_string(format!("/proc/{pid}/loginuid"));
    let login: u32 = login.map_or(u32::MAX, |text| text.trim().parse().unwrap());
    let ns = |sec: i64, nsec: i64| (sec * 1_000_000_000 + nsec).into();
    let mut environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    if environment.is_empty() {
        // None at all would be one that could not be read.
        environment.push(0);
    }
    let mut values = process(pid);
    values.retain(|(name, _)| !["vtid", "vpid", "pidns_init_start_ts"].contains(name));
    values.extend([
        ("env", environment.into()),
        ("tty", stat[4].into()),
        ("vpgid", status["NSpgid"].split('\t').next_back().unwrap().parse::<i64>().unwrap().into()),
        ("loginuid", login.into()),
        ("flags", flags("EXE_WRITABLE")),
        ("cap_inheritable", capability("CapInh")),
        ("cap_permitted", capability("CapPrm")),
        ("cap_effective", capability("CapEff")),
        ("exe_ino", metadata.ino().into()),
        ("exe_ino_ctime", ns(metadata.ctime(), metadata.ctime_nsec())),
        ("exe_ino_mtime", ns(metadata.mtime(), metadata.mtime_nsec())),
        ("trusted_exepath", path.to_str().unwrap().into()),
        ("pgid", stat[2].into()),
    ]);
    values
}

/// Fields of `stat`, from the state on; non-numbers become 0.
fn stat(pid: i32) -> Vec<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect()
}

fn status(pid: i32) -> BTreeMap<String, String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let pairs = status.lines().filter_map(|line| line.split_once(":\t"));
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

/// The second of four ids: the effective one.
fn ids(four: &str) -> u32 {
    four.split('\t').nth(1).unwrap().parse().unwrap()
}

/// Start time of the first process of this machine, since boot.
pub(super) fn start_of(pid: i32) -> Is {
    let ticks = stat(pid)[19];
    between(ticks * 10_000_000..=ticks * 10_000_000 + 9_999_999)
}

/// `controller=/path` for the controllers of the format, and `unified` where version 2 has none of
/// them. Which ones the kernel was built without is not visible, so both forms are accepted for
/// each that is at the root.
fn cgroups(pid: i32) -> Vec<Is> {
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let unified = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let at = words.next()?;
        (words.next()? == "cgroup2").then_some(at)
    });
    let given = unified.map(|at| fs::read_to_string(format!("{at}/cgroup.subtree_control")));
    let given = given.and_then(Result::ok).unwrap_or_default();
    let mut variants = vec![String::new()];
    for (name, legacy) in [
        ("cpuset", "cpuset"),
        ("cpu", "cpu"),
        ("cpuacct", "cpuacct"),
        ("io", "blkio"),
        ("memory", "memory"),
    ] {
        let line = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let path = line.clone().find(|(names, _)| names.split(',').any(|known| known == legacy));
        let path = path.or_else(|| {
            line.clone().find(|(names, _)| {
                names.is_empty() && given.split_whitespace().any(|known| known == name)
            })
        });
        let path = path.map_or("/", |(_, path)| path);
        let without = if path == "/" { variants.clone() } else { Vec::new() };
        variants.iter_mut().for_each(|text| *text += &format!("{name}={path}\0"));
        variants.extend(without);
    }
    let unified = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let in_version_2 = |name| given.split_whitespace().any(|known| known == name);
    if unified != "/" && !["cpuset", "cpu", "io", "memory"].into_iter().any(in_version_2) {
        variants.iter_mut().for_each(|text| *text += &format!("unified={unified}\0"));
    }
    variants.into_iter().map(|text| text.into_bytes().into()).collect()
}

/// A program that has started and waits to be released.
pub(super) struct Begun {
    pub(super) pid: i32,
    line: PipeWriter,
}

impl Begun {
    /// Releases it; returns the status of the program.
    pub(super) fn let_go(mut self) {
        self.line.write_all(b"x").unwrap();
        assert_eq!(wait(self.pid), programs::STATUS << 8);
    }
}

/// Forks a child that calls this function, which executes the program or returns why it failed;
/// waits until the program runs.
pub(super) fn begin(become_it: impl FnOnce() -> i64) -> Begun {
    let (mut here, ready) = std::io::pipe().unwrap();
    let (there, line) = std::io::pipe().unwrap();
    let pid = fork(|| {
        ok!(dup3(there.as_raw_fd(), 0, 0));
        ok!(dup3(ready.as_raw_fd(), 1, 0));
        -become_it() as i32
    });
    drop(ready);
    if here.read(&mut [0]).unwrap() == 0 {
        let status = i64::from(wait(pid));
        let error = peregrine_event::errno_name(-(status >> 8)).unwrap_or("no error");
        panic!("the program did not begin: {error}, status {status:#x}");
    }
    Begun { pid, line }
}

/// Writes the program to a file.
pub(super) fn install(path: &str) {
    fs::write(path, programs::native()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Executes a program.
pub(super) fn execve(path: &CStr, args: &[&CStr], env: &[&CStr]) -> i64 {
    sys!(execve(path, &pointers(args)[..], &pointers(env)[..]))
}
