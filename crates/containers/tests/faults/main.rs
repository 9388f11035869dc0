//! The thread that asks runtimes, against runtimes that fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on has failed")]

mod fake;
mod waiting;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fake::{Fake, Mode};
use peregrine_containers::{EngineKind, LogLevel, Service, Settings};
use peregrine_event::inbox::{ContainerRequests, Inbox, Initial, Told, inbox};
use peregrine_event::source::{ContainerEngine, ContainerRequest, Observation};
use peregrine_state::Container;
use peregrine_telemetry::ContainerCounters;
use tempfile::TempDir;

/// Longest wait for anything.
const LONG: Duration = Duration::from_secs(60);
const DAY: &str = "2026-11-30T10:00:00Z";

/// The service and what it says.
struct Run {
    service: Service,
    inbox: Inbox,
    requests: ContainerRequests,
    counters: Arc<ContainerCounters>,
    log: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

/// What the service tells.
#[derive(Debug, PartialEq)]
enum Said {
    /// Name of the event, the container, and whether rules see it.
    Event(String, Box<Container>, bool),
    Unavailable(String),
}

fn settings(engine: EngineKind, socket: &Path, hooks: &str) -> Settings {
    let off = |kind: &EngineKind| *kind != engine;
    let mut engines = serde_json::Map::new();
    for kind in EngineKind::ALL.iter().filter(|kind| off(kind)) {
        engines.insert(kind.name().to_owned(), serde_json::json!({"enabled": false}));
    }
    engines.insert(engine.name().to_owned(), serde_json::json!({"sockets": [socket]}));
    let hooks: Vec<_> = hooks.split(' ').collect();
    let config = serde_json::json!({ "engines": engines, "hooks": hooks });
    let (mut settings, issues) = Settings::from_json(&config.to_string()).unwrap();
    assert!(issues.is_empty(), "{issues:?}");
    settings.timing.request = Duration::from_secs(20);
    settings.timing.lookup = Duration::from_millis(400);
    settings.timing.removal = Duration::from_millis(100);
    settings
}

impl Run {
    /// A service for a socket in a new folder, on which `prepare` has put something.
    fn start(prepare: impl FnOnce(&Path), change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(EngineKind::Docker, prepare, change)
    }

    fn of(
        engine: EngineKind,
        prepare: impl FnOnce(&Path),
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("runtime.sock");
        prepare(&socket);
        let mut settings = settings(engine, &socket, "create");
        change(&mut settings);
        let counters = Arc::new(ContainerCounters::new(&EngineKind::ALL.map(EngineKind::name)));
        let log = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&log);
        let sink = Arc::new(move |level: LogLevel, line: &str| {
            lines.lock().unwrap().push(format!("{level:?}: {line}"));
        });
        let (sender, inbox) = inbox();
        let (service, requests) = Service::new(sender, Arc::clone(&counters), sink);
        service.control().start(settings).unwrap();
        Self { service, inbox, requests, counters, log, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("runtime.sock")
    }

    /// The containers that there are at the start.
    fn initial(&mut self, wait: Duration) -> Vec<Said> {
        let mut said = Vec::new();
        loop {
            match self.inbox.initial(wait) {
                Initial::Told(told) => said.push(read(told)),
                Initial::Waiting => {}
                Initial::Complete => return said,
            }
        }
    }

    fn next(&mut self) -> Said {
        let told = self.inbox.wait(LONG);
        read(told.unwrap_or_else(|| panic!("nothing was told; the log: {:#?}", self.log())))
    }

    /// The next event: its name, the name and address of the container, and whether rules see it.
    fn event(&mut self) -> (String, String, String, bool) {
        match self.next() {
            Said::Event(event, container, shown) => (event, container.name, container.ip, shown),
            said => panic!("{said:?}"),
        }
    }

