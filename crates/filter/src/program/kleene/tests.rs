use std::cell::RefCell;
use std::collections::BTreeSet;

use bumpalo::Bump;
use proptest::prelude::*;

use crate::program::{Condition, Residual, StaticFacts};
use crate::testing::Words;
use crate::{
    DEFAULT_MAX_DEPTH, EvalCache, Filter, LayerStats, PreFilterBuilder, Program, ProgramBuilder,
    Supplier, Value, compile, parse,
};

type Field = &'static str;

const FIELDS: [Field; 3] = ["t.text", "t.other", "t.uint"];

/// Tests that read one field or both texts, alike and unlike for a missing value.
const TESTS: &[&str] = &[
    "t.text = a",
    "t.text != a",
    "t.text in (a, ab)",
    "t.text startswith a",
    "t.text endswith b",
    "t.text exists",
    "t.text glob a*b",
    "tolower(t.text) = a",
    "t.other = a",
    "t.other in (b, ab)",
    "t.other exists",
    "t.other startswith b",
    "t.uint = 1",
    "t.uint != 1",
    "t.uint < 2",
    "t.text = val(t.other)",
    "t.other != val(t.text)",
    "concat(t.text, t.other) = ab",
    "join('', (t.other, t.uint)) = a1",
    "len(t.other) > 1",
];

/// Values of an event, of which some are unknown, and the fields that were read.
struct Event<'a> {
    values: &'a [Option<Value<'a>>],
    unknown: &'a [Field],
    read: RefCell<BTreeSet<Field>>,
    scratch: Bump,
}

impl<'a> Event<'a> {
    fn new(values: &'a [Option<Value<'a>>], unknown: &'a [Field]) -> Self {
        Self { values, unknown, read: RefCell::default(), scratch: Bump::new() }
    }
}

impl Supplier<Field> for Event<'_> {
    fn value<'s>(&'s self, field: &Field) -> Option<Value<'s>> {
        assert!(!self.unknown.contains(field), "{field} is unknown");
        self.read.borrow_mut().insert(field);
        let at = FIELDS.iter().position(|known| known == field)?;
        self.values.get(at).copied().flatten()
    }

    fn is_unknown(&self, field: &Field) -> bool {
        self.unknown.contains(field)
    }

    fn scratch(&self) -> &Bump {
        &self.scratch
    }
}

/// The type of the event decides nothing.
struct NoFacts;

impl StaticFacts<Field> for NoFacts {
    fn known(&self, _: &Field) -> Option<Option<Value<'static>>> {
        None
    }

    fn is_pure(&self, _: &Field) -> bool {
        true
    }

    fn cost(&self, _: &Field) -> u32 {
        2
    }
}

fn filter(condition: &str) -> Filter<Field> {
    let expr = parse(condition, DEFAULT_MAX_DEPTH).expect(condition);
    compile(&expr, &Words).expect(condition).filter
}

/// The program of these conditions, and their residuals.
fn program(filters: &[Filter<Field>]) -> (Program<Field>, Vec<Residual>, EvalCache) {
    let mut builder = ProgramBuilder::default();
    let add = |filter| builder.add(&mut Condition::new(filter), &NoFacts);
    let residuals = filters.iter().map(add).collect();
    let program = builder.finish();
    let cache = program.eval_cache();
    (program, residuals, cache)
}

fn condition() -> impl Strategy<Value = String> {
    prop::sample::select(TESTS).prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several().prop_map(|of| format!("({})", of.join(" and "))),
            several().prop_map(|of| format!("({})", of.join(" or "))),
            inner.clone().prop_map(|of| format!("not ({of})")),
        ]
    })
}

fn values() -> impl Strategy<Value = [Option<Value<'static>>; 3]> {
    let text = || prop::option::of(prop::sample::select(&["", "a", "b", "ab", "A"][..]));
    let text = move || text().prop_map(|text| text.map(|text| Value::Text(text.as_bytes())));
    let uint = prop::option::of(0..3_u64).prop_map(|number| number.map(Value::Uint));
    (text(), text(), uint).prop_map(|(text, other, uint)| [text, other, uint])
}

fn unknown() -> impl Strategy<Value = Vec<Field>> {
    prop::sample::subsequence(&FIELDS[..], 0..=3)
}

