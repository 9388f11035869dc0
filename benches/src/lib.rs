//! Inputs of benchmarks: one event of each kind with the state of its machine, and rule sets.

#![allow(clippy::expect_used, reason = "a benchmark that can't go on has failed")]

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peregrine_alert::RuleRegistry;
use peregrine_engine::{Engine, Generation, Match, Observer};
use peregrine_event::Event;
use peregrine_event::source::{Next, Record, Source};
use peregrine_fields::{Field, Fields, Run, Scratch, View};
use peregrine_filter::{Supplier, Vocabulary};
use peregrine_rules::{EventSource, Loader, RuleSet};
use peregrine_scap::{Reader, ScapError};
use peregrine_state::{Config, Context, State};

/// Repetitions in one benchmark: divide its count by this.
pub const TIMES: u64 = 1000;

/// The environment variable that names a directory of rules.
pub const RULES: &str = "PEREGRINE_UPSTREAM_RULES";

/// Rules to evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// A rule that no event matches.
    Never,
    /// The file `falco_rules.yaml` of the [directory](RULES); without the variable, the built-in
    /// rules.
    Stable,
    /// All files of the directory; without the variable, the built-in rules.
    All,
}

/// An event, and the state of the machine right after it.
pub struct Scene {
    state: State,
    context: Context,
    event: OwnedEvent,
    run: Run,
    scratch: Scratch,
}

impl Scene {
    /// The first event with this name.
    pub fn of(kind: &str) -> Self {
        let event = OwnedEvent::find(kind);
        let mut state = State::new(Config::default());
        let mut prelude = Prelude::until(&event);
        let mut context = None;
        let mut in_snapshot = true;
        while let Next::Record(record) = prelude.next().expect("the capture can be read") {
            match record {
                Record::Restart => state.reset(),
                Record::Snapshot(item) => state.load(item),
                Record::Event { event, .. } => {
                    if std::mem::take(&mut in_snapshot) {
                        state.loaded();
                    }
                    context = Some(state.apply(&event));
                }
            }
        }
        let context = context.expect("the event is there");
        Self { state, context, event, run: Run::default(), scratch: Scratch::default() }
    }

    /// Parses the event [many](TIMES) times.
    pub fn parse(&self) -> u64 {
        let OwnedEvent { bytes, cpu, .. } = &self.event;
        (0..TIMES).filter(|_| Event::parse(std::hint::black_box(bytes), *cpu).is_ok()).count()
            as u64
    }

    /// Applies the event repeatedly.
    pub fn apply(&mut self) {
        let event = self.event.event();
        for _ in 0..TIMES {
            self.context = self.state.apply(std::hint::black_box(&event));
        }
    }

    /// Extracts fields, each time as for a new event. Returns the number of values.
    pub fn values(&mut self, fields: &[Field]) -> u64 {
        let event = self.event.event();
        let mut found = 0;
        for _ in 0..TIMES {
            self.scratch.reset();
            let view = View::new(&event, &self.state, self.context, &self.run, &self.scratch);
            let values =
                fields.iter().filter(|field| view.value(std::hint::black_box(field)).is_some());
            found += values.count() as u64;
        }
        found
    }
}

/// The fields with these names.
pub fn fields(names: &[&str]) -> Vec<Field> {
    let vocabulary = Fields::syscall().with_containers(true);
    names.iter().map(|name| vocabulary.resolve(name).expect(name).field).collect()
}

/// An engine that will process one event many times.
pub struct Asking {
    engine: Engine,
    event: OwnedEvent,
}

impl Asking {
    /// An engine that has processed everything before the event.
    pub fn about(kind: &str, rules: Rules) -> Self {
        let event = OwnedEvent::find(kind);
        let generation = Generation::new(load(rules), &RuleRegistry::new(), Default::default());
        let mut engine = Engine::new(Arc::new(generation), Config::default());
        let seen = engine.run(&mut Prelude::until(&event), &mut NoObserver, &mut ());
        seen.expect("the capture can be read");
        Self { engine, event }
    }

