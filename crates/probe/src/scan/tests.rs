//! Scans of made-up machines, and of this one as far as it is our own.

use std::fs;
use std::os::unix::fs::symlink;

use peregrine_event::Accounts;
use peregrine_event::snapshot::{Fd, FdKind, Thread};
use proptest::prelude::*;
use rustix::fs::{FileType, Mode};

use super::*;

/// Time enough for every read.
const LONG: Duration = Duration::from_secs(60);

/// A machine in a temporary directory.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write("proc/stat", "cpu 1\ncpu0 1\nbtime 1700000000\n");
        machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        machine.write("etc/group", "root:x:0:\n");
        machine
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A process as the kernel shows it, with this parent.
    fn process(&self, pid: i64, ppid: i64, exe: &str) {
        let dir = format!("proc/{pid}");
        self.task(&dir, pid, pid, ppid, "main");
        self.task(&format!("{dir}/task/{pid}"), pid, pid, ppid, "main");
        self.write(&format!("{dir}/cmdline"), format!("{exe}\0-v\0two words\0"));
        self.write(&format!("{dir}/environ"), "A=1\0B=2\0");
        self.write(&format!("{dir}/limits"), "Max open files   512   1024   files\n");
        self.write(&format!("{dir}/fdinfo/0"), "pos:\t0\nflags:\t0100002\nmnt_id:\t5\n");
        self.write(&format!("{dir}/mountinfo"), "5 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
        self.link(&format!("{dir}/exe"), exe);
        self.link(&format!("{dir}/cwd"), "/srv");
        self.link(&format!("{dir}/root"), "/");
        self.link(&format!("{dir}/ns/mnt"), "mnt:[1]");
        self.link(&format!("{dir}/ns/pid"), "pid:[1]");
        self.link(&format!("{dir}/fd/0"), self.0.path().join("etc/passwd").to_str().unwrap());
        self.link(&format!("{dir}/fd/3"), "socket:[77]");
        self.link(&format!("{dir}/fd/4"), "pipe:[78]");
        self.link(&format!("{dir}/fd/5"), "socket:[79]");
        let line = "0: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n";
        self.write(&format!("{dir}/net/tcp"), format!("  sl local_address\n{line}"));
    }

    fn task(&self, dir: &str, tid: i64, pid: i64, ppid: i64, comm: &str) {
        let status = format!(
            "Name:\t{comm}\nTgid:\t{pid}\nPid:\t{tid}\nPPid:\t{ppid}\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n\
             NStgid:\t{pid}\nNSpid:\t{tid}\nNSpgid:\t{pid}\nVmSize:\t 10 kB\nThreads:\t2\nCapInh:\t0\n\
             CapPrm:\t3\nCapEff:\t1\n"
        );
        let stat =
            format!("{tid} ({comm}) S {ppid} {pid} 9 34816 0 0 11 0 12 0 0 0 0 0 20 0 2 0 100 0");
        self.write(&format!("{dir}/status"), status);
        self.write(&format!("{dir}/stat"), stat);
        self.write(&format!("{dir}/cgroup"), "2:memory:/here\n");
        self.write(&format!("{dir}/loginuid"), "1000");
    }

    fn scan(&self, scope: Option<&str>) -> Vec<Item> {
        let scope = scope.map(|scope| self.0.path().join(scope));
        let scan = Scanner::open(self.0.path()).unwrap().scan(scope.as_deref()).unwrap();
        scan.collect()
    }
}

fn threads(items: &[Item]) -> Vec<&Thread> {
    let mut threads = Vec::new();
    for item in items {
        if let Item::Thread(thread) = item {
            threads.push(&**thread);
        }
    }
    threads
}

fn fds(items: &[Item], pid: i64) -> &[Fd] {
    let fds = |item| match item {
        &Item::Fds(tid, ref fds) if tid == pid => Some(fds.as_slice()),
        _ => None,
    };
    items.iter().find_map(fds).unwrap_or_default()
}

