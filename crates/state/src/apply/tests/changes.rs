//! What the kernel tells of tasks, and what calls change of themselves.

use peregrine_event::EventType;
use peregrine_event::snapshot::{self, FdKind as KindItem};
use peregrine_event::source::{FilesRequest, Observation};

use super::World;
use crate::fd::FdKind;
use crate::state::Config;
use crate::thread::ThreadFlags;

/// An update of a task, as the kernel side writes it.
struct Task {
    tid: i64,
    pid: i64,
    maker: i64,
    what: u32,
    cwd: &'static str,
}

const BY_CALL: u32 = 1;
const OWN_DIRECTORY: u32 = 2;

impl World {
    fn live() -> Self {
        Self::with(Config { live: true, ..Config::default() })
    }

    fn updates(&mut self, task: &Task) {
        let mut data = Vec::new();
        for word in [task.pid, 1, task.tid, task.pid, task.maker, 1, 2, 3, 500, 5, 400] {
            data.extend(word.to_le_bytes());
        }
        for half in [1000, 100, task.what] {
            data.extend(half.to_le_bytes());
        }
        data.extend(b"renamed\0\0\0\0\0\0\0\0\0");
        data.extend(task.cwd.bytes().chain([0]));
        self.event(EventType::AsynceventE, task.tid, |b| {
            b.u32(0).text("task").param(&data);
        });
    }

    fn chdir(&mut self, tid: i64, path: &str) {
        self.event(EventType::SyscallChdirX, tid, |b| {
            b.i64(0).text(path);
        });
    }
}

#[test]
fn the_kernel_knows_better_than_what_a_call_says() {
    let mut world = World::live();
    let task = Task { tid: 100, pid: 100, maker: 0, what: BY_CALL, cwd: "/real" };
    world.updates(&task);
    world.chdir(100, "link");
    assert_eq!(world.cwd(100), b"/real/");
    let shell = world.thread(100);
    assert_eq!((shell.uid, shell.gid, shell.cap_effective), (1000, 100, 3));
    assert_eq!((shell.pgid, shell.vpgid, shell.sid), (500, 5, 400));
    assert_eq!((shell.comm(), &*shell.exec.exepath), (&b"renamed"[..], &b"/bin/sh"[..]));
    // A call without an update changes what is known.
    world.chdir(100, "a");
    assert_eq!(world.cwd(100), b"/real/a/");
    // One of the past changes nothing, unless it is about the call that follows.
    let now = world.now;
    world.now -= 10_000_000;
    world.updates(&Task { what: 0, cwd: "/late", ..task });
    world.now = now;
    assert_eq!(world.cwd(100), b"/real/a/");
}

#[test]
fn a_thread_may_have_a_directory_of_its_own() {
    let mut world = World::live();
    world.spawns(100, 101);
    let task = Task { tid: 101, pid: 100, maker: 0, what: BY_CALL | OWN_DIRECTORY, cwd: "/own" };
    world.updates(&task);
    assert_eq!((world.cwd(100), world.cwd(101)), (&b"/home/"[..], &b"/own/"[..]));
    world.forks(101, 200);
    assert_eq!(world.cwd(200), b"/own/");
    // In recordings of others, only the call says so.
    let mut world = World::new();
    world.spawns(100, 101);
    world.open(100, 3, "/a", 1);
    let flags = ThreadFlags::CLONE_FS.or(ThreadFlags::CLONE_FILES).0;
    world.event(EventType::SyscallUnshareX, 101, |b| {
        b.i64(0).u32(flags);
    });
    world.chdir(101, "sub");
    assert_eq!((world.cwd(100), world.cwd(101)), (&b"/home/"[..], &b"/home/sub/"[..]));
    world.open(101, 3, "/b", 1);
    assert_eq!((world.fd_name(100, 3), world.fd_name(101, 3)), ("/a".into(), "/b".into()));
}

#[test]
fn a_child_is_a_copy_of_what_made_it() {
    let mut world = World::live();
    world.forks(100, 200);
    world.chdir(200, "/made");
    world.open(200, 3, "/of/maker", 1);
    // 200 makes 300, which becomes a child of 100.
    world.forks(100, 300);
    assert!(world.fd(300, 3).is_none());
    world.updates(&Task { tid: 300, pid: 300, maker: 200, what: 0, cwd: "/made" });
    assert_eq!((world.cwd(300), world.fd_name(300, 3)), (&b"/made/"[..], "/of/maker".into()));
    assert_eq!(world.thread(300).ptid, 100);
}

