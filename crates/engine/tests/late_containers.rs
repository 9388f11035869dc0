//! Rules match the same events, and alerts say the same, whether containers are described from the
//! start or only after many of their events.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::{Alert, AlertOrigin, RuleRegistry};
use peregrine_engine::held::{AlertSink, HeldAlerts, HeldStats, MaxWaits};
use peregrine_engine::{
    AlertContent, End, Engine, Generation, GenerationSettings, LateMatch, Match, MatchAlert,
    Matching, Next, Observer, ProcResolver, Source, Undecided,
};
use peregrine_event::render::Buffers;
use peregrine_event::snapshot::Item;
use peregrine_event::source::{AccountsRequest, ContainerRequest, Record};
use peregrine_event::{Builder, Event, EventType};
use peregrine_fields::Fields;
use peregrine_rules::{EventSource, Loader};
use peregrine_scap::{Reader, ScapError};
use peregrine_state::{Config, State};

/// Captures with containers, and some without, whose processes get some.
const CAPTURES: [&str; 5] = [
    "sf_client-server_tcp-client-server",
    "open-multiple-files",
    "sample",
    "own_acts",
    "curl_google",
];

const CONDITIONS: [&str; 14] = [
    "container.image.repository = even",
    "container.image.repository = odd and evt.type in (openat, open)",
    "not container.image.repository = even and fd.name startswith /etc",
    "not (container.privileged = true or proc.name startswith s)",
    "container.name != n-odd and evt.type = read and fd.num < 5",
    "container.id != host and proc.aname contains sh",
    "container.image.repository in (odd, other) and not evt.type in (close, read, write)",
    "k8s.pod.name exists and evt.failed = true",
    "k8s.ns.name = blue and evt.is_io = true",
    "(fd.name contains lib or container.label[app] = x) and evt.type = close",
    "container.id = host and container.name = host and evt.num < 200",
    "concat(proc.name, container.image.repository) endswith odd and evt.dir = <",
    "container.name endswith val(container.image.repository) and evt.type = mmap",
    "user.name exists and proc.is_container_healthcheck = false and evt.type = fstat",
];

fn rules() -> String {
    let rule = |(number, condition): (usize, &&str)| {
        format!(
            "- {{rule: r{number}, desc: d, condition: \"evt.num > 10 and {condition}\", \
             output: '{number} %evt.num %container.id %container.name %proc.name %fd.name \
             %proc.pname %k8s.pod.name %evt.args', priority: INFO}}\n"
        )
    };
    CONDITIONS.iter().enumerate().map(rule).collect()
}

/// A container, which is described before this event.
type Due = (u64, Arc<[u8]>);

/// A capture into which descriptions of containers are put.
struct Described {
    capture: Reader<std::fs::File>,
    due: Rc<RefCell<Vec<Due>>>,
    events: Rc<RefCell<u64>>,
    ts: u64,
    bytes: Vec<u8>,
}

impl Source for Described {
    type Error = ScapError;

    fn next(&mut self) -> Result<Next<'_>, Self::Error> {
        let events = *self.events.borrow();
        let at = self.due.borrow().iter().position(|(due, _)| *due <= events);
        if let Some(at) = at.filter(|_| events > 0) {
            let (_, id) = self.due.borrow_mut().remove(at);
            self.bytes = description(self.ts, &id);
            let event = Event::parse(&self.bytes, 0).unwrap();
            return Ok(Next::Record(Record::Event { event, state_only: false }));
        }
        let mut next = self.capture.next()?;
        if let Some(Record::Snapshot(Item::Thread(thread))) = &mut next
            && !String::from_utf8_lossy(&thread.cgroups).contains("docker")
        {
            let id = format!("{:x}", thread.pid % 5).repeat(64);
            thread.cgroups = format!("cpu=/docker/{id}\0").into_bytes().into();
        }
        if let Some(Record::Event { event, .. }) = &next {
            if describes_container(event.ty) {
                return Ok(Next::Loading);
            }
            *self.events.borrow_mut() += 1;
            self.ts = event.ts;
        }
        if next.is_none() && !self.due.borrow().is_empty() {
            // The rest of them.
            *self.events.borrow_mut() = u64::MAX;
            return Ok(Next::Loading);
        }
        Ok(next.map_or(Next::End, Next::Record))
    }
}

/// The capture's own descriptions are left out.
fn describes_container(ty: EventType) -> bool {
    use EventType::{AsynceventE, ContainerE, ContainerJson_2E, ContainerJsonE};
    matches!(ty, AsynceventE | ContainerE | ContainerJsonE | ContainerJson_2E)
}

/// The event that describes a container: all that rules ask about depends on its id.
fn description(ts: u64, id: &[u8]) -> Vec<u8> {
    let id = String::from_utf8(id.to_vec()).unwrap();
    let even = id.bytes().map(u64::from).sum::<u64>().is_multiple_of(2);
    let word = if even { "even" } else { "odd" };
    let labels = if even {
        r#"{"app":"x","io.kubernetes.pod.name":"web","io.kubernetes.pod.namespace":"blue"}"#
    } else {
        "{}"
    };
    let json = format!(
        r#"{{"container":{{"id":"{id}","type":0,"pid":999999999,"name":"n-{word}","imagerepo":"{word}","privileged":{even},"labels":{labels}}}}}"#
    );
    let mut bytes = Vec::new();
    let mut builder = Builder::new(EventType::AsynceventE, ts, 0);
    builder.u32(0).text("container").text(&json).finish(&mut bytes).unwrap();
    bytes
}

/// Notes which containers are asked about, to be described some events later.
struct Asked {
    due: Rc<RefCell<Vec<Due>>>,
    events: Rc<RefCell<u64>>,
    ids: Rc<RefCell<BTreeSet<Arc<[u8]>>>>,
    /// Most events until the answer.
    longest: u64,
    random: u64,
}

