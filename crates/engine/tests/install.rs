//! A second generation of rules is installed between two events of a real capture.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_engine::{
    End, Engine, Generation, GenerationSettings, Match, Matching, Observer, RuleHistory, Step,
};
use peregrine_event::Event;
use peregrine_fields::{Fields, View};
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::Reader;

const OLD: &str = "\
- {rule: opens, desc: d, condition: 'evt.type in (open, openat)', output: o, priority: INFO}
- {rule: both, desc: d, condition: 'evt.type = close and fd.num >= 0', output: o, priority: INFO}
- {rule: old deltas, desc: d, condition: 'evt.deltatime > 1000 and evt.type = close', output: o, priority: INFO}
";

/// `both` stands elsewhere and means something else.
const NEW: &str = "\
- {rule: execs, desc: d, condition: evt.type = execve, output: o, priority: INFO}
- {rule: reads, desc: d, condition: evt.type = mmap and proc.name exists, output: o, priority: INFO}
- {rule: both, desc: d, condition: evt.type = close, output: o, priority: INFO}
";

/// The rules that matched, each with the number of the event.
#[derive(Default)]
struct Matches {
    all: Vec<(u64, String)>,
    /// Number of the last event, whether a rule matched it or not.
    last_event: u64,
}

impl Observer for Matches {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.last_event = event.num;
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.all.push((matched.event.num, matched.rule.name.clone()));
    }
}

fn capture() -> Reader<File> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");
    Reader::open(path).unwrap()
}

fn generation(rules: &str, registry: &RuleRegistry) -> Arc<Generation> {
    let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
    let result = loader.load("rules.yaml", rules.as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
    Arc::new(Generation::new(loader.into_rules(), registry, settings))
}

/// All of the capture with one generation.
fn whole(rules: &str) -> (Engine, Vec<(u64, String)>) {
    let registry = RuleRegistry::new();
    let mut engine = Engine::new(generation(rules, &registry), Default::default());
    let mut matches = Matches::default();
    assert_eq!(engine.run(&mut capture(), &mut matches, &mut ()).unwrap(), End::Source);
    (engine, matches.all)
}

/// What is known of the machine: threads with their open fds, and all counters.
fn machine(engine: &Engine) -> (BTreeMap<i64, Vec<u8>>, usize, String) {
    let state = engine.state();
    let threads = state.tree().iter().map(|thread| (thread.tid, thread.comm().to_vec()));
    (threads.collect(), state.fd_tables().total(), format!("{:?}", state.counters()))
}

#[test]
fn install_keeps_threads_fds_and_counters() {
    let registry = RuleRegistry::new();
    let old = generation(OLD, &registry);
    let mut engine = Engine::new(Arc::clone(&old), Default::default());
    let (mut source, mut matches) = (capture(), Matches::default());
    while engine.events() < 300 {
        let step = engine.step(&mut source, &mut matches, &mut ()).unwrap();
        assert!(matches!(step, Step::Event | Step::Loaded), "the capture is longer");
    }
    let (before, events) = (machine(&engine), engine.events());
    let both = registry.id("syscall", "both").unwrap();
    let history = engine.history(both);
    assert!(before.0.len() > 1 && before.1 > 1 && history.matches > 0, "{before:?} {history:?}");

    let new = generation(NEW, &registry);
    let replaced = engine.install(Arc::clone(&new));

    assert!(Arc::ptr_eq(&replaced, &old) && Arc::ptr_eq(engine.generation(), &new));
    drop(replaced);
    assert_eq!(Arc::strong_count(&old), 1, "the engine keeps nothing of the old generation");
    assert_eq!(machine(&engine), before);
    assert_eq!((engine.events(), engine.history(both)), (events, history));
    let (border, count_before) = (matches.last_event, matches.all.len());
    assert_eq!(engine.run(&mut source, &mut matches, &mut ()).unwrap(), End::Source);

    // Alerts are those of the old rules before, and of the new rules after, each as if it had run
    // alone.
    let (old_alone, old_matches) = whole(OLD);
    let (_, new_matches) = whole(NEW);
    let (first, second) = matches.all.split_at(count_before);
    assert!(old_matches.into_iter().filter(|(num, _)| *num <= border).eq(first.iter().cloned()));
    let expected: Vec<_> = new_matches.into_iter().filter(|(num, _)| *num > border).collect();
    assert!(!first.is_empty() && expected.iter().any(|(_, rule)| rule == "execs"));
    assert!(second == expected, "{:?} {:?}", second.first(), expected.first());

    // What the old rules left does not differ from a run without a change.
    assert_eq!(machine(&engine), machine(&old_alone));
    assert_eq!(engine.events(), old_alone.events());
    let count = |rule: &str| matches.all.iter().filter(|(_, name)| name == rule).count() as u64;
    for rule in ["opens", "both", "execs"] {
        let RuleHistory { matches, .. } = engine.history(registry.id("syscall", rule).unwrap());
        assert_eq!(matches, count(rule), "{rule}");
    }
}

#[test]
fn a_rule_that_comes_back_goes_on_from_its_last_match() {
    let registry = RuleRegistry::new();
    let (old, new) = (generation(OLD, &registry), generation(NEW, &registry));
    let mut engine = Engine::new(Arc::clone(&old), Default::default());
    let (mut source, mut matches) = (capture(), Matches::default());
    let opens = registry.id("syscall", "opens").unwrap();
    while engine.history(opens).matches < 3 {
        engine.step(&mut source, &mut matches, &mut ()).unwrap();
    }
    let history = engine.history(opens);
    engine.install(new);
    for _ in 0..50 {
        engine.step(&mut source, &mut matches, &mut ()).unwrap();
    }
    assert_eq!(engine.history(opens), history);
    engine.install(old);
    while engine.history(opens).matches == history.matches {
        assert_eq!(engine.step(&mut source, &mut matches, &mut ()).unwrap(), Step::Event);
    }
    assert!(engine.history(opens).last_match > history.last_match);
}

/// Numbers of the events whose view was seen.
#[derive(Default)]
struct Views(Vec<u64>);

impl Observer for Views {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn evaluating(&mut self, view: &View<'_>) {
        self.0.push(view.event().num);
    }

    fn matched(&mut self, _: &Match<'_>) {}
}

#[test]
fn every_evaluated_event_can_be_viewed() {
    let registry = RuleRegistry::new();
    let mut engine = Engine::new(generation(OLD, &registry), Default::default());
    let mut views = Views::default();
    engine.run(&mut capture(), &mut views, &mut ()).unwrap();
    assert_eq!(views.0.len() as u64, engine.events());
}
