//! Runs tests against rules, several at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use peregrine_authoring::explain::Explanation;
use peregrine_diagnostics::{Label, Problem, closest};
use peregrine_engine::{Engine, Match, MatchAlert, Observer};
use peregrine_event::Event;
use peregrine_event::source::SourceNames;
use peregrine_fields::View;
use peregrine_scap::Reader;

use crate::coverage::Hits;
use crate::expect::{Failure, Matched, judge};
use crate::file::{Case, EventSpec, Given, Named, Pick, RecordedEvents, Test};
use crate::script::Script;
use crate::{Cause, Suite, check, world};

/// What a test came to.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// Name of the test.
    pub name: String,
    /// Where it stands.
    pub label: Label,
    /// The rules it is about.
    pub rules: Vec<String>,
    /// Its outcome.
    pub outcome: Outcome,
    /// What a reader should know of a test that passed.
    pub notes: Vec<String>,
    /// How long it took.
    pub time: Duration,
    pub(crate) hits: Hits,
}

/// The outcome of a test.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All is as expected.
    Passed,
    /// The rules did something else.
    Failed(Vec<Failure>),
    /// The test can't be run.
    Invalid(Vec<Problem>),
}

/// How tests are run.
#[derive(Clone, Debug, Default)]
pub struct RunSettings {
    /// Directories that captures may be in, besides that of each test.
    pub captures: Vec<PathBuf>,
    /// Tests at once; all CPUs by default.
    pub threads: Option<NonZero<usize>>,
}

/// Runs tests. The results are in the order of the tests.
#[must_use]
pub fn run(suite: &Suite, cases: &[&Case], settings: &RunSettings) -> Vec<TestResult> {
    let cpus = || thread::available_parallelism().map_or(1, NonZero::get);
    let threads = settings.threads.map_or_else(cpus, NonZero::get).min(cases.len()).max(1);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut results = Vec::new();
        while let at = next.fetch_add(1, Relaxed)
            && let Some(case) = cases.get(at)
        {
            results.push((at, run_one(suite, case, settings)));
        }
        results
    };
    let mut results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn run_one(suite: &Suite, case: &Case, settings: &RunSettings) -> TestResult {
    let start = Instant::now();
    let mut watch = Watch::new(suite);
    let (outcome, rules) = match &case.test {
        Err(invalid) => {
            let mut problems = invalid.problems.clone();
            problems.extend(rules(suite, &invalid.rules).err().unwrap_or_default());
            problems.extend(script(suite, &invalid.events).err().unwrap_or_default());
            (Outcome::Invalid(problems), Vec::new())
        }
        Ok(test) => {
            let names = test.rules.iter().map(|rule| rule.name.clone()).collect();
            (outcome(suite, test, case, settings, &mut watch), names)
        }
    };
    let notes = match outcome {
        Outcome::Passed => watch.notes(),
        _ => Vec::new(),
    };
    let (name, label, time) = (case.name.clone(), case.label.clone(), start.elapsed());
    TestResult { name, label, rules, outcome, notes, time, hits: watch.hits }
}

fn outcome(
    suite: &Suite,
    test: &Test,
    case: &Case,
    settings: &RunSettings,
    watch: &mut Watch<'_>,
) -> Outcome {
    let of_rules = rules(suite, &test.rules).map(|rules| watch.rules = rules).err();
    let ran = match &test.given {
        Given::Events(events) => run_events(suite, events, watch),
        Given::Capture(capture) => run_capture(suite, capture, case, settings, watch),
    };
    let ran = match of_rules {
        Some(problems) => Err(problems.into_iter().chain(ran.err().unwrap_or_default()).collect()),
        None => ran,
    };
    let problems = match ran {
        Ok(()) => std::mem::take(&mut watch.problems),
        Err(problems) => problems,
    };
    if !problems.is_empty() {
        return Outcome::Invalid(problems);
    }
    let events = match &test.given {
        Given::Events(events) => events.as_slice(),
        Given::Capture(_) => &[],
    };
    match judge(suite, test, events, &watch.rules, &watch.matched, &watch.explained) {
        Err(problems) => Outcome::Invalid(problems),
        Ok(failures) if failures.is_empty() => Outcome::Passed,
        Ok(failures) => Outcome::Failed(failures),
    }
}