#[test]
fn a_process_with_threads_and_open_files() {
    let machine = Machine::new();
    machine.process(40, 1, "/bin/true");
    machine.task("proc/40/task/41", 41, 40, 1, "helper");
    machine.write("proc/1/mounts", "");
    machine.write("proc/self-is-no-number/x", "");
    let items = machine.scan(None);
    let all = threads(&items);
    assert_eq!(all.len(), 2);
    let (leader, helper) = (all[0], all[1]);
    assert_eq!((leader.tid, leader.pid, leader.ptid, leader.flags), (40, 40, 1, 0));
    assert_eq!(
        (leader.exe.as_ref(), leader.args.as_ref()),
        (&b"/bin/true"[..], &b"-v\0two words\0"[..])
    );
    assert_eq!((leader.exepath.as_ref(), leader.cwd.as_ref()), (&b"/bin/true"[..], &b"/srv"[..]));
    assert_eq!((leader.env.as_ref(), leader.comm.as_ref()), (&b"A=1\0B=2\0"[..], &b"main"[..]));
    assert_eq!((leader.uid, leader.gid, leader.loginuid), (2, 6, 1000));
    assert_eq!((leader.sid, leader.pgid, leader.vpgid, leader.tty), (9, 40, 40, 34816));
    assert_eq!((leader.fdlimit, leader.vmsize_kb, leader.cap_permitted), (512, 10, 3));
    assert_eq!((leader.pfminor, leader.pfmajor), (11, 12));
    assert_eq!(*leader.cgroups, *b"memory=/here\0");
    assert!(leader.exe_ino > 0 && leader.exe_ino_mtime > 0 && leader.clone_ts > 0);
    assert_eq!((helper.tid, helper.pid, helper.flags), (41, 40, CLONE_THREAD | CLONE_FILES));
    assert_eq!(
        (helper.comm.as_ref(), helper.exepath.as_ref()),
        (&b"helper"[..], &b"/bin/true"[..])
    );

    let mut fds = fds(&items, 40).to_vec();
    fds.sort_by_key(|fd| fd.fd);
    assert_eq!(
        fds.iter().map(|fd| (fd.fd, fd.ino)).skip(1).collect::<Vec<_>>(),
        [(3, 77), (4, 78)]
    );
    match &fds[0].kind {
        FdKind::File { flags: 3, name, mount_id: 5, dev: 0x801 } => {
            assert!(name.ends_with(b"/etc/passwd"));
        }
        other => panic!("{other:?}"),
    }
    let ip = std::net::Ipv4Addr::LOCALHOST;
    assert_eq!(fds[1].kind, FdKind::Ipv4Server { ip, port: 80, l4proto: 2 });
    assert_eq!(fds[2].kind, FdKind::Named { ty: 7, name: b"pipe:[78]".to_vec() });

    assert!(matches!(&items[0], Item::Machine(m) if m.boot_ts == 1_700_000_000_000_000_000));
    let root = |item: &Item| matches!(item, Item::User(user) if user.name == b"root");
    assert!(items.iter().any(root));
}

const CLONE_FILES: u32 = 1;
const CLONE_THREAD: u32 = 1 << 13;

#[test]
fn descriptors_without_a_mount_read_no_table_again() {
    let machine = Machine::new();
    for pid in 40..50 {
        machine.process(pid, 1, "/bin/true");
        for fd in 100..300 {
            let file = machine.0.path().join("etc/passwd");
            machine.link(&format!("proc/{pid}/fd/{fd}"), file.to_str().unwrap());
            machine.write(&format!("proc/{pid}/fdinfo/{fd}"), "flags:\t0\nmnt_id:\t9\n");
        }
    }
    let mut scan = Scanner::open(machine.0.path()).unwrap().scan(None).unwrap();
    let items: Vec<Item> = scan.by_ref().collect();
    assert_eq!(fds(&items, 49).len(), 203);
    assert_eq!((scan.scanner.processes.mounts.read, threads(&items).len()), (1, 10));
}

