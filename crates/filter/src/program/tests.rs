use bumpalo::Bump;
use proptest::prelude::*;

use super::*;
use crate::testing::{Event, Words};
use crate::{DEFAULT_MAX_DEPTH, Filter, compile, parse};

/// Knows that `t.int` is 3 and that there is no `t.other`; `t.double` changes with every question.
struct Kind;

impl Foresight<&'static str> for Kind {
    fn known(&self, field: &&'static str) -> Option<Option<Value<'static>>> {
        match *field {
            "t.int" => Some(Some(Value::Int(3))),
            "t.other" => Some(None),
            _ => None,
        }
    }

    fn is_pure(&self, field: &&'static str) -> bool {
        *field != "t.double"
    }

    fn excludes(&self, field: &&'static str, number: u64) -> bool {
        *field == "t.uint" && number == 0
    }

    fn cost(&self, _field: &&'static str) -> u32 {
        2
    }
}

fn filter(condition: &str) -> Filter<&'static str> {
    let expr = parse(condition, DEFAULT_MAX_DEPTH).expect(condition);
    compile(&expr, &Words).expect(condition).filter
}

fn added(condition: &str) -> Whole {
    ProgramBuilder::default().add(&mut Condition::new(&filter(condition)), &Kind)
}

#[test]
fn what_is_known_is_decided_at_once() {
    for (condition, expected) in [
        ("t.int = 3", Whole::Always),
        ("t.int = 4 and t.text = a", Whole::Never),
        ("t.int = 3 or t.text = a", Whole::Always),
        ("not (t.int = 4) and t.int in (2, 3)", Whole::Always),
        ("t.other exists", Whole::Never),
        ("t.other = t.text", Whole::Never),
        ("t.uint = 0", Whole::Never),
        ("not t.uint = 0", Whole::Always),
        ("t.double > 1 and t.int = 4", Whole::Plain),
    ] {
        assert_eq!(added(condition), expected, "{condition}");
    }
}

#[test]
fn what_is_the_same_stands_once() {
    let mut program = ProgramBuilder::default();
    let mut add = |condition| program.add(&mut Condition::new(&filter(condition)), &Kind);
    let one = add("t.text = a and t.uint = 1");
    assert_eq!(add("t.uint = 1 and t.text = a and t.int = 3"), one);
    assert_eq!(add("(t.text = a and t.uint = 1) or t.int = 4"), one);
    assert_ne!(add("t.text = a or t.uint = 1"), one);
    assert_eq!(program.finish().nodes.len(), 4);
}

/// Counts how often it is asked.
struct Counting(Event<'static>, std::cell::Cell<u32>);

impl Supplier<&'static str> for Counting {
    fn value<'s>(&'s self, field: &&'static str) -> Option<Value<'s>> {
        self.1.set(self.1.get() + 1);
        self.0.value(field)
    }

    fn scratch(&self) -> &Bump {
        self.0.scratch()
    }
}

#[test]
fn a_verdict_holds_for_one_event() {
    let mut program = ProgramBuilder::default();
    let whole = ["t.text = a", "t.text = a"]
        .map(|condition| program.add(&mut Condition::new(&filter(condition)), &Kind));
    let program = program.finish();
    let mut verdicts = program.verdicts();
    verdicts.event = u32::MAX - 3;
    for text in [&b"a"[..], b"b", b"a", b"b"] {
        let event = Counting(Event::new(&[("t.text", Value::Text(text))]), 0.into());
        let mut asked = program.ask(&event, &mut verdicts, ());
        for node in whole {
            let Whole::Node(node) = node else { panic!("{node:?}") };
            assert_eq!(asked.holds(node), text == b"a");
        }
        assert_eq!(event.1.get(), 1);
    }
}

proptest! {
    #[test]
    fn odds_are_odds(costs in prop::collection::vec((0.0f32..100.0, 0.0f32..=1.0), 1..6), any in any::<bool>()) {
        let odds = costs.iter().map(|&(cost, yes)| build::Odds { cost, yes }).collect();
        let odds = build::Odds::of(odds, any);
        prop_assert!((0.0..=1.0).contains(&odds.yes));
        prop_assert!(odds.cost <= costs.iter().map(|(cost, _)| cost).sum::<f32>() * 1.001);
    }
}