    /// Passes the event to the engine [many](TIMES) times. Returns the number of events it has
    /// processed.
    pub fn ask(&mut self) -> u64 {
        let mut again = Again { event: &self.event, left: TIMES };
        let seen = self.engine.run(&mut again, &mut NoObserver, &mut ());
        seen.expect("an event in memory can be read");
        self.engine.events()
    }
}

/// Compiled conditions and outputs of these rules, all active.
pub fn load(rules: Rules) -> RuleSet<Field> {
    let vocabulary = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(vocabulary)], Vec::new());
    for (name, text) in texts(rules) {
        let result = loader.load(&name, text.as_bytes());
        assert!(result.successful(), "{}", result.explanation());
    }
    let mut rules = loader.into_rules();
    rules.rules.iter_mut().for_each(|rule| rule.active = true);
    rules
}

/// The files of a rule set.
pub fn texts(rules: Rules) -> Vec<(String, String)> {
    const NEVER: &str = "- {rule: never, desc: d, condition: evt.type = open and proc.name = never, output: o, priority: INFO}";
    let read = |path: &Path| {
        let text = fs::read_to_string(path).expect("rules can be read");
        (path.display().to_string(), text)
    };
    match (rules, std::env::var_os(RULES).map(PathBuf::from)) {
        (Rules::Never, _) => vec![("never.yaml".to_owned(), NEVER.to_owned())],
        (_, None) => {
            vec![read(
                &Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wiring/assets/rules.yaml"),
            )]
        }
        (Rules::Stable, Some(directory)) => vec![read(&directory.join("falco_rules.yaml"))],
        (Rules::All, Some(directory)) => {
            let files = fs::read_dir(directory).expect("the directory of rules can be read");
            let mut files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
            files.sort();
            files.iter().map(|path| read(path)).collect()
        }
    }
}

#[derive(Clone, Debug)]
struct OwnedEvent {
    bytes: Vec<u8>,
    cpu: u16,
    num: u64,
}

impl OwnedEvent {
    /// The first event with this name whose system call succeeded.
    fn find(name: &str) -> Self {
        let mut reader = capture();
        while let Some(record) = reader.next().expect("the capture can be read") {
            let Record::Event { event, .. } = record else { continue };
            if event.ty.name() == name && succeeded(&event) {
                return Self { bytes: event.bytes().to_vec(), cpu: event.cpu, num: event.num };
            }
        }
        unreachable!("there is no {name} in the capture")
    }

    fn event(&self) -> Event<'_> {
        let mut event = Event::parse(&self.bytes, self.cpu).expect("it was an event before");
        event.num = self.num;
        event
    }
}

fn succeeded(event: &Event<'_>) -> bool {
    let index = ["res", "fd"].iter().find_map(|name| event.param_index(name));
    index.and_then(|index| event.i64(index)).is_some_and(|result| result >= 0)
}

/// Shells and tools that perform what rules detect.
fn capture() -> Reader<File> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/captures/own_acts.scap");
    Reader::open(path).expect("the capture is there")
}

/// A capture up to and including an event.
struct Prelude {
    reader: Reader<File>,
    last: u64,
    over: bool,
}

impl Prelude {
    fn until(event: &OwnedEvent) -> Self {
        Self { reader: capture(), last: event.num, over: false }
    }
}

impl Source for Prelude {
    type Error = ScapError;

    fn next(&mut self) -> Result<Next<'_>, ScapError> {
        if self.over {
            return Ok(Next::End);
        }
        let next = Source::next(&mut self.reader)?;
        if let Next::Record(Record::Event { event, .. }) = &next {
            self.over = event.num == self.last;
        }
        Ok(next)
    }
}

/// A source that returns one event repeatedly.
struct Again<'a> {
    event: &'a OwnedEvent,
    left: u64,
}

impl Source for Again<'_> {
    type Error = std::convert::Infallible;

    fn next(&mut self) -> Result<Next<'_>, Self::Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(Next::End) };
        self.left = left;
        Ok(Next::Record(Record::Event { event: self.event.event(), state_only: false }))
    }
}

struct NoObserver;

impl Observer for NoObserver {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, _: &Match<'_>) {}
}