/// Positions of the rules of a test.
fn rules(suite: &Suite, rules: &[Named]) -> Result<Vec<usize>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut positions = Vec::new();
    for rule in rules {
        match suite.position(&rule.name) {
            None => {
                let message = format!("there is no rule `{}`", rule.name);
                let problem = Cause::UnknownRule.at(&rule.label, message);
                problems.push(match closest(&rule.name, suite.rules()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help("load the file that defines it with -r"),
                });
            }
            Some(position) if suite.source(position) != SourceNames::SYSCALL => {
                let message = format!(
                    "`{}` is about events of `{}`, and tests can only give events of `{}`",
                    rule.name,
                    suite.source(position),
                    SourceNames::SYSCALL
                );
                problems.push(Cause::OtherSource.at(&rule.label, message));
            }
            Some(position) => positions.push(position),
        }
    }
    if problems.is_empty() { Ok(positions) } else { Err(problems) }
}

/// The records for the events of a test.
fn script(suite: &Suite, events: &[EventSpec]) -> Result<Script, Vec<Problem>> {
    let unknown = events.iter().flat_map(|spec| check::unknown_fields(spec, &suite.fields));
    let unknown: Vec<_> = unknown.collect();
    match (world::script(events), unknown.is_empty()) {
        (Ok(script), true) => Ok(script),
        (Ok(_), false) => Err(unknown),
        (Err(problems), _) => Err(unknown.into_iter().chain(problems).collect()),
    }
}

fn run_events(
    suite: &Suite,
    events: &[EventSpec],
    watch: &mut Watch<'_>,
) -> Result<(), Vec<Problem>> {
    let mut script = script(suite, events)?;
    watch.events = events.to_vec();
    let mut engine = Engine::new(Arc::clone(&suite.generation), suite.state.clone());
    match engine.run(&mut script, watch, &mut ()) {
        Ok(_) => Ok(()),
        Err(error) => match error {},
    }
}

fn run_capture(
    suite: &Suite,
    recorded: &RecordedEvents,
    case: &Case,
    settings: &RunSettings,
    watch: &mut Watch<'_>,
) -> Result<(), Vec<Problem>> {
    let label = &recorded.file.label;
    let path = capture_path(&recorded.file.name, case, settings)
        .map_err(|(message, help)| vec![Cause::Capture.at(label, message).help(help)])?;
    let unreadable = |cause: &dyn std::fmt::Display| {
        vec![Cause::Capture.at(label, format!("cannot read {}: {cause}", recorded.file.name))]
    };
    let mut reader = Reader::new(File::open(path).map_err(|error| unreadable(&error))?);
    let pick = match &recorded.pick {
        Pick::All => Picked::All,
        Pick::Number(number, _) => Picked::Number(*number),
        Pick::Condition(condition) => match suite.pick(&condition.name) {
            Some(Ok(filter)) => Picked::Condition(filter.clone()),
            Some(Err(message)) => {
                return Err(vec![Cause::Value.at(&condition.label, message.clone())]);
            }
            None => Picked::All,
        },
    };
    watch.pick = pick;
    let mut engine = Engine::new(Arc::clone(&suite.generation), suite.state.clone());
    engine.run(&mut reader, watch, &mut ()).map_err(|error| unreadable(&error))?;
    match &recorded.pick {
        Pick::Number(number, at) if watch.picked == 0 => {
            let message = format!("the capture has no event {number} that rules see");
            let last = watch.last;
            Err(vec![Cause::NoEvent.at(at, message).help(format!("its last one is {last}"))])
        }
        Pick::Condition(condition) if watch.picked == 0 => {
            let message = "the condition holds for no event of the capture";
            Err(vec![Cause::NoEvent.at(&condition.label, message)])
        }
        _ => Ok(()),
    }
}

