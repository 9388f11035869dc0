use peregrine_event::EventType;

use super::{Clone, World};
use crate::counters::Counters;
use crate::fd::FdKind;
use crate::state::Config;
use crate::thread::ThreadFlags;

const O_DIRECTORY: u32 = 1 << 10;
const O_CLOEXEC: u32 = 1 << 12;

#[test]
fn open_resolves_the_path() {
    let mut world = World::new();
    let context = world.open(100, 3, "../etc//hosts", 1);
    let fd = world.state.event_fd(context).unwrap();
    assert_eq!((&*fd.name, fd.name_raw()), (&b"/etc/hosts"[..], &b"../etc//hosts"[..]));
    assert_eq!((fd.kind, fd.dev, fd.ino), (FdKind::File, 5, 77));
    assert_eq!((context.fd, context.name_changed), (3, true));
}

#[test]
fn a_failed_open_adds_nothing() {
    let mut world = World::new();
    let context = world.open(100, -2, "/x", 0);
    assert_eq!((context.fd, context.error), (-1, 2));
    assert_eq!(world.state.event_fd(context), None);
    assert_eq!(world.state.fd_count(world.thread(100)), 0);
}

#[test]
fn openat_starts_from_a_directory() {
    let mut world = World::new();
    world.open(100, 3, "/srv", O_DIRECTORY);
    assert_eq!(world.fd(100, 3).unwrap().kind, FdKind::Directory);
    let openat = |world: &mut World, dirfd: i64, name: &str| {
        world.event(EventType::SyscallOpenat_2X, 100, |b| {
            b.i64(4).i64(dirfd).text(name).u32(0).u32(0).u32(1).u64(2);
        });
        world.fd_name(100, 4)
    };
    assert_eq!(openat(&mut world, 3, "www/a"), "/srv/www/a");
    assert_eq!(openat(&mut world, -100, "b"), "/home/b");
    assert_eq!(openat(&mut world, 3, "/abs"), "/abs");
    assert_eq!(openat(&mut world, 77, "c"), "<UNKNOWN>c");
}

#[test]
fn the_enter_event_overrides_the_exit() {
    let mut world = World::new();
    world.event(EventType::SyscallOpenatE, 100, |b| {
        b.i64(-100).text("/ignored").u32(0).u32(0);
    });
    world.event(EventType::SyscallOpenat_2E, 100, |b| {
        b.i64(-100).text("/asked").u32(2).u32(0);
    });
    let added_by_kernel = 1 << 15;
    world.event(EventType::SyscallOpenat_2X, 100, |b| {
        b.i64(4).i64(-100).text("/changed").u32(1 | added_by_kernel).u32(0).u32(1).u64(2);
    });
    let fd = world.fd(100, 4).unwrap();
    assert_eq!((&*fd.name, fd.flags), (&b"/asked"[..], 2 | added_by_kernel));
    assert!(fd.overlay_upper && !fd.overlay_lower);
}

#[test]
fn a_closed_file_stays_until_the_next_event() {
    let mut world = World::new();
    world.open(100, 3, "/x", 0);
    let close = |world: &mut World, res: i64| {
        world.event(EventType::SyscallCloseX, 100, |b| {
            b.i64(res).i64(3);
        })
    };
    close(&mut world, -5);
    let context = close(&mut world, 0);
    assert!(world.state.event_fd(context).is_some());
    world.tick();
    assert!(world.fd(100, 3).is_none());
    let context = close(&mut world, -9);
    assert_eq!((context.fd, world.state.event_fd(context)), (3, None));
}

#[test]
fn close_range_closes_or_marks() {
    let mut world = World::new();
    for fd in 3..7 {
        world.open(100, fd, "/x", 0);
    }
    let close_range = |world: &mut World, first: u32, last: u32, flags: u32| {
        world.event(EventType::SyscallCloseRangeX, 100, |b| {
            b.i64(0).u32(first).u32(last).u32(flags);
        });
    };
    close_range(&mut world, 3, 4, 1 << 2);
    close_range(&mut world, 6, u32::MAX, 0);
    assert!(world.fd(100, 3).unwrap().closes_on_exec());
    assert!(!world.fd(100, 5).unwrap().closes_on_exec());
    assert!(world.fd(100, 6).is_none());
}

#[test]
fn dup_adds_another_number_of_the_file() {
    let mut world = World::new();
    world.open(100, 3, "/x", O_CLOEXEC);
    let context = world.event(EventType::SyscallDup2X, 100, |b| {
        b.i64(1).i64(3).i64(3).i64(1);
    });
    assert_eq!((context.fd, context.name_changed), (1, false));
    assert!(!world.fd(100, 1).unwrap().closes_on_exec());
    assert!(world.fd(100, 3).unwrap().closes_on_exec());
    assert!(world.exported_flags(100).any(ThreadFlags::PIPE_SRC));
    world.event(EventType::SyscallDup3X, 100, |b| {
        b.i64(8).i64(1).i64(1).u32(O_CLOEXEC);
    });
    assert_eq!(world.fd_name(100, 8), "/x");
}

#[test]
fn fcntl_marks_and_copies() {
    let mut world = World::new();
    world.open(100, 3, "/x", 0);
    let fcntl = |world: &mut World, res: i64, command: u8, arg: u64| {
        world.event(EventType::SyscallFcntlX, 100, |b| {
            b.i64(res).i64(3).u8(command).u64(arg);
        })
    };
    fcntl(&mut world, 0, 3, 1);
    assert!(world.fd(100, 3).unwrap().closes_on_exec());
    fcntl(&mut world, 0, 3, 0);
    assert!(!world.fd(100, 3).unwrap().closes_on_exec());
    let context = fcntl(&mut world, 10, 26, 10);
    assert!(world.state.event_fd(context).unwrap().closes_on_exec());
    fcntl(&mut world, 11, 1, 0);
    assert!(!world.fd(100, 11).unwrap().closes_on_exec());
    fcntl(&mut world, 12, 2, 0);
    assert!(world.fd(100, 12).is_none());
}