#[test]
fn unknown_is_the_third_value() {
    let values = [Some(Value::Text(b"a")), None, Some(Value::Uint(1))];
    for (condition, expected) in [
        ("t.other = a", None),
        ("not t.other = a", None),
        ("t.other exists", None),
        ("t.other in (a, b)", None),
        ("t.text = a and t.other = a", None),
        ("t.text = b and t.other = a", Some(false)),
        ("t.text = a or t.other = a", Some(true)),
        ("t.text = b or t.other = a", None),
        ("not (t.text = a and not t.other = a)", None),
        ("not (t.text = a or t.other = a)", Some(false)),
        ("tolower(t.other) = a", None),
        ("t.text = val(t.other)", None),
        ("concat(t.text, t.other) = ab", None),
    ] {
        let filters = [filter(condition)];
        let event = Event::new(&values, &["t.other"]);
        assert_eq!(filters[0].decide(&event), expected, "{condition}");
    }
    // A comparison with a missing value is false, whatever it is compared with.
    let values = [None, None, None];
    for condition in
        ["t.text = val(t.other)", "t.other != val(t.text)", "concat(t.text, t.other) = a"]
    {
        let event = Event::new(&values, &["t.other"]);
        assert_eq!(filter(condition).decide(&event), Some(false), "{condition}");
    }
}

proptest! {
    #[test]
    fn without_unknown_values_it_is_the_two_valued_result(
        condition in condition(), values in values(),
    ) {
        let event = Event::new(&values, &[]);
        let filter = filter(&condition);
        prop_assert_eq!(filter.decide(&event), Some(filter.matches(&event)));
    }

    #[test]
    fn what_is_decided_holds_for_every_completion(
        condition in condition(),
        known in values(),
        unknown in unknown(),
        completions in prop::collection::vec(values(), 1..20),
    ) {
        let filter = filter(&condition);
        let partial = Event::new(&known, &unknown);
        let decided = filter.decide(&partial);
        let (program, residuals, mut cache) = program(std::slice::from_ref(&filter));
        let dependents = program.dependents(|field| unknown.contains(field));
        let by_program = match residuals[0] {
            Residual::Compiled(node) => {
                program.evaluator(&partial, &mut cache, ()).decide(node, &dependents)
            }
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(by_program, decided);
        let read = partial.read.borrow().clone();
        for completion in completions {
            let mut values = known;
            for (at, field) in FIELDS.iter().enumerate() {
                if unknown.contains(field) {
                    values[at] = completion[at];
                }
            }
            let complete = Event::new(&values, &[]);
            let holds = filter.matches(&complete);
            prop_assert!(decided.is_none_or(|decided| decided == holds));
            // What the result depends on was read before.
            let needed = complete.read.borrow();
            prop_assert!(
                needed.iter().all(|field| read.contains(field) || unknown.contains(field))
            );
        }
    }

    /// Whatever the layers excluded before.
    #[test]
    fn a_pre_filter_excludes_no_condition_that_may_hold(
        events in prop::collection::vec((values(), values()), 1..40), unknown in unknown(),
    ) {
        let filters = [
            "t.text startswith a and t.uint = 1",
            "t.text endswith b or t.text startswith a",
            "not (t.text startswith a or t.other endswith b) and t.uint = 1",
            "t.text glob a*b and t.other = a",
            "(t.other glob *b or t.text = ab) and t.uint in (1, 2)",
            "t.other contains b and not t.text startswith b",
            "t.uint = 1 and (t.other endswith b or t.other endswith a)",
            "t.uint != 1 and not t.other != a",
        ].map(filter);
        let (program, residuals, mut cache) = program(&filters);
        let nodes: Vec<_> = residuals
            .iter()
            .map(|residual| match residual {
                Residual::Compiled(node) => Some(*node),
                _ => None,
            })
            .collect();
        let pre_filter = PreFilterBuilder::new(&program).build(&nodes);
        prop_assert!(!pre_filter.is_empty());
        let dependents = program.dependents(|field| unknown.contains(field));
        let mut stats = vec![LayerStats::default(); pre_filter.len()];
        for (known, completion) in events {
            let mut values = known;
            for (at, field) in FIELDS.iter().enumerate() {
                if unknown.contains(field) {
                    values[at] = completion[at];
                }
            }
            let mut live = [u64::MAX];
            let partial = Event::new(&known, &unknown);
            program
                .evaluator(&partial, &mut cache, ())
                .prune_known(&pre_filter, &mut stats, &mut live, &dependents);
            let complete = Event::new(&values, &[]);
            for (bit, filter) in filters.iter().enumerate() {
                prop_assert!(live[0] >> bit & 1 == 1 || !filter.matches(&complete), "{bit}");
            }
        }
    }
}
