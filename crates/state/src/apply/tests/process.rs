use peregrine_event::EventType;

use super::{Clone, World, process};
use crate::state::Config;
use crate::thread::ThreadFlags;

#[test]
fn a_child_inherits_from_its_parent() {
    let mut world = World::new();
    world.open(100, 3, "notes", 0);
    world.forks(100, 200);
    let child = world.thread(200);
    assert_eq!((child.pid, child.ptid, child.sid), (200, 100, 100));
    assert_eq!((child.comm(), child.exec.cmdline()), (&b"sh"[..], &b"sh -c"[..]));
    assert_eq!(*child.exec.exepath, *b"/bin/sh");
    assert_eq!(child.clone_ts, world.now);
    assert_eq!(world.state.env(child).len(), 2);
    assert_eq!(world.cwd(200), b"/home/");
    assert_eq!(world.fd_name(200, 3), "/home/notes");
    world.open(200, 3, "/etc/hosts", 0);
    assert_eq!(world.fd_name(100, 3), "/home/notes");
}

#[test]
fn the_event_of_the_child_may_come_first() {
    let mut world = World::new();
    let child = Clone::returns(0, 200, 100);
    let context = world.event(EventType::SyscallClone_20X, 200, child.fill(200));
    assert_eq!(world.state.thread(context).map(|t| (t.tid, t.ptid)), Some((200, 100)));
    let made = world.thread(200).clone_ts;
    world.forks(100, 200);
    assert_eq!(world.thread(200).clone_ts, made);
    assert_eq!(world.state.thread_count(world.thread(200)), 1);
}

#[test]
fn only_the_child_of_a_vfork_adds_it() {
    let mut world = World::new();
    let clone = Clone::returns(200, 100, 1);
    world.event(EventType::SyscallVfork_20X, 100, clone.fill(100));
    assert!(world.state.by_tid(200).is_none());
}

#[test]
fn a_parent_in_another_pid_namespace_does_not_add_the_child() {
    let mut world = World::new();
    let flags = ThreadFlags::CLONE_NEWPID.0;
    let clone = Clone { flags, ..Clone::returns(200, 100, 1) };
    world.event(EventType::SyscallClone_20X, 100, clone.fill(100));
    assert!(world.state.by_tid(200).is_none());
    let inside = Clone { flags, vtid: 1, vpid: 1, ..Clone::returns(0, 200, 100) };
    world.event(EventType::SyscallClone_20X, 200, inside.fill(200));
    let child = world.thread(200);
    assert_eq!((child.vpid, child.pidns_init_start_ts), (1, 9));
    assert!(child.in_pid_namespace());
}

#[test]
fn an_exited_child_is_not_added_again() {
    let mut world = World::new();
    let child = Clone::returns(0, 200, 100);
    world.event(EventType::SyscallClone_20X, 200, child.fill(200));
    world.exits(200, 0);
    world.forks(100, 200);
    assert!(world.state.by_tid(200).is_none());
    world.now += 2_000_000_000;
    world.forks(100, 200);
    assert!(world.state.by_tid(200).is_some());
}

#[test]
fn threads_share_fds_and_cwd_of_their_leader() {
    let mut world = World::new();
    world.spawns(100, 101);
    let thread = world.thread(101);
    assert_eq!((thread.pid, thread.ptid, thread.is_leader()), (100, 1, false));
    world.open(101, 5, "/tmp/x", 0);
    assert_eq!(world.fd_name(100, 5), "/tmp/x");
    world.event(EventType::SyscallChdirX, 101, |b| {
        b.i64(0).text("sub");
    });
    assert_eq!(world.cwd(100), b"/home/sub/");
    let leader = world.thread(100);
    assert_eq!(world.state.thread_count(leader), 2);
    assert_eq!(world.state.child_thread_count(leader), 1);
}

#[test]
fn exec_replaces_the_program() {
    let mut world = World::new();
    world.open(100, 3, "/kept", 0);
    world.open(100, 4, "/closed", 1 << 12);
    world.execs(100, 100, "/usr/bin/cat");
    let thread = world.thread(100);
    assert_eq!((thread.comm(), thread.exec.cmdline()), (&b"cat"[..], &b"cat -x y"[..]));
    assert_eq!(*thread.exec.exepath, *b"/usr/bin/cat");
    assert!(thread.exec.exe_writable);
    assert_eq!((thread.exec.exe_ino, thread.uid, thread.tty), (11, 1000, 7));
    assert_eq!(thread.cgroup(b"cpu"), Some(&b"/new"[..]));
    assert_eq!(thread.exec_ts, world.now);
    assert_eq!(world.state.env(thread).get(0), Some(&b"C=3"[..]));
    assert!(world.fd(100, 3).is_some() && world.fd(100, 4).is_none());
}

#[test]
fn exec_ends_the_other_threads() {
    let mut world = World::new();
    world.spawns(100, 101);
    world.spawns(100, 102);
    world.execs(100, 100, "/bin/true");
    assert!(world.state.by_tid(101).is_none() && world.state.by_tid(102).is_none());
    assert_eq!(world.state.thread_count(world.thread(100)), 1);
}