#[test]
fn sessions_and_groups_change_with_their_calls() {
    let mut world = World::new();
    world.forks(100, 200);
    world.event(EventType::SyscallSetpgidX, 100, |b| {
        b.i64(0).i64(200).i64(0);
    });
    assert_eq!((world.thread(200).pgid, world.thread(200).sid), (200, 100));
    world.event(EventType::SyscallSetsidX, 200, |b| {
        b.i64(200);
    });
    let child = world.thread(200);
    assert_eq!((child.pgid, child.vpgid, child.sid), (200, 200, 200));
    world.event(EventType::SyscallSetpgidX, 100, |b| {
        b.i64(-1).i64(0).i64(7);
    });
    assert_eq!(world.thread(100).pgid, 0);
}

#[test]
fn a_number_that_means_an_unknown_file_forgets_the_former_one() {
    let mut world = World::live();
    world.open(100, 5, "/dev/null", 1);
    world.event(EventType::SyscallDup2X, 100, |b| {
        b.i64(5).i64(9).i64(9).i64(5);
    });
    assert!(world.fd(100, 5).is_none());
    let request = world.state.next_files_request();
    assert_eq!(request, Some(FilesRequest { tid: 100, fds: vec![5] }));
    let kind = KindItem::File { flags: 1, name: b"/dev/pts/3".to_vec(), mount_id: 0, dev: 0 };
    let answer = |fd| Observation::Files {
        tid: 100,
        asked: vec![fd],
        fds: vec![snapshot::Fd { fd, ino: 3, kind: kind.clone() }],
    };
    world.state.observe(answer(5));
    assert_eq!(world.fd_name(100, 5), "/dev/pts/3");
    // What an event has told since stays.
    world.event(EventType::SyscallIoctl_3X, 100, |b| {
        b.i64(6).i64(4).u64(0x5441).u64(0);
    });
    world.open(100, 6, "/etc/motd", 1);
    world.state.observe(answer(6));
    assert_eq!(world.fd_name(100, 6), "/etc/motd");
}

#[test]
fn files_that_come_with_a_message_are_asked_for() {
    let mut world = World::live();
    world.open(100, 7, "/before", 1);
    let mut control = vec![];
    // Credentials, then two files.
    control.extend(28u64.to_le_bytes());
    control.extend([1, 0, 0, 0, 2, 0, 0, 0]);
    control.extend([0; 16]);
    control.extend(24u64.to_le_bytes());
    control.extend([1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0]);
    world.event(EventType::SocketRecvmsgX, 100, |b| {
        b.i64(1).u32(1).param(b"x").empty().param(&control).i64(3);
    });
    assert!(world.fd(100, 7).is_none());
    let request = world.state.next_files_request();
    assert_eq!(request, Some(FilesRequest { tid: 100, fds: vec![7, 8] }));
    // A child has them too.
    world.forks(100, 200);
    let request = world.state.next_files_request();
    assert_eq!(request, Some(FilesRequest { tid: 200, fds: vec![7, 8] }));
    assert_eq!(world.state.next_files_request(), None);
}

#[test]
fn paths_below_a_root_do_not_lead_out_of_it() {
    const IN_ROOT: u32 = 1 << 1;
    const O_DIRECTORY: u32 = 1 << 10;
    const O_TMPFILE: u32 = 1 << 13;
    let mut world = World::new();
    world.open(100, 3, "/srv/jail", O_DIRECTORY);
    for (name, path) in [
        ("/etc/passwd", "/srv/jail/etc/passwd"),
        ("../../etc/shadow", "/srv/jail/etc/shadow"),
        ("a", "/srv/jail/a"),
    ] {
        world.event(EventType::SyscallOpenat2X, 100, |b| {
            b.i64(4).i64(3).text(name).u32(1).u32(0).u32(IN_ROOT).u32(0).u64(0);
        });
        assert_eq!(world.fd_name(100, 4), path);
    }
    world.open(100, 5, "/tmp", O_DIRECTORY | O_TMPFILE | 3);
    assert_eq!(world.fd(100, 5).unwrap().kind, FdKind::File);
}
