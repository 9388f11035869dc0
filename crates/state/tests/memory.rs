//! How much memory the state takes for what others decide about.

use peregrine_event::snapshot::{Item, Thread};
use peregrine_state::{Config, State};

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