#[test]
fn the_start_of_a_pid_namespace_is_that_of_its_first_process() {
    let machine = Machine::new();
    for (pid, ppid) in [(1, 0), (20, 1), (30, 20), (31, 30), (32, 31), (40, 20), (50, 20)] {
        machine.process(pid, ppid, "/bin/true");
    }
    // What is below the root directory of a process says nothing about it.
    machine
        .write("proc/32/own/proc/1/stat", "1 (init) S 0 1 1 0 0 0 11 0 12 0 0 0 0 0 20 0 2 0 9 0");
    // 30 is the first process of a namespace, 40 has entered it, and 50 has entered another.
    for (pid, vpid, namespace) in [(30, 1, 7), (31, 2, 7), (32, 3, 7), (40, 4, 7), (50, 5, 8)] {
        let path = machine.0.path().join(format!("proc/{pid}/status"));
        let status = fs::read_to_string(&path).unwrap();
        let ids = |key| format!("{key}:\t{pid}");
        let status = ["NStgid", "NSpid"].iter().fold(status, |status, key| {
            status.replace(&ids(key), &format!("{}\t{vpid}", ids(key)))
        });
        fs::write(path, status).unwrap();
        let link = machine.0.path().join(format!("proc/{pid}/ns/pid"));
        fs::remove_file(&link).unwrap();
        symlink(format!("pid:[{namespace}]"), link).unwrap();
    }
    let stat = machine.0.path().join("proc/30/stat");
    let text = fs::read_to_string(&stat).unwrap().replace(" 100 0", " 500 0");
    fs::write(stat, text).unwrap();
    let times = |items: &[Item], pid| {
        let found = threads(items).into_iter().find(|thread| thread.tid == pid).unwrap();
        (found.clone_ts, found.pidns_init_start_ts)
    };
    let items = machine.scan(None);
    let (of_first, of_host) = (times(&items, 30).0, times(&items, 1).0);
    assert_ne!(of_first, of_host);
    for pid in [1, 20] {
        assert_eq!(times(&items, pid).1, of_host);
    }
    for pid in [30, 31, 32, 40] {
        assert_eq!(times(&items, pid).1, of_first, "{pid}");
    }
    assert_eq!(times(&items, 50).1, 0);
    // Also of a thread that is looked up alone.
    let mut scanner = Scanner::open(machine.0.path()).unwrap();
    let (items, _) = scanner.resolve(32, false, |pid| pid != 32, LONG);
    let (own, first) = times(&items, 32);
    assert_eq!(first.abs_diff(own), of_first.abs_diff(of_host));
}

#[test]
fn a_scope_shows_nothing_of_others_but_what_ancestors_are() {
    let machine = Machine::new();
    for (pid, ppid) in [(1, 0), (20, 1), (30, 20), (31, 20), (90, 1)] {
        machine.process(pid, ppid, "/bin/true");
    }
    machine.write("scope/cgroup.procs", "30\n31\n");
    let items = machine.scan(Some("scope"));
    let of = |pid| threads(&items).into_iter().filter(move |thread| thread.pid == pid);
    assert_eq!(of(90).count(), 0);
    for pid in [1, 20] {
        assert_eq!(of(pid).count(), 1);
        assert!(of(pid).all(|thread| thread.env.is_empty() && *thread.comm == *b"main"));
        assert!(fds(&items, pid).is_empty());
    }
    for pid in [30, 31] {
        assert!(of(pid).all(|thread| !thread.env.is_empty()));
        assert_eq!(fds(&items, pid).len(), 3);
    }
}

#[test]
fn threads_of_the_kernel_and_the_dead_are_passed_over() {
    let machine = Machine::new();
    machine.process(2, 0, "/bin/true");
    machine.write("proc/2/cmdline", "");
    fs::remove_file(machine.0.path().join("proc/2/exe")).unwrap();
    machine.write("proc/3/cmdline", "/bin/dead\0");
    assert!(threads(&machine.scan(None)).is_empty());
}

#[test]
fn unknown_threads_come_with_their_unknown_ancestors() {
    let machine = Machine::new();
    for (pid, ppid) in [(1, 0), (20, 1), (30, 20)] {
        machine.process(pid, ppid, "/bin/true");
    }
    let mut scanner = Scanner::open(machine.0.path()).unwrap();
    let tids = |items: Vec<Item>| threads(&items).iter().map(|t| t.tid).collect::<Vec<_>>();
    assert_eq!(tids(scanner.resolve(30, false, |pid| pid == 1, LONG).0), [20, 30]);
    let (items, _) = scanner.resolve(30, true, |pid| pid == 1, LONG);
    assert!(fds(&items, 20).is_empty() && !fds(&items, 30).is_empty());
    assert_eq!(tids(items), [20, 30]);
    assert!(scanner.resolve(99, false, |_| false, LONG).0.is_empty());

    // What is out of time lacks ancestors and open files.
    let (items, cut) = scanner.resolve(30, false, |_| false, Duration::ZERO);
    assert!(cut && fds(&items, 30).is_empty());
    assert_eq!(tids(items), [30]);
}

