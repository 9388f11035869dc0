use std::sync::Arc;

use peregrine_event::EventType;
use peregrine_event::snapshot::{self, Item};
use peregrine_event::source::{ContainerAnswer, ContainerEngine, Observation};

use super::{Clone, World, process};
use crate::containers::{Container, Matchers, ProbeKind};
use crate::lookups::Metadata;
use crate::state::{Config, State};
use crate::thread::Purpose;

const ID: &str = "ad95e3a2b1f55e4e6e2f9b0a3e5f0f8f8c1c6b0b4e0e4e9c7b3e8d8f1a2b3c4d";

/// A thread of a container.
fn contained(tid: i64, ptid: i64, vpid: i64, comm: &str) -> snapshot::Thread {
    let cgroups = format!("cpu=/docker/{ID}\0").into_bytes();
    snapshot::Thread { cgroups: cgroups.into(), vtid: vpid, vpid, ..process(tid, ptid, comm) }
}

fn describe(name: &str) -> String {
    let probe = r#""Healthcheck":{"exe":"curl","args":["-f"]}"#;
    format!(r#"{{"container":{{"id":"{}","type":0,"name":"{name}",{probe}}}}}"#, &ID[..12])
}

impl World {
    fn asyncevent(&mut self, name: &str, json: &str) -> crate::Context {
        self.event(EventType::AsynceventE, -1, |b| {
            b.u32(0).text(name).text(json);
        })
    }
}

#[test]
fn threads_are_assigned_to_containers() {
    let mut world = World::new();
    world.load(contained(10, 1, 1, "web"));
    world.state.loaded();
    assert_eq!(*world.thread(10).container, ID.as_bytes()[..12]);
    assert_eq!(*world.thread(100).container, *b"");
    let context = world.open(10, 3, "/x", 0);
    assert_eq!(world.state.container(context), None);
    let context = world.open(100, 3, "/x", 0);
    assert_eq!(world.state.container(context).map(|c| c.name.as_str()), Some("host"));
}

#[test]
fn containers_are_added_and_removed() {
    let mut world = World::new();
    world.load(contained(10, 1, 1, "web"));
    world.state.loaded();
    let context = world.asyncevent("container", &describe("first"));
    assert_eq!(world.state.container(context).map(|c| c.name.as_str()), Some("first"));
    for (ty, name) in
        [(EventType::ContainerJsonE, "old form"), (EventType::ContainerJson_2E, "second")]
    {
        world.event(ty, -1, |b| {
            b.text(describe(name));
        });
        let context = world.open(10, 3, "/x", 0);
        assert_eq!(world.state.container(context).map(|c| c.name.as_str()), Some(name));
    }
    let context = world.asyncevent("container_removed", &describe("second"));
    assert_eq!(world.state.container(context).map(|c| c.name.as_str()), Some("second"));
    let context = world.open(10, 3, "/x", 0);
    assert_eq!(world.state.container(context), None);
    world.asyncevent("container", "{");
    assert_eq!(world.state.counters().bad_containers, 1);
}

#[test]
fn containers_can_be_off() {
    let mut world = World::with(Config { containers: false, ..Config::default() });
    world.load(contained(10, 1, 1, "web"));
    world.state.loaded();
    let context = world.asyncevent("container", &describe("web"));
    assert_eq!(world.state.container(context), None);
    assert!(world.state.containers().is_empty());
    assert_eq!(*world.thread(10).container, *b"");
}

#[test]
fn health_probes_are_recognized() {
    let mut world = World::new();
    world.asyncevent("container", &describe("web"));
    world.load(contained(10, 100, 1, "httpd"));
    world.load(snapshot::Thread { args: b"-f\0"[..].into(), ..contained(11, 100, 9, "curl") });
    world.state.loaded();
    assert_eq!(world.thread(10).purpose, Purpose::Container);
    assert_eq!(world.thread(11).purpose, Purpose::Probe(ProbeKind::Healthcheck));
    world.load(snapshot::Thread { args: b"-f\0"[..].into(), ..contained(12, 10, 9, "curl") });
    world.state.loaded();
    assert_eq!(world.thread(12).purpose, Purpose::Container);
}

#[test]
fn runtimes_without_metadata_have_bare_containers() {
    let mut world = World::new();
    let cgroups = b"cpu=/lxc/box\0".to_vec();
    world.load(snapshot::Thread { cgroups: cgroups.into(), ..process(10, 1, "web") });
    world.state.loaded();
    let context = world.open(10, 3, "/x", 0);
    assert_eq!(world.state.container(context).map(|c| c.kind.name()), Some("lxc"));
}

#[test]
fn a_new_process_is_in_its_container() {
    let mut world = World::new();
    world.forks(100, 200);
    let child = Clone::returns(0, 200, 100);
    world.event(EventType::SyscallClone_20X, 200, child.fill(200));
    assert_eq!(*world.thread(200).container, *b"");
    world.event(EventType::SyscallExecve_19X, 200, |b| {
        b.i64(0).text("x").empty().i64(200).i64(200).i64(1).text("").i64(9);
        b.u64(1).u64(2).u32(30).u32(40).u32(0).text("x").texts([format!("cpu=/docker/{ID}")]);
    });
    assert_eq!(*world.thread(200).container, ID.as_bytes()[..12]);
}

#[test]
fn users_and_groups_are_added_and_removed() {
    let mut world = World::new();
    world.state.load(Item::User(snapshot::User {
        uid: 1000,
        gid: 1000,
        name: b"ann".to_vec(),
        home: b"/home/ann".to_vec(),
        shell: b"/bin/sh".to_vec(),
    }));
    let name = |world: &World, uid| {
        let user = world.state.user(world.thread(100), uid)?;
        Some(String::from_utf8_lossy(user.name).into_owned())
    };
    assert_eq!(name(&world, 1000).as_deref(), Some("ann"));
    world.event(EventType::UserAddedE, -1, |b| {
        b.u32(1001).u32(1001).text("bob").text("/home/bob").text("/bin/sh").text("");
    });
    assert_eq!(name(&world, 1001).as_deref(), Some("bob"));
    world.event(EventType::UserDeletedE, -1, |b| {
        b.u32(1001).u32(1001).text("bob").text("/home/bob").text("/bin/sh").text("");
    });
    assert_eq!(name(&world, 1001), None);
    world.event(EventType::GroupAddedE, -1, |b| {
        b.u32(20).text("staff").text("c1");
    });
    assert!(world.state.users().group(b"c1", 20).is_some());
    world.event(EventType::GroupDeletedE, -1, |b| {
        b.u32(20).text("staff").text("c1");
    });
    assert!(world.state.users().group(b"c1", 20).is_none());
}

#[test]
fn root_is_known_without_a_user_list() {
    let state = State::new(Config::default());
    assert!(state.users().user(b"", 0).is_none());
    let mut world = World::new();
    world.event(EventType::SyscallSetresuidX, 100, |b| {
        b.i64(0).u32(5).u32(0).u32(5);
    });
    assert_eq!(world.thread(100).uid, 0);
    assert!(world.state.users().user(b"", 0).is_some_and(|root| root.home == b"/root"));
}

#[test]
fn credentials_change_on_success_only() {
    let mut world = World::new();
    let setuid = |world: &mut World, ty, res: i64, id: u32| {
        world.event(ty, 100, |b| {
            b.i64(res).u32(id);
        });
    };
    setuid(&mut world, EventType::SyscallSetuidX, -1, 7);
    assert_eq!(world.thread(100).uid, 0);
    setuid(&mut world, EventType::SyscallSetuidX, 0, 7);
    setuid(&mut world, EventType::SyscallSetgidX, 0, 8);
    assert_eq!((world.thread(100).uid, world.thread(100).gid), (7, 8));
    world.event(EventType::SyscallCapsetX, 100, |b| {
        b.i64(0).u64(1).u64(2).u64(3);
    });
    let thread = world.thread(100);
    assert_eq!((thread.cap_inheritable, thread.cap_permitted, thread.cap_effective), (1, 2, 3));
    world.event(EventType::SyscallUnshareX, 100, |b| {
        b.i64(0).u32(1 << 20);
    });
    assert_eq!(world.thread(100).cap_effective, (1 << 41) - 1);
    world.event(EventType::SyscallSetsidX, 100, |b| {
        b.i64(55);
    });
    assert_eq!(world.thread(100).sid, 55);
}

#[test]
fn limits_belong_to_the_process() {
    let mut world = World::new();
    world.spawns(100, 101);
    world.event(EventType::SyscallSetrlimitX, 101, |b| {
        b.i64(0).i64(64).i64(128).u8(7);
    });
    assert_eq!(world.state.fdlimit(world.thread(101)), 64);
    world.event(EventType::SyscallPrlimitX, 1, |b| {
        b.i64(0).i64(99).i64(0).i64(0).i64(0).i64(101).u8(7);
    });
    assert_eq!(world.state.fdlimit(world.thread(100)), 99);
    world.event(EventType::SyscallPrlimitX, 1, |b| {
        b.i64(0).i64(11).i64(0).i64(0).i64(0).i64(101).u8(3);
    });
    assert_eq!(world.state.fdlimit(world.thread(100)), 99);
}

#[test]
fn a_reset_keeps_only_counters() {
    let mut world = World::new();
    world.open(100, 3, "/x", 0);
    let before = world.state.counters();
    world.state.reset();
    assert!(world.state.tree().is_empty() && world.state.first_ts() == 0);
    assert_eq!(world.state.counters(), before);
}

/// A machine whose runtimes are asked, with a thread in a group that anybody may have made.
fn asking() -> World {
    let config = Config { live: true, lookup_containers: true, ..Config::default() };
    let mut world = World::with(config);
    let thread = snapshot::Thread { cgroups: b"cpu=/a/b\0"[..].into(), ..process(10, 1, "sh") };
    world.load(thread);
    world.state.loaded();
    world
}

fn requested(world: &mut World) -> Vec<(String, bool)> {
    let requests = std::iter::from_fn(|| world.state.next_container_request());
    let requests = requests.map(|r| (String::from_utf8(r.container.to_vec()).unwrap(), r.certain));
    requests.collect()
}

#[test]
fn a_group_that_anybody_may_have_made_is_the_hosts_if_no_runtime_knows_it() {
    let mut world = asking();
    assert_eq!(requested(&mut world), [("b".to_owned(), false)]);
    assert_eq!(world.state.metadata(b"b"), Metadata::Pending);
    assert_eq!(world.state.metadata(b""), Metadata::Known);
    let pending = world.state.pending_container(world.thread(10)).unwrap();
    assert_eq!((&**pending.id, pending.certain), (&b"b"[..], false));
    // Nothing is read for it that may be the host's.
    assert_eq!(world.state.next_account_request(), None);
    world.state.observe(Observation::ContainerUnavailable { container: b"b"[..].into() });
    assert_eq!(*world.thread(10).container, *b"");
    assert_eq!(world.state.metadata(b"b"), Metadata::Unavailable);
    // Nor is it asked for again, until a runtime describes it after all.
    world.load(snapshot::Thread { cgroups: b"cpu=/a/b\0"[..].into(), ..process(11, 10, "x") });
    world.state.loaded();
    assert!(requested(&mut world).is_empty());
    assert_eq!(*world.thread(11).container, *b"");
    world.asyncevent("container", r#"{"container":{"id":"b","type":7,"name":"late"}}"#);
    assert_eq!(
        (&*world.thread(10).container, &*world.thread(11).container),
        (&b"b"[..], &b"b"[..])
    );
    assert_eq!(*world.thread(100).container, *b"");
    assert!(world.state.next_account_request().is_some());
}

#[test]
fn a_runtime_confirms_a_container() {
    let mut world = asking();
    world.asyncevent("container", r#"{"container":{"id":"b","type":7,"name":"early"}}"#);
    assert_eq!(*world.thread(10).container, *b"b");
    assert_eq!(world.state.metadata(b"b"), Metadata::Known);
    assert_eq!(world.state.pending_container(world.thread(10)), None);
    world.state.observe(Observation::ContainerUnavailable { container: b"b"[..].into() });
    assert_eq!(*world.thread(10).container, *b"b");
}

#[test]
fn containers_are_looked_up_from_any_time_on() {
    let mut world = World::with(Config { live: true, containers: false, ..Config::default() });
    world.load(contained(20, 1, 1, "web"));
    world.load(snapshot::Thread { cgroups: b"cpu=/a/b\0"[..].into(), ..process(10, 1, "sh") });
    world.state.loaded();
    world.asyncevent("container", r#"{"container":{"id":"b","type":7,"name":"early"}}"#);
    assert!(world.state.containers().is_empty() && world.thread(20).container.is_empty());
    world.state.look_up_containers(Matchers::default());
    assert_eq!(requested(&mut world), [(ID[..12].to_owned(), true), ("b".to_owned(), false)]);
    let answer = |id: &str| {
        let json = format!(r#"{{"container":{{"id":"{id}","type":7,"name":"web"}}}}"#);
        ContainerAnswer::Described(json.into_bytes().into())
    };
    world.state.take_container_answer(answer(&ID[..12]));
    assert!(world.state.awaits_containers());
    world.state.take_container_answer(ContainerAnswer::Unavailable(b"b"[..].into()));
    assert!(!world.state.awaits_containers() && world.thread(10).container.is_empty());
    let container = world.state.containers().get(&world.thread(20).container);
    assert_eq!(container.map(|container| container.name.as_str()), Some("web"));
    // Other matchers count for threads that start.
    let host_groups = vec!["/docker".to_owned()];
    world.state.look_up_containers(Matchers { host_groups, ..Matchers::default() });
    world.load(contained(21, 1, 1, "other"));
    world.state.loaded();
    assert!(world.thread(21).container.is_empty());
}

#[test]
fn a_certain_container_stays_one_without_a_runtime() {
    let mut world = asking();
    world.load(contained(20, 1, 1, "web"));
    world.state.loaded();
    assert_eq!(requested(&mut world), [("b".to_owned(), false), (ID[..12].to_owned(), true)]);
    let container: Arc<[u8]> = ID.as_bytes()[..12].into();
    world.state.observe(Observation::ContainerUnavailable { container: Arc::clone(&container) });
    assert_eq!(world.thread(20).container, container);
    assert_eq!(world.state.metadata(&container), Metadata::Unavailable);
    assert_eq!(world.state.container_of(&container, true), None);
    let host = world.state.container_of(b"b", false).map(|container| container.name.as_str());
    assert_eq!(host, Some("host"));
}

/// A rootless container: its monitor, its first process and a child of that, in no group.
fn unnamed() -> World {
    let mut world =
        World::with(Config { live: true, lookup_containers: true, ..Config::default() });
    let args = format!("--api-version\01\0-c\0{ID}\0-u\0{ID}\0").into_bytes();
    world.load(snapshot::Thread { args: args.into(), ..process(10, 1, "conmon") });
    world.load(process(11, 10, "runc"));
    for (tid, vtid, ptid) in [(20, 1, 11), (21, 2, 20)] {
        let pidns_init_start_ts = 5_000_000_000;
        let of = process(tid, ptid, "sh");
        world.load(snapshot::Thread { vtid, vpid: vtid, pidns_init_start_ts, ..of });
    }
    world.state.loaded();
    world
}

#[test]
fn the_monitor_of_a_container_without_a_group_names_it() {
    let mut world = unnamed();
    assert_eq!(requested(&mut world), [(ID[..12].to_owned(), false)]);
    let containers = |world: &World| {
        let of = |tid| String::from_utf8(world.thread(tid).container.to_vec()).unwrap();
        [of(10), of(20), of(21)]
    };
    let id = ID[..12].to_owned();
    assert_eq!(containers(&world), [String::new(), id.clone(), id.clone()]);
    assert!(world.state.pending_container(world.thread(21)).is_some_and(|it| !it.certain));
    // Nothing is read for it that may be the host's.
    assert_eq!(world.state.next_account_request(), None);
    let described = |pid| format!(r#"{{"container":{{"id":"{id}","type":11,"pid":{pid}}}}}"#);
    world.asyncevent("container", &described(20));
    assert_eq!(containers(&world)[1..], [id.clone(), id.clone()]);
    assert!(world.state.pending_container(world.thread(20)).is_none());
    assert!(world.state.next_account_request().is_some());
    // It is known when another thread is seen there, by a time that is told in another way if that
    // thread comes from there.
    for (tid, ptid, pidns_init_start_ts, container) in [
        (22, 1, 5_000_000_000, id.as_str()),
        (23, 22, 5_010_000_000, id.as_str()),
        (24, 1, 5_010_000_000, ""),
    ] {
        let of = process(tid, ptid, "sh");
        world.load(snapshot::Thread { vtid: 3, vpid: 3, pidns_init_start_ts, ..of });
        world.state.loaded();
        assert_eq!(*world.thread(tid).container, *container.as_bytes(), "{tid}");
    }
    world.asyncevent("container_removed", &described(20));
    assert!(world.state.containers().get(id.as_bytes()).is_none());
    // What only an event has described has no process.
    let mut world = unnamed();
    world.asyncevent("container", &described(0));
    assert_eq!(containers(&world)[1..], [id.clone(), id.clone()]);
}

#[test]
fn a_program_that_calls_itself_a_monitor_makes_no_container() {
    let mut world = unnamed();
    world
        .state
        .observe(Observation::ContainerUnavailable { container: ID.as_bytes()[..12].into() });
    assert!([20, 21].iter().all(|tid| world.thread(*tid).container.is_empty()));
    // The runtime knows the container, and another first process of it.
    let mut world = unnamed();
    let pidns_init_start_ts = 7_000_000_000;
    world.load(snapshot::Thread { vtid: 1, vpid: 1, pidns_init_start_ts, ..process(30, 1, "web") });
    world.state.loaded();
    let described = format!(r#"{{"container":{{"id":"{}","type":11,"pid":30}}}}"#, &ID[..12]);
    world.asyncevent("container", &described);
    assert_eq!(*world.thread(30).container, ID.as_bytes()[..12]);
    assert!([20, 21].iter().all(|tid| world.thread(*tid).container.is_empty()));
}

/// An event about a thread that was moved to another control group, as the kernel side makes it.
fn moved(world: &mut World, tid: i64, vpid: i64, whole: bool) {
    let mut data = Vec::new();
    for id in [tid, 100, vpid, vpid, 5] {
        data.extend(id.to_le_bytes());
    }
    for number in [7_u32, 8, 0, whole.into()] {
        data.extend(number.to_le_bytes());
    }
    data.extend(b"runc\0\0\0\0\0\0\0\0\0\0\0\0");
    data.extend(format!("cpu=/docker/{ID}\0").as_bytes());
    world.event(EventType::AsynceventE, tid, |b| {
        b.u32(0).text("moved").param(&data);
    });
}

#[test]
fn a_moved_process_is_in_its_new_container_with_all_threads() {
    let mut world = World::new();
    world.load(snapshot::Thread { pid: 100, ..process(101, 1, "sh") });
    world.state.loaded();
    moved(&mut world, 100, 100, false);
    assert_eq!(*world.thread(100).container, ID.as_bytes()[..12]);
    assert_eq!(*world.thread(101).container, *b"");
    moved(&mut world, 100, 100, true);
    assert_eq!(*world.thread(101).container, ID.as_bytes()[..12]);
}

#[test]
fn a_moved_process_that_nothing_told_of_is_described_later() {
    let mut world = World::new();
    moved(&mut world, 200, 3, true);
    let thread = world.thread(200);
    assert_eq!((thread.ptid, thread.vpid, thread.uid, thread.gid), (100, 3, 7, 8));
    assert_eq!((thread.comm(), &*thread.container), (&b"runc"[..], &ID.as_bytes()[..12]));
    assert!(!world.state.knows(200));
    let described = Item::Thread(Box::new(contained(200, 100, 3, "runc:[2:INIT]")));
    let start = world.thread(200).pidns_init_start_ts;
    world.state.observe(Observation::Threads(vec![described]));
    assert_eq!(world.thread(200).pidns_init_start_ts, start);
    assert_eq!(world.thread(200).comm(), b"runc:[2:INIT]");
    assert!(world.state.knows(200));
    // Rubbish changes nothing.
    for data in [&b""[..], &[0; 71], &[0; 72]] {
        world.event(EventType::AsynceventE, 200, |b| {
            b.u32(0).text("moved").param(data);
        });
    }
    assert_eq!(*world.thread(200).container, ID.as_bytes()[..12]);
}

#[test]
fn a_container_without_a_group_is_known_by_its_pid_namespace() {
    let mut world = World::new();
    let inside = |tid, ptid, vpid| snapshot::Thread {
        vtid: vpid,
        vpid,
        pidns_init_start_ts: 5_000_000_000,
        ..process(tid, ptid, "app")
    };
    world.load(inside(20, 1, 1));
    world.load(inside(21, 20, 7));
    world.load(snapshot::Thread { pidns_init_start_ts: 9_000_000_000, ..inside(30, 1, 1) });
    world.state.loaded();
    world.asyncevent("container", r#"{"container":{"id":"rootless","type":11,"pid":20}}"#);
    assert_eq!(*world.thread(21).container, *b"rootless");
    assert_eq!((&*world.thread(30).container, &*world.thread(1).container), (&b""[..], &b""[..]));
    // Also those that enter it later; none once it is gone.
    let joins = |tid| Item::Thread(Box::new(inside(tid, 1, 9)));
    world.state.add_resolved(vec![joins(40)]);
    assert_eq!(*world.thread(40).container, *b"rootless");
    world.asyncevent("container_removed", r#"{"container":{"id":"rootless","type":11}}"#);
    world.state.add_resolved(vec![joins(41)]);
    assert_eq!(*world.thread(41).container, *b"");
    world.asyncevent("container", r#"{"container":{"id":"of_host","type":11,"pid":1}}"#);
    assert_eq!(world.state.counters().unidentified_containers, 1);
}

#[test]
fn a_pid_namespace_counts_more_than_a_group_that_anybody_may_have_made() {
    let mut world = asking();
    let inside = |tid, vpid, start| snapshot::Thread {
        cgroups: b"cpu=/a/b\0"[..].into(),
        vtid: vpid,
        vpid,
        pidns_init_start_ts: start,
        ..process(tid, 1, "app")
    };
    world.load(inside(20, 1, 5_000_000_000));
    world.state.loaded();
    assert_eq!(*world.thread(20).container, *b"b");
    world.asyncevent("container", r#"{"container":{"id":"rootless","type":11,"pid":20}}"#);
    assert_eq!(*world.thread(20).container, *b"rootless");
    world.state.observe(Observation::ContainerUnavailable { container: b"b"[..].into() });
    world.state.add_resolved(vec![Item::Thread(Box::new(inside(21, 7, 5_000_000_000)))]);
    assert_eq!(*world.thread(21).container, *b"rootless");
    assert_eq!(
        (&*world.thread(20).container, &*world.thread(10).container),
        (&b"rootless"[..], &b""[..])
    );
}

#[test]
fn recordings_tell_which_groups_are_the_hosts() {
    let mut world = World::new();
    world.load(snapshot::Thread { cgroups: b"cpu=/a/b\0"[..].into(), ..process(10, 1, "sh") });
    world.load(contained(20, 1, 1, "web"));
    world.state.loaded();
    assert_eq!(*world.thread(10).container, *b"b");
    world.asyncevent("container_unavailable", "b");
    world.asyncevent("container_unavailable", &ID[..12]);
    assert_eq!(*world.thread(10).container, *b"");
    assert_eq!(*world.thread(20).container, ID.as_bytes()[..12]);
    let thread = snapshot::Thread { cgroups: b"cpu=/a/b\0"[..].into(), ..process(11, 10, "x") };
    world.state.add_resolved(vec![Item::Thread(Box::new(thread))]);
    assert_eq!(*world.thread(11).container, *b"");
}

#[test]
fn a_container_that_was_described_before_its_start_is_asked_about_at_its_first_process() {
    let mut world = asking();
    let id = &ID[..12];
    let json = |more: &str| format!(r#"{{"container":{{"id":"{id}","type":0{more}}}}}"#);
    world.asyncevent("container", &json(r#","starting":true"#));
    world.load(contained(20, 1, 1, "web"));
    world.state.loaded();
    assert_eq!(requested(&mut world), [("b".to_owned(), false), (id.to_owned(), true)]);
    // The same again is no answer.
    world.asyncevent("container", &json(r#","starting":true"#));
    assert_eq!(world.state.metadata(id.as_bytes()), Metadata::Pending);
    world.asyncevent("container", &json(r#","pid":20,"ip":"10.0.0.2""#));
    assert_eq!(world.state.metadata(id.as_bytes()), Metadata::Known);
    let container = world.state.container_of(id.as_bytes(), true);
    assert_eq!(container.map(|container| container.ip.as_str()), Some("10.0.0.2"));
}

#[test]
fn a_container_without_a_runtime_is_told_once() {
    let mut world = asking();
    requested(&mut world);
    let thread = |tid| snapshot::Thread {
        cgroups: b"cpu=/lxc.payload.box\0"[..].into(),
        ..process(tid, 1, "sh")
    };
    world.state.add_resolved(vec![Item::Thread(Box::new(thread(20)))]);
    assert_eq!(requested(&mut world), [("box".to_owned(), true)]);
    let json = Container::without_runtime(ContainerEngine::Lxc, "box", None).to_json();
    world.asyncevent("container", &json);
    world.state.add_resolved(vec![Item::Thread(Box::new(thread(21)))]);
    assert_eq!(requested(&mut world), []);
}

#[test]
fn a_recording_of_a_run_that_asks_waits_for_its_answers() {
    let mut world = World::new();
    world.asyncevent("containers_looked_up", "");
    world.state.add_resolved(vec![Item::Thread(Box::new(contained(20, 1, 1, "web")))]);
    assert_eq!(world.state.metadata(&ID.as_bytes()[..12]), Metadata::Pending);
    assert_eq!(world.state.next_container_request(), None);
    world.asyncevent("container", &describe("web"));
    assert_eq!(world.state.metadata(&ID.as_bytes()[..12]), Metadata::Known);
    // The next capture is another one.
    world.state.reset();
    world.state.add_resolved(vec![Item::Thread(Box::new(contained(20, 1, 1, "web")))]);
    assert_eq!(world.state.metadata(&ID.as_bytes()[..12]), Metadata::Unavailable);
}

#[test]
fn a_container_has_one_start() {
    let config = Config { live: true, ..Config::default() };
    let mut world = World::with(config);
    let start = 1_700_000_000_000_000_000;
    let started = |tid, vpid, at| snapshot::Thread {
        pidns_init_start_ts: at,
        ..contained(tid, 1, vpid, "web")
    };
    world.load(started(20, 1, start));
    world.load(started(21, 7, start + 9_000_000));
    world.load(started(22, 8, 0));
    // Such as runc, which is in the group and in the pid namespace of the host.
    world.load(started(23, 23, 5));
    world.state.loaded();
    let starts = [20, 21, 22, 23].map(|tid| world.state.container_start(world.thread(tid)));
    assert_eq!(starts, [Some(start); 4]);
    assert_eq!(world.thread(23).pidns_init_start_ts, 5);
}
