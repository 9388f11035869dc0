//! Matches that are known only when a runtime has described the container are counted, throttled,
//! recorded and delivered like others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod support;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_engine::held::MaxWaits;
use peregrine_engine::{
    AlertContent, Engine, Generation, Next, Source, Throttle, ThrottleSettings, ThrottledRules,
};
use peregrine_event::render::Buffers;
use peregrine_event::snapshot::{self, Item};
use peregrine_event::source::Record;
use peregrine_event::{Builder, Event, EventType};
use peregrine_fields::Fields;
use peregrine_files::FileMode;
use peregrine_output::{
    AlertFilter, ChannelOutput, ChannelSettings, Drain, FileOutput, Format, Layout, WhenFull,
};
use peregrine_rules::{EventSource, Loader};
use peregrine_runtime::capture::{MatchCaptureSettings, OldestReader};
use peregrine_runtime::observers::RunObserver;
use peregrine_scap::Reader;
use peregrine_state::Config;

const RULES: &str = "
- rule: image
  desc: d
  condition: evt.type = close and container.image.repository = nginx
  output: closed %evt.num in %container.name
  priority: WARNING
  capture: true
  capture_duration: 10
- rule: any
  desc: d
  condition: evt.type = dup
  output: duplicated %evt.num
  priority: INFO
";

/// A process in a container, then events.
struct Given {
    thread: Option<Box<snapshot::Thread>>,
    events: Vec<Vec<u8>>,
    next: usize,
}

impl Source for Given {
    type Error = Infallible;

    fn next(&mut self) -> Result<Next<'_>, Infallible> {
        if let Some(thread) = self.thread.take() {
            return Ok(Next::Record(Record::Snapshot(Item::Thread(thread))));
        }
        self.next += 1;
        let Some(bytes) = self.events.get(self.next - 1) else { return Ok(Next::End) };
        let mut event = Event::parse(bytes, 0).unwrap();
        event.num = self.next as u64;
        Ok(Next::Record(Record::Event { event, state_only: false }))
    }
}

fn event(ty: EventType, ms: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Builder::new(ty, ms * 1_000_000, 20).i64(0).i64(3).finish(&mut bytes).unwrap();
    bytes
}

fn description(ms: u64) -> Vec<u8> {
    let json = r#"{"container":{"id":"aaaaaaaaaaaa","type":0,"name":"web","imagerepo":"nginx"}}"#;
    let (mut bytes, ty) = (Vec::new(), EventType::AsynceventE);
    let mut builder = Builder::new(ty, ms * 1_000_000, 0);
    builder.u32(0).text("container").text(json).finish(&mut bytes).unwrap();
    bytes
}

fn generation(origin: &AlertOrigin) -> Generation {
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    let result = loader.load("rules.yaml", RULES.as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    let content =
        AlertContent { fields: false, context: &[], iso_time: false, buffers: Buffers::Dots };
    let key = vec!["container.name".to_owned()];
    let settings = ThrottleSettings { max: 2, window: 1_000_000_000, key };
    let throttle = Arc::new(Throttle::new(settings, &fields).unwrap());
    let throttled = ThrottledRules { rules: Vec::new(), tags: vec![], throttle };
    Generation::new(loader.into_rules(), origin.registry(), Default::default())
        .with_alerts(origin, content, &fields)
        .unwrap()
        .with_throttles(&[throttled])
}

fn observer(directory: &Path, generation: &Generation, origin: &AlertOrigin) -> RunObserver {
    let file = FileOutput::new(directory.join("alerts"), FileMode::PRIVATE);
    let (output, when_full) = (ChannelOutput::File(file), WhenFull::DropNewest);
    let (format, filter) = (Format::new(Layout::Text), AlertFilter::default());
    let given = support::Given {
        channels: vec![ChannelSettings { output, format, filter, when_full, spool: None }],
        captures: MatchCaptureSettings {
            path_prefix: directory.join("capture").to_str().unwrap().to_owned(),
            all_rules: false,
            default_duration: Duration::from_millis(10),
            max_bytes: None,
            mode: FileMode::PRIVATE,
            oldest_reader: OldestReader::default(),
        },
        max_waits: MaxWaits { metadata: Duration::from_millis(100), accounts: Duration::ZERO },
        limit: None,
    };
    support::observer(generation, origin, given)
}

#[test]
fn late_matches_are_treated_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let generation = generation(&origin);
    let mut observer = observer(directory.path(), &generation, &origin);
    let state = Config { live: true, lookup_containers: true, ..Config::default() };
    let mut engine = Engine::new(Arc::new(generation), state);
    let cgroups = format!("cpu=/docker/{}\0", "a".repeat(64)).into_bytes().into();
    let thread = snapshot::Thread { tid: 20, pid: 20, cgroups, ..snapshot::Thread::default() };
    use EventType::{SyscallCloseX as CLOSE, SyscallDup_1X as DUP, SyscallFchdirX as FCHDIR};
    let mut source = Given {
        thread: Some(Box::new(thread)),
        events: vec![
            event(CLOSE, 1),
            event(DUP, 2),
            event(CLOSE, 3),
            event(CLOSE, 4),
            description(5),
            event(DUP, 6),
            // The third of its container in this window.
            event(DUP, 7),
            event(FCHDIR, 20),
            event(FCHDIR, 21),
        ],
        next: 0,
    };
    engine.run(&mut source, &mut observer, &mut ()).unwrap();
    observer.recorder.finish(engine.state());
    let (summary, _, _) = observer.close(&Arc::default(), Drain::WhileProgress);

    let counts: Vec<_> = summary.rules().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(counts, [("image".to_owned(), 3), ("any".to_owned(), 3)]);
    let alerts = std::fs::read_to_string(directory.path().join("alerts")).unwrap();
    let texts: Vec<_> = alerts.lines().filter_map(|line| line.split_once(": ")).collect();
    let texts: Vec<_> = texts.into_iter().map(|(_, text)| text).collect();
    let expected = [
        "Warning closed 1 in web",
        "Informational duplicated 2",
        "Warning closed 3 in web",
        "Informational duplicated 6",
    ];
    assert_eq!(texts, expected, "{alerts}");

    // The capture begins with the event that made the match known.
    let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let captures: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    let [capture] = captures.as_slice() else { panic!("{captures:?}") };
    let mut reader = Reader::open(capture).unwrap();
    let mut recorded = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        if let Record::Event { event, state_only: false } = record {
            recorded.push(event.ts / 1_000_000);
        }
    }
    assert_eq!(recorded, [5, 6, 7, 20]);
}
