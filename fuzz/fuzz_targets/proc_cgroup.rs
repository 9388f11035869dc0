//! Any bytes as the control groups of a thread, then what they say of its container.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine_event::snapshot::{Item, Thread};
use peregrine_probe::scan::parsers;
use peregrine_state::{Config, State};

fuzz_target!(|bytes: &[u8]| {
    let cgroups = parsers::cgroup(bytes);
    assert!(cgroups.len() <= 4096);
    let thread = |tid, cgroups: Vec<u8>| Thread { tid, pid: tid, cgroups: cgroups.into(), ..Thread::default() };
    let mut state = State::new(Config { live: true, ..Config::default() });
    state.load(Item::Thread(Box::new(thread(1, cgroups))));
    state.load(Item::Thread(Box::new(thread(2, bytes.to_vec()))));
    state.loaded();
});
