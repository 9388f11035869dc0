//! Parsers change the state between an event and the rules about it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use peregrine_alert::RuleRegistry;
use peregrine_engine::{
    End, Engine, EventParser, Generation, GenerationSettings, Match, Observer, ParserError,
};
use peregrine_event::Event;
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::Reader;
use peregrine_state::State;
use peregrine_state::tables::{CellValue, Column, Table, TableSession, ThreadColumn};

const RULES: &str = "\
- {rule: renamed, desc: d, condition: proc.name = renamed, output: o, priority: INFO}
- {rule: others, desc: d, condition: proc.name != renamed, output: o, priority: INFO}
";

/// Gives the thread of each event another name.
struct Renames {
    calls: Arc<Mutex<Vec<String>>>,
    refuses: bool,
}

impl EventParser for Renames {
    fn opened(&mut self, state: &mut State) -> Result<(), ParserError> {
        let threads = state.tree().len();
        self.calls.lock().unwrap().push(format!("opened with threads: {}", threads > 0));
        if self.refuses { Err(ParserError("it does not want to".to_owned())) } else { Ok(()) }
    }

    fn parse(&mut self, event: &Event<'_>, state: &mut State) {
        let mut session = TableSession::default();
        if let Ok(row) = session.row(state, &Table::Threads, event.tid) {
            let comm = Column::Thread(ThreadColumn::Comm);
            session.write(state, &row, comm, CellValue::Text(b"renamed")).unwrap();
        }
    }

    fn closed(&mut self, _: &mut State) {
        self.calls.lock().unwrap().push("closed".to_owned());
    }
}

#[derive(Default)]
struct Matches(Vec<String>);

impl Observer for Matches {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.0.push(matched.rule.name.clone());
    }
}

fn run(refuses: bool) -> (End, Matches, Option<ParserError>, Vec<String>) {
    let mut loader = Loader::new(vec![EventSource::syscall(Fields::syscall())], Vec::new());
    assert!(loader.load("rules.yaml", RULES.as_bytes()).successful());
    let settings = GenerationSettings::default();
    let generation = Generation::new(loader.into_rules(), &RuleRegistry::new(), settings);
    let calls = Arc::<Mutex<Vec<String>>>::default();
    let parser = Renames { calls: Arc::clone(&calls), refuses };
    let engine = Engine::new(Arc::new(generation), Default::default());
    let mut engine = engine.with_parser(Some(Box::new(parser)));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/captures/own_acts.scap");
    let mut capture: Reader<File> = Reader::open(path).unwrap();
    let mut matches = Matches::default();
    let end = engine.run(&mut capture, &mut matches, &mut ()).unwrap();
    let refusal = engine.close();
    drop(engine);
    let calls = calls.lock().unwrap().clone();
    (end, matches, refusal, calls)
}

#[test]
fn rules_see_what_parsers_change() {
    let (end, matches, refusal, calls) = run(false);
    assert_eq!((end, refusal), (End::Source, None));
    assert!(!matches.0.is_empty() && matches.0.iter().all(|rule| rule == "renamed"));
    assert_eq!(calls, ["opened with threads: true", "closed"]);
}

#[test]
fn a_parser_can_refuse_events() {
    let (end, matches, refusal, calls) = run(true);
    assert_eq!((end, matches.0.len()), (End::Stopped, 0));
    assert_eq!(refusal.unwrap().to_string(), "it does not want to");
    assert_eq!(calls, ["opened with threads: true", "closed"]);
}
