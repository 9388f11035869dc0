//! Events that change no state and match no rule do not allocate in the engine and the observers of
//! a run. Every allocation of the thread is counted.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod support;

use std::alloc::{GlobalAlloc, Layout as AllocLayout, System};
use std::cell::Cell;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use peregrine_alert::{AlertOrigin, RuleRegistry};
use peregrine_engine::held::MaxWaits;
use peregrine_engine::{
    Engine, Generation, GenerationSettings, Match, Matching, Next, Observer, Source, Step,
};
use peregrine_event::{Event, EventFlags, EventType};
use peregrine_fields::Fields;
use peregrine_files::FileMode;
use peregrine_rules::{EventSource, Loader};
use peregrine_runtime::capture::{MatchCaptureSettings, OldestReader};
use peregrine_runtime::observers::RunObserver;
use peregrine_scap::Reader;
use peregrine_state::State;

/// Rules that read many fields and never match.
const RULES: &str = r#"
- macro: nobody
  condition: (proc.name = nobody or proc.aname in (nobody, "no one") or proc.cmdline contains "no body")
- rule: files
  desc: d
  condition: evt.type in (open, openat, openat2, creat, close, read, write, mmap, fstat, stat) and (nobody or fd.name startswith /nowhere)
  output: o
  priority: INFO
- rule: everything
  desc: d
  condition: evt.num > 0 and (nobody or proc.pname = nobody or evt.arg.res = ENOTHING or fs.path.name = /nowhere or evt.failed = true and nobody)
  output: o
  priority: INFO
- rule: network
  desc: d
  condition: (fd.sip = 1.2.3.4 or fd.port in (1, 2, 3) or fd.name regex "nothing.*") and nobody
  output: o
  priority: INFO
"#;

/// Types of event blocks of all versions of the format.
const EVENTS: [u32; 7] = [0x204, 0x8010_ABCD, 0x216, 0x221, 0x208, 0x217, 0x222];

/// A capture with its events repeated.
fn twice(capture: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(*capture[at..].first_chunk().unwrap());
    let mut at = 0;
    while !EVENTS.contains(&word(at)) {
        at += word(at + 4) as usize;
    }
    [capture, &capture[at..]].concat()
}

/// Whether events of this type may set the working directory.
fn may_name(ty: EventType) -> bool {
    ty == EventType::SyscallGetcwdX
}

/// Counts the allocations of each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Allocations of this thread so far.
fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn count() {
    // Thread locals are gone at the end of a thread.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: all calls are forwarded to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: AllocLayout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: AllocLayout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: AllocLayout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A source whose allocations are counted separately.
struct Counted<S> {
    source: S,
    allocations: u64,
}

impl<S: Source> Source for Counted<S> {
    type Error = S::Error;

    fn next(&mut self) -> Result<Next<'_>, S::Error> {
        let before = allocations();
        let next = self.source.next();
        self.allocations = allocations() - before;
        next
    }
}

/// The observer of a run, with counts of the allocations around it.
struct Watched {
    observer: RunObserver,
    /// Allocations when the event was about to be applied.
    before: u64,
    /// Allocations of applying it.
    state: u64,
    last: Option<(u64, EventType)>,
}

impl Observer for Watched {
    fn arrived(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        self.observer.arrived(event, state_only, state);
        self.last = None;
        self.before = allocations();
    }

    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.state = allocations() - self.before;
        self.last = Some((event.num, event.ty));
        self.observer.event(event)
    }

    fn matched(&mut self, matched: &Match<'_>) {
        panic!("{} matches event {}", matched.rule.name, matched.event.num);
    }

    fn done(&mut self, event: &Event<'_>, state_only: bool, state: &State) {
        if self.last.is_none() {
            self.state = allocations() - self.before;
            self.last = Some((event.num, event.ty));
        }
        self.observer.done(event, state_only, state);
    }
}

/// The observer of a run that captures around matches.
fn observer(generation: &Generation, origin: &AlertOrigin) -> RunObserver {
    let given = support::Given {
        channels: Vec::new(),
        captures: MatchCaptureSettings {
            path_prefix: "never".to_owned(),
            all_rules: true,
            default_duration: Duration::from_secs(1),
            max_bytes: None,
            mode: FileMode::PRIVATE,
            oldest_reader: OldestReader::default(),
        },
        max_waits: MaxWaits { metadata: Duration::ZERO, accounts: Duration::from_millis(500) },
        limit: Some(Duration::from_secs(1_000_000)),
    };
    support::observer(generation, origin, given)
}

/// Allocations of the repeated events of a capture, by part.
fn found(capture: &str) -> Vec<(&'static str, EventType, u64)> {
    let path = format!("{}/../../conformance/captures/{capture}.scap", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut bytes);
        MultiGzDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
    }
    let count = {
        let mut reader = Reader::new(&*bytes);
        while reader.next().unwrap().is_some() {}
        reader.counts().delivered
    };
    let bytes = twice(&bytes);

    let vocabulary = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(vocabulary)], Vec::new());
    assert!(loader.load("rules.yaml", RULES.as_bytes()).successful());
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let settings = GenerationSettings { matching: Matching::All, ..Default::default() };
    let generation = Generation::new(loader.into_rules(), origin.registry(), settings);
    let observer = observer(&generation, &origin);
    let mut engine = Engine::new(Arc::new(generation), Default::default());
    let mut source = Counted { source: Reader::new(&*bytes), allocations: 0 };
    let mut watched = Watched { observer, before: 0, state: 0, last: None };
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut after_change = false;
    loop {
        let before = allocations();
        let step = engine.step(&mut source, &mut watched, &mut ()).unwrap();
        let all = allocations() - before;
        match step {
            Step::End(_) => break,
            Step::Event => {}
            Step::Loaded | Step::Idle => continue,
        }
        let (num, ty) = watched.last.unwrap();
        seen += 1;
        if num <= count {
            continue;
        }
        // Entries that an event removes are freed with the next event.
        let changes = EventFlags::MODIFIES_STATE | EventFlags::CREATES_FD;
        let changes = ty.info().flags.intersects(changes);
        let changed = std::mem::replace(&mut after_change, changes);
        let state = if changes || changed || may_name(ty) { 0 } else { watched.state };
        // Descriptions of the machine are copied for captures that begin later.
        let rules = all - source.allocations - watched.state;
        let rules = if ty.describes_machine() { 0 } else { rules };
        let parts = [("source", source.allocations), ("state", state), ("rules", rules)];
        found.extend(parts.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| (what, ty, n)));
    }
    assert!(seen > count);
    found
}

#[test]
fn events_that_change_no_state_and_match_no_rule_do_not_allocate() {
    for capture in ["own_zoo", "own_acts", "sample", "sf_client-server_tcp-client-server"] {
        assert_eq!(found(capture), [], "{capture}");
    }
}
