//! Events that no real source would send.

use peregrine_event::{Actor, Builder, Event, EventType};
use proptest::prelude::*;

use super::{World, process};
use crate::state::{Config, State};
use crate::tree::ThreadRef;

/// A few tids and fds, so that events meet; some numbers at the edges.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..6_i64,
        1 => prop_oneof![Just(i64::MIN), Just(-100), Just(-1), Just(1023), Just(i64::MAX)],
    ]
}

fn param() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => number().prop_map(|n| n.to_le_bytes().to_vec()),
        2 => number().prop_map(|n| (n as u32).to_le_bytes().to_vec()),
        1 => Just(Vec::new()),
        1 => Just(b"../x\0".to_vec()),
        1 => Just(b"cpu=/lxc/a\0".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (prop_oneof![Just(1_u8), Just(2), Just(10)], prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(family, rest)| [vec![family], rest].concat()),
    ]
}

fn event() -> impl Strategy<Value = Vec<u8>> {
    let ty = prop::sample::select(EventType::all().collect::<Vec<_>>());
    (ty, number(), 0..4_u64, prop::collection::vec(param(), 0..32)).prop_map(
        |(ty, tid, seconds, params)| {
            let mut builder = Builder::new(ty, seconds * 1_000_000_000, tid);
            for param in params.iter().take(ty.info().params.len()) {
                builder.param(param);
            }
            let mut bytes = Vec::new();
            builder.finish(&mut bytes).unwrap();
            bytes
        },
    )
}

fn check(state: &State) {
    assert!(state.tree.len() <= state.config.max_threads);
    assert_eq!(state.tree.iter().count(), state.tree.len());
    for thread in state.tree.iter() {
        assert_eq!(state.by_tid(thread.tid).map(|t| t.tid), Some(thread.tid));
        let table = state.own_fds(thread);
        assert!(table.is_none_or(|table| table.len() <= state.config.max_fds));
        assert!(table.is_none_or(|table| table.iter().count() == table.len()));
        assert!(state.ancestors(thread).count() <= 2 * state.tree.len());
    }
    let threads: Vec<_> = state.tree.refs().into_iter().map(ThreadRef::place).collect();
    for place in state.fd_tables().places() {
        assert!(threads.contains(&place), "a table at {place}, where no thread is");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_events_leave_a_sound_state(events in prop::collection::vec(event(), 0..80)) {
        let config = Config { max_threads: 6, max_fds: 5, live: true, ..Config::default() };
        let mut world = World::with(config);
        world.load(process(2, 1, "a"));
        world.load(process(3, 2, "b"));
        world.state.loaded();
        for bytes in events {
            let event = Event::parse(&bytes, 0).unwrap();
            let context = world.state.apply(&event);
            if let Some(thread) = world.state.thread(context) {
                assert_eq!(thread.tid, event.tid);
                world.state.child_thread_count(thread);
                world.state.env(thread);
                world.state.ancestor(thread, 3);
            }
            world.state.event_fd(context);
            world.state.container(context);
            check(&world.state);
        }
    }
}

/// An event that the schema does not say changes the tree leaves it as it is; one that does has its
/// function.
#[test]
fn only_events_that_change_the_tree_do() {
    for ty in EventType::all() {
        let mut world = World::new();
        let before = format!("{:?}", world.state.tree);
        world.event(ty, 100, |_| {});
        let traits = ty.traits();
        let may_change = traits.changes_tree || traits.actor == Actor::None;
        assert!(may_change || format!("{:?}", world.state.tree) == before, "{ty:?}");
    }
}