/// Where a capture is: beside the test, or in one of the directories of the command line. A file
/// of tests is not trusted, so it names no other file.
fn capture_path(
    name: &str,
    case: &Case,
    settings: &RunSettings,
) -> Result<PathBuf, (String, &'static str)> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !Path::new(name).components().all(inside) {
        let message = format!("`{name}` leads out of the directory of the test");
        return Err((message, "name a file in that directory, or below one given with --captures"));
    }
    let own = Path::new(&case.label.source.name).parent().unwrap_or(Path::new(""));
    let own = if own.as_os_str().is_empty() { Path::new(".") } else { own };
    for directory in std::iter::once(own).chain(settings.captures.iter().map(PathBuf::as_path)) {
        let (Ok(root), Ok(path)) = (directory.canonicalize(), directory.join(name).canonicalize())
        else {
            continue;
        };
        // A symbolic link may lead elsewhere.
        if path.starts_with(&root) && path.is_file() {
            return Ok(path);
        }
    }
    let message = format!("there is no capture `{name}` beside the test");
    Err((message, "give the directory that it is in with --captures"))
}

/// Which events the rules must match.
enum Picked {
    All,
    Number(u64),
    Condition(peregrine_filter::Filter<peregrine_fields::Field>),
}

/// Follows a test.
struct Watch<'s> {
    suite: &'s Suite,
    /// Positions of the rules of the test.
    rules: Vec<usize>,
    /// Events that are given; empty for a capture.
    events: Vec<EventSpec>,
    pick: Picked,
    problems: Vec<Problem>,
    /// Whether the current event is one that the test is about.
    current: bool,
    /// Number of such events.
    picked: u64,
    /// Number of the last event.
    last: u64,
    matched: Vec<Matched>,
    /// For each rule and event, how its condition got its value; of few events.
    explained: BTreeMap<(usize, u64), Explanation>,
    hits: Hits,
}

/// Events of which conditions are explained.
const EXPLAINED: u64 = 8;

impl<'s> Watch<'s> {
    fn new(suite: &'s Suite) -> Self {
        Self {
            suite,
            rules: Vec::new(),
            events: Vec::new(),
            pick: Picked::All,
            problems: Vec::new(),
            current: false,
            picked: 0,
            last: 0,
            matched: Vec::new(),
            explained: BTreeMap::new(),
            hits: Hits::default(),
        }
    }

    /// That another rule takes the event where only the first one that matches gets it.
    fn notes(&self) -> Vec<String> {
        if !self.suite.first_only {
            return Vec::new();
        }
        let mut notes = Vec::new();
        for matched in self.matched.iter().filter(|it| self.rules.contains(&it.rule)) {
            let of_event = self.matched.iter().filter(|it| it.event == matched.event);
            let first = of_event.map(|it| it.rule).min().unwrap_or(matched.rule);
            if first != matched.rule && self.suite.is_enabled(first) {
                let (first, rule) = (self.suite.name(first), self.suite.name(matched.rule));
                notes.push(format!(
                    "with `rule_matching: first`, `{first}` takes the event before `{rule}` does"
                ));
            }
        }
        notes.sort();
        notes.dedup();
        notes
    }
}

impl Observer for Watch<'_> {
    const EVERY_VIEW: bool = true;

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match self.pick {
            Picked::Number(number) if event.num > number => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn evaluating(&mut self, view: &View<'_>) {
        let number = view.event().num;
        self.last = number;
        self.current = match &self.pick {
            Picked::All => true,
            Picked::Number(picked) => *picked == number,
            Picked::Condition(filter) => filter.matches(view),
        };
        if !self.current {
            return;
        }
        self.picked += 1;
        let index = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        if let Some(spec) = self.events.get(index) {
            self.problems.extend(check::differences(spec, view, &self.suite.fields));
        }
        for rule in &self.rules {
            let Some(tree) = self.suite.tree(*rule) else { continue };
            let trace = tree.evaluate(view);
            self.hits.add(*rule, tree, &trace);
            if self.picked <= EXPLAINED {
                let explanation = Explanation::new(tree, &trace, view);
                self.explained.insert((*rule, number), explanation);
            }
        }
    }

    fn matched(&mut self, matched: &Match<'_>) {
        if !self.current {
            return;
        }
        let alert = match matched.alert() {
            Some(MatchAlert::Complete(alert)) => Some(alert),
            Some(MatchAlert::Pending(alert)) => alert.complete(matched.view.state()),
            None => None,
        };
        let alert = alert.filter(|_| self.rules.contains(&matched.index));
        self.matched.push(Matched { rule: matched.index, event: matched.event.num, alert });
    }
}
