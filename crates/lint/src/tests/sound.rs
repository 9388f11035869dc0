//! What lints say is certain holds for every event of captures.

use std::ops::ControlFlow;
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_engine::{Engine, Generation, Match, Observer};
use peregrine_event::Event;
use peregrine_fields::View;
use peregrine_rules::RuleSet;
use peregrine_scap::Reader;
use peregrine_state::Config;
use proptest::prelude::*;

use super::*;
use crate::contradictions::{Claim, Verdict, claims};
use crate::logic::atoms::occurs;
use crate::logic::solve::Solver;
use crate::logic::tree::{Part, Term};

/// Evaluates parts on every event, test by test.
struct Check<'m, 'a> {
    model: &'m Model<'a>,
    /// The condition, and what is certain of its parts.
    claims: Vec<(Part, Claim)>,
    /// Parts that can't be true.
    never: Vec<Part>,
    /// Of each pair, the first implies the second.
    implied: Vec<(Part, Part)>,
    events: usize,
}

impl Check<'_, '_> {
    /// The value of a part; `without` is left out where it stands.
    fn holds(&self, part: Part, view: &View<'_>, without: Option<Part>) -> bool {
        match self.model.forest.term(part) {
            Term::Literal(literal) => {
                self.model.atoms.get(literal.atom).matches(view) == literal.holds
            }
            Term::Macro(_, inner) => self.holds(*inner, view, without),
            Term::All(parts) => parts
                .iter()
                .filter(|part| Some(**part) != without)
                .all(|part| self.holds(*part, view, without)),
            Term::Any(parts) => parts
                .iter()
                .filter(|part| Some(**part) != without)
                .any(|part| self.holds(*part, view, without)),
        }
    }
}

impl Observer for Check<'_, '_> {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        assert!(occurs(event.ty), "{:?} occurs", event.ty);
        ControlFlow::Continue(())
    }

    fn matched(&mut self, _: &Match<'_>) {}

    fn evaluating(&mut self, view: &View<'_>) {
        self.events += 1;
        for part in &self.never {
            assert!(!self.holds(*part, view, None), "{}", self.model.text(*part));
        }
        for (root, claim) in &self.claims {
            let (with, without) =
                (self.holds(*root, view, None), self.holds(*root, view, Some(claim.part)));
            assert_eq!(with, without, "{:?} {}", claim.verdict, self.model.text(claim.part));
        }
        for (a, b) in &self.implied {
            assert!(!self.holds(*a, view, None) || self.holds(*b, view, None));
        }
    }
}

