use bumpalo::Bump;
use proptest::prelude::*;

use super::*;
use crate::testing::{Event, Words};
use crate::{DEFAULT_MAX_DEPTH, Filter, Supplier, Value, compile, parse};

/// `t.int` is always 3, `t.other` never has a value, `t.double` is impure, `t.uint` is never 0.
struct Facts;

impl StaticFacts<&'static str> for Facts {
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

fn residual(condition: &str) -> Residual {
    ProgramBuilder::default().add(&mut Condition::new(&filter(condition)), &Facts)
}

#[test]
fn tests_of_known_fields_are_decided_at_compile_time() {
    for (condition, expected) in [
        ("t.int = 3", Residual::Always),
        ("t.int = 4 and t.text = a", Residual::Never),
        ("t.int = 3 or t.text = a", Residual::Always),
        ("not (t.int = 4) and t.int in (2, 3)", Residual::Always),
        ("t.other exists", Residual::Never),
        ("t.other = t.text", Residual::Never),
        ("t.uint = 0", Residual::Never),
        ("not t.uint = 0", Residual::Always),
        ("t.double > 1 and t.int = 4", Residual::Interpreted),
    ] {
        assert_eq!(residual(condition), expected, "{condition}");
    }
}

#[test]
fn equal_sub_conditions_are_one_node() {
    let mut program = ProgramBuilder::default();
    let mut add = |condition| program.add(&mut Condition::new(&filter(condition)), &Facts);
    let one = add("t.text = a and t.uint = 1");
    assert_eq!(add("t.uint = 1 and t.text = a and t.int = 3"), one);
    assert_eq!(add("(t.text = a and t.uint = 1) or t.int = 4"), one);
    assert_ne!(add("t.text = a or t.uint = 1"), one);
    assert_eq!(program.finish().nodes.len(), 4);
}

/// Counts reads.
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
fn results_are_cached_for_one_event() {
    let mut program = ProgramBuilder::default();
    let residuals = ["t.text = a", "t.text = a"]
        .map(|condition| program.add(&mut Condition::new(&filter(condition)), &Facts));
    let program = program.finish();
    let mut cache = program.eval_cache();
    cache.skip_to(u32::MAX - 3);
    for text in [&b"a"[..], b"b", b"a", b"b"] {
        let event = Counting(Event::new(&[("t.text", Value::Text(text))]), 0.into());
        let mut evaluator = program.evaluator(&event, &mut cache, ());
        for node in residuals {
            let Residual::Compiled(node) = node else { panic!("{node:?}") };
            assert_eq!(evaluator.holds(node), text == b"a");
        }
        assert_eq!(event.1.get(), 1);
    }
}

proptest! {
    /// Classes of short texts are cached from one event to the next.
    #[test]
    fn a_cached_text_is_not_taken_for_another(
        texts in prop::collection::vec("[ab]{0,3}|a{15,18}|b{15,17}", 1..60),
    ) {
        let filters = [
            "t.text in (a, ab, aaaaaaaaaaaaaaa, aaaaaaaaaaaaaaaa)", "t.text startswith aaaaaaaaaaaaaaaaa",
            "t.text endswith b", "t.text != a", "t.text endswith bbbbbbbbbbbbbbbb",
        ].map(filter);
        let mut program = ProgramBuilder::default();
        let residuals: Vec<_> =
            filters.iter().map(|filter| program.add(&mut Condition::new(filter), &Facts)).collect();
        let program = program.finish();
        let mut cache = program.eval_cache();
        for text in &texts {
            let event = Event::new(&[("t.text", Value::Text(text.as_bytes()))]);
            let mut evaluator = program.evaluator(&event, &mut cache, ());
            for (filter, node) in filters.iter().zip(&residuals) {
                let Residual::Compiled(node) = node else { panic!("{node:?}") };
                prop_assert_eq!(evaluator.holds(*node), filter.matches(&event), "{}", text);
            }
        }
    }

    /// Whatever the layers excluded for earlier events.
    #[test]
    fn a_pre_filter_excludes_no_condition_that_holds(
        texts in prop::collection::vec("[a-c/]{0,4}", 1..60),
        numbers in prop::collection::vec(0u64..3, 60),
    ) {
        let filters = [
            "t.text startswith a and t.uint = 1", "t.text endswith b or t.text startswith a/",
            "not (t.text startswith a or t.text endswith b) and t.uint = 1", "t.text glob a*b and t.uint = 2",
            "(t.text glob *c or t.text = ab) and t.uint in (1, 2)", "t.text contains b and not t.text startswith c",
            "t.uint = 1 and (t.text endswith b or t.text endswith c)", "t.uint != 1 and not t.text != c",
        ].map(filter);
        let mut program = ProgramBuilder::default();
        let residuals: Vec<_> =
            filters.iter().map(|filter| program.add(&mut Condition::new(filter), &Facts)).collect();
        let program = program.finish();
        let node = |residuals: &Residual| match residuals {
            Residual::Compiled(node) => Some(*node),
            _ => None,
        };
        let pre_filter = PreFilterBuilder::new(&program).build(&residuals.iter().map(node).collect::<Vec<_>>());
        prop_assert!(!pre_filter.is_empty());
        let (mut cache, mut stats) = (program.eval_cache(), vec![LayerStats::default(); pre_filter.len()]);
        for (text, number) in texts.iter().zip(numbers) {
            let text = Value::Text(text.as_bytes());
            let event = Event::new(&[("t.text", text), ("t.uint", Value::Uint(number))]);
            let mut live = [u64::MAX];
            program.evaluator(&event, &mut cache, ()).prune(&pre_filter, &mut stats, &mut live);
            for (bit, filter) in filters.iter().enumerate() {
                prop_assert!(live[0] >> bit & 1 == 1 || !filter.matches(&event), "{:?}", (text, bit));
            }
        }
    }

    #[test]
    fn a_junction_costs_no_more_than_all_operands(
        costs in prop::collection::vec((0.0f32..100.0, 0.0f32..=1.0), 1..6),
        any in any::<bool>(),
    ) {
        let estimate = costs.iter().map(|&(cost, probability)| estimate::Estimate { cost, probability }).collect();
        let estimate = estimate::Estimate::of(estimate, any);
        prop_assert!((0.0..=1.0).contains(&estimate.probability));
        prop_assert!(estimate.cost <= costs.iter().map(|(cost, _)| cost).sum::<f32>() * 1.001);
    }
}
