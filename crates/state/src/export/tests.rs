#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::net::Ipv4Addr;

use peregrine_event::snapshot::{FdKind as Told, Machine};
use peregrine_event::{Builder, Event, EventType};

use super::*;
use crate::state::Config;

fn process(tid: i64, ptid: i64) -> snapshot::Thread {
    snapshot::Thread {
        tid,
        pid: tid,
        ptid,
        vtid: tid,
        vpid: tid,
        comm: b"cat"[..].into(),
        exe: b"cat"[..].into(),
        exepath: b"/bin/cat"[..].into(),
        args: b"-u\0/etc/hosts\0"[..].into(),
        env: b"HOME=/\0"[..].into(),
        cgroups: b"cpuset=/\0memory=/a\0"[..].into(),
        cwd: b"/tmp/"[..].into(),
        fdlimit: 1024,
        ..snapshot::Thread::default()
    }
}

fn connection(fd: i64, sport: u16, dport: u16) -> snapshot::Fd {
    let ip = Ipv4Addr::LOCALHOST;
    snapshot::Fd { fd, ino: 9, kind: Told::Ipv4 { sip: ip, dip: ip, sport, dport, l4proto: 2 } }
}

fn loaded(items: Vec<Item>) -> State {
    let mut state = State::new(Config::default());
    items.into_iter().for_each(|item| state.load(item));
    state.loaded();
    state
}

fn machine() -> Vec<Item> {
    let thread = |tid, ptid| Item::Thread(Box::new(process(tid, ptid)));
    let mut second = process(11, 1);
    second.pid = 10;
    let server = Told::Ipv4Server { ip: Ipv4Addr::UNSPECIFIED, port: 80, l4proto: 2 };
    let file = Told::File { flags: 1, name: b"/etc/hosts".to_vec(), mount_id: 3, dev: 4 };
    let fds = vec![
        snapshot::Fd { fd: 0, ino: 5, kind: file },
        snapshot::Fd { fd: 3, ino: 6, kind: server },
        connection(4, 80, 40_000),
        connection(5, 40_001, 443),
        snapshot::Fd { fd: 7000, ino: 1, kind: Told::Named { ty: 7, name: b"pipe:[1]".to_vec() } },
    ];
    vec![
        Item::Machine(Machine { num_cpus: 2, hostname: b"h".to_vec(), ..Machine::default() }),
        thread(1, 0),
        thread(10, 1),
        Item::Thread(Box::new(second)),
        thread(20, 10),
        thread(30, 1),
        Item::Fds(10, fds),
    ]
}

#[test]
fn a_loaded_snapshot_exports_the_same() {
    let state = loaded(machine());
    let items = state.snapshot(|_| true);
    let again = loaded(items.clone());
    assert_eq!(again.snapshot(|_| true), items);
    let thread = again.by_tid(10).unwrap();
    assert_eq!(thread.exec.cmdline(), b"cat -u /etc/hosts");
    assert_eq!(thread.exec, state.by_tid(10).unwrap().exec);
    for fd in [0, 3, 4, 5, 7000] {
        assert_eq!(again.fd(thread, fd), state.fd(state.by_tid(10).unwrap(), fd), "{fd}");
    }
    assert!(again.fd(thread, 4).unwrap().is_server());
    assert_eq!(again.thread_count(thread), 2);
}

#[test]
fn a_partial_export_has_the_relatives_it_needs() {
    let state = loaded(machine());
    let tids = |wanted: i64| {
        let mut tids = Vec::new();
        for item in state.snapshot(|thread| thread.tid == wanted) {
            match item {
                Item::Thread(thread) => tids.push(thread.tid),
                Item::Fds(tid, _) => assert!(tids.contains(&tid)),
                _ => {}
            }
        }
        tids.sort_unstable();
        tids
    };
    assert_eq!(tids(20), [1, 10, 20]);
    assert_eq!(tids(11), [1, 10, 11]);
    assert_eq!(tids(30), [1, 30]);
    assert_eq!(tids(99), [0; 0]);
}

#[test]
fn an_exiting_thread_is_exported() {
    let mut state = loaded(machine());
    let mut bytes = Vec::new();
    let mut exit = Builder::new(EventType::Procexit_1E, 1_000, 20);
    exit.i64(0).i64(0).u8(0).u8(0).i64(1).finish(&mut bytes).unwrap();
    state.apply(&Event::parse(&bytes, 0).unwrap());
    let mut recorded = loaded(state.snapshot(|_| true));
    assert!(!recorded.by_tid(20).unwrap().is_dead());
    let context = recorded.apply(&Event::parse(&bytes, 0).unwrap());
    assert_eq!(recorded.thread(context).map(|thread| thread.ptid), Some(10));
}

#[test]
fn a_recording_begins_with_what_the_api_server_has_told() {
    let mut state = loaded(machine());
    let tell = |state: &mut State, json: &str| {
        let mut bytes = Vec::new();
        let mut event = Builder::new(EventType::AsynceventE, 1_000, -1);
        event.u32(0).text("k8s").text(json).finish(&mut bytes).unwrap();
        state.apply(&Event::parse(&bytes, 0).unwrap());
    };
    tell(
        &mut state,
        r#"{"reason":"Create","kind":"Namespace","uid":"n","meta":"{\"name\":\"shop\"}"}"#,
    );
    tell(
        &mut state,
        r#"{"reason":"Create","kind":"Pod","uid":"p","meta":"{\"name\":\"web\"}","refs":{"resources":{"Namespace":{"list":["n"]}}}}"#,
    );
    let snapshot = state.full_snapshot(2_000);
    let mut recorded = loaded(snapshot.items.clone());
    snapshot.events(|event| {
        recorded.apply(event);
    });
    assert_eq!(recorded.kubernetes().pod("p"), state.kubernetes().pod("p"));
    assert_eq!(recorded.kubernetes().object("n"), state.kubernetes().object("n"));
    assert_eq!(recorded.kubernetes().object("n").map(|object| object.name.as_str()), Some("shop"));
}