#[test]
fn exec_takes_the_path_of_the_enter_event() {
    let mut world = World::new();
    let exec = |world: &mut World| {
        world.event(EventType::SyscallExecve_19X, 100, |b| {
            b.i64(0).text("prog").empty().i64(100).i64(100).i64(1).text("").i64(9);
        });
    };
    world.event(EventType::SyscallExecve_19E, 100, |b| {
        b.text("../bin/prog");
    });
    exec(&mut world);
    assert_eq!(*world.thread(100).exec.exepath, *b"/bin/prog");
    world.open(100, 9, "/opt/tool", 0);
    world.event(EventType::SyscallExecveatE, 100, |b| {
        b.i64(9).text("").u32(1);
    });
    exec(&mut world);
    assert_eq!(*world.thread(100).exec.exepath, *b"/opt/tool");
    exec(&mut world);
    assert_eq!(*world.thread(100).exec.exepath, *b"/opt/tool");
}

#[test]
fn an_exited_thread_stays_until_the_next_event() {
    let mut world = World::new();
    world.forks(100, 200);
    world.open(200, 3, "/x", 0);
    let context = world.exits(200, 0);
    assert!(world.state.thread(context).is_some_and(crate::Thread::is_dead));
    assert!(world.fd(200, 3).is_some());
    world.tick();
    assert!(world.state.by_tid(200).is_none());
    assert_eq!(world.state.fd_tables().total(), 0);
}

#[test]
fn a_leader_stays_as_long_as_its_threads() {
    let mut world = World::new();
    world.open(100, 3, "/x", 0);
    world.spawns(100, 101);
    world.exits(100, 0);
    world.tick();
    assert!(world.thread(100).is_dead());
    assert_eq!(world.fd_name(101, 3), "/x");
    assert_eq!(world.state.child_thread_count(world.thread(101)), 1);
    world.exits(101, 0);
    world.tick();
    assert!(world.state.by_tid(100).is_none() && world.state.by_tid(101).is_none());
}

#[test]
fn orphans_go_to_the_reaper_of_the_event() {
    let mut world = World::new();
    world.load(process(300, 1, "manager"));
    let manager = world.state.tree.find(300).unwrap();
    world.state.tree.link(manager);
    world.forks(100, 200);
    world.exits(100, 300);
    world.tick();
    assert_eq!(world.thread(200).ptid, 300);
}

#[test]
fn orphans_go_to_the_nearest_reaper() {
    let mut world = World::new();
    world.event(EventType::SyscallPrctlX, 100, |b| {
        b.i64(0).u32(36).text("").i64(1);
    });
    world.forks(100, 200);
    world.forks(200, 201);
    world.exits(200, -1);
    world.tick();
    assert_eq!(world.thread(201).ptid, 100);
    world.exits(100, 0);
    world.tick();
    assert_eq!(world.thread(201).ptid, 1);
}

#[test]
fn an_unknown_thread_gets_a_placeholder() {
    let mut world = World::new();
    let context = world.open(900, 3, "/x", 0);
    let unknown = world.state.thread(context).unwrap();
    assert!(unknown.is_unknown());
    assert_eq!((unknown.comm(), unknown.pid), (&b"<NA>"[..], -1));
    world.forks(900, 901);
    world.event(EventType::Schedswitch_6E, 950, |b| {
        b.i64(1);
    });
    assert!(world.state.by_tid(950).is_none());
}

#[test]
fn the_tree_keeps_its_limit() {
    let mut world = World::with(Config { max_threads: 2, ..Config::default() });
    let context = world.open(900, 3, "/x", 0);
    assert!(world.state.thread(context).is_none());
    world.forks(100, 200);
    assert!(world.state.by_tid(200).is_none());
    assert_eq!(world.state.counters().dropped_threads, 2);
}

#[test]
fn ancestors_end_in_a_loop() {
    let mut world = World::new();
    world.forks(100, 200);
    world.forks(200, 201);
    let above = |world: &World, tid| {
        world.state.ancestors(world.thread(tid)).map(|t| t.tid).collect::<Vec<_>>()
    };
    assert_eq!(above(&world, 201), [200, 100, 1]);
    let ancestor = world.state.ancestor(world.thread(201), 2);
    assert_eq!(ancestor.map(|t| t.tid), Some(100));
    let shell = world.state.tree.find(100).unwrap();
    world.state.tree.get_mut(shell).unwrap().ptid = 201;
    assert!(above(&world, 201).len() < 8);
}

#[test]
fn a_reused_tid_is_another_thread() {
    let mut world = World::new();
    let context = world.forks(100, 200);
    world.exits(200, 0);
    world.tick();
    world.now += 3_000_000_000;
    world.forks(1, 200);
    assert_eq!(world.thread(200).ptid, 1);
    assert_eq!(world.state.thread(context).map(|t| t.tid), Some(100));
}

#[test]
fn stale_children_are_cleaned_up() {
    let mut world = World::new();
    for child in 1000..3000 {
        world.forks(100, child);
        world.exits(child, 0);
    }
    world.tick();
    assert!(world.thread(100).children.len() < 20);
    assert_eq!(world.state.tree.len(), 2);
}

#[test]
fn memory_and_cpu_time_follow_events() {
    let mut world = World::with(Config { live: true, ..Config::default() });
    world.event(EventType::SyscallBrk_4X, 100, |b| {
        b.u64(0).u32(10).u32(20).u32(30);
    });
    assert_eq!(world.usage(100).vmrss_kb, 20);
    let switch = |world: &mut World| {
        world.event(EventType::Schedswitch_6E, 100, |b| {
            b.i64(1).u64(4).u64(5).u32(11).u32(21).u32(31);
        })
    };
    assert_eq!(switch(&mut world).exec_time, 0);
    assert_eq!(switch(&mut world).exec_time, 1_000_000);
    let usage = world.usage(100);
    assert_eq!((usage.pfminor, usage.vmsize_kb, usage.exec_time_total), (5, 11, 1_000_000));
}