    fn ask(&mut self, engine: ContainerEngine, id: &str, certain: bool) {
        let container = id.get(..12).unwrap_or(id).as_bytes().into();
        let cgroup = format!("/x/{id}").into_bytes().into();
        let request = ContainerRequest { container, cgroup, tid: 1, engine, certain };
        assert!((self.requests)(&request));
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log.
    fn wait_for_line(&self, part: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            if let Some(line) = self.log().iter().rev().find(|line| line.contains(part)) {
                return line.replace(&self.folder.path().display().to_string(), "…");
            }
            assert!(Instant::now() < end, "no {part}: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read(told: Told) -> Said {
    match told {
        Told::Observation(Observation::ContainerUnavailable { container }) => {
            Said::Unavailable(String::from_utf8(container.to_vec()).unwrap())
        }
        Told::Observation(other) => panic!("{other:?}"),
        Told::Event(told) => {
            let event = told.parse().unwrap();
            let name = String::from_utf8(event.text(1).unwrap().to_vec()).unwrap();
            let container = Container::from_json(event.text(2).unwrap()).unwrap();
            Said::Event(name, Box::new(container), !told.is_state_only())
        }
    }
}

fn id(number: usize) -> String {
    format!("{number:012x}{number:052x}")
}

/// The event that rules see of a container with this name.
fn shown(event: &str, name: &str, ip: &str) -> (String, String, String, bool) {
    (event.to_owned(), name.to_owned(), ip.to_owned(), true)
}

#[test]
fn containers_of_the_start_come_first() {
    let mut fake = None;
    let mut run = Run::start(
        |path| {
            let it = fake.insert(Fake::start(path));
            (1..=20).for_each(|number| it.add(&id(number), "old", "10.0.0.1", DAY));
        },
        |_| (),
    );
    let said = run.initial(LONG);
    assert_eq!(said.len(), 20, "{said:?}");
    let Said::Event(name, container, true) = &said[0] else { panic!("{said:?}") };
    assert_eq!((name.as_str(), container.image_digest.as_str()), ("container", "sha256:77"));
    assert_eq!(run.counters.stats().containers, 20);
    let line = run.wait_for_line("connected");
    assert_eq!(
        line,
        "Info: Containers: docker: connected to …/runtime.sock: docker 20.10.24 (API 1.41)"
    );
}

#[test]
fn a_container_is_told_when_it_is_made_starts_and_ends() {
    let mut fake = None;
    let mut run = Run::start(|path| fake = Some(Fake::start(path)), |_| ());
    let fake = fake.unwrap();
    assert!(run.initial(LONG).is_empty());
    fake.add(&id(1), "web", "", DAY);
    fake.tell("create", &id(1));
    assert_eq!(run.event(), shown("container", "web", ""));
    fake.add(&id(1), "web", "10.0.0.2", DAY);
    fake.tell("start", &id(1));
    let (event, name, ip, shown_again) = run.event();
    assert_eq!(
        (event.as_str(), name.as_str(), ip.as_str(), shown_again),
        ("container", "web", "10.0.0.2", false)
    );
    fake.tell("die", &id(1));
    fake.remove(&id(1));
    assert_eq!(run.event(), shown("container_removed", "web", "10.0.0.2"));
    assert_eq!(run.counters.stats().containers, 0);
}

#[test]
fn podman_is_asked_by_its_own_interface() {
    let mut fake = None;
    let mut run = Run::of(
        EngineKind::Podman,
        |path| fake.insert(Fake::podman(path)).add(&id(1), "web", "10.0.0.1", DAY),
        |_| (),
    );
    let said = run.initial(LONG);
    let [Said::Event(_, container, true)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((container.kind.name(), container.image_repo.as_str()), ("podman", "localhost/bb"));
    let fake = fake.unwrap();
    fake.add(&id(2), "new", "", DAY);
    fake.tell("create", &id(2));
    assert_eq!(run.event(), shown("container", "new", ""));
}

#[test]
fn an_unknown_container_is_asked_about_until_it_is_known() {
    let mut fake = None;
    let mut run =
        Run::start(|path| fake = Some(Fake::start(path)), |settings| settings.timing.lookup = LONG);
    let fake = fake.unwrap();
    run.initial(LONG);
    run.ask(ContainerEngine::Docker, &id(1), true);
    while fake.inspected() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    fake.add(&id(1), "late", "", DAY);
    assert_eq!(run.event(), shown("container", "late", ""));
    assert_eq!(run.counters.stats().lookups, 1);
}

#[test]
fn what_no_runtime_knows_is_told() {
    let mut fake = None;
    let mut run = Run::start(|path| fake = Some(Fake::start(path)), |_| ());
    run.initial(LONG);
    run.ask(ContainerEngine::Docker, &id(1), true);
    assert_eq!(run.next(), Said::Unavailable(id(1)[..12].to_owned()));
    // No socket of containerd is configured.
    run.ask(ContainerEngine::Containerd, "redis", false);
    assert_eq!(run.next(), Said::Unavailable("redis".to_owned()));
    assert_eq!(run.counters.stats().failed, 2);
    run.ask(ContainerEngine::Lxc, "box", true);
    let Said::Event(_, container, true) = run.next() else { panic!() };
    assert_eq!((container.kind.name(), container.id.as_str()), ("lxc", "box"));
}

#[test]
fn slow_answers_are_used() {
    for delay in [50, 5000] {
        let mut fake = None;
        let mut run =
            Run::start(|path| fake.insert(Fake::start(path)).add(&id(1), "slow", "", DAY), |_| ());
        fake.as_ref().unwrap().set_delay(Duration::from_millis(delay));
        run.initial(Duration::ZERO);
        assert_eq!(run.event(), shown("container", "slow", ""));
    }
}

#[test]
fn a_runtime_that_never_answers_delays_nothing() {
    let mut fake = None;
    let mut run = Run::start(
        |path| fake.insert(Fake::start(path)).set_mode(Mode::Silent),
        |settings| {
            settings.timing.request = LONG;
            settings.timing.start = Duration::from_millis(100);
        },
    );
    assert!(run.initial(LONG).is_empty());
    run.wait_for_line("has not answered yet");
    run.ask(ContainerEngine::Docker, &id(1), true);
    assert_eq!(run.next(), Said::Unavailable(id(1)[..12].to_owned()));
    // Its end does not wait for the runtime either: this test would take a minute.
    let Run { service, .. } = run;
    drop(service);
}

#[test]
fn rubbish_is_told_and_the_runtime_asked_again() {
    for mode in [Mode::Rubbish, Mode::BrokenJson, Mode::Endless] {
        let mut fake = None;
        let mut run = Run::start(|path| fake.insert(Fake::start(path)).set_mode(mode), |_| ());
        let fake = fake.unwrap();
        run.initial(LONG);
        run.wait_for_line("Warning: Containers: docker: not connected");
        fake.add(&id(1), "right", "", DAY);
        fake.set_mode(Mode::Right);
        assert_eq!(run.event(), shown("container", "right", ""), "{mode:?}");
        let told = run.log().iter().filter(|line| line.contains("not connected")).count();
        assert_eq!(told, 1, "{mode:?}: {:#?}", run.log());
    }
}

#[test]
fn a_lost_stream_is_opened_again() {
    let mut fake = None;
    let mut run = Run::start(|path| fake = Some(Fake::start(path)), |_| ());
    let fake = fake.unwrap();
    run.initial(LONG);
    for number in 1..4 {
        // Meanwhile a container is made, of which no event tells.
        fake.add(&id(number), "missed", "", DAY);
        fake.drop_streams();
        assert_eq!(run.event(), shown("container", "missed", ""));
    }
    // One that is gone after the next loss has ended.
    fake.remove(&id(2));
    fake.drop_streams();
    assert_eq!(run.event(), shown("container_removed", "missed", ""));
}

#[test]
fn a_socket_may_appear_and_be_replaced() {
    let mut run = Run::start(|_| (), |_| ());
    assert!(run.initial(LONG).is_empty());
    assert_eq!(run.wait_for_line("waits"), "Info: Containers: docker: waits for …/runtime.sock");
    let first = Fake::start(&run.socket());
    first.add(&id(1), "first", "", DAY);
    assert_eq!(run.event(), shown("container", "first", ""));
    // The old server goes on.
    fs::remove_file(run.socket()).unwrap();
    let second = Fake::start(&run.socket());
    second.add(&id(1), "first", "", DAY);
    second.add(&id(2), "second", "", DAY);
    assert_eq!(run.event(), shown("container", "second", ""));
    run.wait_for_line("the socket was replaced");
}

#[test]
fn an_id_that_is_used_again_is_another_container() {
    let mut fake = None;
    let mut run = Run::start(|path| fake = Some(Fake::start(path)), |_| ());
    let fake = fake.unwrap();
    run.initial(LONG);
    fake.add(&id(1), "one", "", DAY);
    fake.tell("create", &id(1));
    assert_eq!(run.event(), shown("container", "one", ""));
    fake.add(&id(1), "two", "", "2026-11-30T10:00:01Z");
    fake.tell("create", &id(1));
    assert_eq!(run.event(), shown("container", "two", ""));
}

#[test]
fn ten_thousand_containers_are_told() {
    const MANY: usize = 10_000;
    let mut fake = None;
    let mut run = Run::start(
        |path| {
            let it = fake.insert(Fake::start(path));
            (0..MANY).for_each(|number| it.add(&id(number), "many", "", DAY));
        },
        |settings| settings.timing.request = Duration::from_secs(300),
    );
    for _ in 0..MANY {
        assert_eq!(run.event(), shown("container", "many", ""));
    }
    assert_eq!(run.counters.stats().containers, MANY as u64);
    // They are known when the runtime is connected again.
    let before = fake.as_ref().unwrap().inspected();
    assert_eq!(before, MANY);
}

#[test]
fn other_settings_keep_what_is_known() {
    let mut fake = None;
    let mut run =
        Run::start(|path| fake.insert(Fake::start(path)).add(&id(1), "kept", "", DAY), |_| ());
    let fake = fake.unwrap();
    run.initial(LONG);
    let settings = settings(EngineKind::Docker, &run.socket(), "create start");
    run.service.control().configure(settings).unwrap();
    fake.add(&id(2), "new", "", DAY);
    assert_eq!(run.event(), shown("container", "new", ""));
    fake.wait_for_watcher();
    fake.tell("start", &id(2));
    assert_eq!(run.event(), shown("container", "new", ""));
    assert_eq!(run.counters.stats().containers, 2);
}