fn captures() -> Vec<String> {
    let own = format!("{}/../../conformance/captures", env!("CARGO_MANIFEST_DIR"));
    let dirs = [Some(own), std::env::var("PEREGRINE_CAPTURES").ok()];
    let files = dirs.into_iter().flatten().flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let scap = paths.filter(|path| path.extension().is_some_and(|it| it == "scap"));
    scap.map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// The capture with the most types of events.
fn zoo() -> Vec<String> {
    captures().into_iter().filter(|path| path.ends_with("own_zoo.scap")).take(1).collect()
}

/// Holds what is certain of these files against all captures.
fn check(files: &Files<'_>, captures: &[String]) -> usize {
    with(files, |input| {
        let mut model = Model::new(input);
        let (mut all, mut never, mut implied) = (Vec::new(), Vec::new(), Vec::new());
        let conditions: Vec<_> = model
            .macros
            .iter()
            .map(|it| (it.condition, model.forest.root(it.condition)))
            .chain(model.rules.iter().map(|it| (it.condition, it.own)))
            .collect();
        for (condition, root) in &conditions {
            let mut solver = Solver::new(&model.atoms, &mut model.forest);
            solver.mark();
            if solver.never(*root) {
                never.push(*root);
                continue;
            }
            let found = claims(&mut model, *condition, *root);
            all.extend(found.into_iter().map(|claim| (*root, claim)));
        }
        let mut solver = Solver::new(&model.atoms, &mut model.forest);
        for (at, (_, root)) in conditions.iter().enumerate() {
            let mark = solver.mark();
            if solver.assume(*root) {
                for (_, other) in conditions.iter().take(at) {
                    solver.mark();
                    if solver.always(*other) {
                        implied.push((*root, *other));
                    }
                }
            }
            solver.reset(&mark);
        }
        let found = all.len() + never.len() + implied.len();
        let mut check = Check { model: &model, claims: all, never, implied, events: 0 };
        for capture in captures {
            let generation =
                Generation::new(RuleSet::default(), &RuleRegistry::new(), Default::default());
            let mut engine = Engine::new(Arc::new(generation), Config::default());
            let mut source = Reader::open(capture).unwrap();
            let _ = engine.run(&mut source, &mut check, &mut ());
        }
        assert!(captures.is_empty() || check.events > 100, "{}", check.events);
        found
    })
}

#[test]
fn what_is_certain_of_examples_holds_for_captures() {
    let (zoo, mut found) = (zoo(), 0);
    for lint in Lint::ALL {
        found += check(&[("rules.yaml", lint.page().example)], &zoo);
    }
    assert!(found > 5);
}

#[test]
fn what_is_certain_of_the_upstream_rules_holds_for_captures() {
    let Some(files) = upstream() else { return };
    assert!(check(&borrowed(&files), &captures()) > 30);
}

/// Conditions of few tests of few values, so that many contradict or imply each other.
fn condition() -> impl Strategy<Value = String> {
    let test = prop_oneof![
        "[a-c]".prop_map(|v| format!("proc.name = {v}")),
        "[a-c]".prop_map(|v| format!("proc.name != {v}")),
        ("[a-c]", "[a-c]").prop_map(|(a, b)| format!("proc.name in ({a}, {b}, cat, sh)")),
        "[a-c]{1,2}".prop_map(|v| format!("proc.name startswith {v}")),
        "[a-c]{1,2}".prop_map(|v| format!("proc.name contains {v}")),
        "(/etc|/etc/|/usr/lib|/proc)".prop_map(|v| format!("fd.name startswith {v}")),
        "(/etc|/usr|/usr/lib|/)".prop_map(|v| format!("fd.name pmatch ({v})")),
        "(f|4|u)".prop_map(|v| format!("fd.typechar = {v}")),
        "(<|<=|>|>=|=|!=) [0-5]".prop_map(|test| format!("fd.num {test}")),
        "user\\.uid (=|<|>|>=|!=) (-1|0|1000|4294967295)",
        "evt\\.rawres (=|<|>=) (-1|0|3)",
        "(open|openat|read|execve|close)".prop_map(|v| format!("evt.type = {v}")),
        "(true|false)".prop_map(|v| format!("evt.is_open_read = {v}")),
        "(sh|bash|cat)".prop_map(|v| format!("proc.aname = {v}")),
        Just("fd.name exists".to_owned()),
        Just("proc.pname exists".to_owned()),
    ];
    test.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| format!("not ({inner})")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner, 2..4).prop_map(|any| format!("({})", any.join(" or "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_certain_of_any_condition_holds_for_captures(a in condition(), b in condition()) {
        let text = format!(
            "- macro: a\n  condition: {a}\n- macro: b\n  condition: {b}\n- rule: R\n  desc: d\n  \
             condition: a and not b\n  output: o\n  priority: INFO\n- rule: S\n  desc: d\n  \
             condition: b or a\n  output: o\n  priority: INFO\n"
        );
        check(&[("rules.yaml", &text)], &zoo());
        let _ = report_of(&[("rules.yaml", &text)]);
    }
}

#[test]
fn dead_parts_and_redundant_parts_are_told_apart() {
    let text = "- macro: m\n  condition: (fd.num > 3 or (fd.num < 2 and fd.num > 5))\n\
        - macro: n\n  condition: (fd.num > 3 and fd.num > 2)\n";
    with(&[("rules.yaml", text)], |input| {
        let mut model = Model::new(input);
        let conditions: Vec<_> = model.macros.iter().map(|it| it.condition).collect();
        let verdicts: Vec<_> = conditions
            .into_iter()
            .map(|condition| {
                let root = model.forest.root(condition);
                claims(&mut model, condition, root)[0].verdict
            })
            .collect();
        assert_eq!(verdicts, [Verdict::Dead, Verdict::Redundant]);
    });
}