impl ProcResolver for Asked {
    fn resolve(&mut self, _: i64, _: &dyn Fn(i64) -> bool) -> Vec<Item> {
        Vec::new()
    }

    fn request_accounts(&mut self, _: &AccountsRequest) -> bool {
        true
    }

    fn request_container(&mut self, request: &ContainerRequest) -> bool {
        self.ids.borrow_mut().insert(Arc::clone(&request.container));
        // Numbers of Knuth's linear congruential generator.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = (self.random >> 33) % self.longest + 2;
        let due = *self.events.borrow() + delay;
        self.due.borrow_mut().push((due, Arc::clone(&request.container)));
        true
    }
}

#[derive(Default)]
struct Out(Vec<String>);

impl AlertSink for Out {
    fn submit(&mut self, alert: Alert) {
        self.0.push(String::from_utf8_lossy(alert.text()).into_owned());
    }

    fn matched(&mut self, matched: &LateMatch<'_>) -> Option<MatchAlert> {
        matched.alert()
    }
}

struct Alerts {
    held: HeldAlerts,
    out: Out,
}

impl Observer for Alerts {
    const DEFERS: bool = true;

    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.held.add(matched, matched.alert().unwrap(), &mut self.out);
    }

    fn undecided(&mut self, undecided: Undecided, state: &State) {
        self.held.add_undecided(undecided, state, &mut self.out);
    }

    fn done(&mut self, event: &Event<'_>, _: bool, state: &State) {
        if event.ty.describes_machine() && !self.held.is_empty() {
            self.held.release(event.ts, state, &mut self.out);
        }
    }
}

struct Run {
    alerts: Vec<String>,
    stats: HeldStats,
    ids: BTreeSet<Arc<[u8]>>,
}

/// Runs a capture. The containers `known` are described after its first event. Others are if
/// runtimes are asked, which answer at most `longest` events later.
fn run(capture: &str, matching: Matching, known: &[Arc<[u8]>], longest: Option<u64>) -> Run {
    let fields = Fields::syscall().with_containers(true);
    let mut loader = Loader::new(vec![EventSource::syscall(fields.clone())], Vec::new());
    let result = loader.load("rules.yaml", rules().as_bytes());
    assert!(result.successful(), "{}", result.explanation());
    let registry = Arc::new(RuleRegistry::new());
    let origin = AlertOrigin::new(Arc::clone(&registry), "host");
    let (iso_time, buffers) = (false, Buffers::default());
    let content = AlertContent { fields: true, context: &[], iso_time, buffers };
    let settings = GenerationSettings { matching, ..Default::default() };
    let generation = Generation::new(loader.into_rules(), &registry, settings);
    let generation = generation.with_alerts(&origin, content, &fields).unwrap();
    let due: Rc<RefCell<Vec<Due>>> = Rc::default();
    due.borrow_mut().extend(known.iter().map(|id| (1, Arc::clone(id))));
    let (events, ids) = (Rc::default(), Rc::default());
    let resolver = Asked {
        due: Rc::clone(&due),
        events: Rc::clone(&events),
        ids: Rc::clone(&ids),
        longest: longest.unwrap_or(1),
        random: longest.unwrap_or(1),
    };
    let state = Config { lookup_containers: longest.is_some(), ..Config::default() };
    let mut engine = Engine::new(Arc::new(generation), state).with_resolver(Box::new(resolver));
    let path = format!("{}/../../conformance/captures/{capture}.scap", env!("CARGO_MANIFEST_DIR"));
    let capture = Reader::open(path).unwrap();
    let mut source = Described { capture, due, events, ts: 0, bytes: Vec::new() };
    // Times of captures pass fast.
    let (metadata, accounts) = (Duration::from_secs(1 << 30), Duration::ZERO);
    let held = HeldAlerts::new(MaxWaits { metadata, accounts });
    let mut alerts = Alerts { held, out: Out::default() };
    assert_eq!(engine.run(&mut source, &mut alerts, &mut ()).unwrap(), End::Source);
    let Alerts { mut held, mut out } = alerts;
    held.release_all(engine.state(), &mut out);
    drop(engine);
    if matching == Matching::All {
        // Of the rules that match one event, those that wait come last.
        let place = |alert: &String| {
            let mut words = alert.split(' ');
            let (rule, event) = (words.next().unwrap(), words.next().unwrap());
            [event, rule].map(|number| number.parse::<u64>().unwrap())
        };
        assert!(out.0.is_sorted_by_key(|alert| place(alert)[0]));
        out.0.sort_by_key(place);
    }
    Run { alerts: out.0, stats: held.stats(), ids: Rc::try_unwrap(ids).unwrap().into_inner() }
}

#[test]
fn late_descriptions_change_no_alert() {
    let mut undecided = 0;
    for capture in CAPTURES {
        let ids = run(capture, Matching::All, &[], Some(1)).ids;
        let known: Vec<_> = ids.into_iter().collect();
        assert!(!known.is_empty());
        for matching in [Matching::First, Matching::All] {
            let expected = run(capture, matching, &known, None);
            assert_eq!(expected.stats, HeldStats::default());
            for longest in [30, 1000] {
                let late = run(capture, matching, &[], Some(longest));
                let first = late.alerts.iter().zip(&expected.alerts).find(|(a, b)| a != b);
                assert_eq!(first, None, "{capture} {matching:?} {longest}");
                assert_eq!(late.alerts.len(), expected.alerts.len());
                undecided += late.stats.undecided;
            }
        }
    }
    assert!(undecided > 1000, "{undecided}");
}
