//! Explaining agrees with the engine: a condition that is evaluated node by node holds for the
//! events that the compiled program matches, and for no others.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod random;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_authoring::explain::{ConditionTree, concerns};
use peregrine_engine::{Engine, Generation, GenerationSettings, Match, Matching, Observer};
use peregrine_event::Event;
use peregrine_fields::{Field, Fields, View};
use peregrine_rules::{EventSource, Loader, RuleSet};
use peregrine_scap::Reader;
use peregrine_state::Config;
use serde_json::Value as Json;

/// Names a folder with the rules files of the Falco project, which are not part of this one.
const UPSTREAM: &str = "PEREGRINE_UPSTREAM_RULES";
/// Names a folder with more captures.
const CAPTURES: &str = "PEREGRINE_CAPTURES";
/// Every rule is evaluated on so many events.
const EVENTS: u64 = 10_000;

/// Event numbers with the indices of the rules that match.
type Matches = BTreeSet<(u64, usize)>;

struct Matched(Matches);

impl Observer for Matched {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.0.insert((matched.event.num, matched.index));
    }
}

struct Viewed<F>(F);

impl<F: FnMut(&View<'_>)> Observer for Viewed<F> {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn evaluating(&mut self, view: &View<'_>) {
        (self.0)(view);
    }

    fn matched(&mut self, _: &Match<'_>) {}
}

fn fields() -> Fields {
    Fields::syscall().with_containers(true)
}

fn load(texts: &[(String, String)]) -> Loader<Fields> {
    let mut loader = Loader::new(vec![EventSource::syscall(fields())], Vec::new());
    for (name, text) in texts {
        let result = loader.load(name, text.as_bytes());
        assert!(result.successful(), "{}", result.explanation());
    }
    loader
}

fn run(mut rules: RuleSet<Field>, capture: &Path, observer: &mut impl Observer) {
    rules.rules.iter_mut().for_each(|rule| rule.active = true);
    let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
    let generation = Generation::new(rules, &RuleRegistry::new(), settings);
    let config = Config { containers: true, ..Config::default() };
    let mut engine = Engine::new(Arc::new(generation), config);
    let mut capture = Reader::open(capture).unwrap();
    engine.run(&mut capture, observer, &mut ()).unwrap();
}

fn by_engine(rules: RuleSet<Field>, capture: &Path) -> Matches {
    let mut observer = Matched(Matches::new());
    run(rules, capture, &mut observer);
    observer.0
}

/// Evaluates every node of every rule. Returns also how many events there were.
fn by_explain(rules: &RuleSet<Field>, trees: &[ConditionTree], capture: &Path) -> (Matches, u64) {
    let (mut matches, mut events) = (Matches::new(), 0);
    let mut observer = Viewed(|view: &View<'_>| {
        events += 1;
        for (index, (rule, tree)) in rules.rules.iter().zip(trees).enumerate() {
            if !concerns(rule, view.event()) {
                continue;
            }
            let trace = tree.evaluate(view);
            assert_eq!(trace.flips(tree).count == 0, trace.holds(), "{}", rule.name);
            if trace.holds() {
                matches.insert((view.event().num, index));
            }
        }
    });
    run(RuleSet::default(), capture, &mut observer);
    (matches, events)
}

/// Evaluates rules on captures until there were enough events; fails on the first difference.
/// Returns the numbers of events and of matches.
fn compare(texts: &[(String, String)], captures: &[PathBuf]) -> (u64, usize) {
    let loader = load(texts);
    let trees = ConditionTree::of_rules(&loader, &fields()).unwrap();
    let (mut events, mut matches) = (0, 0);
    for capture in captures {
        let (explained, more) = by_explain(loader.rules(), &trees, capture);
        let found = by_engine(load(texts).into_rules(), capture);
        let name = |(event, rule): &(u64, usize)| {
            format!("event {event}, rule {}", loader.rules().rules[*rule].name)
        };
        let differences: Vec<_> = found.symmetric_difference(&explained).map(name).collect();
        assert!(differences.is_empty(), "{}: {differences:?}", capture.display());
        events += more;
        matches += found.len();
        if events >= EVENTS {
            break;
        }
    }
    (events, matches)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn captures(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "scap")).collect();
    files.sort();
    files
}

fn own_captures() -> Vec<PathBuf> {
    captures(&root().join("conformance/captures"))
}

fn file(path: &Path) -> (String, String) {
    (path.display().to_string(), fs::read_to_string(path).unwrap())
}

#[test]
fn built_in_rules_match_the_same_events() {
    let rules = file(&root().join("crates/wiring/assets/rules.yaml"));
    let (events, matches) = compare(&[rules], &own_captures());
    assert!(events >= 3_000 && matches >= 10, "{events} {matches}");
}

#[test]
fn conditions_of_the_conformance_tests_match_the_same_events() {
    let packed = fs::File::open(root().join("conformance/conditions.jsonl.gz")).unwrap();
    let mut lines = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut lines).unwrap();
    let mut rules = Vec::new();
    // One of four is enough for one run.
    for (index, line) in lines.lines().enumerate().step_by(4) {
        let case: Json = serde_json::from_str(line).unwrap();
        if case["error"].is_null() {
            rules.push(serde_json::json!({
                "rule": format!("C{index}"), "desc": "d", "condition": case["condition"],
                "output": "o", "priority": "INFO", "warn_evttypes": false,
            }));
        }
    }
    assert!(rules.len() > 250, "{}", rules.len());
    let rules = ("conditions".to_owned(), Json::Array(rules).to_string());
    let captures = ["own_acts.scap", "curl_google.scap"];
    let captures = captures.map(|name| root().join("conformance/captures").join(name));
    let (_, matches) = compare(&[rules], &captures);
    assert!(matches > 5_000, "{matches}");
}

#[test]
fn upstream_rules_match_the_same_events() {
    let Some(directory) = std::env::var_os(UPSTREAM).map(PathBuf::from) else {
        eprintln!("SKIPPED: {UPSTREAM} names no directory of upstream rules");
        return;
    };
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"];
    let rules = names.map(|name| file(&directory.join(name)));
    let more = std::env::var_os(CAPTURES).map(|directory| captures(Path::new(&directory)));
    let captures: Vec<_> = own_captures().into_iter().chain(more.unwrap_or_default()).collect();
    let (events, matches) = compare(&rules, &captures);
    eprintln!("{events} events, {matches} matches");
    assert!(events >= EVENTS && matches > 40, "{events} {matches}");
}
