//! How much memory the state takes for what others decide about.

use peregrine_event::snapshot::{Fd, FdKind, Item, Thread};
use peregrine_event::{Builder, Event, EventType};
use peregrine_limits::{PROGRAM_TEXT_BYTES, STORED_TOTAL_BYTES};
use peregrine_state::{Config, Container, State};

/// Bytes that `load` leaves allocated.
fn kept(load: impl FnOnce() -> State) -> u64 {
    let mut state = None;
    let measured = allocation_counter::measure(|| state = Some(load()));
    assert!(state.is_some_and(|state| !state.tree().is_empty()));
    measured.bytes_current.max(0) as u64
}

/// A thread with long texts that are its own copies, as those of a capture are.
fn thread(tid: i64, pid: i64, comm: &str) -> Item {
    let text = |len| vec![b'x'; len].into();
    Item::Thread(Box::new(Thread {
        tid,
        pid,
        ptid: 1,
        comm: comm.as_bytes().into(),
        exe: text(1000),
        exepath: text(1000),
        args: text(4000),
        env: text(4000),
        cgroups: format!("memory=/{}\0", "g".repeat(1000)).into_bytes().into(),
        cwd: text(1000),
        root: text(1000),
        ..Thread::default()
    }))
}

const THREADS: u64 = 20_000;
/// What a thread takes without texts: itself, its places in tables, what is remembered of it.
const BARE: u64 = 1200;

#[test]
fn threads_share_the_texts_of_their_process() {
    // The leader may come last.
    for (first, leader) in [(1, 1), (1, THREADS as i64)] {
        let per_thread = kept(|| {
            let mut state = State::new(Config::default());
            for tid in first..=THREADS as i64 {
                state.load(thread(tid, leader, "same"));
            }
            state.loaded();
            state
        }) / THREADS;
        eprintln!("a thread of a process: {per_thread} bytes");
        assert!(per_thread < BARE, "{per_thread}");
    }
}

#[test]
fn threads_with_names_of_their_own_share_all_but_the_command_line() {
    let per_thread = kept(|| {
        let mut state = State::new(Config::default());
        for tid in 1..=THREADS as i64 {
            state.load(thread(tid, 1, &tid.to_string()));
        }
        state.loaded();
        state
    }) / THREADS;
    eprintln!("a thread with a name of its own: {per_thread} bytes");
    assert!(per_thread < BARE + 4300, "{per_thread}");
}

#[test]
fn processes_with_long_texts_take_a_bounded_amount() {
    // Four times what there is room for.
    let processes = 4 * PROGRAM_TEXT_BYTES.get() / 60_000;
    let text = |tid: usize, len: usize| tid.to_string().repeat(len / 6).into_bytes().into();
    let all = kept(|| {
        let mut state = State::new(Config::default());
        for tid in 100_000..100_000 + processes {
            state.load(Item::Thread(Box::new(Thread {
                tid: tid as i64,
                pid: tid as i64,
                args: text(tid, 20_000),
                env: text(tid, 20_000),
                ..Thread::default()
            })));
        }
        state.loaded();
        state
    });
    eprintln!("{processes} processes with long texts: {} MB", all >> 20);
    assert!(all < PROGRAM_TEXT_BYTES.get() as u64 * 5 / 4, "{all}");
    assert!(PROGRAM_TEXT_BYTES.reached() > 0);
}

#[test]
fn large_fd_numbers_take_no_memory() {
    let all = kept(|| {
        let mut state = State::new(Config::default());
        for tid in 1..=THREADS as i64 {
            state.load(Item::Thread(Box::new(Thread { tid, pid: tid, ..Thread::default() })));
            let kind = FdKind::Named { ty: 1, name: Vec::new() };
            state.load(Item::Fds(tid, vec![Fd { fd: 1023, ino: 1, kind }]));
        }
        state.loaded();
        state
    });
    eprintln!("a process with fd 1023: {} bytes", all / THREADS);
    assert!(all / THREADS < 2 * BARE);
}

#[test]
fn descriptions_of_containers_take_a_bounded_amount() {
    let peak = |json: &str| {
        let measured = allocation_counter::measure(|| drop(Container::from_json(json.as_bytes())));
        eprintln!("{} KB of JSON: peak {} KB", json.len() >> 10, measured.bytes_max >> 10);
        measured.bytes_max
    };
    let numbers = |count| format!("{{\"container\":{{\"env\":[0{}]}}}}", ",0".repeat(count));
    assert!(peak(&numbers(30_000_000)) < 1 << 20);
    assert!(peak(&numbers(500_000)) < 64 << 20);
}

#[test]
fn stored_enter_events_take_a_bounded_amount() {
    let path = [b"/".repeat(3900), vec![0]].concat();
    let all = kept(|| {
        let mut state = State::new(Config::default());
        let mut bytes = Vec::new();
        for round in 0..2 {
            for tid in 1..=2 * THREADS as i64 {
                bytes.clear();
                let mut open = Builder::new(EventType::SyscallOpenE, round, tid);
                open.param(&path).u32(0).u32(0);
                if open.finish(&mut bytes).is_ok()
                    && let Ok(event) = Event::parse(&bytes, 0)
                {
                    state.apply(&event);
                }
            }
        }
        assert!(state.counters().stored_events > 0 && state.counters().dropped_events > 0);
        state
    });
    eprintln!("stored enter events: {} MB", all >> 20);
    assert!(all < STORED_TOTAL_BYTES.get() as u64 * 5 / 4 + 2 * THREADS * BARE, "{all}");
}