#[test]
fn pipes_have_two_ends() {
    let mut world = World::new();
    let context = world.event(EventType::SyscallPipe2X, 100, |b| {
        b.i64(0).i64(3).i64(4).u64(55).u32(O_CLOEXEC);
    });
    assert_eq!((context.fd, context.name_changed), (4, false));
    let end = world.fd(100, 3).unwrap();
    assert_eq!((end.kind, end.ino, end.closes_on_exec()), (FdKind::Pipe, 55, true));
}

#[test]
fn every_kind_of_fd_is_added() {
    let mut world = World::new();
    let mut number = 10;
    for (ty, kind, name) in [
        (EventType::SyscallEventfdX, FdKind::Event, "event"),
        (EventType::SyscallSignalfd4X, FdKind::Signal, "signalfd"),
        (EventType::SyscallTimerfdCreateX, FdKind::Timer, "timerfd"),
        (EventType::SyscallInotifyInitX, FdKind::Inotify, "inotify"),
        (EventType::SyscallEpollCreate1X, FdKind::Eventpoll, "eventpoll"),
        (EventType::SyscallBpf_2X, FdKind::Bpf, "bpf"),
        (EventType::SyscallUserfaultfdX, FdKind::Userfaultfd, "userfaultfd"),
        (EventType::SyscallIoUringSetupX, FdKind::IoUring, "io_uring"),
    ] {
        number += 1;
        let context = world.event(ty, 100, |b| {
            b.i64(number);
        });
        let fd = world.state.event_fd(context).unwrap();
        assert_eq!((context.fd, fd.kind, fd.kind.type_name()), (number, kind, name));
    }
}

#[test]
fn memfds_and_pidfds_have_names() {
    let mut world = World::new();
    world.event(EventType::SyscallMemfdCreateX, 100, |b| {
        b.i64(5).text("secret").u32(1);
    });
    let fd = world.fd(100, 5).unwrap();
    assert!(&*fd.name == b"secret" && fd.closes_on_exec());
    world.open(1, 9, "/of/init", 0);
    world.event(EventType::SyscallPidfdOpenX, 100, |b| {
        b.i64(6).i64(1).u32(0);
    });
    assert_eq!(world.fd_name(100, 6), "/proc/1");
    world.event(EventType::SyscallPidfdGetfdX, 100, |b| {
        b.i64(7).i64(6).i64(9).u32(0);
    });
    assert_eq!(world.fd_name(100, 7), "/of/init");
    assert!(world.fd(100, 7).unwrap().closes_on_exec());
}

#[test]
fn chdir_and_chroot_change_directories() {
    let mut world = World::new();
    world.open(100, 3, "/srv/www", O_DIRECTORY);
    world.event(EventType::SyscallFchdirX, 100, |b| {
        b.i64(0).i64(3);
    });
    assert_eq!(world.cwd(100), b"/srv/www/");
    world.event(EventType::SyscallChdirX, 100, |b| {
        b.i64(0).text("..");
    });
    assert_eq!(world.cwd(100), b"/srv/");
    world.event(EventType::SyscallChdirX, 100, |b| {
        b.i64(-2).text("/nowhere");
    });
    assert_eq!(world.cwd(100), b"/srv/");
    world.event(EventType::SyscallGetcwdX, 100, |b| {
        b.i64(5).text("/var");
    });
    assert_eq!(world.cwd(100), b"/var/");
    world.event(EventType::SyscallChrootX, 100, |b| {
        b.i64(0).text("jail");
    });
    assert_eq!(*world.thread(100).root, *b"/var/jail");
}

#[test]
fn a_table_keeps_its_limit() {
    let mut world = World::with(Config { max_fds: 1, ..Config::default() });
    world.open(100, 3, "/x", 0);
    let context = world.open(100, 4, "/y", 0);
    assert_eq!((context.fd, world.state.event_fd(context)), (4, None));
    assert_eq!(world.state.counters().dropped_fds, 1);
}

#[test]
fn lookups_are_counted() {
    let mut world = World::new();
    let before = world.state.counters();
    world.open(100, 3, "/x", 0);
    for fd in [3, 4] {
        world.event(EventType::SyscallFchdirX, 100, |b| {
            b.i64(0).i64(fd);
        });
    }
    world.event(EventType::SyscallFchdirX, 7, |b| {
        b.i64(-9).i64(-1);
    });
    let now = world.state.counters();
    let since = |count: fn(&Counters) -> u64| count(&now) - count(&before);
    assert_eq!((since(|c| c.found_threads), since(|c| c.unknown_threads)), (3, 1));
    assert_eq!((since(|c| c.found_fds), since(|c| c.unknown_fds)), (1, 1));
}

#[test]
fn a_new_thread_describes_its_unknown_leader() {
    let mut world = World::new();
    let flags = ThreadFlags::CLONE_THREAD.0;
    let clone = Clone { flags, ..Clone::returns(0, 500, 1) };
    world.event(EventType::SyscallClone_20X, 501, clone.fill(501));
    world.open(501, 3, "/x", 0);
    assert_eq!(world.fd_name(500, 3), "/x");
}
