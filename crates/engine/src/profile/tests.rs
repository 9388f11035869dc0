#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_event::Event;
use peregrine_fields::{Field, Fields};
use peregrine_rules::{EventSource, Loader, RuleSet};
use peregrine_scap::Reader;

use super::*;
use crate::meter::{CostCounters, RuleMeter};
use crate::{Engine, Generation, GenerationSettings, Match, Matching, Observer};

const RULES: &str = "\
- {rule: often, desc: d, condition: 'evt.type in (open, openat) and fd.num >= 0', output: o, priority: INFO}
- {rule: seldom, desc: d, condition: 'evt.type = openat and fd.num >= 0 and fd.name startswith /etc and not proc.name = cat', output: o, priority: INFO}
- {rule: order matters, desc: d, condition: evt.type = close and evt.count = 1 and not thread.cpu > 1, output: o, priority: INFO}
- {rule: never, desc: d, condition: evt.type = reboot and fd.num >= 0, output: o, priority: INFO}
";

#[derive(Default)]
struct Counting {
    events: u64,
    matches: [u64; 4],
}

impl Observer for Counting {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        self.events += 1;
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.matches[matched.index] += 1;
    }
}

fn rules() -> RuleSet<Field> {
    let vocabulary = Fields::syscall();
    let mut loader = Loader::new(vec![EventSource::syscall(vocabulary)], Vec::new());
    let result = loader.load("rules.yaml", RULES.as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    loader.into_rules()
}

/// Replays `own_acts`, with and without a profile.
fn run() -> (Counting, Counting, Profile) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");
    let rules = rules();
    let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
    let generation = Arc::new(Generation::new(rules, &RuleRegistry::new(), settings));
    let engine = || Engine::new(Arc::clone(&generation), Default::default());
    let (mut plain, mut profiled) = (Counting::default(), Counting::default());
    let capture = || Reader::new(File::open(path).unwrap());
    engine().run(&mut capture(), &mut plain, &mut ()).unwrap();
    let mut profiler = generation.profiler();
    engine().run(&mut capture(), &mut profiled, &mut profiler).unwrap();
    let profile = Profile::new(&generation, &profiler);
    (plain, profiled, profile)
}

fn rule(profile: &Profile, index: usize) -> &RuleProfile {
    profile.rules.iter().find(|rule| rule.rule.index() == index).unwrap()
}

#[test]
fn a_profile_counts_all_events_and_changes_no_match() {
    let (plain, profiled, profile) = run();
    assert_eq!(plain.matches, profiled.matches);
    assert_eq!(plain.events, profiled.events);
    assert!(plain.matches[..3].iter().all(|&matches| matches > 0), "{:?}", plain.matches);
    for index in 0..3 {
        let RuleProfile { events, asked, matches, .. } = *rule(&profile, index);
        assert_eq!(matches, plain.matches[index]);
        assert!(matches <= asked && asked <= events && events <= profile.events);
    }
    // The capture has no reboot.
    assert_eq!(profile.rules.len(), 3);
    let types: u64 = profile.types.iter().map(|ty| ty.events).sum();
    assert_eq!(types, profile.events);
    assert!(profile.timed > 0 && profile.timed <= profile.events);
}

#[test]
fn shared_conditions_are_counted_once_and_split_among_rules() {
    let (_, _, profile) = run();
    let conditions = |index| rule(&profile, index).roots.iter().flat_map(|root| &root.conditions);
    let found = |index, text: &str| conditions(index).find(|c| c.text == text).unwrap();
    let shared = found(0, "fd.num >= 0");
    assert_eq!((shared.rules, shared.asked), (2, rule(&profile, 0).events));
    assert_eq!(found(1, "fd.num >= 0").asked, shared.asked);
    assert_eq!(shared.share_ns() * 2.0, shared.ns);
    let own = found(1, "fd.name startswith /etc");
    assert_eq!(own.rules, 1);
    assert!(own.held <= own.asked && own.asked <= rule(&profile, 1).asked);
    assert_eq!(rule(&profile, 0).cost.shared_ns, shared.share_ns());
    // A condition without operands is one entry.
    assert!(rule(&profile, 2).roots.iter().all(|root| root.conditions.is_empty()));
    assert!(rule(&profile, 2).cost.own_ns > 0.0);
}

#[test]
fn no_time_is_counted_twice() {
    let (_, _, profile) = run();
    let rules: f64 = profile.rules.iter().map(|rule| rule.cost.total_ns()).sum();
    assert!(profile.total_ns() > 0.0 && rules > 0.0);
    // After scaling the sum of the parts may exceed the whole slightly.
    assert!(rules + profile.dispatch_ns <= profile.total_ns().max(rules) * 1.001);
    let costs: Vec<f64> = profile.rules.iter().map(|rule| rule.cost.total_ns()).collect();
    assert!(costs.is_sorted_by(|a, b| a >= b));
}

#[test]
fn costs_of_rules_survive_a_reload() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");
    let registry = RuleRegistry::new();
    let generation = || {
        let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
        Generation::new(rules(), &registry, settings)
    };
    let first = Arc::new(generation());
    let mut counters = first.cost_counters();
    let run = |counters: &mut CostCounters| {
        let mut engine = Engine::new(Arc::clone(&first), Default::default());
        let mut capture = Reader::new(File::open(path).unwrap());
        engine.run(&mut capture, &mut Counting::default(), counters).unwrap();
        counters.rule_costs().unwrap()
    };
    let once = run(&mut counters);
    assert_eq!(once.len(), 4);
    assert!(once[..3].iter().all(|cost| cost.evaluations > 0 && cost.ns > 0), "{once:?}");
    assert_eq!((once[3].evaluations, once[3].ns), (0, 0));
    let mut profiler = first.profiler();
    let mut engine = Engine::new(Arc::clone(&first), Default::default());
    let mut capture = Reader::new(File::open(path).unwrap());
    engine.run(&mut capture, &mut Counting::default(), &mut profiler).unwrap();
    let profile = Profile::new(&first, &profiler);
    for (index, cost) in once[..3].iter().enumerate() {
        assert_eq!(cost.evaluations, rule(&profile, index).asked);
    }

    generation().install_in(&mut counters);
    assert_eq!(counters.rule_costs().unwrap(), once);
    let twice = run(&mut counters);
    for (once, twice) in once.iter().zip(&twice).take(3) {
        assert_eq!((twice.rule, twice.evaluations), (once.rule, 2 * once.evaluations));
        assert!(twice.ns > once.ns);
    }
}