#[test]
fn accounts_are_those_of_the_root_directory_of_a_thread() {
    let host = Machine::new();
    host.write("proc/7/root/etc/real", "carol:x:1000:1000::/home/carol:/bin/sh\n");
    host.write("proc/7/root/etc/group", "carol:x:1000:\n");
    // As it is inside: a link to an absolute path leads nowhere outside.
    host.link("proc/7/root/etc/passwd", "/etc/real");
    host.write("etc/real", "host:x:1000:1000::/:/bin/sh\n");
    let mut files = accounts::AccountFiles::open(host.0.path()).unwrap();
    let mut read = |tid| {
        let (mut version, mut accounts) = (None, Accounts::default());
        files.read(tid, None, |part| match part {
            accounts::Part::Version(found) => version = Some(found),
            accounts::Part::User(user) => assert!(accounts.add_user(user)),
            accounts::Part::Group(group) => assert!(accounts.add_group(group)),
        });
        (version, accounts)
    };
    let (version, inside) = read(7);
    assert_eq!(inside.user(1000).map(|user| user.name), Some(&b"carol"[..]));
    assert_eq!(inside.group(1000), Some(&b"carol"[..]));
    assert_eq!(read(8), (None, Accounts::default()));

    assert!(version.is_some());
    assert_eq!(read(7).0, version);
    host.write("proc/7/root/etc/group", "carol:x:1000:\ndave:x:1001:\n");
    let (changed, inside) = read(7);
    assert!(changed != version && inside.group(1001).is_some());

    // What is no file is not waited for.
    host.write("proc/9/root/etc/group", "");
    let fifo = host.0.path().join("proc/9/root/etc/passwd");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    assert!(read(9).1.is_empty());
    // What is known is not read again.
    files.read(7, changed, |part| assert!(matches!(part, accounts::Part::Version(_))));
}

#[test]
fn a_missing_proc_names_the_variable() {
    let error = Scanner::open(Path::new("/nowhere")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the directory '/nowhere/proc' doesn't exist on the system. Check the usage of the 'HOST_ROOT' env variable."
    );
}

#[test]
fn this_very_process_is_found_with_what_it_has_open() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut scanner = Scanner::open(Path::new("/")).unwrap();
    let me = i64::from(std::process::id());
    let (items, cut) = scanner.resolve(me, false, |pid| pid != me, LONG);
    assert!(!cut);
    let leader = threads(&items)[0].clone();
    let exe = std::env::current_exe().unwrap();
    assert_eq!(*leader.exepath, *exe.as_os_str().as_encoded_bytes());
    let cwd = std::env::current_dir().unwrap();
    assert_eq!(*leader.cwd, *cwd.as_os_str().as_encoded_bytes());
    assert_eq!(leader.uid, rustix::process::geteuid().as_raw());
    let fds = fds(&items, me);
    let find = |fd: i32| &fds.iter().find(|item| item.fd == i64::from(fd)).unwrap().kind;
    use std::os::fd::AsRawFd;
    let path = file.path().as_os_str().as_encoded_bytes();
    assert!(matches!(find(file.as_raw_fd()), FdKind::File { name, flags, .. }
        if name == path && flags & (1 << 12 | 3) == 1 << 12 | 3));
    let port = server.local_addr().unwrap().port();
    assert!(matches!(find(server.as_raw_fd()), FdKind::Ipv4Server { port: p, .. } if *p == port));
    assert!(matches!(find(near.as_raw_fd()), FdKind::Unix { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn files_may_hold_anything(
        name in prop::sample::select(vec![
            "status", "stat", "cmdline", "environ", "limits", "cgroup", "loginuid", "mountinfo",
            "fdinfo/0", "net/tcp", "task/40/status",
        ]),
        text: Vec<u8>,
    ) {
        let machine = Machine::new();
        machine.process(40, 1, "/bin/true");
        machine.write(&format!("proc/40/{name}"), &text);
        machine.write("proc/meminfo", &text);
        machine.write("etc/passwd", &text);
        machine.scan(None);
    }
}
